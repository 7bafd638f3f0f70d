"""What people have marked since a run, in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.report.wording import counted, percent

MOST_ROWS = 3


def told(marks: Mapping[str, Any] | None) -> list[str]:
    """Lines about marked rows; none where nothing is marked."""
    if not marks:
        return []
    parts = [
        f"{counted(len(marks[name]), 'row')} {word} ({_ids(marks[name])})"
        for name, word in (("relabelled", "relabelled"), ("set_aside", "set aside"))
        if marks[name]
    ]
    lines = []
    if parts:
        before = [
            f"{split} was {percent(one['baseline'])} -> {percent(one['winner'])}"
            for split, one in marks["as_run"].items()
        ]
        lines.append(f"{', '.join(parts)} since the run: scores are told anew, the verdict is the run's own")
        if before:
            lines.append(f"by the labels of the run: {', '.join(before)}")
    for name, word in (
        ("unscored", "set aside, since the metrics are gone or others by now"),
        ("regressions", "marked as a regression: protected from the next run on"),
        ("stale", "edited since marked: the mark is left out"),
    ):
        if marks[name]:
            lines.append(f"{counted(len(marks[name]), 'row')} {word} ({_ids(marks[name])})")
    return lines


def _ids(rows: list[str]) -> str:
    return ", ".join(rows[:MOST_ROWS]) + (", ..." if len(rows) > MOST_ROWS else "")
