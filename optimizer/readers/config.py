"""The eval file: read, checked against its shape, and made into a `RunConfig`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from optimizer.config import BudgetSpec, DataSpec, MetricSpec, ModelSpec, Prefer, Price, RunConfig
from optimizer.errors import ConfigError, DataError, Problem
from optimizer.readers import document
from optimizer.readers.base import CAPS, check_name, fault, nearest, read_text, shown
from optimizer.readers.eval_file import LIFTED, DataBlock, EvalFile, ModelBlock
from optimizer.readers.shape import check, locate

BUDGET_FLAGS = tuple(field.name for field in fields(BudgetSpec))
"""Overrides that are a part of the budget."""
OVERRIDES = (
    *("prompt", "data", "model", "base_url", "mutator", "mined", "metrics", "splits"),
    *("budget", *BUDGET_FLAGS, "concurrency", "timeout", "seed", "protect", "max_tokens", "prefer", "repeats"),
)
"""Names that `overrides` may have: keys of the eval file, and shorter names. A later one wins over an earlier one."""
_METRIC = re.compile(r"[a-z][a-z0-9_-]{0,79}")
_OTHERS = frozenset({".jsonl", ".ndjson", ".csv", ".tsv", ".toml", ".py", ".md"})
"""Endings of files of rows, of programs, and of other tools' settings."""
_EXACT = frozenset({"value", "any", "all", "values"})


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Read an eval file.

    Args:
        path: the file. Paths in it are relative to its folder.
        overrides: values of command line flags, or of a program, by the names in `OVERRIDES`; None stands for
            `not given`. Paths among them are relative to the working folder. A `model` takes the place of the file's
            whole model block; `base_url` is then set on top. Where they name a real model and the file's mutator is
            the stand-in, the model proposes edits as well, unless `mutator` is among them.

    Raises ConfigError with every problem: `file:line: key: problem (fix)`.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    for name in given:
        if name not in OVERRIDES:
            raise ConfigError(f"unknown override {name!r} ({nearest(name, OVERRIDES)}known: {', '.join(OVERRIDES)})")
    try:
        if path.suffix.lower() in _OTHERS:
            raise fault(path, "not an eval file by its ending", "name the eval file: evals/NAME.yaml")
        name = check_name(path.stem, path)
        read = document.parse(read_text(path, CAPS.document_bytes), path)
    except DataError as error:
        raise ConfigError(str(error)) from None
    if not isinstance(read.data, dict):
        raise ConfigError(f"{read.fault((), 'no settings in the file', 'write prompt, data, model, metrics')}")
    if "messages" in read.data and not {"data", "model", "metrics"} & set(read.data):
        problem = "a prompt, not an eval file"
        raise ConfigError(str(read.fault((), problem, "name the eval file: evals/NAME.yaml; --prompt takes a prompt")))
    return _Reading(read, name, given).config()


def where_set(config: RunConfig, place: document.Place) -> str:
    """`file:line` of one metric or one protected row as the eval file has it; else the file alone."""
    try:
        read = document.parse(read_text(config.path, CAPS.document_bytes), config.path)
    except DataError:
        return shown(config.path)
    if place[:1] == ("metrics",) and place in read.lines:
        same = _Reading(read, config.name, {}).metrics() == config.metrics
    else:
        known = read.data.get("protect") if isinstance(read.data, dict) else None
        same = isinstance(known, list) and tuple(known) == config.protect[: len(known)]
    return locate(read, place) if same and place in read.lines else shown(config.path)


def config_json_schema() -> dict[str, Any]:
    """JSON Schema of the eval file, for editors."""
    schema = EvalFile.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Eval file"}


class _Reading:
    """One pass over an eval file; gathers every problem before it gives up."""

    def __init__(self, read: document.Document, name: str, given: Mapping[str, Any]) -> None:
        self._read = read
        self._name = name
        self._given = given
        self._problems: list[Problem] = []
        self._flags: dict[document.Place, str] = {}

    def config(self) -> RunConfig:
        """The values. Raises ConfigError."""
        # `budget:` with nothing behind it means what leaving it out means.
        self._read.data = {key: value for key, value in self._read.data.items() if value is not None}
        self._override()
        file = check(EvalFile, self._read, self._problems, self._where)
        metrics = self.metrics()
        if file is not None and not file.mined and file.mutator is not None and file.mutator.name == "none":
            self._note(("mutator",), "nothing would propose edits", "set `mined: true`, or name a mutator")
        if file is None or self._problems:
            raise ConfigError(str(DataError(sorted(self._problems, key=_line))))
        return self._made(file, metrics)

    def _override(self) -> None:
        """Put the flags in the file's place, and remember whose fault they are."""
        data = self._read.data
        for name in OVERRIDES:
            if name == "base_url" or name not in self._given:
                continue
            value = self._given[name]
            place: document.Place = ("budget", name) if name in BUDGET_FLAGS else (name,)
            if name in BUDGET_FLAGS:
                budget = data.get("budget")
                data["budget"] = {**(budget if isinstance(budget, dict) else {}), name: value}
            else:
                data[name] = _as_read(value)
            self._flags[place] = f"--{name.replace('_', '-')}"
        if "base_url" in self._given:
            model = data.get("model")
            block = dict(model) if isinstance(model, dict) else {"name": model}
            data["model"] = {**block, "base_url": self._given["base_url"]}
            self._flags[("model", "base_url")] = "--base-url"

    def _where(self, place: document.Place) -> str:
        for end in range(len(place), 0, -1):
            if place[:end] in self._flags:
                return self._flags[place[:end]]
        return locate(self._read, place)

    def _note(self, place: document.Place, problem: str, fix: str) -> None:
        name = document.dotted(place)
        self._problems.append(Problem(where=self._where(place), field=name, problem=problem, fix=fix))

    def _made(self, file: EvalFile, metrics: tuple[MetricSpec, ...]) -> RunConfig:
        model = _model(file.model)
        mutator: ModelSpec | None = model
        if file.mutator is not None:
            mutator = None if file.mutator.name == "none" else _model(file.mutator)
        if self._replaces_stand_in(model, mutator):
            mutator = model
        return RunConfig(
            name=self._name,
            path=self._read.path,
            prompt=self._path(file.prompt, "prompt"),
            data=self._data(file.data),
            model=model,
            mutator=mutator,
            metrics=metrics,
            mined=file.mined,
            splits=file.splits.shares(),
            budget=BudgetSpec(**dict(file.budget)),
            concurrency=file.concurrency,
            timeout=float(file.timeout),
            seed=file.seed,
            protect=tuple(file.protect),
            max_tokens=file.max_tokens,
            prefer=None if file.prefer is None else Prefer(file.prefer),
            repeats=file.repeats,
        )

    def _replaces_stand_in(self, model: ModelSpec, mutator: ModelSpec | None) -> bool:
        """A flag that names a real model takes the file's stand-in out of the run, as proposer too."""
        flagged = "mutator" not in self._given and not {"model", "base_url"}.isdisjoint(self._given)
        return flagged and mutator is not None and mutator.provider == "offline" and model.provider != "offline"

    def _path(self, text: str, flag: str) -> Path:
        if flag in self._given:
            return Path(text)
        joined = self._read.path.parent / text
        short = Path(os.path.normpath(joined))
        # `a/link/../b` is not `a/b` where `link` leads elsewhere.
        return short if os.path.realpath(short) == os.path.realpath(joined) else joined

    def _data(self, block: DataBlock) -> DataSpec:
        return DataSpec(
            path=self._path(block.path, "data"),
            format=block.format,
            inputs=tuple(block.inputs) if block.inputs is not None else None,
            expected=block.expected,
            split=block.split,
        )

    def metrics(self) -> tuple[MetricSpec, ...]:
        """The metrics alone, as far as they can be taken."""
        items = self._read.data.get("metrics")
        if not isinstance(items, list):
            return ()
        made = [self._metric(("metrics", index), item) for index, item in enumerate(items)]
        for place, written in self._read.written.items() if ("metrics",) not in self._flags else ():
            if place[0] == "metrics" and len(place) > 2 and (len(place) == 3 or place[3] in _EXACT):
                self._note(place, f"{written} would be read as a number", f'write "{written}" for text')
        return tuple(metric for metric in made if metric is not None)

    def _metric(self, place: document.Place, item: Any) -> MetricSpec | None:
        if isinstance(item, str):
            item = {item: None}
        if not isinstance(item, dict) or len(item) != 1:
            fix = "write a name, or {name: value}, or {name: {value: ..., weight: ...}}; one metric an item"
            self._note(place, "not a metric", fix)
            return None
        ((written, settings),) = item.items()
        name = written.removeprefix("not-")
        if _METRIC.fullmatch(name) is None:
            self._note(place, f"{written[:80]!r} is no metric's name", "names are lower case with `-`")
            return None
        if not isinstance(settings, dict):
            args = {} if settings is None else {"value": settings}
            return MetricSpec(name=name, negate=name != written, args=args)
        lifted = {key: settings[key] for key in LIFTED if key in settings}
        args = {key: value for key, value in settings.items() if key not in LIFTED}
        before = len(self._problems)
        for key, value in lifted.items():
            if problem := LIFTED[key](value):
                self._note((*place, written, key), *problem)
        if len(self._problems) > before:
            return None
        if "weight" in lifted:
            lifted["weight"] = float(lifted["weight"])
        return MetricSpec(name=name, negate=name != written, args=args, **lifted)


def _as_read(value: Any) -> Any:
    """A value of a program as a file would give it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _line(problem: Problem) -> int:
    """Line that a problem points at; flags, which have none, come first."""
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


def _model(block: ModelBlock) -> ModelSpec:
    price = Price(input=block.price.input, output=block.price.output) if block.price else None
    return ModelSpec(
        name=block.name,
        base_url=block.base_url,
        params=dict(block.params),
        price=price,
        rpm=block.rpm,
        tpm=block.tpm,
    )
