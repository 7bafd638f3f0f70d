"""Results that are not held in memory: they lie in a temporary file, and are read from it at every use."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

from optimizer.dataset import Split
from optimizer.results import Result
from optimizer.spool import Spool
from optimizer.store.codec import dumps, loads


class ResultSpool:
    """Takes results one by one, and gives each split's as a mapping. Raises StoreError where there is no room."""

    def __init__(self) -> None:
        self._spool = Spool()

    def add(self, result: Result, split: Split) -> None:
        """Take one result; all are added before the first is read."""
        self._spool.add(result.example, split.value, dumps(Result, result))

    def of(self, split: Split | None = None) -> Mapping[str, Result]:
        """Example id -> result of one split, or of all, in the order that `EvalSet.split` gives rows."""
        return SpooledResults(self._spool, split)


class SpooledResults(Mapping[str, Result]):
    """Results of one split, or of all. Pickled or copied, it is a dict."""

    def __init__(self, spool: Spool, split: Split | None) -> None:
        self._spool = spool
        self._kind = None if split is None else split.value

    def __getitem__(self, example: str) -> Result:
        found = self._spool.find(example)
        if found is None or self._kind not in (None, found[0]):
            raise KeyError(example)
        return _result(found[1])

    def __iter__(self) -> Iterator[str]:
        return self._spool.names(self._kind)

    def __len__(self) -> int:
        return self._spool.count(self._kind)

    def pairs(self) -> Iterator[tuple[str, Result]]:
        """Ids and results, one by one."""
        return ((name, _result(body)) for name, body in self._spool.placed(self._kind))

    def values(self) -> ValuesView[Result]:
        """Results, one by one."""
        return _Values(self)

    def items(self) -> ItemsView[str, Result]:
        """Ids and results, one by one."""
        return _Items(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self.pairs()),)


class _Values(ValuesView[Result]):
    _mapping: SpooledResults

    def __iter__(self) -> Iterator[Result]:
        return (result for _, result in self._mapping.pairs())


class _Items(ItemsView[str, Result]):
    _mapping: SpooledResults

    def __iter__(self) -> Iterator[tuple[str, Result]]:
        return self._mapping.pairs()


def _result(body: str) -> Result:
    found: Result = loads(Result, body)
    return found
