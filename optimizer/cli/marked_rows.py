"""Marks of rows: a new one, and all there are."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli import find, out
from optimizer.cli.one_case_page import mark_words
from optimizer.dataset import Example, content_hash
from optimizer.errors import UserError
from optimizer.readers.base import near, nearest
from optimizer.readers.config import load_config
from optimizer.readers.marks import Kind, Mark, add_mark, marks_path, read_marks, standing, version_of
from optimizer.readers.rows import load_examples
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted
from optimizer.store import RunReader, find_run

if TYPE_CHECKING:
    from rich.text import Text

    from optimizer.config import RunConfig


def add(row: str, kind: str, reason: str, *, expected: str | None, run: str, by: str | None) -> dict[str, Any]:
    """Keep a mark; what it was, where it lies and what it does.

    Raises UserError for an unknown row, kind or run, an empty reason, and a value that no metric can use.
    """
    kinds = [one.value for one in Kind]
    if kind not in kinds:
        raise UserError(f"no mark {kind[:40]!r} ({nearest(kind, kinds)}there are: {', '.join(kinds)})")
    if expected is not None and kind != Kind.WRONG_LABEL:
        raise UserError("--expected goes with wrong-label")
    if not reason.strip():
        raise UserError("a mark has a reason (say why, in words)")
    run_id = (find.run_with_row(row) if run == find.LATEST else None) or find_run(find.ROOT, run)
    with RunReader(find.ROOT, run_id) as reader:
        stored = reader.example(row)
        config, example = _today(reader, row)
    value = None if expected is None else _value(expected)
    made = Mark(
        row=row,
        kind=Kind(kind),
        by=by or _author(),
        reason=reason.strip(),
        at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        content=content_hash(example),
        relabelled=expected is not None,
        expected=value,
        run=run_id,
    )
    now = version_of(example, made, made.content) if made.kind is Kind.WRONG_LABEL else example
    if now is not None and made.relabelled:
        from optimizer.marks import check_label

        check_label(config, now)
    path = marks_path(config.path)
    if made.kind is Kind.UNDO:
        _check_marked(path, row)
    add_mark(path, made)
    return {
        **made.to_json(),
        "file": str(path),
        "version": None if now is None else content_hash(now),
        "split": stored.split.value if stored else None,
    }


def _today(reader: RunReader, row: str) -> tuple[RunConfig, Example]:
    """The eval file of a run, and the row as its data has it. Raises UserError where one is gone."""
    config = load_config(Path(reader.meta.eval_file))
    examples, _ = load_examples(config.data)
    found = next((example for example in examples if example.id == row), None)
    if found is None:
        match = near(row, [example.id for example in examples])
        hint = f"did you mean {match!r}? " if match else ""
        raise UserError(f"{config.path}: no row {row[:80]!r} ({hint}rows are named by their ids)")
    return config, found


def _check_marked(path: Path, row: str) -> None:
    """Raise UserError where no mark of a row holds that could be taken back."""
    holds = standing(read_marks(path))
    if row not in holds.labels and row not in holds.regressions:
        raise UserError(f"{path}: no mark of {row[:80]!r} holds that could be taken back (`optimizer marks` lists all)")


def _value(text: str) -> Any:
    """JSON where it reads as such, else text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _author() -> str:
    """Git's user.name, else the system's."""
    try:
        name = subprocess.check_output(
            ["git", "config", "user.name"], encoding="utf-8", errors="replace", timeout=5
        ).strip()
    except (OSError, subprocess.SubprocessError):
        # No git here.
        name = ""
    return name or os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"


def added_page(made: dict[str, Any]) -> Text:
    """What was kept, and what it does."""
    sheet = Sheet(width=out.width(), color=out.color())
    sheet.wrapped("", f"{made['row']}: {mark_words(made, dated=False)}", "bold")
    effect = {
        Kind.WRONG_LABEL: "scores are told anew in show, failures, compare and case, without a call",
        Kind.REGRESSION: "protected from the next run on",
        Kind.NOTE: "a note changes nothing",
        Kind.UNDO: "its other marks count no more; notes stay",
    }[Kind(made["kind"])]
    if made["kind"] == Kind.WRONG_LABEL:
        told = f"a new version of the row, {made['version']}" if made["version"] else "the row is set aside"
        effect = f"{told}; {effect}"
    sheet.wrapped("", effect)
    if made["split"] == "test" and made["kind"] == Kind.WRONG_LABEL:
        sheet.wrapped(
            "", "A test row: the run's verdict stays as it is; the next run's test has the new label.", "yellow"
        )
    sheet.wrapped("", f"kept in {made['file']}: commit it beside the eval file", "dim")
    return sheet.text


def facts(run: str) -> dict[str, Any]:
    """All marks of a run's eval set, and what holds. Raises UserError for an unknown run."""
    with RunReader(find.ROOT, find_run(find.ROOT, run)) as reader:
        path = marks_path(Path(reader.meta.eval_file))
    found = read_marks(path)
    holds = standing(found)
    return {
        "file": str(path),
        "marks": [mark.to_json() for mark in found],
        "relabelled": sorted(row for row, mark in holds.labels.items() if mark.relabelled),
        "set_aside": sorted(row for row, mark in holds.labels.items() if not mark.relabelled),
        "regressions": sorted(holds.regressions),
    }


def page(facts: dict[str, Any]) -> Text:
    """The marks on a page."""
    sheet = Sheet(width=out.width(), color=out.color())
    sheet.wrapped("", f"{facts['file']}: {counted(len(facts['marks']), 'mark')}", "bold")
    for mark in facts["marks"]:
        sheet.wrapped(f"  {mark['row']}  ", mark_words(mark))
    for name, word in (("relabelled", "relabelled"), ("set_aside", "set aside"), ("regressions", "protected")):
        if facts[name]:
            sheet.wrapped(f" {word:<10} ", ", ".join(facts[name]))
    return sheet.text
