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

from optimizer.dataset import Example, canonical_json
from optimizer.errors import StoreError
from optimizer.readers import strict_json
from optimizer.readers.base import CAPS, fault, read_text, shown

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
    """All marks in order; none where there is no file. Raises DataError for a line that is no mark."""
    if not path.exists():
        return ()
    lines = read_text(path, CAPS.array_bytes).split("\n")
    return tuple(_mark(path, number, line) for number, line in enumerate(lines, start=1) if line.strip())


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


def _mark(path: Path, number: int, line: str) -> Mark:
    try:
        told = strict_json.decoder().decode(line)
        if not isinstance(told, dict) or (unknown := told.keys() - _KEYS):
            raise ValueError(f"unknown key {sorted(unknown)[0]!r}" if isinstance(told, dict) else "not an object")
        if any(not isinstance(told[name], str) for name in _TEXTS):
            raise ValueError("at, row, content, kind, by and reason are texts")
        canonical_json(told.get("expected"))
        return Mark(
            **{name: told[name] for name in _TEXTS if name != "kind"},
            kind=Kind(told["kind"]),
            relabelled="expected" in told,
            expected=told.get("expected"),
            run=str(told.get("run", "")),
        )
    except (ValueError, KeyError, RecursionError) as error:
        raise fault(path, f"not a mark: {error}", _MEND, line=number) from None
