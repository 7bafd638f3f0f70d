"""A diff on a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from optimizer.dataset import Split
from optimizer.diff.lines import ADDED, REMOVED, REPLACED, SAME, LineChange, Price, PromptDiff, Words
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted, interval, points
from optimizer.terminal import NARROWEST, WIDEST

if TYPE_CHECKING:
    from rich.text import Text

CONTEXT = 2
"""Unchanged lines that are shown around a change."""
MOST_IDS = 8
"""Rows that are named."""


def render(found: PromptDiff, width: int = 80, color: bool = False) -> Text:
    """The diff for a terminal, 60 to 200 columns.

    Without colour, words that went stand in `[-...-]` and words that came in `{+...+}`.
    """
    sheet = Sheet(width=min(max(width, NARROWEST), WIDEST), color=color)
    amounts = [f"{sum(line.change == kind for line in found.lines)} {kind}" for kind in (ADDED, REPLACED, REMOVED)]
    sheet.wrapped("", f"{found.before.ref} -> {found.after.ref}  {', '.join(amounts)}", "bold")
    for _, group in itertools.groupby(enumerate(found.lines), lambda item: item[1].message):
        _render_message(sheet, found, [line for _, line in group])
    for told in found.settings:
        sheet.blank()
        sheet.wrapped("", told, "yellow")
    _render_flips(sheet, found)
    return sheet.text


def _render_message(sheet: Sheet, found: PromptDiff, lines: Sequence[LineChange]) -> None:
    changed = [index for index, line in enumerate(lines) if line.change != SAME]
    if not changed:
        return
    sheet.heading(f"[{lines[0].role}]")
    hidden = 0
    for index, line in enumerate(lines):
        if line.change == SAME and all(abs(index - place) > CONTEXT for place in changed):
            hidden += 1
            continue
        _render_hidden(sheet, hidden)
        hidden = 0
        _render_line(sheet, line, found.stand_in)
    _render_hidden(sheet, hidden)


def _render_hidden(sheet: Sheet, hidden: int) -> None:
    if hidden:
        sheet.wrapped("", f"  ... {counted(hidden, 'line')} as before", "dim")


def _render_line(sheet: Sheet, line: LineChange, stand_in: bool) -> None:
    if line.change == SAME and line.after is not None:
        sheet.wrapped(f"  {line.after.id:<5} ", line.after.content, "dim")
        return
    marks = {"old": ("", ""), "new": ("", "")} if sheet.color else {"old": ("[-", "-]"), "new": ("{+", "+}")}
    if line.before is not None:
        text = _marked(line.words, REMOVED, marks["old"]) if line.words else line.before.content
        sheet.wrapped(f"- {line.before.id:<5} ", text, "red", prefix_style="red")
    if line.after is not None:
        text = _marked(line.words, ADDED, marks["new"]) if line.words else line.after.content
        sheet.wrapped(f"+ {line.after.id:<5} ", text, "green", prefix_style="green")
    for told in _told(line.price, stand_in):
        sheet.wrapped(" " * 8, told, "dim")


def _marked(words: Sequence[Words], kind: str, marks: tuple[str, str]) -> str:
    shown = [part for part in words if part.change in (SAME, kind)]
    return "".join(part.text if part.change == SAME else f"{marks[0]}{part.text}{marks[1]}" for part in shown)


def _told(price: Price | None, stand_in: bool) -> Iterator[str]:
    if price is None:
        return
    if price.cluster or price.why:
        yield f"why: {'; '.join(part for part in (price.cluster, price.why) if part)}"
    if price.label:
        figure = "not measured" if price.worth is None else f"{points(price.worth)} {interval(price.ci)} {price.label}"
        beside = f" with {price.with_line}" if price.with_line else ""
        judged = f"{counted(price.rows, 'row')}, " if price.rows else ""
        # Rows of train and val judge a line: optimistic, as every figure that chose.
        yield f"worth: {figure}{beside} ({judged}optimistic{', stand-in' if stand_in else ''})"
    for what, rows in (("fixed", price.fixed), ("broken", price.broken)):
        if rows:
            yield f"{what} by it: {len(rows)}: {_ids(rows, 4)}"


def _ids(rows: Sequence[str], most: int) -> str:
    return ", ".join(rows[:most]) + (f", and {len(rows) - most} more" if len(rows) > most else "")


def _render_flips(sheet: Sheet, found: PromptDiff) -> None:
    if not found.flips:
        return
    sheet.heading("rows that flipped" + (" (stand-in)" if found.stand_in else ""))
    for split, flipped in sorted(found.flips.items(), key=lambda item: list(Split).index(item[0])):
        told = f"fixed {len(flipped.fixed)}, broken {len(flipped.broken)} of {counted(flipped.rows, 'row')}"
        sheet.fact(split.value, told + (" (stand-in)" if found.stand_in else ""))
        for what, rows, style in (("fixed", flipped.fixed, "green"), ("broken", flipped.broken, "red")):
            if rows:
                sheet.fact("", f"{what}: {_ids(rows, MOST_IDS)}", style)
