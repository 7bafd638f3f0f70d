"""Two versions of a prompt: which line is which, and the edits that make one of the other. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from optimizer.edits import Edit, Op, added_demo
from optimizer.errors import UserError
from optimizer.prompt import Line, Prompt, PromptMessage, seen

ALIKE = 0.4
"""Lines without a common id are one line that was replaced from this likeness on, in [0, 1]."""
MOST_COMPARED = 10_000
"""Pairs of lines that are compared letter by letter; in larger stretches the ids alone tell."""

Pair = tuple[Line | None, Line | None]
"""A line before and after; None where it was added or removed."""


def aligned(old: Sequence[Line], new: Sequence[Line]) -> Iterator[Pair]:
    """Lines of two versions of one message, side by side and in order.

    They are matched by their text first, then by their id, then by likeness: so versions that were numbered anew
    match as well as those that kept their ids. A line that was moved was removed and added.
    """
    matcher = difflib.SequenceMatcher(None, [line.content for line in old], [line.content for line in new], False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(old[start:end], new[new_start:new_end], strict=True)
        else:
            yield from _replaced(old[start:end], new[new_start:new_end])


def _replaced(old: Sequence[Line], new: Sequence[Line]) -> Iterator[Pair]:
    """The pairs, in order, that are most alike together; the rest was removed or added."""
    weights = _weights(old, new)
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            paired = weights[i][j] + best[i + 1][j + 1] if weights[i][j] else 0.0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    i = j = 0
    while i < len(old) and j < len(new):
        if weights[i][j] and best[i][j] == weights[i][j] + best[i + 1][j + 1]:
            yield old[i], new[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i][j + 1]:
            yield None, new[j]
            j += 1
        else:
            yield old[i], None
            i += 1
    yield from ((None, line) for line in new[j:])
    yield from ((line, None) for line in old[i:])


def _weights(old: Sequence[Line], new: Sequence[Line]) -> list[list[float]]:
    """How alike each two lines are, 0 where they may not be paired; a common id outweighs every likeness."""
    ids, new_ids = {line.id for line in old}, {line.id for line in new}
    compared = len(old) * len(new) <= MOST_COMPARED
    return [
        [
            2.0
            if known.id == line.id
            else _likeness(known.content, line.content)
            if compared and known.id not in new_ids and line.id not in ids
            else 0.0
            for line in new
        ]
        for known in old
    ]


def _likeness(one: str, two: str) -> float:
    """How alike two texts are, in [ALIKE, 1]; 0 below."""
    matcher = difflib.SequenceMatcher(None, one, two, False)
    # The upper bounds are cheap, and most pairs of lines end there.
    if matcher.real_quick_ratio() < ALIKE or matcher.quick_ratio() < ALIKE:
        return 0.0
    found = matcher.ratio()
    return found if found >= ALIKE else 0.0


def edits_between(
    old: Prompt, new: Prompt, *, cluster: str = "", why: str = "", source: str = "rewrite"
) -> tuple[Edit, ...]:
    """Find the edits that make one prompt of the other: `old` with them made reads like `new`.

    Lines that stay, or are nearly the same, keep the ids that they have in `old`; demos do while those before them
    do. Parameters and variables are no edits: they stay. A locked line that `new` lacks is an edit that `apply`
    refuses. Raises UserError where the messages are not the same, by number and role.

    Args:
        old: the prompt before.
        new: the prompt after; ids of its lines may be empty where they are not known.
        cluster: goes into each edit.
        why: goes into each edit.
        source: goes into each edit.
    """
    roles, new_roles = ([message.role for message in prompt.messages] for prompt in (old, new))
    if roles != new_roles:
        raise UserError(f"prompt {old.ref}: its messages are {', '.join(roles)}, the other's {', '.join(new_roles)}")
    edits: list[Edit] = []
    for index, (before, after) in enumerate(zip(old.messages, new.messages, strict=True)):
        edits += _line_edits(index, before, after)
    edits += _demo_edits(old, new)
    return tuple(replace(edit, cluster=cluster, why=why, source=source) for edit in edits)


def _line_edits(index: int, before: PromptMessage, after: PromptMessage) -> Iterator[Edit]:
    anchor = f"start:{index}"
    for old, new in aligned(before.lines, after.lines):
        if old is None and new is not None:
            yield Edit(op=Op.ADD_LINE, after=anchor, text=new.text)
        elif old is not None:
            anchor = old.id
            if new is None:
                yield Edit(op=Op.REMOVE_LINE, target=old.id)
            elif new.content != old.content:
                yield Edit(op=Op.REPLACE_LINE, target=old.id, text=new.text)


def _demo_edits(old: Prompt, new: Prompt) -> Iterator[Edit]:
    """Demos are added at the end alone: from the first new one on, all are."""
    rest = list(old.demos)
    come = list(new.demos)
    while come:
        wanted = seen(come[0], new.variables)
        place = next((index for index, demo in enumerate(rest) if seen(demo, old.variables) == wanted), None)
        if place is None:
            break
        yield from (Edit(op=Op.REMOVE_DEMO, target=demo.id) for demo in rest[:place])
        rest, come = rest[place + 1 :], come[1:]
    yield from (Edit(op=Op.REMOVE_DEMO, target=demo.id) for demo in rest)
    yield from (added_demo(demo, cluster="") for demo in come)
