"""How well clusters agree with true causes: adjusted Rand index and extended B-cubed, in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import comb


@dataclass(frozen=True, kw_only=True, slots=True)
class Bcubed:
    """Extended B-cubed of overlapping clusters (Amigo et al. 2009); each figure in [0, 1]."""

    precision: float
    """How much of what a row shares a cluster with shares its causes too."""
    recall: float
    """How much of what a row shares a cause with shares its clusters too."""

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def adjusted_rand(truth: Sequence[Hashable], found: Sequence[Hashable]) -> float:
    """Agreement of two partitions of the same items, 1 for the same and 0 as by chance (Hubert and Arabie 1985).

    Args:
        truth: the true part of each item.
        found: the part that each item was put in, in the same order.
    """
    if len(truth) != len(found):
        raise ValueError(f"{len(truth)} items in one partition, {len(found)} in the other")
    together = sum(comb(count, 2) for count in Counter(zip(truth, found, strict=True)).values())
    rows = sum(comb(count, 2) for count in Counter(truth).values())
    columns = sum(comb(count, 2) for count in Counter(found).values())
    pairs = comb(len(truth), 2)
    expected = rows * columns / pairs if pairs else 0.0
    most = (rows + columns) / 2
    # Equal only where both put all items together, or each by itself: the same partition.
    return 1.0 if most == expected else (together - expected) / (most - expected)


def extended_bcubed(truth: Mapping[str, frozenset[str]], found: Mapping[str, frozenset[str]]) -> Bcubed:
    """Multiplicity precision and recall, averaged over pairs that share something, then over items.

    Args:
        truth: item -> its true causes.
        found: item -> its clusters; the same items.
    """
    return Bcubed(precision=_multiplicity(found, truth), recall=_multiplicity(truth, found))


def _multiplicity(shared: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> float:
    """Mean over items of the mean over items that share a group with it (itself included) of min(a, b) / a.

    a is how many groups the two share in `shared`, b how many they share in `other`.
    """
    means = []
    for item, groups in shared.items():
        values = []
        for second, others in shared.items():
            if both := len(groups & others):
                values.append(min(both, len(other[item] & other[second])) / both)
        if values:
            means.append(sum(values) / len(values))
    return sum(means) / len(means) if means else 0.0
