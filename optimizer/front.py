"""Score against size: the prompts that no other one beats in both, and the one that is wanted. Pure.

All figures are on val, and optimistic: the front is where a choice is made, not where a claim is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optimizer.config import Prefer, Price
from optimizer.prompt import Prompt
from optimizer.results import Evaluation
from optimizer.stats import EPSILON, differences_of, lost_rows, posterior_better, signs
from optimizer.tokens import prompt_tokens

MARGIN = 0.03
"""Most val score, in [0, 1], that a shorter or cheaper prompt may lose to the best one."""
WORSE = 0.8
"""Posterior probability of being worse from which a prompt is believed to be worse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A prompt with what it scores and what it takes."""

    prompt: Prompt
    """The prompt."""
    val: Evaluation
    """Its results on all val rows."""
    tokens: int
    """Tokens of the prompt, by our estimate."""
    usd: float | None
    """US dollars a call at list price, by the tokens counted on val; None where they or the price are unknown."""

    @property
    def score(self) -> float:
        """Mean val score, in [0, 1]."""
        return self.val.mean or 0.0

    def size(self, by: Prefer) -> tuple[float, int]:
        """What is to be small. Where the dollars are not known, a prompt counts as the dearest."""
        dollars = math.inf if self.usd is None else self.usd
        return (dollars if by is Prefer.CHEAPER else 0.0, self.tokens)


def point(prompt: Prompt, val: Evaluation, price: Price | None = None) -> Point:
    """A prompt with its results on val and the list price of its model."""
    return Point(prompt=prompt, val=val, tokens=prompt_tokens(prompt), usd=_dollars(val, price))


def front(points: Iterable[Point], by: Prefer = Prefer.SHORTER) -> tuple[Point, ...]:
    """The points that no other one beats in size and score, the smallest first and the best last.

    Of points that are equal in both, the first one given stays.
    """
    kept: list[Point] = []
    for one in sorted(points, key=lambda found: (found.size(by), -found.score)):
        if not kept or one.score > kept[-1].score + EPSILON:
            kept.append(one)
    return tuple(kept)


def preferred(found: Sequence[Point], by: Prefer) -> Point:
    """The smallest point of a front that is as good as its best one; see `as_good`.

    Raises ValueError for a front without points.
    """
    best = max(found, key=lambda one: one.score)
    return min((one for one in found if as_good(one, best)), key=lambda one: one.size(by))


def as_good(one: Point, best: Point) -> bool:
    """Whether a point is not believed to be worse than the best, on rows that both have a score for.

    It may lose at most MARGIN of the mean score, and the posterior probability that the best is better on the rows
    that differ may be at most WORSE. Rows that it alone lost to an error count as lost.
    """
    differences = list(differences_of(best.val, one.val).values())
    found = signs(differences)
    lost = lost_rows(best.val, one.val)
    mean = sum(differences) / len(differences) if differences else 0.0
    return mean >= -MARGIN - EPSILON and posterior_better(found.down + lost, found.up) <= WORSE


def _dollars(val: Evaluation, price: Price | None) -> float | None:
    if price is None:
        return None
    used = [result.completion.usage for result in val.results.values() if result.completion is not None]
    if not used or not all(one.input_tokens + one.output_tokens for one in used):
        return 0.0 if price.input == price.output == 0 else None
    total = sum(one.input_tokens * price.input + one.output_tokens * price.output for one in used)
    return total / len(used) / 1_000_000
