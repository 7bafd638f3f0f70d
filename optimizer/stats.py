"""Statistics of paired comparisons, in plain Python: no numpy, no scipy (their import costs more than our sums).

All functions take one difference a row (winner minus baseline, in [-1, 1]) or counts of fixed and broken rows. Rows
of one group are not independent: where groups are given, tests and intervals take whole groups as their units.
Repeats of one row must be averaged before.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from optimizer.intervals import EPSILON as EPSILON
from optimizer.intervals import Z95, effective_rows, paired_interval
from optimizer.outcome import Comparison
from optimizer.results import Evaluation

Value = TypeVar("Value", int, float)

Z80 = 0.841621
"""One-sided 80% point of the normal distribution."""
ALPHA = 0.025
"""One-sided level of the first look."""
MIN_DISCORDANT = 6
"""With fewer rows that differ, no exact sign test is small enough to be believed."""
ENOUGH_DISCORDANT = 7.9
"""Rows that must be expected to differ so that 6 do with a probability of 80%: a Poisson count of this mean."""


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


def mid_p_of_groups(changes: Iterable[int]) -> float:
    """The same test with groups as units: the one-sided exact mid-p of a sum whose parts may each change their sign.

    Where the candidates are equal, a group is as likely to go down by as much as it went up, whatever its rows have
    to do with each other (sign changes of groups: Canay, Romano and Shaikh, Econometrica 85, 2017). With one row a
    group it is `mid_p`.

    Args:
        changes: rows up minus rows down, one number a group.
    """
    known = list(changes)
    sizes = Counter(abs(change) for change in known if change)
    if not sizes.keys() - {1}:
        return mid_p(known.count(1), known.count(-1))
    # chances[i]: that the groups which go up have `i` in sum; the statistic is then 2 i minus the sum of all sizes.
    chances = [1.0]
    for size, groups in sizes.items():
        chances = _joined(chances, _coins(groups), size)
    up = sum(change for change in known if change > 0)
    return sum(chances[up + 1 :]) + chances[up] / 2


def _coins(n: int) -> list[float]:
    """Chances of 0, 1, ... n heads of n coins."""
    ways, chances = 1, []
    for heads in range(n + 1):
        chances.append(ways / 2**n)
        ways = ways * (n - heads) // (heads + 1)
    return chances


def _joined(chances: Sequence[float], more: Sequence[float], size: int) -> list[float]:
    """Chances of the sum of two independent numbers, the second of them in steps of `size`."""
    joined = [0.0] * (len(chances) + size * (len(more) - 1))
    for step, chance in enumerate(more):
        for number, other in enumerate(chances, start=size * step):
            joined[number] += chance * other
    return joined


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


def minimum_detectable_gain(n: float, discordant_share: float = 0.2) -> float:
    """The gain that n independent paired rows show with 80% power or more at the first look, in [0, 1].

    Normal approximation, (z.975 + z.8) * sqrt(share / n), and never so little that fewer than 6 rows, which a claim
    needs, would differ one time in five. Exact enumeration gives up to 8% less: the approximation errs on the safe
    side. `discordant_share` is the part of the rows whose outcome changes; a gain of 10 points needs at least 0.1.
    """
    if n <= 0:
        return 1.0
    approximate = (Z95 + Z80) * math.sqrt(max(discordant_share, 0.1) / n)
    return min(1.0, max(ENOUGH_DISCORDANT / n, approximate))


def differences_of(baseline: Evaluation, winner: Evaluation) -> dict[str, float]:
    """Winner minus baseline by example id, for rows that ran under both, ordered by id."""
    before, after = baseline.scored, winner.scored
    return {key: after[key] - before[key] for key in sorted(before.keys() & after.keys())}


def lost_rows(baseline: Evaluation, winner: Evaluation) -> int:
    """Rows with something to lose that ended in an error under the winner alone.

    An error is no zero, and such rows are in no mean. But where a prompt breaks on just the rows that it would get
    wrong (answers cut off, say), the rows that are left look better than it is.
    """
    return len(_lost(baseline, winner))


def _lost(baseline: Evaluation, winner: Evaluation) -> list[str]:
    failed = {result.example for result in winner.errors}
    return [key for key, score in baseline.scored.items() if score > EPSILON and key in failed]


def changed_rows(baseline: Evaluation, winner: Evaluation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of rows that pass with the winner alone, and with the baseline alone, of those that ran under both."""
    rows = sorted(baseline.scored.keys() & winner.scored.keys())
    sides = [(row, baseline.results[row].passed, winner.results[row].passed) for row in rows]
    fixed = tuple(row for row, before, after in sides if after and not before)
    return fixed, tuple(row for row, before, after in sides if before and not after)


def bundles_of(values: Mapping[str, Value], groups: Mapping[str, str] | None) -> list[list[Value]]:
    """Values of rows, those of one group together; a row without a group stands alone.

    Args:
        values: example id -> value.
        groups: example id -> group, for rows that have one.
    """
    bundles: dict[tuple[bool, str], list[Value]] = {}
    for key, value in values.items():
        group = groups.get(key) if groups else None
        bundles.setdefault((group is None, key if group is None else group), []).append(value)
    return list(bundles.values())


def compare(
    baseline: Evaluation,
    winner: Evaluation,
    *,
    seed: int = 0,
    look: int | None = None,
    groups: Mapping[str, str] | None = None,
) -> Comparison:
    """Pair two evaluations by row. Rows with an error on either side are left out, and those of the winner counted.

    Args:
        baseline: the first candidate.
        winner: the second.
        seed: seed of the bootstrap.
        look: how many times these rows have been looked at; None off the test split.
        groups: example id -> group, for rows that have one; see `dataset.groups_of`.
    """
    by_row = differences_of(baseline, winner)
    n = len(by_row)
    bundles = bundles_of(by_row, groups)
    found = signs(list(by_row.values()))
    changes = {key: (value > EPSILON) - (value < -EPSILON) for key, value in by_row.items()}
    lost = dict.fromkeys(_lost(baseline, winner), -1)
    together = len(bundles) < n
    by_group = [sum(bundle) for bundle in bundles_of(changes, groups)]
    fixed, broken = changed_rows(baseline, winner)
    return Comparison(
        n=n,
        baseline=_mean_of(baseline, by_row),
        winner=_mean_of(winner, by_row),
        gain=sum(by_row.values()) / n if n else 0.0,
        ci=paired_interval(bundles, seed=seed),
        p=mid_p_of_groups(by_group),
        discordant=found.discordant,
        fixed=fixed,
        broken=broken,
        look=look,
        lost=len(lost),
        p_lost=mid_p_of_groups(map(sum, bundles_of({**changes, **lost}, groups))) if lost else None,
        groups=len(bundles) if together else None,
        moved=sum(change != 0 for change in by_group) if together else None,
        effective=effective_rows(bundles) if together else None,
    )


def gain_is_shown(comparison: Comparison) -> bool:
    """Interval above zero, mid-p small enough for this look, and enough rows, or groups of rows, that moved.

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
    return interval_clear and p <= level_at(comparison.look) and units_moved(comparison) >= MIN_DISCORDANT


def units_moved(comparison: Comparison) -> int:
    """Independent units that speak for or against: rows that differ, or groups that moved where rows have groups."""
    return comparison.discordant if comparison.moved is None else comparison.moved


def level_at(look: int | None) -> float:
    """One-sided level of the k-th look at one test split: 0.025 / 2^(k-1)."""
    return float(ALPHA * 0.5 ** ((look or 1) - 1))


def _mean_of(evaluation: Evaluation, rows: Mapping[str, float]) -> float:
    scores = evaluation.scored
    return sum(scores[key] for key in rows) / len(rows) if rows else 0.0
