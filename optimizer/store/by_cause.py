"""Which failures of one prompt have the cause that a cluster names: broken in the same place, in the same way.

A row that fails may fail for something else by now. That is told by what the metrics said of it, so no row is
clustered again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.causes import reason_kind
from optimizer.store.codec import loads
from optimizer.store.reader import RunReader
from optimizer.store.records import STRINGS

MOST_MEMBERS = 100
"""Members of a cluster that are asked in which ways they broke; the way is what they have in common."""
Way = tuple[str, str]
"""Place, and kind of the reason."""


@dataclass(kw_only=True, slots=True)
class Cause:
    """How a cluster's members broke, over all rounds."""

    ways: set[Way] = field(default_factory=set)
    """Where and how."""
    wanted: set[str] = field(default_factory=set)
    """What was wanted there; empty where that is not told."""

    def fits(self, broke: Mapping[Way, str | None], *, member: bool) -> bool:
        """Whether a row that broke in these ways (way -> what was wanted) did so for this cause.

        A member's own target is one that the cluster stands for; that of another row has to be one of them.
        """
        if not self.ways:
            return member and bool(broke)
        hits = self.ways & broke.keys()
        return bool(hits) if member or not self.wanted else any(broke[way] in self.wanted for way in hits)


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaks:
    """What failed under one candidate."""

    rows: Mapping[str, Mapping[Way, str | None]]
    """Row id -> the ways in which it broke -> what was wanted there."""

    def of(self, cause: Cause, members: Iterable[str]) -> frozenset[str]:
        """Members that fail for this cause."""
        return frozenset(row for row in members if cause.fits(self.rows.get(row, {}), member=True))

    def others(self, cause: Cause, members: frozenset[str], rows: Iterable[str]) -> frozenset[str]:
        """Rows that fail for this cause and are no members of it."""
        known = (row for row in rows if row not in members)
        return frozenset(row for row in known if cause.fits(self.rows.get(row, {}), member=False))


def breaks(reader: RunReader, candidate: str, split: str = "train") -> Breaks:
    """What failed under a candidate on one split, or of the rows that ever were in a cluster."""
    rows = reader.query(_FAILED, candidate, split)
    return Breaks(rows={example: dict(_ways(scores)) for example, scores in rows})


def causes(reader: RunReader) -> dict[str, Cause]:
    """Cluster id -> how its members broke when it was found."""
    found: dict[str, Cause] = defaultdict(Cause)
    places: dict[tuple[int, str], str] = {}
    for number, name, place, wanted in reader.query("SELECT round, id, place, wanted FROM clusters"):
        places[number, name] = place
        found[name].wanted.update(loads(STRINGS, wanted))
    for number, name, scores in reader.query(_MEMBERS, MOST_MEMBERS):
        found[name].ways.update(way for way, _ in _ways(scores) if way[0] == places.get((number, name)))
    return found


def _ways(scores: str | None) -> Iterator[tuple[Way, str | None]]:
    # A member that the file has no result of holds the whole result, not its scores alone.
    told: Any = json.loads(scores) if scores else []
    for score in told if isinstance(told, list) else told["scores"]:
        if not score["passed"]:
            yield (score.get("place", ""), reason_kind(score.get("reason", ""))), score.get("wanted")


_FAILED = """
SELECT example, scores FROM results
WHERE candidate = ? AND split = ? AND passed = 0 AND error IS NULL
"""
# The stored results: a row that was given another label since broke as it did.
_MEMBERS = """
SELECT m.round, m.cluster, COALESCE(m.result, r.scores) FROM members m
JOIN clusterings c ON c.round = m.round
LEFT JOIN main.results r ON r.candidate = c.candidate AND r.example = m.example
WHERE m.position < ?
"""
