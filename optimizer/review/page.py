"""The comparison of two prompts on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optimizer.report import marked
from optimizer.report.sheet import STAND_IN, Sheet
from optimizer.report.wording import change, count, counted, interval, money, percent, points, probability
from optimizer.terminal import NARROWEST, WIDEST, clip

if TYPE_CHECKING:
    from rich.text import Text

MOST_TAGS = 8
MOST_IDS = 5
_STYLES = {"broken": "red", "worse": "red", "error": "yellow", "fixed": "green", "better": "green", "same": "dim"}
Facts = Mapping[str, Any]


def page(facts: Facts, width: int = 80, color: bool = False, limit: int = 20) -> Text:
    """The page, 60 to 200 columns, with the first `limit` rows."""
    sheet = Sheet(width=min(max(width, NARROWEST), WIDEST), color=color)
    _head(sheet, facts)
    sheet.blank()
    for name, found in facts["splits"].items():
        sheet.fact(name, _marked(facts, _split(found, whole=not facts["tag"])))
    told = ", ".join(f"{fate} {number:,}" for fate, number in facts["fates"].items() if number)
    sheet.fact("rows", _marked(facts, told or "none that ran under both"))
    _cost(sheet, facts)
    _sets(sheet, facts)
    for told in marked.told(facts["marks"]):
        sheet.fact("marks", told, "yellow")
    sheet.fact(
        "read", "stored results alone: no call, no look at test rows counted; no claim beyond the runs' own", "dim"
    )
    _groups(sheet, facts, "tags", "tag")
    _checks(sheet, facts)
    _rows(sheet, facts, limit)
    return sheet.text


def _marked(facts: Facts, text: str) -> str:
    return f"{text} ({STAND_IN})" if facts["stand_in"] else text


def _head(sheet: Sheet, facts: Facts) -> None:
    a, b = facts["a"], facts["b"]
    only = [f"{name} {facts[name]}" for name in ("split", "tag") if facts[name]]
    sheet.wrapped("", f"{a['ref']} -> {b['ref']}{'  only ' + ', '.join(only) if only else ''}", "bold")
    runs = f"run {a['run']}" if a["run"] == b["run"] else f"runs {a['run']} and {b['run']}"
    sheet.wrapped("", f"{runs}, {change(a['model'], b['model'])}", "dim")
    if facts["differ"]:
        sheet.wrapped("", f"not the prompt alone differs: {'; '.join(facts['differ'])}", "yellow")


def _split(found: Facts, *, whole: bool) -> str:
    rows = counted(found["n"], "row") + (f" in {counted(found['groups'], 'group')}" if found["groups"] else "")
    if whole and found["n"] < found["of"]:
        # Rows that failed are asked again more often than others: the rest would pull both scores up.
        rows += f" of {found['of']:,} (the others did not run under both)"
    fates = found["fates"]
    turned = f"fixed {fates['fixed']}, broken {fates['broken']}"
    caution = "optimistic" if found["optimistic"] else probability(found["p"])
    if found["picked"]:
        caution = "picked by the search, so no interval"
    scores = f"{percent(found['a'])} -> {percent(found['b'])}"
    gain = " ".join(part for part in (points(found["gain"]), "points", interval(found["ci"])) if part)
    return f"{scores}  {gain}, {rows}, {turned}, {caution}"


def _cost(sheet: Sheet, facts: Facts) -> None:
    a, b = facts["per_call"]["a"], facts["per_call"]["b"]
    if not a["calls"] or not b["calls"]:
        return
    parts = [f"{change(count(a['input_tokens']), count(b['input_tokens']))} prompt tokens a call"]
    parts.append(f"{change(count(a['output_tokens']), count(b['output_tokens']))} answered")
    costs = [None if side["usd"] is None else side["usd"] * 1000 for side in (a, b)]
    priced = change(money(costs[0]), money(costs[1]))
    parts.append("price unknown" if costs == [None, None] else f"{priced} for 1,000 calls{_ratio(costs)}")
    sheet.fact("cost", _marked(facts, ", ".join(parts)))
    times = [f"{name} {_seconds(a[key])} -> {_seconds(b[key])}" for name, key in _TIMES]
    sheet.fact("time", _marked(facts, ", ".join(times)))


_TIMES = (("median", "seconds_p50"), ("p95", "seconds_p95"))


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} s"


def _ratio(costs: Sequence[float | None]) -> str:
    before, after = costs
    return f" ({after / before - 1:+.0%})" if before and after is not None else ""


def _sets(sheet: Sheet, facts: Facts) -> None:
    sets = facts["eval_sets"]
    if sets["sealed"]:
        sheet.fact("sealed", f"{counted(sets['sealed'], 'test row')} not opened by any of these runs", "dim")
    for name, told in (
        ("changed", "changed between the eval sets, and not compared"),
        ("only_a", "only in the first"),
        ("only_b", "only in the second"),
        ("moved", "in another split"),
    ):
        if sets[name]:
            sheet.fact("evals", f"{counted(len(sets[name]), 'row')} {told}: {_ids(sets[name])}", "yellow")


def _groups(sheet: Sheet, facts: Facts, key: str, name: str) -> None:
    found = facts[key]
    if not found:
        return
    sheet.heading(f"by {name}, the worst first")
    for one in found[:MOST_TAGS]:
        scores = f"{percent(one['a']):>6} -> {percent(one['b']):>6}  {points(one['gain']):>6}"
        told = f"{one[name]}: fixed {one['fixed']}, broken {one['broken']} of {one['n']}"
        sheet.wrapped(f" {scores}  ", _marked(facts, told), prefix_style="bold")
    if len(found) > MOST_TAGS:
        sheet.line((f" ... and {len(found) - MOST_TAGS} more", "dim"))


def _checks(sheet: Sheet, facts: Facts) -> None:
    if not facts["checks"]:
        return
    sheet.heading("by check, the worst first")
    for one in facts["checks"]:
        scores = f"{percent(one['a']):>6} -> {percent(one['b']):>6}  {points(one['b'] - one['a']):>6}"
        told = f"{one['check']}: fixed {one['fixed']}, broken {one['broken']} of {one['n']}"
        sheet.wrapped(f" {scores}  ", _marked(facts, told), prefix_style="bold")


def _rows(sheet: Sheet, facts: Facts, limit: int) -> None:
    rows = [row for row in facts["rows"] if row["fate"] != "same"]
    if not facts["differing"]:
        sheet.heading("no such row")
        return
    sheet.heading("rows, the worst first")
    for row in rows[:limit]:
        start = f" {row['fate']:<6}  {_score(row['a'])} -> {_score(row['b'])}  "
        tags = f", {', '.join(row['tags'])}" if row["tags"] else ""
        style = _STYLES[row["fate"]]
        sheet.wrapped(start, f"{row['id']} ({row['split']}{tags})", prefix_style=style)
        for told in _why(row):
            sheet.wrapped(" " * len(start), clip(told, 3 * (sheet.width - len(start))), "dim")
    if facts["differing"] > len(rows[:limit]):
        more = facts["differing"] - len(rows[:limit])
        sheet.line((f" ... and {more:,} more (--limit {facts['differing']})", "dim"))
    a, b = facts["a"], facts["b"]
    if not rows:
        return
    sheet.heading("next")
    sheet.line((f"  optimizer case {rows[0]['id']} {b['run'] or a['run']}", ""))


def _score(score: float | None) -> str:
    return " err" if score is None else f"{score:.2f}"


def _why(row: Facts) -> list[str]:
    """What a row turned on: checks that broke, else the error."""
    errors = [f"{side.upper()}: {kind}" for side, kind in row["errors"].items() if kind]
    return errors or [f"{one['check']}: {one['reason']}" for one in row["broken_checks"][:2]]


def _ids(rows: Sequence[str]) -> str:
    return ", ".join(rows[:MOST_IDS]) + (f", and {len(rows) - MOST_IDS} more" if len(rows) > MOST_IDS else "")
