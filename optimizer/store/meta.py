"""What a run is about: enough to refuse a resume with another eval set, metric, model or prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from optimizer.config import MetricSpec, ModelSpec, RunConfig
from optimizer.dataset import EvalSet, Split, canonical_json
from optimizer.dataset import content_hash as content_hash
from optimizer.prompt import Prompt
from optimizer.protect import protected

SHOWN = 3
"""Rows that a message names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunMeta:
    """What a run is about."""

    name: str
    """Stem of the eval file."""
    eval_file: str = ""
    """Its path."""
    prompt: str = ""
    """Name of the prompt."""
    prompt_path: str = ""
    """Its file."""
    prompt_version: int | None = None
    """N of `v<N>`."""
    seed_prompt: str = ""
    """Fingerprint of the prompt that the run begins with."""
    model: str = ""
    """The task model, as the config names it."""
    model_settings: str = ""
    """Canonical JSON of its endpoint and parameters."""
    mutator: str = ""
    """The model that proposes edits, with its settings; empty for mined edits alone."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """Metric as written -> canonical JSON of its settings and version."""
    search: Mapping[str, Any] = field(default_factory=dict)
    """What else shapes decisions: seed, mined, lines of the user's own, wishes beside the score."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Split -> fingerprint of its rows."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Split -> number of rows."""
    stand_in: bool = False
    """True where the task model is the offline stand-in: every figure says so then."""
    arguments: tuple[str, ...] = ()
    """What the command line was asked; empty where a program began the run."""
    repeats: int = 1
    """Times that each row is asked."""
    rows: Mapping[str, str] = field(default_factory=dict)
    """Example id -> its split and a hash of its content; kept with the rows."""


def describe(
    config: RunConfig,
    evalset: EvalSet,
    seed: Prompt,
    *,
    versions: Mapping[str, str] | None = None,
    lines: Sequence[str] = (),
    arguments: Sequence[str] = (),
) -> RunMeta:
    """What a run of this config is about.

    Args:
        config: the eval file.
        evalset: its rows with their splits.
        seed: the prompt that it begins with.
        versions: metric as written -> version of its code, or a hash of the user's own file.
        lines: lines that the user wants tried.
        arguments: what the command line was asked.
    """
    metrics = {}
    for metric in config.metrics:
        name = metric_name(metric)
        metrics[name] = canonical_json([_settings(metric), (versions or {}).get(name, "")])
    return RunMeta(
        name=config.name,
        eval_file=str(config.path),
        prompt=seed.name,
        prompt_path=str(config.prompt),
        prompt_version=seed.version,
        seed_prompt=seed.fingerprint,
        model=config.model.name,
        model_settings=_model(config.model),
        mutator="" if config.mutator is None else f"{config.mutator.name} {_model(config.mutator)}",
        metrics=metrics,
        search={"seed": config.seed, "mined": config.mined, "lines": list(lines), **_wishes(config, evalset)},
        repeats=config.repeats,
        splits={split.value: evalset.fingerprint(split) for split in Split},
        sizes={split.value: len(evalset.split(split)) for split in Split},
        stand_in=config.model.stand_in,
        arguments=tuple(arguments),
        rows={row.id: f"{evalset.splits[row.id].value} {content_hash(row)}" for row in evalset.examples},
    )


def _wishes(config: RunConfig, evalset: EvalSet) -> dict[str, Any]:
    """What is asked for beside the score; empty where nothing is, as in runs of earlier releases."""
    wishes: dict[str, Any] = {}
    if config.protect:
        rows = protected(evalset.examples, config.protect)
        digest = hashlib.sha256(canonical_json(sorted(rows)).encode()).hexdigest()[:8]
        wishes |= {"protect": list(config.protect), "protected rows": f"{len(rows)}, {digest}"}
    if config.max_tokens is not None:
        wishes["max_tokens"] = config.max_tokens
    if config.prefer is not None:
        wishes["prefer"] = config.prefer.value
    return wishes


def metric_name(metric: MetricSpec) -> str:
    """A metric as a user writes it: `not-contains: Romeo`."""
    name = f"not-{metric.name}" if metric.negate else metric.name
    return f"{name}: {metric.args['value']}" if "value" in metric.args else name


def check_same(old: RunMeta, new: RunMeta) -> list[str]:
    """What changed between the start of a run and now, one line each; empty where it can go on.

    Budget and concurrency may change: a run that stopped at its budget goes on with a larger one.
    """
    changed = []
    if old.seed_prompt != new.seed_prompt:
        changed.append(f"the prompt changed ({old.prompt} {old.seed_prompt[:8]} -> {new.prompt} {new.seed_prompt[:8]})")
    if old.model != new.model:
        changed.append(f"the model changed ({old.model} -> {new.model})")
    elif old.model_settings != new.model_settings:
        changed.append(f"the model's settings changed ({old.model_settings} -> {new.model_settings})")
    if old.repeats != new.repeats:
        changed.append(f"repeats changed ({old.repeats} -> {new.repeats})")
    before, after = ((meta.mutator or "none").partition(" ") for meta in (old, new))
    if before[0] != after[0]:
        changed.append(f"the mutator changed ({before[0]} -> {after[0]})")
    elif before != after:
        changed.append(f"the mutator's settings changed ({before[2]} -> {after[2]})")
    changed += _metrics(old.metrics, new.metrics)
    changed += _rows(old, new)
    for name in sorted({*old.search, *new.search}):
        was, now = old.search.get(name), new.search.get(name)
        if was != now:
            changed.append(f"{name} changed ({was} -> {now})")
    return changed


def _metrics(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    told = [f"metric {name} is new" for name in sorted(new.keys() - old.keys())]
    told += [f"metric {name} is gone" for name in sorted(old.keys() - new.keys())]
    both = sorted(old.keys() & new.keys())
    return told + [f"metric {name} changed" for name in both if old[name] != new[name]]


def _rows(old: RunMeta, new: RunMeta) -> list[str]:
    if old.splits == new.splits:
        return []
    if not old.rows or not new.rows:
        names = sorted(name for name in {*old.splits, *new.splits} if old.splits.get(name) != new.splits.get(name))
        return [f"the rows of the eval set changed ({', '.join(names)})"]
    both = old.rows.keys() & new.rows.keys()
    edited = [row for row in both if old.rows[row].split()[1] != new.rows[row].split()[1]]
    moved = [row for row in both if row not in edited and old.rows[row] != new.rows[row]]
    told = []
    for what, rows in (
        ("edited", edited),
        ("in another split", moved),
        ("new", new.rows.keys() - old.rows.keys()),
        ("gone", old.rows.keys() - new.rows.keys()),
    ):
        if rows:
            names = sorted(rows)
            more = ", ..." if len(names) > SHOWN else ""
            told.append(f"{len(names)} {'row' if len(names) == 1 else 'rows'} {what}: {', '.join(names[:SHOWN])}{more}")
    return [f"the eval set changed ({'; '.join(told)})"]


def _model(spec: ModelSpec) -> str:
    return canonical_json({"base_url": spec.base_url, "params": dict(spec.params)})


def _settings(metric: MetricSpec) -> dict[str, Any]:
    return asdict(metric)
