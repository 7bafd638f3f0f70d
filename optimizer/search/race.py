"""One candidate against the incumbent, on blocks of rows in a frozen order.

Decisions fall at the ends of blocks alone, never on arrival order, latency or clock: a resumed run decides as an
uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.dataset import Example
from optimizer.evaluator import Bench, Purpose
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.search.again import settled
from optimizer.stats import differences_of, posterior_better, signs

BLOCKS = 4
"""Blocks that the rows are cut into."""
SMALLEST_BLOCK = 8
HOPELESS = 0.1
"""A candidate is dropped when the posterior probability that it is better falls to this."""
LEAST_DISCORDANT = 3
"""With fewer rows that differ, nothing is dropped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Race:
    """How far a candidate came."""

    evaluation: Evaluation
    """Its results."""
    partial: bool
    """Dropped before the last block."""
    gain: float
    """Mean paired difference to the incumbent on the rows scored."""
    reason: str
    """Why it was dropped, or that it ran to the end."""


def blocks(rows: Sequence[Example]) -> list[Sequence[Example]]:
    """Cut rows into at most four blocks of at least 8."""
    size = max(SMALLEST_BLOCK, math.ceil(len(rows) / BLOCKS))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


async def race(bench: Bench, candidate: Prompt, champion: Prompt, incumbent: Evaluation, purpose: Purpose) -> Race:
    """Score a candidate on val, block by block, and drop it early when it clearly loses.

    The drop is a sequential look at a Beta posterior. Rows that would drop a candidate are asked again first, on both
    sides: a champion is the best of many, so its rows were lucky ones, and an equal candidate would often go by luck.
    """
    seen: list[Example] = []
    parts = blocks(bench.val)
    evaluation = Evaluation(candidate=candidate.fingerprint, results={})
    for number, block in enumerate(parts, 1):
        seen += block
        evaluation = await bench.evaluator.evaluate(candidate, seen, purpose)
        differences = list(differences_of(incumbent, evaluation).values())
        found = signs(differences)
        better = posterior_better(found.up, found.down)
        if number == len(parts) or found.discordant < LEAST_DISCORDANT or better > HOPELESS:
            continue
        before = incumbent.only([row.id for row in seen])
        # The blocks to come were promised to this candidate before it began.
        rest = bench.evaluator.cost(candidate, bench.val)
        sure = await settled(bench, (champion, candidate), (before, evaluation), seen, purpose, reserved=rest)
        up, down = len(sure.up), len(sure.down)
        if up + down >= LEAST_DISCORDANT and posterior_better(up, down) <= HOPELESS:
            reason = f"dropped after {len(seen)} rows: {up} up, {down} down for good against the best so far"
            return Race(evaluation=evaluation, partial=True, gain=_mean(differences), reason=reason)
    return Race(
        evaluation=evaluation,
        partial=False,
        gain=_mean(list(differences_of(incumbent, evaluation).values())),
        reason="scored on all val rows",
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
