"""Where added lines go: a rule before its exceptions.

Of two lines that both fit, models tend to follow the later one. A longer line tends to name a narrower condition, so
among the lines that a search has added the longer one stands later, unless rows show that one line is followed where
another one was meant to be: then the one that was meant goes behind. A place that a proposer names is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from optimizer.edits import END, Edit, Op, apply, end_message
from optimizer.prompt import Line, Prompt
from optimizer.results import Result
from optimizer.wording import WORD

Behind = Mapping[str, Collection[str]]
"""Id of an edit -> ids of edits that it has to stand behind."""


def made(prompt: Prompt, edits: Sequence[Edit], own: Collection[str], behind: Behind | None = None) -> Prompt:
    """The prompt with the edits made, lines without a place of their own put in order.

    Args:
        prompt: the champion.
        edits: no two of one line.
        own: ids of the lines of the prompt that the run began with; these keep their places, before all added ones.
        behind: what rows have shown of the order of edits.
    """
    free = [edit for edit in edits if edit.op is Op.ADD_LINE and edit.after in (None, END)]
    rest = [edit for edit in edits if edit not in free]
    lines = prompt.messages[end_message(prompt)].lines
    first = max((number for number, line in enumerate(lines) if line.id in own), default=-1)
    sizes = [_size(line.content) if number > first else 0 for number, line in enumerate(lines)]
    places: dict[str, int] = {}
    for edit in in_order(free, behind or {}):
        fit = [number for number in range(first + 1, len(lines)) if sizes[number] <= _size(edit.text or "")]
        before = [places[other] for other in (behind or {}).get(edit.id, ()) if other in places]
        places[edit.id] = max([*fit[-1:], *before, first])
    placed = [replace(edit, after=_anchor(lines, places[edit.id])) for edit in in_order(free, behind or {})]
    return apply(prompt, [*rest, *placed])


def in_order(edits: Sequence[Edit], behind: Behind) -> list[Edit]:
    """Shorter lines first; then each one behind those that it has to stand behind. A circle is left as it is."""
    order = sorted(edits, key=lambda edit: _size(edit.text or ""))
    for _ in order:
        for edit in list(order):
            here = order.index(edit)
            last = max((order.index(other) for other in order if other.id in behind.get(edit.id, ())), default=-1)
            if last > here:
                order.insert(last, order.pop(here))
    return order


def overruling(edits: Sequence[Edit], output: str, before: str) -> frozenset[str]:
    """Ids of added lines that an output follows: it holds words that no other line has, and that it lacked before."""
    new = set(WORD.findall(output.lower())) - set(WORD.findall(before.lower()))
    words = {edit.id: set(WORD.findall((edit.text or "").lower())) for edit in edits}
    found = set()
    for edit in edits:
        others = set().union(*(theirs for other, theirs in words.items() if other != edit.id))
        # In this order: an output may hold millions of words.
        if (words[edit.id] - others) & new:
            found.add(edit.id)
    return frozenset(found)


def _anchor(lines: Sequence[Line], place: int) -> str:
    return END if place in (-1, len(lines) - 1) else lines[place].id


def _size(text: str) -> int:
    return len(text.split())


def told_of(result: Result, metrics: Collection[str]) -> str:
    """What an output says where some metrics look; all of it where one of them does not tell.

    Of an answer with several fields, a line that put one of them right has no part in what is wrong in another.
    """
    got = [score.got for score in result.scores if score.metric in metrics]
    told = [one for one in got if one is not None]
    return "\n".join(told) if told and len(told) == len(got) else result.output
