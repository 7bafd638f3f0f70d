"""One row of a run, as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.cli import out
from optimizer.dataset import Split, display
from optimizer.diff.lines import ADDED, REMOVED, SAME
from optimizer.report.sheet import Sheet
from optimizer.report.wording import money
from optimizer.terminal import clean

if TYPE_CHECKING:
    from rich.text import Text

LEAST_SAME = 0.2
"""Share of an output's letters that both have, from which a diff of words tells anything."""


def page(facts: dict[str, Any], *, raw: bool = False) -> Text:
    """The row on a page; `raw` adds the calls as they were sent and answered."""
    sheet = Sheet(width=out.width(), color=out.color())
    tags = f", tags {', '.join(facts['tags'])}" if facts["tags"] else ""
    sheet.heading(f"{facts['row']}  ({facts['split']}{tags})")
    sheet.wrapped("", f"{facts['run']}, {facts['source'] or 'no source'}", "dim")
    if facts["split"] == Split.TEST.value:
        sheet.wrapped("", "A test row: mending the prompt for it would make the test worthless.", "yellow")
    for mark in facts["marks"]:
        sheet.wrapped("", f"marked {mark_words(mark)}", "yellow")
    if facts["set_aside"]:
        sheet.wrapped("", "Set aside: in no figure of this run, and not in the next one.", "yellow")
    _asked(sheet, facts)
    same = facts["seed"] is not None and facts["seed"] == facts["winner"]
    sides = ("seed",) if same else ("seed", "winner")
    for who in sides:
        _told(sheet, "seed, which is the winner too" if same else who, facts[who], facts["stand_in"])
    _draw_words(sheet, facts["words"])
    for who in sides:
        if facts[who]:
            _sent(sheet, who, facts[who], raw=raw)
    return sheet.text


def mark_words(mark: dict[str, Any], *, dated: bool = True) -> str:
    """`wrong-label by Ann, 2026-11-21: it says so on the page (expected: refund)`."""
    right = f" (expected: {display(mark['expected'])})" if "expected" in mark else ""
    day = f", {mark['at'][:10]}" if dated else ""
    return f"{mark['kind']} by {mark['by']}{day}: {mark['reason']}{right}"


def _asked(sheet: Sheet, facts: dict[str, Any]) -> None:
    for name, value in facts["inputs"].items():
        _block(sheet, f"input {name}", display(value))
    if facts["expected"] is not None:
        _block(sheet, "expected", display(facts["expected"]))
    if facts["clusters"]:
        sheet.blank()
    for cluster in facts["clusters"]:
        sheet.fact("cause", f"{cluster['label']} ({cluster['id']})")


def _sent(sheet: Sheet, who: str, answer: dict[str, Any], *, raw: bool) -> None:
    if raw:
        for call in answer["calls"]:
            _draw_call(sheet, who, call)
        return
    for message in answer["messages"]:
        _block(sheet, f"sent by the {who}: {message['role']}", message["content"], "dim")


def _draw_words(sheet: Sheet, parts: list[dict[str, str]]) -> None:
    letters = sum(len(part["text"]) for part in parts)
    if sum(len(part["text"]) for part in parts if part["change"] == SAME) < LEAST_SAME * max(letters, 1):
        return
    marks = {REMOVED: ("", ""), ADDED: ("", "")} if sheet.color else {REMOVED: ("[-", "-]"), ADDED: ("{+", "+}")}
    styles = {SAME: "", REMOVED: "red", ADDED: "green"}
    sheet.heading("word by word, seed -> winner")
    line: list[tuple[str, str]] = [("    ", "")]
    for part in parts:
        before, after = marks.get(part["change"], ("", ""))
        pieces = clean(f"{before}{part['text']}{after}", lines=True).split("\n")
        for number, piece in enumerate(pieces):
            if number:
                sheet.line(*line)
                line = [("    ", "")]
            line.append((piece, styles[part["change"]]))
    sheet.line(*line)


def _draw_call(sheet: Sheet, who: str, call: dict[str, Any]) -> None:
    repeat = f", repeat {call['sample'] + 1}" if call["sample"] else ""
    _block(sheet, f"request of the {who}{repeat}", out.as_json(call["request"]))
    sheet.wrapped("    ", f"key {call['key']}", "dim")
    if call["response"] is None:
        sheet.wrapped("    ", "no answer is kept", "yellow")
    else:
        _block(sheet, f"response to the {who}{repeat}", out.as_json(call["response"]))
    for attempt in call["attempts"]:
        took = "" if attempt["seconds"] is None else f", {attempt['seconds']:.2f} s"
        error = f": {attempt['error']}" if attempt["error"] else ""
        told = "answered from the cache" if attempt["state"] == "saved" else attempt["state"]
        sheet.wrapped("    ", f"{attempt['phase']}: {told}{took}{error}", "dim")


def _told(sheet: Sheet, who: str, answer: dict[str, Any] | None, stand_in: bool) -> None:
    if answer is None:
        sheet.heading(f"{who}: was not run on this row")
        return
    mark = " (stand-in)" if stand_in else ""
    verdict = "error" if answer["error"] else "passes" if answer["passed"] else "fails"
    score = "" if answer["score"] is None else f", score {answer['score']:.2f}"
    _block(sheet, f"{who}: {verdict}{score}{mark}", answer["output"] or "")
    if answer["error"]:
        sheet.wrapped("    ", f"{answer['error']['kind']}: {answer['error']['message']}", "red")
    for score in answer["scores"]:
        if not score["passed"]:
            sheet.wrapped("  ! ", f"{score['metric']}: {score['reason']}", "red")
    for step in answer["trace"]:
        if isinstance(step, dict) and "repeat" in step:
            sheet.wrapped("    ", f"repeat {step['repeat']}: {_repeat(step)}", "dim")
    if answer["tokens"]:
        inputs, outputs = answer["tokens"]
        hit = ", from the cache" if answer["cache_hit"] else ""
        told = f"{inputs} + {outputs} tokens, {money(answer['usd'])}, {answer['seconds']:.2f} s{hit}"
        sheet.wrapped("    ", told, "dim")


def _repeat(step: dict[str, Any]) -> str:
    """How one repeat of a row came out, with what it said."""
    if "error" in step:
        return clean(str(step["error"]))
    said = clean(str(step.get("output", "")))
    return f"{'passes' if step.get('passed') else 'fails'}, score {step.get('score', 0.0):.2f}: {said}"


def _block(sheet: Sheet, heading: str, text: str, style: str = "") -> None:
    """A heading and a text of several lines under it."""
    sheet.heading(heading)
    for line in clean(text, lines=True).split("\n"):
        sheet.line((f"    {line}" if line else "", style))
