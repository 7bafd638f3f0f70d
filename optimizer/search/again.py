"""Rows whose outcome changed are asked again, so that chance drops out of the count.

A model answers some rows differently for any change of its prompt. Of two prompts that differ in nothing that
matters, each loses rows to the other by such luck. So the side that lost a row gets a second chance at it, under a
variant of its prompt that says no more (a placebo), and a third one: the row counts only where it loses each time. Both
sides are treated alike, so that two equal prompts stay equal in expectation: P(up) = (1-p)^3 p = P(down) for a row that
passes with p.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.dataset import Example
from optimizer.edits import END, Edit, Op, apply
from optimizer.evaluator import Bench, Purpose
from optimizer.events import CandidateMade
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.stats import EPSILON

PLACEBOS = tuple(
    Edit(op=Op.ADD_LINE, after=END, text=text, why="a placebo", source="control") for text in ("Thank you.", "Thanks.")
)
"""Change the request, and say nothing about the task."""


Broken = Mapping[str, frozenset[str]]
"""Row -> metrics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """Rows that differ between an incumbent and a challenger, with the metrics on which they do."""

    up: Broken
    """Rows that the challenger wins."""
    down: Broken
    """Rows that it loses."""


async def again(bench: Bench, prompt: Prompt, rows: Sequence[Example], purpose: Purpose, time: int = 0) -> Evaluation:
    """Score rows under a placebo variant of a prompt, the first or the second. What is known costs nothing."""
    placebo = PLACEBOS[time]
    variant = apply(prompt, [placebo])
    if rows:
        await bench.tell(
            CandidateMade(
                prompt=variant, round=purpose.round, origin="placebo", parent=prompt.fingerprint, edits=(placebo,)
            )
        )
    return await bench.evaluator.evaluate(variant, rows, purpose)


def room_for(bench: Bench, prompt: Prompt, rows: Sequence[Example], room: int) -> bool:
    """Whether asking again fits into so many requests."""
    return bench.evaluator.cost(apply(prompt, [PLACEBOS[0]]), rows) <= room


def raw(before: Evaluation, after: Evaluation) -> Changed:
    """Rows that changed, luck included.

    A row that ends in an error with the challenger alone is lost to it. One that did with the incumbent is no win: an
    error is no score, and may be the provider's.
    """
    up: dict[str, frozenset[str]] = {}
    down: dict[str, frozenset[str]] = {}
    for row in sorted(before.results.keys() & after.results.keys()):
        old, new = before.results[row].score, after.results[row].score
        if old is None:
            continue
        if new is None or new < old - EPSILON:
            down[row] = falls(before, after, row)
        elif new > old + EPSILON:
            up[row] = falls(after, before, row)
    return Changed(up=up, down=down)


async def settled(
    bench: Bench,
    sides: tuple[Prompt, Prompt],
    scored: tuple[Evaluation, Evaluation],
    rows: Sequence[Example],
    purpose: Purpose,
    *,
    reserved: int = 0,
) -> Changed:
    """Rows that changed for good; all that changed, where the plan cannot pay for asking again.

    Args:
        bench: what prompts are scored with.
        sides: incumbent and challenger.
        scored: their results, on the same rows.
        rows: the rows, in their frozen order.
        purpose: what it is for.
        reserved: requests of the plan that are spoken for.
    """
    (incumbent, challenger), (before, after) = sides, scored
    found = raw(before, after)
    up, down = dict(found.up), dict(found.down)
    for time, placebo in enumerate(PLACEBOS):
        lost = [row for row in rows if row.id in up]
        gone = [row for row in rows if row.id in down]
        cost = bench.evaluator.cost(apply(incumbent, [placebo]), lost)
        cost += bench.evaluator.cost(apply(challenger, [placebo]), gone)
        if cost + reserved > bench.plan.left(purpose.phase):
            break
        second = await again(bench, incumbent, lost, purpose, time)
        third = await again(bench, challenger, gone, purpose, time)
        up = {row.id: kept for row in lost if (kept := up[row.id] & falls(after, second, row.id))}
        down = {row.id: kept for row in gone if (kept := down[row.id] & falls(before, third, row.id))}
    return Changed(up=up, down=down)


def falls(high: Evaluation, low: Evaluation, row: str) -> frozenset[str]:
    """Metrics on which a row scores lower in the second evaluation; all of the first, where that is an error."""
    best, worst = high.results[row], low.results[row]
    values = {score.metric: score.value for score in worst.scores}
    return frozenset(
        score.metric
        for score in best.scores
        if score.weight > 0 and (worst.error is not None or values.get(score.metric, 0.0) < score.value - EPSILON)
    )
