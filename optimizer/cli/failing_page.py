"""Why rows failed, as pages."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optimizer.cli import out
from optimizer.dataset import display
from optimizer.report import marked
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted, percent

if TYPE_CHECKING:
    from rich.text import Text

EXAMPLES = 3
"""Rows that are named for each fate."""
MOST_TEXT = 600
"""Characters of a value that are shown; `case` shows all of it."""
_FATES = {
    "new": ("new", "passed with the seed, fail for this cause now", "red"),
    "open": ("open", "fail for this cause", "yellow"),
    "other": ("other", "fail for something else now", ""),
    "unknown": ("unknown", "were not run", "dim"),
    "fixed": ("fixed", "pass now", "green"),
}
"""Fate of a row -> word, what it means, style."""


def page(facts: dict[str, Any]) -> Text:
    """All clusters on a page."""
    sheet = Sheet(width=out.width(), color=out.color())
    mark = " (stand-in)" if facts["stand_in"] else ""
    clusters = facts["clusters"]
    sheet.heading(
        f"{facts['run']}: {counted(len(clusters), 'cause')} of failure on train, when found -> {facts['shown']}{mark}"
    )
    for told in marked.told(facts["marks"]):
        sheet.wrapped("", told, "yellow")
    for found in clusters:
        sheet.blank()
        sheet.wrapped(f"{found['found']:>4} -> {_now(found):<4} ", found["label"], prefix_style="bold")
        kind = f"{found['place'] or 'text'}, {percent(found['share'])} of the lost score in round {found['round']}"
        sheet.wrapped(" " * 13, f"{found['id']}: {kind}", "dim")
        sheet.wrapped(" " * 13, _life(found), "dim")
        for reason in found["evidence"][:2]:
            sheet.wrapped(" " * 13, f"reason: {_short(reason)}")
        for name, (word, meaning, style) in _FATES.items():
            if found[name]:
                sheet.wrapped(" " * 13, f"{word} {_ids(found[name])} ({meaning})", style)
    _rest(sheet, facts)
    if clusters:
        sheet.heading("next")
        run = shlex.quote(facts["run"])
        sheet.line((f"  optimizer failures {run} --cluster {clusters[0]['id']}", ""))
    return sheet.text


def _rest(sheet: Sheet, facts: dict[str, Any]) -> None:
    if facts["unexplained"]:
        sheet.blank()
        sheet.wrapped(f"{len(facts['unexplained']):>12} ", "fail now for a cause of none of these", prefix_style="bold")
        sheet.wrapped(" " * 13, _ids(facts["unexplained"]), "yellow")


def cluster_page(facts: dict[str, Any]) -> Text:
    """One cluster: its size, what became of its rows, and the rows that were asked for."""
    sheet = Sheet(width=out.width(), color=out.color())
    mark = " (stand-in)" if facts["stand_in"] else ""
    sheet.heading(f"{facts['label']}{mark}")
    sheet.wrapped("", f"{facts['id']}, {facts['run']}, seed -> {facts['shown']}", "dim")
    sheet.wrapped("", f"{facts['found']} -> {_now(facts)} rows fail for this cause; {_life(facts)}", "dim")
    for name, (word, meaning, style) in _FATES.items():
        if facts[name]:
            sheet.wrapped(f" {word:<8}", f"{_ids(facts[name], 12)} ({meaning})", style)
    for row in facts["members"]:
        sheet.heading(f"{row['id']}  {_passed(row['seed'])} -> {_passed(row['winner'])}")
        sheet.fact("input", _short(" | ".join(f"{name}: {display(value)}" for name, value in row["inputs"].items())))
        if row["expected"] is not None:
            sheet.fact("wanted", _short(display(row["expected"])))
        for who, name in (("seed", "seed"), ("winner", _name(facts["shown"]))):
            _answer(sheet, name, row[who])
    _more(sheet, facts)
    return sheet.text


def _more(sheet: Sheet, facts: dict[str, Any]) -> None:
    rows = sum(len(facts[name]) for name in _FATES)
    if rows > len(facts["members"]):
        sheet.blank()
        sheet.wrapped("", f"{counted(rows - len(facts['members']), 'more row')} (--limit {rows} shows all)", "dim")


def _name(shown: str) -> str:
    """A label's columns: `winner`, or `v7` of a version."""
    return shown.rpartition("@")[2][:6]


def _answer(sheet: Sheet, who: str, answer: dict[str, Any] | None) -> None:
    if answer is None:
        sheet.fact(who, "was not run on this row", "dim")
        return
    sheet.fact(who, _short(answer["output"]) or f"no output: {answer['error']}")
    if answer["reasons"]:
        sheet.fact("", f"reason: {_short('; '.join(answer['reasons']))}", "dim")


def _now(found: dict[str, Any]) -> str:
    return "?" if found["now"] is None else str(found["now"])


def _life(found: dict[str, Any]) -> str:
    """`cause shrunk: found on 12, 5 rows in rounds 1 to 2`; a round does not ask every row."""
    rounds = found["rounds"]
    sizes = ", ".join(str(one["rows"]) for one in rounds)
    first, last = rounds[0]["round"], rounds[-1]["round"]
    where = f"round {first}" if first == last else f"rounds {first} to {last}"
    stage = "not known now" if found["stage"] == "unknown" else found["stage"]
    return f"cause {stage}: found on {sizes} {'row' if sizes == '1' else 'rows'} in {where}"


def _passed(answer: dict[str, Any] | None) -> str:
    if answer is None:
        return "not run"
    if answer["error"]:
        return "error"
    return "passes" if answer["passed"] else "fails"


def _ids(ids: Sequence[str], most: int = EXAMPLES) -> str:
    more = f", and {len(ids) - most} more" if len(ids) > most else ""
    return f"{len(ids)}: {', '.join(ids[:most])}{more}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_TEXT else f"{line[:MOST_TEXT]}..."
