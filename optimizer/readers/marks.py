"""What people say of rows: `evals/<name>.marks.jsonl`, committed beside the eval file, only ever added to.

One JSON object a line. A later mark of a row takes the place of an earlier one of its kind; `undo` takes back all but
the notes. Nothing is ever rewritten, so the file is its own history, and two branches merge by keeping both sides.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from optimizer.dataset import Example
from optimizer.errors import DataError, Problem, StoreError
from optimizer.readers import strict_json
from optimizer.readers.base import CAPS, nearest, read_text, shown

_KEYS = {"at", "row", "content", "kind", "by", "reason", "expected", "run"}
_TEXTS = ("at", "row", "content", "kind", "by", "reason")
_MEND = "mend the line, or take the file back from version control"


class Kind(StrEnum):
    """What a mark says."""

    WRONG_LABEL = "wrong-label"
    """What is expected is wrong: `expected` has the right value, or the row is set aside."""
    REGRESSION = "regression"
    """The row may not break again: it joins the protected rows."""
    NOTE = "note"
    """A remark; changes nothing."""
    UNDO = "undo"
    """Takes back what was marked before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One line of the file."""

    row: str
    """Row id."""
    kind: Kind
    """What it says."""
    by: str
    """Who says so."""
    reason: str
    """Why."""
    at: str
    """When: UTC, `2026-11-21T10:15:00Z`."""
    content: str = ""
    """Hash of the row's content when it was marked; empty where it does not matter."""
    relabelled: bool = False
    """Whether `expected` is given."""
    expected: Any = None
    """The right value."""
    run: str = ""
    """The run that it was seen in."""

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        told: dict[str, Any] = {name: str(getattr(self, name)) for name in _TEXTS}
        if self.relabelled:
            told["expected"] = self.expected
        return {**told, "run": self.run} if self.run else told


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What holds for the rows of an eval set, after all marks."""

    labels: Mapping[str, Mark]
    """Row id -> its last `wrong-label`, where it was not taken back."""
    regressions: tuple[str, ...]
    """Rows that may not break again."""


def marks_path(eval_file: Path) -> Path:
    """`<name>.marks.jsonl` beside the eval file."""
    return eval_file.with_name(f"{eval_file.stem}.marks.jsonl")


def read_marks(path: Path) -> tuple[Mark, ...]:
    """All marks in order; none where there is no file. Raises DataError with every line that is no mark."""
    if not path.exists() and not path.is_symlink():
        return ()
    marks: list[Mark] = []
    problems: list[Problem] = []
    for number, line in enumerate(read_text(path, CAPS.array_bytes).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            marks.append(_mark(line))
        except ValueError as error:
            where = f"{shown(path)}:{number}"
            problems.append(Problem(where=where, field="", problem=f"not a mark: {error}", fix=_MEND))
    if problems:
        raise DataError(problems)
    return tuple(marks)


def add_mark(path: Path, mark: Mark) -> None:
    """Add a line, durably. Raises StoreError where the file cannot be written."""
    line = json.dumps(mark.to_json(), ensure_ascii=False, sort_keys=True) + "\n"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, (("\n" if torn else "") + line).encode("utf-8", "backslashreplace"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"{shown(path)}: cannot be written: {error.strerror} (check space and rights)") from error


def standing(marks: Iterable[Mark]) -> Standing:
    """What holds after all marks."""
    labels: dict[str, Mark] = {}
    guarded: dict[str, None] = {}
    for mark in marks:
        if mark.kind is Kind.WRONG_LABEL:
            labels[mark.row] = mark
        elif mark.kind is Kind.REGRESSION:
            guarded[mark.row] = None
        elif mark.kind is Kind.UNDO:
            labels.pop(mark.row, None)
            guarded.pop(mark.row, None)
    return Standing(labels=labels, regressions=tuple(guarded))


def version_of(row: Example, label: Mark, content: str) -> Example | None:
    """The row as a mark has it, None where it is set aside; the row as it is where it was edited since.

    Args:
        row: the row as the data has it.
        label: its last `wrong-label`.
        content: hash of its content as the data has it.
    """
    if label.content and label.content != content:
        return row
    return replace(row, expected=label.expected) if label.relabelled else None


def _mark(line: str) -> Mark:
    """One line of the file. Raises ValueError with what is wrong."""
    told = _decoded(line)
    for place, flaw in strict_json.flaws(told):
        raise ValueError(f"{place}: {flaw.problem}")
    if unknown := sorted(told.keys() - _KEYS):
        raise ValueError(f"unknown key {unknown[0]!r}")
    if lacking := [name for name in _TEXTS if name not in told]:
        raise ValueError(f"{lacking[0]!r} is missing")
    if odd := [name for name in (*_TEXTS, "run") if not isinstance(told.get(name, ""), str)]:
        raise ValueError(f"{odd[0]!r} must be text")
    kinds = [kind.value for kind in Kind]
    if told["kind"] not in kinds:
        known = f"{nearest(told['kind'], kinds)}known: {', '.join(kinds)}"
        raise ValueError(f"there is no kind {told['kind'][:80]!r}; {known}")
    return Mark(
        **{name: told[name] for name in _TEXTS if name != "kind"},
        kind=Kind(told["kind"]),
        relabelled="expected" in told,
        expected=told.get("expected"),
        run=told.get("run", ""),
    )


def _decoded(line: str) -> dict[str, Any]:
    try:
        told = strict_json.decoder().decode(line.strip())
    except RecursionError:
        raise ValueError(strict_json.too_deep().problem) from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} (column {error.colno})") from None
    if not isinstance(told, dict):
        raise ValueError("not an object")
    return told
