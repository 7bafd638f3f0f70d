"""Rows that are right, asked beside the failing ones: a model may make too much of a worked example.

A line says when it holds; an example leaves that to the model. So demos alone are tried on such rows too, before
they come into a bundle in which others would make up for what they break.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from optimizer.dataset import Example
from optimizer.evaluator import Bench, Purpose
from optimizer.failures import Failure
from optimizer.prompt import Prompt
from optimizer.results import Evaluation, Result
from optimizer.search.again import again, falls, room_for

GUARDS = 8
"""Rows that are right on which demos are tried."""


def guards(alike: Iterable[Failure], mended: Sequence[Example], asked: Collection[str]) -> list[Example]:
    """Rows to ask: half of them passing ones like the failing ones, half of them mended by other edits.

    Args:
        alike: passing rows, most like those that the demos are to mend first.
        mended: rows that other edits of the round mend.
        asked: ids of rows that are asked anyway.
    """
    fixed = {row.id: row for row in mended if row.id not in asked}
    near = {row.example.id: row.example for row in alike if row.example.id not in asked and row.example.id not in fixed}
    first = list(near.values())[: max(GUARDS // 2, GUARDS - len(fixed))]
    return [*first, *list(fixed.values())[: GUARDS - len(first)]]


async def broken(
    bench: Bench, candidate: Prompt, rows: Sequence[Example], before: Mapping[str, Result], purpose: Purpose, room: int
) -> tuple[str, ...]:
    """Those rows that a candidate gets wrong twice, or once with no room to ask again, and that were right before.

    Args:
        bench: what candidates are scored with.
        candidate: a prompt with the demos in it.
        rows: the guards.
        before: their results without the demos.
        purpose: what it is for.
        room: requests that may be used; where they do not reach, nothing is asked.
    """
    cost = bench.evaluator.cost(candidate, rows)
    if not rows or cost > room:
        return ()
    known = Evaluation(candidate="", results=before)
    after = await bench.evaluator.evaluate(candidate, rows, purpose)
    fell = {row.id: lost for row in rows if row.id in after.results and (lost := falls(known, after, row.id))}
    doubtful = [row for row in rows if row.id in fell]
    if not room_for(bench, candidate, doubtful, room - cost):
        return tuple(fell)
    second = await again(bench, candidate, doubtful, purpose)
    return tuple(row for row, lost in fell.items() if lost & falls(known, second, row))
