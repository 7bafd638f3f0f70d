"""The one-minute screen: why it failed, what changed, what each line bought, what it cost, whether the gain is real."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizer.outcome import Verdict
from optimizer.report import marked
from optimizer.report.front import draw, is_choice
from optimizer.report.sheet import STAND_IN, Sheet
from optimizer.report.summary import summary
from optimizer.report.wording import (
    change,
    count,
    counted,
    interval,
    listed,
    money,
    percent,
    points,
    probability,
    spell,
)
from optimizer.store.reader import RunReader
from optimizer.terminal import NARROWEST, WIDEST, clip

if TYPE_CHECKING:
    from rich.text import Text

MOST_CLUSTERS = 8
MOST_LINES = 12
MOST_IDS = 5
ONE_ROW = 110
"""Columns from which a line and its price stand in one row."""

_VERDICTS = {
    Verdict.GAIN_SHOWN.value: "bold green",
    Verdict.WORSE.value: "bold red",
    Verdict.BLOCKED.value: "bold red",
}
_SIGNS = {"added": "+", "replaced": "~", "removed": "-"}
Facts = Mapping[str, Any]


def one_minute(reader: RunReader, width: int = 80, color: bool = False) -> Text:
    """The screen of one run, for any state that it is in.

    Args:
        reader: the run.
        width: columns, 60 to 200; narrower and wider ones are taken as these.
        color: whether the text carries styles.
    """
    return screen(summary(reader), width, color)


def screen(facts: Facts, width: int = 80, color: bool = False) -> Text:
    """The same from facts that `summary` gave."""
    sheet = Sheet(width=min(max(width, NARROWEST), WIDEST), color=color)
    _head(sheet, facts)
    sheet.blank()
    _figures(sheet, facts)
    _spent(sheet, facts)
    _clusters(sheet, facts)
    _lines(sheet, facts)
    if is_choice(facts["front"], facts["prefer"]):
        draw(sheet, facts["front"], lambda text: _marked(facts, text))
    _tries(sheet, facts)
    _next(sheet, facts)
    return sheet.text


def _marked(facts: Facts, text: str) -> str:
    return f"{text} ({STAND_IN})" if facts["stand_in"] else text


def _head(sheet: Sheet, facts: Facts) -> None:
    seed, prompt = facts["seed"], facts["prompt"]
    versions = change(_ref(seed), _ref(prompt)) if seed["fingerprint"] != prompt["fingerprint"] else _ref(seed)
    model = f"{facts['model']} ({STAND_IN}, no real model)" if facts["stand_in"] else facts["model"]
    began = time.strftime("%Y-%m-%d %H:%M", time.gmtime(facts["started"]))
    took = f", {spell(facts['seconds'])}" if facts["seconds"] else ""
    sheet.wrapped("", f"{facts['run']}  {versions}", "bold")
    sheet.wrapped("", f"{model}  {began} UTC{took}", "dim")
    sheet.blank()
    if facts["verdict"] is not None:
        style = _VERDICTS.get(facts["verdict"], "bold yellow")
        sheet.wrapped(f"{facts['verdict']}  ", _marked(facts, facts["reason"]), prefix_style=style)
        return
    told = facts["failure"] or {"running": "no verdict yet", "interrupted": "no verdict; it can be resumed"}.get(
        facts["status"], "no verdict"
    )
    style = "bold red" if facts["status"] == "failed" else "bold yellow"
    sheet.wrapped(f"{facts['status'].upper()}  ", told, prefix_style=style)


def _ref(prompt: Facts) -> str:
    return prompt["name"] if prompt["version"] is None else f"{prompt['name']}@v{prompt['version']}"


def _figures(sheet: Sheet, facts: Facts) -> None:
    test, val = facts["test"], facts["val"]
    if test is not None:
        look = f", look {test['look']} at these rows" if test["look"] and test["look"] > 1 else ""
        p = probability(test["p"])
        sheet.fact("test", _marked(facts, f"{_compared(test)}, {p}, {_differ(test)}{look}"))
    elif facts["calls"]["by_phase"]["test"]:
        sheet.fact("test", "not finished")
    else:
        sheet.fact("test", "still sealed: no test call was made")
    if val is not None and val["ci"] is None:
        sheet.fact("val", _marked(facts, f"{percent(val['baseline'])}, {counted(val['n'], 'row')}: the seed so far"))
    elif val is not None:
        sheet.fact("val", _marked(facts, f"{_compared(val)}, optimistic"))
    on = "test" if test is not None else "val, optimistic"
    errors = facts["errors"]
    told = f"fixed {len(facts['fixed'])}, broken {len(facts['broken'])} (on {on}), errors {len(errors)}"
    sheet.fact("rows", _marked(facts, told))
    for name, rows in (("broken", facts["broken"]), ("errors", [_error(error) for error in errors])):
        if rows:
            more = f", ... and {len(rows) - MOST_IDS} more" if len(rows) > MOST_IDS else ""
            sheet.fact("", f"{name}: {', '.join(rows[:MOST_IDS])}{more}", "red" if name == "broken" else "")
    _protected(sheet, facts)
    for told in marked.told(facts["marks"]):
        sheet.fact("marks", _marked(facts, told), "yellow")
    _size(sheet, facts)


def _protected(sheet: Sheet, facts: Facts) -> None:
    guarded = facts["protected"]
    if not guarded or not guarded["passed"]:
        return
    fell = len(guarded["broken"])
    held = f"{guarded['passed'] - fell} of {counted(guarded['passed'], 'protected row')} that passed with the seed"
    sheet.fact(
        "guard", _marked(facts, f"{held} still {'passes' if guarded['passed'] == 1 else 'pass'}"), "red" if fell else ""
    )


def _error(error: Facts) -> str:
    return f"{error['example']} ({error['candidate']}, {error['kind']})"


def _compared(found: Facts) -> str:
    scores = f"{percent(found['baseline'])} -> {percent(found['winner'])}"
    rows = counted(found["n"], "row") + (f" in {counted(found['groups'], 'group')}" if found["groups"] else "")
    return f"{scores}  {points(found['gain'])} points {interval(found['ci'])}, {rows}"


def _differ(found: Facts) -> str:
    return f"{found['discordant']} differ" if found["discordant"] != 1 else "1 differs"


def _size(sheet: Sheet, facts: Facts) -> None:
    seed, prompt = facts["seed"], facts["prompt"]
    before, after = facts["per_call"]["baseline"], facts["per_call"]["winner"]
    parts = []
    if seed["lines"] is not None and prompt["lines"] is not None:
        parts.append(f"{change(count(seed['lines']), count(prompt['lines']))} lines")
    if before["input_tokens"] is not None and after["input_tokens"] is not None:
        parts.append(f"{change(count(before['input_tokens']), count(after['input_tokens']))} prompt tokens a call")
    if parts:
        sheet.fact("prompt", _marked(facts, ", ".join(parts)))
    if before["calls"] and after["calls"]:
        costs = [None if side["usd"] is None else side["usd"] * 1000 for side in (before, after)]
        told = change(money(costs[0]), money(costs[1]))
        sheet.fact("price", _marked(facts, told if costs == [None, None] else f"{told} for 1,000 calls"))


def _spent(sheet: Sheet, facts: Facts) -> None:
    calls, saved, lost = facts["calls"], facts["saved"], facts["lost"]
    roles = {name: calls[name] for name in ("task", "mutator", "judge")}
    parts = [f"{calls['total']:,} sent"]
    if calls["total"]:
        parts = [f"{parts[0]}: {listed(calls['by_phase'])}", listed(roles)]
    if saved["calls"]:
        parts.append(f"{saved['calls']:,} saved")
    if calls["failed"]:
        parts.append(f"{calls['failed']:,} failed")
    if lost["calls"]:
        end = "under way" if facts["status"] == "running" else "without an end, billed as far as is known"
        parts.append(f"{lost['calls']:,} {end}")
    sheet.fact("calls", _marked(facts, "; ".join(parts)))
    spent = [_paid("paid", facts["usd"]), f"{facts['tokens']:,} tokens"]
    if saved["calls"]:
        spent = [f"{spent[0]}, {_paid('saved', saved['usd'])}", f"{spent[1]} paid, {saved['tokens']:,} saved"]
    sheet.fact("cost", _marked(facts, "; ".join(spent)))


def _paid(what: str, usd: float | None) -> str:
    return f"price of what was {what} unknown" if usd is None else f"{money(usd)} {what}"


_STAGES = {"new": "yellow", "open": "", "shrunk": "green", "fixed": "green"}
"""What has become of a cause -> style."""


def _clusters(sheet: Sheet, facts: Facts) -> None:
    clusters = facts["clusters"]
    if not clusters:
        return
    sheet.heading("why it failed: train rows that fail for each cause, when it was found -> now")
    for found in clusters[:MOST_CLUSTERS]:
        after = f"{found['now']:>4}" if found["now"] is not None else "   ?"
        room = sheet.width - 24 - (len(STAND_IN) + 3 if facts["stand_in"] else 0)
        mark = f" ({STAND_IN})" if facts["stand_in"] else ""
        # Where it is not known, the `?` before it says so.
        stage = "" if found["now"] is None and found["stage"] == "unknown" else found["stage"]
        told = (f"{stage:<6}  ", _STAGES.get(stage, ""))
        sheet.line((f" {found['found']:>4} -> {after}  ", "bold"), told, (clip(found["label"], room) + mark, ""))
        if found["now"] is None:
            sheet.wrapped(" " * 15, f"{counted(found['unknown'], 'row')} without a score under the winner", "dim")
    if len(clusters) > MOST_CLUSTERS:
        sheet.line((f" ... and {len(clusters) - MOST_CLUSTERS} more", "dim"))


def _lines(sheet: Sheet, facts: Facts) -> None:
    lines = facts["lines"]
    if not lines:
        return
    sheet.heading("what each line bought: score with it - without it on train and val, optimistic")
    for found in lines[:MOST_LINES]:
        _priced(sheet, facts, found)
    if len(lines) > MOST_LINES:
        sheet.line((f" ... and {len(lines) - MOST_LINES} more", "dim"))


def _priced(sheet: Sheet, facts: Facts, found: Facts) -> None:
    start = f" {_SIGNS.get(found['change'], '?')} {found['id']:<5} "
    price = _price(found)
    cause = f"for: {found['cluster']}" if found["cluster"] else "a line of your own"
    style = {"earns": "green", "hurts": "red"}.get(found["label"], "")
    if sheet.width >= ONE_ROW:
        room = (sheet.width - 62) // 2 if facts["stand_in"] else (sheet.width - 50) // 2
        text = f"{clip(found['text'], room):<{room}}  "
        rest = _marked(facts, clip(cause, room))
        sheet.line((start, "bold"), (text, ""), (f"{price:<38} ", style), (rest, "dim"))
        return
    sheet.line((start, "bold"), (clip(found["text"], sheet.width - len(start)), ""))
    sheet.wrapped(" " * len(start), f"{_marked(facts, price)}, {clip(cause, sheet.width)}", style)


def _price(found: Facts) -> str:
    if found["worth"] is None:
        return "worth unknown: the reserve did not reach"
    told = f"{points(found['worth'])} {interval(found['ci'])} {found['label']}"
    return f"{told} with {found['with']}" if found["with"] else told


def _tries(sheet: Sheet, facts: Facts) -> None:
    if not facts["tries"]:
        return
    sheet.heading("lines of your own")
    for found in facts["tries"]:
        sheet.line((f" {'+' if found['kept'] else ' '}       ", "bold"), (clip(found["text"], sheet.width - 9), ""))
        sheet.wrapped(" " * 9, _marked(facts, _tried(found)), "green" if found["kept"] else "")


def _tried(found: Facts) -> str:
    if found["outcome"] is None:
        return "in the winner" if found["kept"] else "not tried: there was nothing to try it on"
    reason = f": {found['reason']}" if found["reason"] else ""
    if found["outcome"] != "passed":
        return f"{found['outcome']}{reason}"
    return f"passed the screen{reason}; {'in the winner' if found['kept'] else 'not in the winner'}"


def _next(sheet: Sheet, facts: Facts) -> None:
    sheet.heading("next")
    for command in facts["next"]:
        sheet.line((f"  {command}", ""))  # Never cut: it is there to be copied.
