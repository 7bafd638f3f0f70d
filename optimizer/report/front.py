"""What else could be had: prompts that no other one beats in size and val score, beside the winner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizer.dataset import Split
from optimizer.edits import changed_lines
from optimizer.prompt import Prompt
from optimizer.report.sheet import Sheet
from optimizer.report.wording import count, money, percent, points
from optimizer.stats import differences_of
from optimizer.store.reader import RunReader

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_POINTS = 6
MOST_UNITS = 4
"""Lines that a point is said to lack, by their ids."""


def front(reader: RunReader, seed: str, winner: Prompt | None) -> list[dict[str, Any]]:
    """The front of a run, the smallest prompt first; empty where the run did not get so far.

    Args:
        reader: the run.
        seed: fingerprint of the prompt that it began with.
        winner: what each point is compared with, row by row on val.
    """
    told = reader.decisions("front")
    if not told or winner is None:
        return []
    return [_point(reader, one, seed, winner) for one in told[-1].decided.figures.get("points", ())]


def _point(reader: RunReader, one: Mapping[str, Any], seed: str, winner: Prompt) -> dict[str, Any]:
    prompt = reader.prompt(one["candidate"])
    mine, theirs = (reader.evaluation(name, Split.VAL) for name in (one["candidate"], winner.fingerprint))
    gains = differences_of(theirs, mine)
    passed = {row: (theirs.results[row].passed, mine.results[row].passed) for row in gains}
    changed = changed_lines(winner, prompt) if prompt else ()
    return {
        **one,
        "is": "winner" if one["candidate"] == winner.fingerprint else "seed" if one["candidate"] == seed else "",
        "gain": sum(gains.values()) / len(gains) if gains else 0.0,
        "fixed": [row for row, outcome in passed.items() if outcome == (False, True)],
        "broken": [row for row, outcome in passed.items() if outcome == (True, False)],
        "lacks": [{"id": unit, "text": old.content} for unit, old, new in changed if old and not new],
        "other": [{"id": unit, "text": new.content} for unit, _, new in changed if new],
    }


def is_choice(found: list[dict[str, Any]], prefer: object) -> bool:
    """Whether the front says more than that the seed is shorter than the winner."""
    return bool(found) and (prefer is not None or any(not one["is"] for one in found))


def draw(sheet: Sheet, found: list[dict[str, Any]], marked: Callable[[str], str]) -> None:
    """The front as a small table."""
    dollars = any(one["usd"] for one in found)
    sheet.heading("size against score: what no other prompt beats in both, on val, optimistic")
    price = f"{'1,000 calls':>12}" if dollars else ""
    sheet.line((f" {'tokens':>7}  {'val':>6}{price}  against the winner", "dim"))
    for one in found[-MOST_POINTS:]:
        cost = f"{money(None if one['usd'] is None else 1000 * one['usd']):>12}" if dollars else ""
        start = f" {count(one['tokens']):>7}  {percent(one['val']):>6}{cost}  "
        sheet.wrapped(start, marked(_against(one)), prefix_style="bold" if one["is"] == "winner" else "")
    if len(found) > MOST_POINTS:
        sheet.line((f" ... and {len(found) - MOST_POINTS} shorter with lower scores", "dim"))


def _against(one: Mapping[str, Any]) -> str:
    if one["is"] == "winner":
        return "the winner"
    parts = [f"{points(one['gain'])} points, fixes {len(one['fixed'])}, breaks {len(one['broken'])}"]
    for word, units in (("without", one["lacks"]), ("with other", one["other"])):
        names = [unit["id"] for unit in units]
        if names:
            more = f" and {len(names) - MOST_UNITS} more" if len(names) > MOST_UNITS else ""
            parts.append(f"{word} {', '.join(names[:MOST_UNITS])}{more}")
    return ("the seed: " if one["is"] == "seed" else "") + "; ".join(parts)
