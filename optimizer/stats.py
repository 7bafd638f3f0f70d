"""Statistics of paired comparisons, in plain Python: no numpy, no scipy (their import costs more than our sums).

All functions take one difference a row (winner minus baseline, in [-1, 1]) or counts of fixed and broken rows.
Rows are taken as independent; repeats of one row must be averaged before.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.outcome import Comparison
from optimizer.results import Evaluation

Z95 = 1.959964
"""Two-sided 95% point of the normal distribution."""
Z80 = 0.841621
"""One-sided 80% point."""
ALPHA = 0.025
"""One-sided level of the first look."""
MIN_DISCORDANT = 6
"""With fewer rows that differ, no exact sign test is small enough to be believed."""
RESAMPLES = 1999
EPSILON = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Signs:
    """How many rows went up, and how many went down."""

    up: int
    """Rows with a higher score."""
    down: int
    """Rows with a lower score."""

    @property
    def discordant(self) -> int:
        """Rows that differ at all."""
        return self.up + self.down


def signs(differences: Sequence[float]) -> Signs:
    """Count rows above and below zero; differences under 1e-9 count as none."""
    return Signs(up=sum(d > EPSILON for d in differences), down=sum(d < -EPSILON for d in differences))


def mid_p(up: int, down: int) -> float:
    """One-sided exact mid-p of the sign test (McNemar's, for pass and fail): P(X > up) + P(X = up) / 2.

    X is binomial(up + down, 1/2). Mid-p (Lancaster 1961) is less conservative than the exact p and keeps its
    level nearly everywhere (Fagerland et al. 2013). 0.5 where no row differs.
    """
    fewer, exactly = _ways(up + down, down)
    return float((2 * fewer + exactly) / 2 ** (up + down + 1))


def posterior_better(up: int, down: int) -> float:
    """P(a discordant row is more likely to go up than down), under a flat Beta(1, 1) prior.

    1 - I_{1/2}(up + 1, down + 1), which for whole numbers is P(binomial(up + down + 1, 1/2) <= up).
    Evidence for a choice inside the search; no claim: val is looked at many times.
    """
    fewer, exactly = _ways(up + down + 1, up)
    return float((fewer + exactly) / 2 ** (up + down + 1))


def _ways(n: int, k: int) -> tuple[int, int]:
    """Of the 2^n outcomes of n coins, those with fewer than k heads and those with exactly k: whole numbers.

    Floats would overflow from about 1,030 discordant rows on.
    """
    fewer, exactly = 0, 1
    for heads in range(k):
        fewer += exactly
        exactly = exactly * (n - heads) // (heads + 1)
    return fewer, exactly


def paired_interval(differences: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean paired difference, cut to [-1, 1].

    Pass and fail, and scores that change in steps of one size: Agresti and Min (2005), Wald with half a row added to
    each of the four cells, which covers well from about 20 rows on. Other graded scores: bootstrap-t (Efron and
    Tibshirani 1993) with 1,999 resamples from a seeded generator; where too few rows differ for it, the formula of
    Agresti and Min, its added rows as large as the largest difference.

    Caveat: under about 10 discordant rows every such interval is rough; the verdict therefore asks for an exact
    test as well.
    """
    if not differences:
        return (-1.0, 1.0)
    size = max(map(abs, differences))
    in_steps = all(abs(d) < EPSILON or size - abs(d) < EPSILON for d in differences)
    if in_steps or signs(differences).discordant < MIN_DISCORDANT:
        return _with_added_rows(differences)
    return bootstrap_t(differences, random.Random(seed))


def agresti_min(up: int, down: int, n: int) -> tuple[float, float]:
    """95% interval for (up - down) / n of n paired rows. Agresti and Min, Statistics in Medicine 24 (2005)."""
    return _wald(up - down, up + down, n)


def _with_added_rows(differences: Sequence[float]) -> tuple[float, float]:
    """The formula of Agresti and Min in units of the largest difference: theirs where every difference is 1."""
    size = max(map(abs, differences))
    if size < EPSILON:
        return agresti_min(0, 0, len(differences))
    units = [difference / size for difference in differences]
    low, high = _wald(sum(units), sum(unit**2 for unit in units), len(units))
    return low * size, high * size


def _wald(total: float, squares: float, n: int) -> tuple[float, float]:
    """From the sum of differences and of their squares, with half a row up, half a row down and one that stays."""
    rows = n + 2
    spread = math.sqrt(max(squares + 1 - total**2 / rows, 0.0)) / rows
    return _cut(total / rows - Z95 * spread, total / rows + Z95 * spread)


def bootstrap_t(differences: Sequence[float], rng: random.Random) -> tuple[float, float]:
    """95% bootstrap-t interval of a mean; resamples without spread are left out."""
    n = len(differences)
    mean, error = _mean_and_error(differences)
    ratios: list[float] = []
    for _ in range(RESAMPLES):
        sample = rng.choices(differences, k=n)
        drawn, drawn_error = _mean_and_error(sample)
        if drawn_error > EPSILON:
            ratios.append((drawn - mean) / drawn_error)
    if len(ratios) < RESAMPLES // 2:
        return _with_added_rows(differences)
    ratios.sort()
    low = ratios[int(0.025 * (len(ratios) - 1))]
    high = ratios[math.ceil(0.975 * (len(ratios) - 1))]
    return _cut(mean - high * error, mean - low * error)


def minimum_detectable_gain(n: int, discordant_share: float = 0.2) -> float:
    """The gain that n paired rows show with 80% power at two-sided 5%, in [0, 1].

    Normal approximation, (z.975 + z.8) * sqrt(share / n); never under 6 rows, which the verdict asks for.
    `discordant_share` is the part of the rows whose outcome changes; a gain of 10 points needs at least 0.1.
    """
    if n == 0:
        return 1.0
    approximate = (Z95 + Z80) * math.sqrt(max(discordant_share, 0.1) / n)
    return min(1.0, max(MIN_DISCORDANT / n, approximate))


def differences_of(baseline: Evaluation, winner: Evaluation) -> dict[str, float]:
    """Winner minus baseline by example id, for rows that ran under both, ordered by id."""
    before, after = baseline.scored, winner.scored
    return {key: after[key] - before[key] for key in sorted(before.keys() & after.keys())}


def lost_rows(baseline: Evaluation, winner: Evaluation) -> int:
    """Rows with something to lose that ended in an error under the winner alone.

    An error is no zero, and such rows are in no mean. But where a prompt breaks on just the rows that it would get
    wrong (answers cut off, say), the rows that are left look better than it is.
    """
    failed = {result.example for result in winner.errors}
    return sum(score > EPSILON and key in failed for key, score in baseline.scored.items())


def compare(baseline: Evaluation, winner: Evaluation, *, seed: int = 0, look: int | None = None) -> Comparison:
    """Pair two evaluations by row. Rows with an error on either side are left out, and those of the winner counted."""
    by_row = differences_of(baseline, winner)
    values = list(by_row.values())
    n = len(values)
    found = signs(values)
    lost = lost_rows(baseline, winner)
    return Comparison(
        n=n,
        baseline=_mean_of(baseline, by_row),
        winner=_mean_of(winner, by_row),
        gain=sum(values) / n if n else 0.0,
        ci=paired_interval(values, seed=seed),
        p=mid_p(found.up, found.down),
        discordant=found.discordant,
        fixed=tuple(k for k in by_row if not baseline.results[k].passed and winner.results[k].passed),
        broken=tuple(k for k in by_row if baseline.results[k].passed and not winner.results[k].passed),
        look=look,
        lost=lost,
        p_lost=mid_p(found.up, found.down + lost) if lost else None,
    )


def gain_is_shown(comparison: Comparison) -> bool:
    """Interval above zero, mid-p small enough for this look, and enough discordant rows.

    The mid-p has to be small enough also if every row that the winner lost to an error had fallen.

    At the k-th look at one test split the level is 0.025 / 2^(k-1): over any number of looks the levels sum to
    under 0.05 (a Bonferroni spending rule), so that repeated looking cannot produce a claim for free.
    """
    worst = comparison.p if comparison.p_lost is None else comparison.p_lost
    return _shown(comparison.ci[0] > 0, worst, comparison)


def loss_is_shown(comparison: Comparison) -> bool:
    """The mirror image of `gain_is_shown`."""
    return _shown(comparison.ci[1] < 0, 1.0 - comparison.p, comparison)


def _shown(interval_clear: bool, p: float, comparison: Comparison) -> bool:
    return interval_clear and p <= level_at(comparison.look) and comparison.discordant >= MIN_DISCORDANT


def level_at(look: int | None) -> float:
    """One-sided level of the k-th look at one test split: 0.025 / 2^(k-1)."""
    return float(ALPHA * 0.5 ** ((look or 1) - 1))


def _mean_of(evaluation: Evaluation, rows: Mapping[str, float]) -> float:
    scores = evaluation.scored
    return sum(scores[key] for key in rows) / len(rows) if rows else 0.0


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    n = len(values)
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / max(n - 1, 1)
    return mean, math.sqrt(variance / n)


def _cut(low: float, high: float) -> tuple[float, float]:
    return max(low, -1.0), min(high, 1.0)
