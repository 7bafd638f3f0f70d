"""Results that are not held in memory: a temporary file of the process, gone with it.

An evaluation of 100,000 rows takes the memory of a few: its results go to the file as they come, and are read back one
by one by whoever asks.
"""

from __future__ import annotations

import hashlib
import sqlite3
import weakref
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from contextlib import contextmanager
from typing import Any

from optimizer.dataset import Split
from optimizer.errors import StoreError
from optimizer.results import Result
from optimizer.store.codec import dumps, loads

BATCH = 500
"""Results that are written at once."""
CACHE = "PRAGMA cache_size = -1024"
"""KiB of the file that SQLite holds in memory."""
_TABLE = "CREATE TABLE results (place BLOB, split TEXT, example TEXT, body BLOB)"
_INDEX = "CREATE UNIQUE INDEX by_place ON results (place)"


class ResultSpool:
    """Takes results one by one, and gives each split's as a mapping. Raises StoreError where there is no room."""

    def __init__(self) -> None:
        """Open the file. SQLite makes it in the folder for temporary files, without a name in it."""
        self._waiting: list[tuple[bytes, str, str, bytes]] = []
        self._sorted = False
        with _room():
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._db.close)
            for setting in (CACHE, "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA temp_store = FILE"):
                self._db.execute(setting).close()
            self._db.execute(_TABLE)

    def add(self, result: Result, split: Split) -> None:
        """Take one result; all are added before the first is read."""
        body = dumps(Result, result).encode("utf-8", "surrogatepass")
        self._waiting.append((_place(result.example), split.value, result.example, body))
        if len(self._waiting) >= BATCH:
            self._write()

    def of(self, split: Split | None = None) -> Mapping[str, Result]:
        """Example id -> result of one split, or of all, in the order that `EvalSet.split` gives rows."""
        self._write()
        if not self._sorted:
            with _room():
                self._db.execute(_INDEX)
            self._sorted = True
        return SpooledResults(self, split)

    def query(self, sql: str, *cells: Any) -> Iterator[Any]:
        """Rows of one statement, one by one."""
        with _room():
            yield from self._db.execute(sql, cells)

    def _write(self) -> None:
        with _room():
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO results VALUES (?, ?, ?, ?)", self._waiting)
            self._db.execute("COMMIT")
        self._waiting.clear()


class SpooledResults(Mapping[str, Result]):
    """Results of one split, read from the file at every use. Pickled or copied, it is a dict."""

    def __init__(self, spool: ResultSpool, split: Split | None) -> None:
        self._spool = spool
        self._split = None if split is None else split.value

    def __getitem__(self, example: str) -> Result:
        for (body,) in self._query("body", "AND place = ?", _place(example)):
            return _result(body)
        raise KeyError(example)

    def __iter__(self) -> Iterator[str]:
        return (example for (example,) in self._query("example", "ORDER BY place"))

    def __len__(self) -> int:
        ((rows,),) = self._query("count(*)")
        return int(rows)

    def pairs(self) -> Iterator[tuple[str, Result]]:
        """Ids and results, one by one."""
        return ((example, _result(body)) for example, body in self._query("example, body", "ORDER BY place"))

    def values(self) -> ValuesView[Result]:
        """Results, one by one."""
        return _Values(self)

    def items(self) -> ItemsView[str, Result]:
        """Ids and results, one by one."""
        return _Items(self)

    def _query(self, columns: str, rest: str = "", *cells: Any) -> Iterator[Any]:
        sql = f"SELECT {columns} FROM results WHERE split = ifnull(?, split) {rest}"
        return self._spool.query(sql, self._split, *cells)

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


def _place(example: str) -> bytes:
    """Orders results as `EvalSet.split` orders rows."""
    return hashlib.sha256(example.encode("utf-8", "surrogatepass")).digest()


def _result(body: bytes) -> Result:
    found: Result = loads(Result, body.decode("utf-8", "surrogatepass"))
    return found


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"temporary file: {error} (make room, or name another folder in TMPDIR)") from error
