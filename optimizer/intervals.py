"""95% intervals of a mean paired difference, in plain Python.

A *bundle* holds the differences of rows that are not independent of each other: the rows of one group, or one row
that stands alone. Bundles are independent. All functions take one difference a row, in [-1, 1].
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

Z95 = 1.959964
"""Two-sided 95% point of the normal distribution."""
NONE = 0.05
"""At the mid-p limit of a share of which no row was seen, half the chance of seeing none is 2.5%."""
MANY = 500
"""From so many bundles that moved on, the mean is as good as normal: the bootstrap would cost seconds for a change in
the third digit."""
EPSILON = 1e-9
"""Differences below this are none."""
DIGITS = 9
"""Differences that agree to so many digits are one."""
RESAMPLES = 1999
LEAST_MOVED = 12
"""With fewer bundles that went up or down, or by another step than most, a bootstrap knows too little of the tails
(coverage 0.90 to 0.93)."""

Bundles = Sequence[Sequence[float]]


def paired_interval(bundles: Bundles, *, seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean difference over all rows, within [-1, 1].

    Pass and fail, and scores that change in steps of one size: `pass_fail_interval`. Other graded scores: bootstrap-t
    with 1,999 resamples of whole bundles from a seeded generator; where under 12 bundles moved, or moved otherwise
    than most did, the same score interval in units of the largest difference, which is wide for them; where 500 or
    more did, Student's t with the bootstrap's own standard error.

    Bundles of several rows count as `effective_rows` independent ones.

    Caveat: rare and large losses that the rows happen not to show are in no interval.
    """
    differences = [difference for bundle in bundles for difference in bundle]
    if not differences or (len(bundles) == 1 and len(differences) > 1):
        return (-1.0, 1.0)
    size = max(map(abs, differences))
    in_steps = all(abs(d) < EPSILON or size - abs(d) < EPSILON for d in differences)
    sums = Counter(round(sum(bundle), DIGITS) for bundle in bundles)
    moved = len(bundles) - max(sums[0.0], *sums.values())
    if in_steps or moved < LEAST_MOVED:
        return _by_score(differences, size if size > EPSILON else 1.0, effective_rows(bundles))
    equals = len(differences) ** 2 / sum(len(bundle) ** 2 for bundle in bundles)
    if min(moved, equals) >= MANY:
        return _by_student(bundles, equals)
    return bootstrap_t(bundles, random.Random(seed))


def _by_score(differences: Sequence[float], size: float, rows: float) -> tuple[float, float]:
    """`pass_fail_interval` in units of the largest difference, for as many rows as these are worth."""
    worth = rows / (size * len(differences))
    up = worth * sum(d for d in differences if d > 0)
    down = worth * -sum(d for d in differences if d < 0)
    low, high = pass_fail_interval(up, down, rows)
    return low * size, high * size


def pass_fail_interval(up: float, down: float, n: float) -> tuple[float, float]:
    """95% interval for (up - down) / n of n paired rows, of which `up` began to pass and `down` ceased to.

    Square-and-add (MOVER: Zou and Donner, Statistics in Medicine 27, 2008) for the difference of two correlated
    estimates: the shares of rows up and down, each with its score interval (Wilson 1927), or where no row went that
    way its mid-p limit (nearly 3 of n rows), and the correlation of two cells of one multinomial. Unlike a Wald
    interval with added rows (Agresti and Min 2005) it holds its level where nearly all rows that differ went one way.
    `benchmarks/statistics/coverage.py` compares them.
    """
    share_up, share_down = up / n, down / n
    low_up, high_up = _share(up, n)
    low_down, high_down = _share(down, n)
    spread = share_up * (1 - share_up) * share_down * (1 - share_down)
    correlation = -share_up * share_down / math.sqrt(spread) if spread > 0 else 0.0
    gain = share_up - share_down
    below = _added(share_up - low_up, high_down - share_down, correlation)
    above = _added(high_up - share_up, share_down - low_down, correlation)
    return max(gain - below, -1.0), min(gain + above, 1.0)


def _share(hits: float, n: float) -> tuple[float, float]:
    """The score interval, but for its far end at 0 hits of n, or at n of n: 3.8 of n rows would be too far off."""
    low, high = wilson(hits, n)
    return (low if hits < n else NONE ** (1 / n)), (high if hits > 0 else 1 - NONE ** (1 / n))


def wilson(hits: float, n: float) -> tuple[float, float]:
    """95% score interval of a share (Wilson 1927)."""
    share = hits / n
    square = Z95**2 / n
    middle = (share + square / 2) / (1 + square)
    half = Z95 * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _added(first: float, second: float, correlation: float) -> float:
    return math.sqrt(max(first**2 - 2 * correlation * first * second + second**2, 0.0))


def bootstrap_t(bundles: Bundles, rng: random.Random) -> tuple[float, float]:
    """95% bootstrap-t interval of the mean over rows (Efron and Tibshirani 1993), drawing whole bundles.

    The standard error is that of a ratio of sums, robust to dependence within bundles; for single rows it is the
    usual one. Resamples without spread are left out.
    """
    sums = _Sums(bundles)
    numbers = range(len(bundles))
    mean, error = sums.mean_and_error(numbers)
    ratios: list[float] = []
    for _ in range(RESAMPLES):
        drawn, drawn_error = sums.mean_and_error(rng.choices(numbers, k=len(numbers)))
        if drawn_error > EPSILON:
            ratios.append((drawn - mean) / drawn_error)
    if len(ratios) < RESAMPLES // 2:
        differences = [difference for bundle in bundles for difference in bundle]
        return _by_score(differences, max(map(abs, differences)), effective_rows(bundles))
    ratios.sort()
    low = ratios[int(0.025 * (len(ratios) - 1))]
    high = ratios[math.ceil(0.975 * (len(ratios) - 1))]
    return max(mean - high * error, -1.0), min(mean - low * error, 1.0)


def _by_student(bundles: Bundles, equals: float) -> tuple[float, float]:
    """Mean and robust standard error; `equals` bundles of one size would weigh as much."""
    mean, error = _Sums(bundles).mean_and_error(range(len(bundles)))
    half = student95(int(equals - 1)) * error
    return max(mean - half, -1.0), min(mean + half, 1.0)


class _Sums:
    """What the mean and its error are made of, by bundle: drawing thousands of times adds up numbers alone."""

    def __init__(self, bundles: Bundles) -> None:
        self._rows = [len(bundle) for bundle in bundles]
        self._totals = [sum(bundle) for bundle in bundles]
        self._squares = [total**2 for total in self._totals]
        self._products = [total * rows for total, rows in zip(self._totals, self._rows, strict=True)]
        self._sizes = [rows**2 for rows in self._rows]
        self._alike = len(set(self._rows)) == 1

    def mean_and_error(self, drawn: Sequence[int]) -> tuple[float, float]:
        """Mean over the rows of the bundles drawn, and its cluster-robust standard error."""
        bundles = len(drawn)
        total, squares = _sum(self._totals, drawn), _sum(self._squares, drawn)
        if self._alike:
            rows = float(bundles * self._rows[0])
            residual = squares - total**2 / bundles
        else:
            rows = _sum(self._rows, drawn)
            mean = total / rows
            residual = squares - 2 * mean * _sum(self._products, drawn) + mean**2 * _sum(self._sizes, drawn)
        return total / rows, math.sqrt(max(residual, 0.0) * bundles / max(bundles - 1, 1)) / rows


def _sum(values: Sequence[float], numbers: Sequence[int]) -> float:
    return sum(map(values.__getitem__, numbers))


def effective_rows(bundles: Bundles) -> float:
    """Independent rows that would tell as much: the rows themselves where each stands alone.

    Rows over design effect, the variance of the mean with whole bundles as units over that with rows as units (Rao
    and Scott, Biometrics 48, 1992); never more than the rows. Few bundles, or a few that hold most rows, make that
    estimate uncertain: the number is lowered further by the square of Student's t over the normal point, with one
    degree of freedom less than there are bundles of equal size that would weigh as much (Kish 1965).
    """
    n = sum(map(len, bundles))
    if all(len(bundle) == 1 for bundle in bundles):
        return float(n)
    equals = max(n**2 / sum(len(bundle) ** 2 for bundle in bundles), 2.0)
    mean = sum(map(sum, bundles)) / n
    alone = sum((difference - mean) ** 2 for bundle in bundles for difference in bundle) * n / (n - 1)
    together = sum((sum(bundle) - len(bundle) * mean) ** 2 for bundle in bundles) * equals / (equals - 1)
    # Where no row differs, nothing tells how alike the rows of a bundle are: then as alike as can be.
    effect = max(together / alone, 1.0) if alone > EPSILON else n / equals
    return n / (effect * (student95(int(equals - 1)) / Z95) ** 2)


def student95(freedom: int) -> float:
    """Two-sided 95% point of Student's t, for 1 degree of freedom and more.

    By the expansion of Abramowitz and Stegun 26.7.5, which is within 0.1% from 3 degrees of freedom on.
    """
    if freedom <= 2:
        return 12.7062 if freedom <= 1 else 4.3027
    z = Z95
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))
