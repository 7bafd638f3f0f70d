"""Causes from round to round: which cluster of a round is which one of the round before.

A cluster is found again by its id; where that changed, by its rows, if it lies in the same place. What is not found
again is fixed, for as long as it does not come back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from optimizer.failures import Cluster
from optimizer.phrasing.stems import stems

SAME_ROWS: Final = 0.5
"""Jaccard overlap of rows from which two clusters of one place are one cause."""
REST: Final = 0.8
"""Share of a cluster's rows in an earlier one that says the same, from which it is what is left of that one."""
SAME_WORDS: Final = 0.5
"""Jaccard overlap of the words of two labels from which they say the same."""


class Stage(StrEnum):
    """What became of a cause since the round before."""

    NEW = "new"
    """It was in no earlier round."""
    OPEN = "open"
    """As many rows or more."""
    SHRUNK = "shrunk"
    """Fewer rows."""
    FIXED = "fixed"
    """It was in an earlier round and is gone."""
    UNKNOWN = "unknown"
    """The rounds found fewer of its rows, or none, and not all of them have a score under the prompt that is shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """One cluster in one round."""

    id: str
    """Cluster id in that round."""
    rows: frozenset[str]
    """Ids of its members."""
    place: str = ""
    """Where the expectation broke."""
    wanted: tuple[str, ...] = ()
    """What was wanted there, most frequent first."""
    label: str = ""
    """The cause in words."""

    @classmethod
    def of(cls, found: Cluster) -> Sighting:
        """A cluster as it was found."""
        rows = frozenset(member.example.id for member in found.members)
        return cls(id=found.id, rows=rows, place=found.place, wanted=found.wanted, label=found.label)


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """One cause over all rounds."""

    sightings: tuple[Sighting | None, ...]
    """One a round; None where it was not there."""

    @property
    def id(self) -> str:
        """The id under which it was found first."""
        return next(seen.id for seen in self.sightings if seen)

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids that it had, the first one first; no other life has one of them."""
        return tuple(dict.fromkeys(seen.id for seen in self.sightings if seen))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows in each round."""
        return tuple(len(seen.rows) if seen else 0 for seen in self.sightings)

    @property
    def stages(self) -> tuple[Stage | None, ...]:
        """What had become of it in each round; None in those before it was found."""
        stages: list[Stage | None] = []
        last = 0
        for size in self.sizes:
            stages.append(_stage(last, size))
            last = size or last
        return tuple(stages)

    @property
    def stage(self) -> Stage:
        """What has become of it in the last round, against the one before."""
        return self.stages[-1] or Stage.NEW

    @property
    def since_found(self) -> Stage:
        """What has become of it until the last round, against the one in which it was found."""
        return since_found(self.sizes)


def lives(rounds: Sequence[Iterable[Sighting]]) -> tuple[Life, ...]:
    """Follow every cause through the rounds.

    Args:
        rounds: the clusters of each round, in order; no id twice in a round.

    Returns one life a cause, those of earlier rounds first, in the order of their clusters.
    """
    known: list[list[Sighting | None]] = []
    life_of: dict[str, int] = {}
    for number, round_ in enumerate(rounds):
        found = list(round_)
        life_of |= _by_rows(known, life_of, found)
        now: dict[int, list[Sighting]] = {}
        for seen in found:
            if seen.id not in life_of:
                life_of[seen.id] = len(known)
                known.append([None] * number)
            now.setdefault(life_of[seen.id], []).append(seen)
        for place, life in enumerate(known):
            life.append(_joined(now[place]) if place in now else None)
    return tuple(Life(sightings=tuple(life)) for life in known)


def _by_rows(
    known: Sequence[Sequence[Sighting | None]], life_of: Mapping[str, int], found: Sequence[Sighting]
) -> dict[str, int]:
    """Id that no life has yet -> the life that it goes on, the most alike first; each such life once."""
    again = {life_of[seen.id] for seen in found if seen.id in life_of}
    last = {
        number: next(seen for seen in reversed(life) if seen)
        for number, life in enumerate(known)
        if number not in again
    }
    holders: dict[str, list[int]] = defaultdict(list)
    for number, before in last.items():
        for row in before.rows:
            holders[row].append(number)
    likeness: list[tuple[float, int, str]] = []
    for seen in found:
        if seen.id not in life_of:
            near = {number for row in seen.rows for number in holders[row]}
            likeness += [(-_alike(last[number], seen), number, seen.id) for number in near]
    goes_on: dict[str, int] = {}
    taken: set[int] = set()
    for alike, number, name in sorted(likeness):
        if alike < 0 and name not in goes_on and number not in taken:
            goes_on[name] = number
            taken.add(number)
    return goes_on


def _joined(parts: Sequence[Sighting]) -> Sighting:
    """Clusters of one life in one round, where it fell apart: the largest one, with the rows of all."""
    largest = max(parts, key=lambda seen: len(seen.rows))
    return replace(largest, rows=frozenset().union(*(seen.rows for seen in parts)))


def _alike(before: Sighting, now: Sighting) -> float:
    """How much of two clusters' rows coincide, in [0, 1]; 0 where they are two causes."""
    if before.place != now.place or not now.rows:
        return 0.0
    both = len(before.rows & now.rows)
    jaccard = both / len(before.rows | now.rows)
    rest = both >= REST * len(now.rows) and _says_the_same(before, now)
    return jaccard if jaccard >= SAME_ROWS or rest else 0.0


def _says_the_same(before: Sighting, now: Sighting) -> bool:
    """They want the same; or, where nothing is wanted, their labels share most words."""
    if before.wanted or now.wanted:
        return before.wanted[:1] == now.wanted[:1]
    first, second = stems(before.label), stems(now.label)
    return len(first & second) >= SAME_WORDS * max(len(first | second), 1)


def since_found(sizes: Sequence[int]) -> Stage:
    """What has become of a cause, by its rows in each round; new where the last of several rounds is its first."""
    first = next((number for number, size in enumerate(sizes) if size), 0)
    if first and first == len(sizes) - 1:
        return Stage.NEW
    if not sizes[-1]:
        return Stage.FIXED
    return Stage.SHRUNK if sizes[-1] < sizes[first] else Stage.OPEN


def _stage(last: int, size: int) -> Stage | None:
    if not last:
        return Stage.NEW if size else None
    if not size:
        return Stage.FIXED
    return Stage.SHRUNK if size < last else Stage.OPEN
