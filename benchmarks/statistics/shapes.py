"""Truths that are drawn from: shapes of graded differences, and rows in groups."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

Draw = Callable[[random.Random], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How the score of one row changes."""

    name: str
    """In words."""
    mean: float
    """True mean change."""
    draw: Draw
    """One row."""


def _mixture(*parts: tuple[float, float]) -> Draw:
    """Differences with their chances; what is left over is 0."""

    def draw(rng: random.Random) -> float:
        number = rng.random()
        for difference, chance in parts:
            number -= chance
            if number < 0:
                return difference
        return 0.0

    return draw


def _mean(*parts: tuple[float, float]) -> float:
    return sum(difference * chance for difference, chance in parts)


def _noise(rng: random.Random) -> float:
    return 0.05 + rng.uniform(-0.35, 0.35)


def _sparse(rng: random.Random) -> float:
    """One row in ten gains between 0.2 and 1, three in a hundred lose as much."""
    number = rng.random()
    return 0.0 if number >= 0.13 else rng.uniform(0.2, 1.0) * (1 if number < 0.1 else -1)


def _repeats(rng: random.Random) -> float:
    """Three repeats of pass and fail, averaged, before and after."""
    after = sum(rng.random() < 0.7 for _ in range(3))
    return (after - sum(rng.random() < 0.6 for _ in range(3))) / 3


def _skewed(rng: random.Random) -> float:
    return rng.betavariate(0.5, 5.0)


THIRDS = ((1.0, 0.0375), (2 / 3, 0.0625), (1 / 3, 0.075), (-1 / 3, 0.0375), (-2 / 3, 0.025), (-1.0, 0.0125))
NOTHING = ((0.5, 0.1), (-0.5, 0.1), (0.25, 0.05), (-0.25, 0.05))
RARE = ((-1.0, 0.03), (0.1, 0.388))

GRADED = (
    Shape(name="noise on every row, symmetric", mean=0.05, draw=_noise),
    Shape(name="thirds, a quarter of the rows differ", mean=_mean(*THIRDS), draw=_mixture(*THIRDS)),
    Shape(name="no gain, 30% of the rows differ", mean=0.0, draw=_mixture(*NOTHING)),
    Shape(name="sparse: 10% gain and 3% lose 0.2 to 1", mean=0.07 * 0.6, draw=_sparse),
    Shape(name="pass and fail, mean of 3 repeats", mean=0.1, draw=_repeats),
    Shape(name="skewed, all gain: beta(0.5, 5)", mean=0.5 / 5.5, draw=_skewed),
    Shape(name="small gains on 39%, losses of 1 on 3%", mean=_mean(*RARE), draw=_mixture(*RARE)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """Rows in groups that behave more or less alike."""

    groups: int
    """Groups."""
    sizes: tuple[int, ...]
    """Rows of a group, drawn evenly from these."""
    alike: float
    """Chance that a row copies its group's outcome."""
    scores: str
    """What changes, in words."""
    mean: float
    """True mean change."""
    row: Draw
    """One outcome."""

    @property
    def name(self) -> str:
        """Tells it from the others: the seed of its draws."""
        return f"{self.groups} {self.sizes} {self.alike} {self.scores}"

    @property
    def sizes_told(self) -> str:
        """In words."""
        counts = {size: self.sizes.count(size) for size in self.sizes}
        one = len(counts) == 1
        told = f"{self.sizes[0]}" if one else " or ".join(f"{n} (x{k})" if k > 1 else f"{n}" for n, k in counts.items())
        return f"{self.groups} of {told}"

    def draw(self, rng: random.Random) -> list[list[float]]:
        """Differences, group by group."""
        bundles = []
        for _ in range(self.groups):
            shared = self.row(rng)
            size = rng.choice(self.sizes)
            bundles.append([shared if rng.random() < self.alike else self.row(rng) for _ in range(size)])
        return bundles


PASS_FAIL = {
    "pass and fail, 15% up, 5% down": ((1.0, 0.15), (-1.0, 0.05)),
    "pass and fail, 5% up, 5% down": ((1.0, 0.05), (-1.0, 0.05)),
    "pass and fail, 20% up, none down": ((1.0, 0.2),),
}

GROUPED = tuple(
    Groups(groups=groups, sizes=sizes, alike=alike, scores=scores, mean=_mean(*parts), row=_mixture(*parts))
    for scores, parts in {**PASS_FAIL, "thirds": THIRDS}.items()
    for groups, sizes in ((12, (3,)), (40, (1, 2, 3)), (40, (5,)), (100, (3,)), (40, (1, 1, 1, 20)))
    for alike in (0.0, 0.8)
    if scores != "thirds" or (groups, max(sizes)) in {(40, 3), (40, 5)}
)
