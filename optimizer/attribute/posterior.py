"""What rows say of a line, and how sure that is: a posterior of its worth. Pure.

The worth of a line is its mean effect over all rows. Rows fall into strata, and each stratum's mean counts by its
share of the rows. A stratum holds an effect or it does not (the two-groups model: Efron 2008, "Microarrays, empirical
Bayes and the two-groups model"):

- without one, rows differ by chance alone, up as often as down, at a rate that all lines of the run are pooled for;
- with one, the shares of rows that go up, go down and stay are Dirichlet. Among rows of the line's own cluster its
  centre is (u, d, s) = what the lines of this run do to the rows of their own clusters, on average, and it weighs
  1.5 rows. For n rows of which U went up and D down, the mean is (U - D + 1.5 (u - d)) / (n + 1.5): the worth of a
  line with few rows is drawn towards the share of its cluster times what lines do to their clusters. That is the
  regression on the share of Fay and Herriot (1979), "Estimates of income for small places", with the weights of a
  Dirichlet in place of normal ones.

The posterior is a mixture over which strata hold an effect, normal within each part. The 95% interval is its middle,
widened for the shares, which would be others in other rows. A line is labelled where the interval leaves out zero:
where the sign is wrong with a probability of at most 2.5% (the local false sign rate of Stephens 2017, "False
discovery rates: a new deal"). Since that holds for each label by itself, it holds on average for all labels of a run,
however many lines it prices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from optimizer.intervals import Z95
from optimizer.stats import EPSILON

CLUSTER, FAILED, NAMED, OTHERS = "cluster", "failed", "named", "others"
"""Rows of the line's own cluster; rows whose value the line names, that the winner fails; those that it passes; the
rest. A line that reaches too far is seen among the second ones first."""
OWN = (CLUSTER, FAILED, NAMED)
BESIDE = "beside"
"""These three once more, on metrics that the line is not about."""
LIVE = {CLUSTER: 0.6, FAILED: 0.2, NAMED: 0.15, OTHERS: 0.03, BESIDE: 0.03}
"""How often a stratum holds an effect, before any row is seen."""
THIN = (0.25, 0.25, 4.5)
CENTRE = {CLUSTER: (0.5,) * 3, FAILED: (0.1, 0.5, 0.9), NAMED: (0.5, 0.5, 1.0), OTHERS: THIN, BESIDE: THIN}
"""Rows up, down and the same that the Dirichlet starts from: an effect on the rest of the rows is a thin one."""
CHANCE = (0.08, 0.015, 0.005)
"""How often a row goes up by chance, before any is seen: at first asking, and after one and two more of the loser."""
MOST_CHANCE = 0.3
"""The most often that chance can be: with several metrics, more than the quarter of one that is a coin."""
PRIOR_ROWS = 12
"""Rows that this opinion counts for."""
PRIOR_OWN = 6
"""The same for what lines do to their own rows: as often up as down as nothing."""
IDLE = 0.004
"""Spread of what any line does to the score by being there: in no stratum can so little be seen."""
SURE = 0.025
"""Probability of the wrong sign up to which a line is labelled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One row with the line and without it."""

    raw: float
    """Score with the line minus score without it, in [-1, 1], at first asking: on the metrics that count here."""
    value: float
    """The same; where the side that lost was asked again, with the best of its answers."""
    beside: float | None = None
    """Difference on the other metrics, at first asking; None where all of them count here."""
    again: int = 0
    """How often the side that lost was asked again."""
    flip: int = 0
    """1 where the row passed with the line alone, -1 where it passed without it alone, at first asking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The rows of one stratum that were asked."""

    stratum: str
    """`cluster`, `failed`, `named`, `others` or `beside`."""
    share: float
    """Of all rows, in [0, 1]."""
    seen: tuple[Seen, ...]
    """Rows with a score on both sides."""
    of: int = 0
    """How many rows there are in all; 0 where the shares are known without error."""

    @property
    def up(self) -> list[float]:
        """Sizes of what rows gain by the line."""
        return [row.value for row in self.seen if row.value > EPSILON]

    @property
    def down(self) -> list[float]:
        """Sizes of what rows lose by it."""
        return [-row.value for row in self.seen if row.value < -EPSILON]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """What all lines of a run tell of each other."""

    chance: tuple[float, ...]
    """How often a row goes up by chance, and as often down: at first asking, and where the loser was asked again."""
    centre: Mapping[str, tuple[float, float, float]] = field(default_factory=lambda: CENTRE)
    """Stratum -> rows up, down and the same that its Dirichlet starts from."""
    failing: float = 1.0
    """Part of the rows that the winner fails: where it failed already, chance is that much nearer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Posterior:
    """A mixture of normal distributions of the worth."""

    parts: tuple[tuple[float, float, float], ...]
    """Weight, mean and standard deviation, for shares of the strata as they are in these rows."""
    share_variance: float = 0.0
    """What is added to the variance because other rows would fall into strata of other shares."""

    @property
    def mean(self) -> float:
        """The worth, shrunk."""
        return sum(weight * mean for weight, mean, _ in self.parts)

    def above(self, worth: float) -> float:
        """Probability that the worth is higher."""
        return sum(weight * _upper((worth - mean) / spread) for weight, mean, spread in self.parts)

    @property
    def earns(self) -> float:
        """Probability that the line does any good."""
        return self.above(0.0)

    @property
    def wrong(self) -> float:
        """Probability that the likelier sign is the wrong one."""
        return min(self.earns, 1.0 - self.earns)

    @property
    def label(self) -> str:
        """`earns`, `hurts` or `not measurable`."""
        if self.wrong > SURE:
            return "not measurable"
        return "earns" if self.earns > 0.5 else "hurts"

    @property
    def interval(self) -> tuple[float, float]:
        """The middle 95%, widened for the shares; that moves no end over zero, since no share is negative."""
        low, high = self.quantile(SURE), self.quantile(1.0 - SURE)
        more = Z95**2 * self.share_variance
        if low > 0.0 or high < 0.0:
            # On the log scale, where effect and share add up.
            ends = [self.mean * math.exp(_grown(math.log(end / self.mean), more / self.mean**2)) for end in (low, high)]
        else:
            ends = [self.mean + _grown(end - self.mean, more) for end in (low, high)]
        return max(-1.0, ends[0]), min(1.0, ends[1])

    def quantile(self, part: float) -> float:
        """The worth under which that part of the probability lies, in [-1, 1]."""
        low, high = -1.5, 1.5
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if 1.0 - self.above(middle) < part else (low, middle)
        return max(-1.0, min(1.0, (low + high) / 2))


def pooled(tallies: Sequence[Tally], metrics: int = 1, failing: float = 1.0) -> Pool:
    """Rates of chance from the rows that no line aims at, and what lines do to the rows of their own clusters.

    A few rows of prior opinion stand beside those counted, so that a run with one line has rates as well.

    Args:
        tallies: of all lines.
        metrics: how many a row has: the more there are, the more often one of them differs.
        failing: part of the rows that the winner fails, in (0, 1].
    """
    rest = [row for tally in tallies if tally.stratum == OTHERS for row in tally.seen]
    own = [tally for tally in tallies if tally.stratum == CLUSTER]
    up, down = sum(len(tally.up) for tally in own), sum(len(tally.down) for tally in own)
    rows = sum(len(tally.seen) for tally in own)
    counts = (up, down, rows - up - down)
    weight = sum(CENTRE[CLUSTER])
    up_share, down_share, same_share = (weight * (c + PRIOR_OWN / 3) / (rows + PRIOR_OWN) for c in counts)
    return Pool(
        chance=tuple(_chance(rest, times, prior * metrics) for times, prior in enumerate(CHANCE)),
        centre={**CENTRE, CLUSTER: (up_share, down_share, same_share)},
        failing=failing,
    )


def _chance(rest: Sequence[Seen], times: int, prior: float) -> float:
    """How often a row still goes up after so many askings more."""
    if times == 0:
        rows, differ = len(rest), sum(abs(row.raw) > EPSILON for row in rest)
    else:
        known = [row for row in rest if row.again >= times or abs(row.value) <= EPSILON]
        rows = len(known)
        differ = sum(row.again > times or (row.again == times and abs(row.value) > EPSILON) for row in known)
    most: float = MOST_CHANCE * 0.5**times
    return min((differ / 2 + min(prior, most) * PRIOR_ROWS) / (rows + PRIOR_ROWS), most)


def posterior(tallies: Sequence[Tally], pool: Pool) -> Posterior:
    """The worth of a line over all rows: each stratum's mean by its share of them."""
    told = [tally for tally in tallies if tally.share > 0]
    groups = [_groups(tally, pool) for tally in told]
    parts = []
    for chosen in product(*groups):
        weight = math.prod(part[0] for part in chosen)
        mean = sum(part[1] for part in chosen)
        parts.append((weight, mean, math.sqrt(sum(part[2] for part in chosen) + IDLE**2)))
    means = [sum(weight * mean for weight, mean, _ in group) for group in groups]
    # The share of c among n rows has a relative variance of (1 - c/n) / c.
    variance = sum(
        mean**2 * (1.0 - tally.share) / (tally.share * tally.of)
        for mean, tally in zip(means, told, strict=True)
        if tally.of
    )
    return Posterior(parts=tuple(parts), share_variance=variance)


def raw_worth(tallies: Sequence[Tally]) -> float | None:
    """The stratified mean before it is shrunk: noisy. None where a stratum was not reached.

    Its expectation is the mean of p - q over the rows, for a row that passes with p and q: or, where the loser was
    asked again k times, of something between that and 0, with its sign (see `asking`).
    """
    told = [tally for tally in tallies if tally.share > 0]
    if not told or any(not tally.seen for tally in told):
        return None
    return sum(tally.share * sum(row.value for row in tally.seen) / len(tally.seen) for tally in told)


def _groups(tally: Tally, pool: Pool) -> list[tuple[float, float, float]]:
    """(probability, mean, variance) of a stratum's part of the worth: with no effect, and with one."""
    live = _live(tally, pool)
    mean, variance = _effect(tally, pool)
    return [(1.0 - live, 0.0, 0.0), (live, tally.share * mean, tally.share**2 * variance)]


def _live(tally: Tally, pool: Pool) -> float:
    """Posterior probability that a stratum holds an effect."""
    prior = LIVE[tally.stratum]
    up, down, rows = len(tally.up), len(tally.down), len(tally.seen)
    alpha = pool.centre[tally.stratum]
    counts = (up, down, rows - up - down)
    effect = math.lgamma(sum(alpha)) - math.lgamma(sum(alpha) + rows)
    effect += sum(math.lgamma(a + count) - math.lgamma(a) for a, count in zip(alpha, counts, strict=True))
    scale = 1.0 / pool.failing if tally.stratum == FAILED else 1.0
    chance = sum(math.log(_by_chance(row, pool, scale)) for row in tally.seen)
    odds = math.log(prior / (1.0 - prior)) + effect - chance
    return 1.0 / (1.0 + math.exp(-max(min(odds, 50.0), -50.0)))


def _by_chance(row: Seen, pool: Pool, scale: float) -> float:
    if abs(row.value) <= EPSILON:
        return 1.0 - 2.0 * min(scale * pool.chance[-1], MOST_CHANCE)
    return min(scale * pool.chance[min(row.again, len(pool.chance) - 1)], MOST_CHANCE)


def _effect(tally: Tally, pool: Pool) -> tuple[float, float]:
    """Mean and variance of a stratum's effect where it has one."""
    alpha = pool.centre[tally.stratum]
    up, down = tally.up, tally.down
    total = sum(alpha) + len(tally.seen)
    more, less = (alpha[0] + len(up)) / total, (alpha[1] + len(down)) / total
    size = _mean([*up, *down], 1.0)
    gain, loss = more * _mean(up, size), less * _mean(down, size)
    squares = more * _mean([d**2 for d in up], size**2) + less * _mean([d**2 for d in down], size**2)
    return gain - loss, max(squares - (gain - loss) ** 2, 0.0) / (total + 1.0)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _grown(distance: float, variance: float) -> float:
    """A distance to the middle, and a further variance on top of what it stands for."""
    return math.copysign(math.sqrt(distance**2 + variance), distance)


def _upper(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2.0))
