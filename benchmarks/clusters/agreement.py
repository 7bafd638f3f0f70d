"""How well the clusters of failures agree with their true causes: the figures of one set of failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.clusters.measures import Bcubed, adjusted_rand, extended_bcubed
from benchmarks.clusters.truth import Known
from optimizer.cluster import cluster
from optimizer.failures import Cluster

LEAST = 3
"""Rows from which a cause counts for the adjusted Rand index."""
FEWEST = 10
"""Failures with a single cause from which the index is told: of fewer, it means nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """The figures of one set of failures."""

    rand: float | None
    """Adjusted Rand index over failures with a single cause, of causes with 3 rows or more; None for too few."""
    ceiling: float | None
    """The index of the partition by what metrics say: place, wanted, got. No word of them tells more."""
    bcubed: Bcubed
    """Over all failures."""
    failures: int
    """How many there are."""
    single: int
    """Failures that the index is measured on."""
    causes: int
    """Different true causes."""
    clusters: int
    """Clusters found."""


def agreement(known: Known) -> Agreement:
    """Cluster failures whose causes are known, and compare."""
    return compared(known.causes, cluster(known.examples, known.evaluation), said(known))


def compared(
    causes: Mapping[str, frozenset[str]], clusters: Sequence[Cluster], told: Mapping[str, str] | None = None
) -> Agreement:
    """Compare clusters with true causes.

    Args:
        causes: failing row -> its causes.
        clusters: what was found.
        told: failing row -> all that metrics say of it, for the ceiling.
    """
    found: dict[str, set[str]] = {key: set() for key in causes}
    for one in clusters:
        for member in one.members:
            found[member.example.id].add(one.id)
    groups = {key: frozenset(names) for key, names in found.items()}
    sizes = Counter(cause for names in causes.values() for cause in names)
    single = [key for key, names in sorted(causes.items()) if len(names) == 1 and sizes[next(iter(names))] >= LEAST]
    truth = [causes[key] for key in single]
    enough = len(single) >= FEWEST
    return Agreement(
        rand=adjusted_rand(truth, [groups[key] for key in single]) if enough else None,
        ceiling=adjusted_rand(truth, [told[key] for key in single]) if enough and told else None,
        bcubed=extended_bcubed(causes, groups),
        failures=len(causes),
        single=len(single),
        causes=len(sizes),
        clusters=len(clusters),
    )


def said(known: Known) -> dict[str, str]:
    """Failing row -> place, wanted and got of all that failed."""
    return {
        key: repr([(s.place, s.wanted, s.got) for s in known.evaluation.results[key].scores if not s.passed])
        for key in known.causes
    }
