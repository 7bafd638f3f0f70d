"""The eval set as promptfoo's regression suite: every row with its values and its checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optimizer.config import MetricSpec
from optimizer.dataset import Example, Split
from optimizer.errors import UserError
from optimizer.export.base import WHOLE, Proved, texts
from optimizer.export.promptfoo.checks import assertion
from optimizer.export.promptfoo.config import SCHEMA
from optimizer.export.promptfoo.ecma import CannotSay
from optimizer.export.promptfoo.values import arrived, filled_from_environment, inert, written
from optimizer.prompt import Prompt
from optimizer.readers.emit import lines

SHOWN = 5
"""Row ids that a note names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """Rows and metrics that are to go along."""

    rows: tuple[tuple[Example, Split], ...]
    """Rows with their splits, in order; those of the splits that were chosen."""
    metrics: Mapping[str, MetricSpec]
    """Key -> metric, as the eval file has them."""
    root: Path
    """Folder of the eval file, where the paths of schemas start."""


class _Ledger:
    """What did not go along, and why."""

    def __init__(self) -> None:
        self.unmapped: dict[str, dict[str, int]] = {}
        self.differing: dict[str, str] = {}
        self.left_out: dict[str, list[str]] = {}

    def unsaid(self, key: str, reason: str) -> None:
        self.unmapped.setdefault(key, Counter())[reason] += 1

    def leave_out(self, row: str, reason: str) -> None:
        self.left_out.setdefault(reason, []).append(row)


def with_rows(proved: Proved, prompt: Prompt, suite: Suite) -> Proved:
    """The export with a test a row.

    Args:
        proved: an export of the prompt to promptfoo.
        prompt: the prompt, for its variables.
        suite: the rows.

    Raises UserError where there is no row, or no row that a check could be written for.
    """
    import yaml

    if not suite.rows:
        raise UserError("there are no rows in these splits, so there is nothing to test (choose others)")
    ledger = _Ledger()
    tests = [test for example, split in suite.rows if (test := _test(prompt, example, split, suite, ledger))]
    if not tests:
        told = _told(ledger)
        raise UserError(f"promptfoo can check none of the rows: {told[0] if told else 'no metric'}")
    config = yaml.safe_load(proved.parts[WHOLE])
    config["metadata"] = {**config["metadata"], "suite": _facts(tests, ledger)}
    config["tests"] = tests
    text = "\n".join([SCHEMA, *lines(config)]) + "\n"
    if yaml.safe_load(text) != config:
        raise UserError("the rows cannot be written as YAML (export without --with-rows)")
    return replace(proved, parts={**proved.parts, WHOLE: text}, notes=(*proved.notes, *_told(ledger)))


def _test(prompt: Prompt, example: Example, split: Split, suite: Suite, ledger: _Ledger) -> dict[str, Any] | None:
    """One test; None where the row has to stay behind, which the ledger tells."""
    missing = sorted(prompt.variables - example.inputs.keys())
    if missing:
        ledger.leave_out(example.id, f"they have no {missing[0]}")
        return None
    values = texts({name: example.inputs[name] for name in sorted(prompt.variables)})
    checks = _checks(example, suite, ledger)
    if not checks:
        ledger.leave_out(example.id, "no metric could be carried over")
        return None
    held = written(values)
    test: dict[str, Any] = {"description": inert(example.id), "vars": held, "assert": checks}
    if any(isinstance(value, list) for value in held.values()):
        test["options"] = {"disableVarExpansion": True}
    test["metadata"] = {"row": inert(example.id), "split": split.value}
    if example.tags:
        test["metadata"]["tags"] = [inert(tag) for tag in example.tags]
    if filled_from_environment(test) or arrived(held) != values:
        ledger.leave_out(example.id, "promptfoo would fill in variables of the environment")
        return None
    return test


def _checks(example: Example, suite: Suite, ledger: _Ledger) -> list[dict[str, Any]]:
    found = []
    for key, spec in suite.metrics.items():
        try:
            check, remark = assertion(key, spec, example, suite.root)
        except CannotSay as reason:
            ledger.unsaid(key, str(reason))
            continue
        if remark:
            ledger.differing[key] = remark
        found.append(check)
    return found


def _facts(tests: list[dict[str, Any]], ledger: _Ledger) -> dict[str, Any]:
    """What the file says of itself."""
    return {
        "rows": len(tests),
        "left_out": [{"reason": inert(reason), "rows": len(rows)} for reason, rows in ledger.left_out.items()],
        "unmapped": [
            {"metric": inert(key), "reason": inert(reason), "rows": count}
            for key, reasons in ledger.unmapped.items()
            for reason, count in reasons.items()
        ],
        "differing": [{"metric": inert(key), "how": inert(how)} for key, how in ledger.differing.items()],
    }


def _told(ledger: _Ledger) -> tuple[str, ...]:
    """The same as notes."""
    unmapped = [
        f"metric {key}: not carried over for {count} rows: {reason}"
        for key, reasons in ledger.unmapped.items()
        for reason, count in reasons.items()
    ]
    differing = [f"metric {key} differs in promptfoo: {how}" for key, how in ledger.differing.items()]
    left_out = [
        f"{len(rows)} rows left out, since {reason}: {', '.join(rows[:SHOWN])}{', …' if len(rows) > SHOWN else ''}"
        for reason, rows in ledger.left_out.items()
    ]
    return (*unmapped, *differing, *left_out)
