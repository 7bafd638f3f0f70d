"""Rows and examples that are not held in memory: they lie in a temporary file, and are read from it at every use."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from optimizer.dataset import EvalSet, Example, Split
from optimizer.readers.row import Row
from optimizer.spool import Spool

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_DECODE = json.JSONDecoder().decode


class SpooledRows:
    """Rows as they were read."""

    def __init__(self) -> None:
        self._spool = Spool()

    def append(self, row: Row) -> None:
        """Take one."""
        label = (row.id, row.tags, row.group, row.split, sorted(row.fields))
        self._spool.add("", "", _ENCODE((row.line, row.inputs, row.has_expected, row.expected, *label)))

    def __iter__(self) -> Iterator[Row]:
        for _, body in self._spool.each():
            line, inputs, has_expected, expected, name, tags, group, split, fields = _DECODE(body)
            yield Row(
                line=line,
                inputs=inputs,
                has_expected=has_expected,
                expected=expected,
                id=name,
                tags=tuple(tags),
                group=group,
                split=None if split is None else Split(split),
                fields=frozenset(fields),
            )


class SpooledExamples(Sequence[Example]):
    """Examples in file order; once they have splits, by split as well."""

    def __init__(self) -> None:
        self._spool = Spool()

    def append(self, example: Example) -> None:
        """Take one; all are taken before the first is read."""
        rest = (example.tags, example.group, example.source)
        self._spool.add(example.id, "", _ENCODE((dict(example.inputs), example.expected, *rest)))

    def settle(self, splits: Iterable[Split]) -> None:
        """Give every example its split, in file order."""
        self._spool.kinds(split.value for split in splits)

    def __iter__(self) -> Iterator[Example]:
        return (_example(name, body) for name, body in self._spool.each())

    def __len__(self) -> int:
        return len(self._spool)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        found = self._spool.at(index + len(self) if index < 0 else index)
        if found is None:
            raise IndexError(index)
        return _example(*found)

    @property
    def spool(self) -> Spool:
        """Where they lie."""
        return self._spool

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)


class SpooledSplit(Sequence[Example]):
    """Examples of one split, in the order that `EvalSet.split` has."""

    def __init__(self, spool: Spool, split: Split) -> None:
        self._spool = spool
        self._kind = split.value

    def __iter__(self) -> Iterator[Example]:
        return (_example(name, body) for name, body in self._spool.placed(self._kind))

    def __len__(self) -> int:
        return self._spool.count(self._kind)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        return tuple(self)[index]


class SpooledById(Mapping[str, Example]):
    """Example id -> example."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def __getitem__(self, name: str) -> Example:
        if (found := self._spool.find(name)) is None:
            raise KeyError(name)
        return _example(name, found[1])

    def __iter__(self) -> Iterator[str]:
        return self._spool.names()

    def __len__(self) -> int:
        return len(self._spool)


class SpooledSplits(Mapping[str, Split]):
    """Example id -> split."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def __getitem__(self, name: str) -> Split:
        if (found := self._spool.find(name)) is None:
            raise KeyError(name)
        return Split(found[0])

    def __iter__(self) -> Iterator[str]:
        return self._spool.names()

    def __len__(self) -> int:
        return len(self._spool)


class SpooledEvalSet(EvalSet):
    """An eval set whose examples lie in a temporary file."""

    __slots__ = ()
    examples: SpooledExamples

    @classmethod
    def of(cls, name: str, examples: SpooledExamples, splits: Iterable[Split]) -> SpooledEvalSet:
        """Examples with their splits, in file order."""
        examples.settle(splits)
        return cls(name=name, examples=examples, splits=SpooledSplits(examples.spool))

    def split(self, name: Split) -> Sequence[Example]:
        """Examples of one split, read one by one, ordered by a hash of their id."""
        return SpooledSplit(self.examples.spool, name)

    def by_id(self) -> Mapping[str, Example]:
        """Examples by their id."""
        return SpooledById(self.examples.spool)


def _example(name: str, body: str) -> Example:
    inputs, expected, tags, group, source = _DECODE(body)
    return Example(id=name, inputs=inputs, expected=expected, tags=tuple(tags), group=group, source=source)
