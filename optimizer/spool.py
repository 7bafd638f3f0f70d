"""Texts that are not held in memory: a temporary file of the process, gone with it.

However many rows an eval set has, reading and scoring them takes the memory of a few: what is needed later goes to the
file, and is read back one by one by whoever asks.
"""

from __future__ import annotations

import hashlib
import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from optimizer.errors import StoreError

BATCH = 500
"""Texts that are written at once."""
_SETTINGS = ("cache_size = -1024", "journal_mode = OFF", "synchronous = OFF", "temp_store = FILE")
_TABLE = "CREATE TABLE texts (number INTEGER PRIMARY KEY, place BLOB, name TEXT, kind TEXT, body BLOB)"
_INDEX = "CREATE INDEX by_place ON texts (place)"


class Spool:
    """Named texts of some kinds, numbered from 0 on as they come. Raises StoreError where there is no room for them."""

    def __init__(self) -> None:
        """Open the file. SQLite makes it in the folder for temporary files, and leaves it no name there."""
        self._waiting: list[tuple[int, bytes, str, str, bytes]] = []
        self._size = 0
        self._indexed = False
        with _room():
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._db.close)
            for setting in _SETTINGS:
                self._db.execute(f"PRAGMA {setting}").close()
            self._db.execute(_TABLE)

    def __len__(self) -> int:
        return self._size

    def add(self, name: str, kind: str, body: str) -> None:
        """Take one text; all are added before they are looked up by name."""
        self._waiting.append((self._size, place(name), name, kind, body.encode("utf-8", "surrogatepass")))
        self._size += 1
        if len(self._waiting) >= BATCH:
            self._write()

    def kinds(self, kinds: Iterable[str]) -> None:
        """Give every text its kind, in the order in which they came."""
        self._write()
        with _room():
            self._db.execute("BEGIN")
            changed = ((kind, number) for number, kind in enumerate(kinds))
            self._db.executemany("UPDATE texts SET kind = ? WHERE number = ?", changed)
            self._db.execute("COMMIT")

    def each(self) -> Iterator[tuple[str, str]]:
        """(name, text) of all, as they came."""
        return _pairs(self._query("SELECT name, body FROM texts ORDER BY number"))

    def placed(self, kind: str | None = None) -> Iterator[tuple[str, str]]:
        """(name, text) of one kind, or of all, in the order that `EvalSet.split` has."""
        return _pairs(self._query(f"SELECT name, body {_OF_KIND} ORDER BY place", kind))

    def names(self, kind: str | None = None) -> Iterator[str]:
        """Names in the same order."""
        return (name for (name,) in self._query(f"SELECT name {_OF_KIND} ORDER BY place", kind))

    def count(self, kind: str | None = None) -> int:
        """How many there are."""
        ((found,),) = self._query(f"SELECT count(*) {_OF_KIND}", kind)
        return int(found)

    def at(self, number: int) -> tuple[str, str] | None:
        """(name, text) of a number, or None."""
        return next(_pairs(self._query("SELECT name, body FROM texts WHERE number = ?", number)), None)

    def find(self, name: str) -> tuple[str, str] | None:
        """(kind, text) of a name, or None."""
        found = self._query("SELECT kind, body FROM texts WHERE place = ?", place(name))
        return next(((kind, _text(body)) for kind, body in found), None)

    def _query(self, sql: str, *cells: Any) -> Iterator[Any]:
        self._write()
        if "place" in sql and not self._indexed:
            with _room():
                self._db.execute(_INDEX)
            self._indexed = True
        with _room():
            # Not `yield from`: that would close the cursor where a reader leaves early, be it after the file is closed.
            for found in self._db.execute(sql, cells):  # noqa: UP028
                yield found

    def _write(self) -> None:
        if not self._waiting:
            return
        with _room():
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO texts VALUES (?, ?, ?, ?, ?)", self._waiting)
            self._db.execute("COMMIT")
        self._waiting.clear()


_OF_KIND = "FROM texts WHERE kind = ifnull(?, kind)"


def place(name: str) -> bytes:
    """What the rows of a split are ordered by; see `EvalSet.split`."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def _pairs(rows: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    return ((name, _text(body)) for name, body in rows)


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogatepass")


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"temporary file: {error} (make room, or name another folder in TMPDIR)") from error
