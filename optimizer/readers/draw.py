"""How splits are drawn: stratified by tag, whole groups together, decided by hashes alone."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping

from optimizer.dataset import Example, Split

ORDER = (Split.TRAIN, Split.VAL, Split.TEST)
"""Splits, in the order in which shares are laid out."""


class Units:
    """Rows that share a split: a group, or one row. A few bytes each, however many rows there are."""

    def __init__(self, examples: Iterable[Example], seed: int) -> None:
        self.of: array[int] = array("L")
        """Row, in file order -> its unit."""
        self.sizes: array[int] = array("L")
        """Unit -> rows."""
        self.homes = bytearray()
        """Unit -> 1 + the place of its split in ORDER; 0 where it has none yet."""
        self._hashes = array("d")
        self._tags: array[int] = array("L")
        self._sets: dict[tuple[str, ...], int] = {}
        groups: dict[str, int] = {}
        mixed: dict[int, set[str]] = {}
        for row in examples:
            unit = len(self.sizes) if row.group is None else groups.setdefault(row.group, len(self.sizes))
            if unit == len(self.sizes):
                self.sizes.append(0)
                self.homes.append(0)
                self._hashes.append(_hash(key_of(row), seed))
                self._tags.append(0 if row.group is not None else self._number(row.tags))
            if row.group is not None:
                mixed.setdefault(unit, set()).update(row.tags)
            self.sizes[unit] += 1
            self.of.append(unit)
        for unit, tags in mixed.items():
            self._tags[unit] = self._number(tags)

    def _number(self, tags: Iterable[str]) -> int:
        return self._sets.setdefault(tuple(sorted(set(tags))), len(self._sets))

    def walk(self) -> Iterator[int]:
        """Units without a split, those of the same tags together, in an order that the seed decides."""
        for tags in sorted(self._sets):
            number = self._sets[tags]
            alike = [unit for unit, home in enumerate(self.homes) if not home and self._tags[unit] == number]
            yield from sorted(alike, key=self._hashes.__getitem__)

    def splits(self) -> Iterator[Split]:
        """Each row's split, in file order."""
        return (ORDER[self.homes[unit] - 1] for unit in self.of)


def key_of(row: Example) -> str:
    """Key of a row's unit. Keys of groups and of ids must not meet."""
    return f"id:{row.id}" if row.group is None else f"group:{row.group}"


def draw(units: Units, examples: Iterable[Example], shares: Mapping[Split, float]) -> None:
    """Walk through the units tag by tag, each to the split that is furthest behind its share.

    So every stretch of the walk, and with it every tag, is close to the shares, and so is the whole.
    """
    behind = dict.fromkeys(ORDER, 0.0)
    drawn = bytearray(len(units.homes))
    for unit in units.walk():
        for split in ORDER:
            behind[split] += shares[split] * units.sizes[unit]
        chosen = max(ORDER, key=lambda split: behind[split])
        behind[chosen] -= units.sizes[unit]
        drawn[unit] = 1 + ORDER.index(chosen)
    _fill_empty(units, drawn, examples)
    for unit, home in enumerate(drawn):
        units.homes[unit] = home or units.homes[unit]


def _fill_empty(units: Units, drawn: bytearray, examples: Iterable[Example]) -> None:
    """Large groups can leave a split empty: it takes the smallest unit of the split that has most units."""
    for home in range(1, 1 + len(ORDER)):
        largest = max(range(1, 1 + len(ORDER)), key=lambda other: drawn.count(other))
        if drawn.count(home) or drawn.count(largest) <= 1:
            continue
        keys = {unit: key_of(row) for row, unit in zip(examples, units.of, strict=True) if drawn[unit] == largest}
        drawn[min(keys, key=lambda unit: (units.sizes[unit], keys[unit]))] = home


def _hash(key: str, seed: int) -> float:
    """A number in [0, 1) that depends on key and seed alone."""
    digest = hashlib.sha256(f"{seed}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def by_hash(key: str, shares: Mapping[Split, float], seed: int) -> Split:
    """The split of a unit that came after the draw."""
    point = _hash(key, seed)
    edge = 0.0
    for split in ORDER:
        edge += shares[split]
        if point < edge:
            return split
    return ORDER[-1]
