"""Rows of the cache's file, in diskcache's table: many are written at once, and none is believed when it is read."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from optimizer.chunks import chunks
from optimizer.models.cache.codec import TamperedRow
from optimizer.models.cache.keys import Keys

RAW = 1
"""diskcache's mode of a value that stands in the table as it is."""
_ROW = "SELECT rowid, mode, filename, value FROM Cache WHERE key = ? AND raw = 1"
_NEXT = f"""SELECT key, mode, filename, value FROM Cache
    WHERE rowid BETWEEN ? AND ? AND raw = 1 AND length(value) <= {2**16}"""
AHEAD = 64
"""Rows that are read together: what was stored in a row is often asked for in a row, when a run is repeated."""
NEAR = 512
"""Rows between two that were asked for, one after the other, from which on they have nothing to do with each other."""
Cells = tuple[object, object, object]
"""Mode, name of a file and value of a row, as they stand there."""
_ADD = "INSERT INTO Cache (key, raw, store_time, access_time, access_count, size, mode, value) VALUES {}"
_ONE = "(?, 1, ?, ?, 0, 0, ?, ?)"
# What stood there before, a name of a file included, is replaced as a whole.
_ANEW = """ON CONFLICT (key, raw) DO UPDATE SET store_time = excluded.store_time, expire_time = NULL, tag = NULL,
    access_time = excluded.access_time, access_count = 0, size = 0, mode = excluded.mode, filename = NULL,
    value = excluded.value"""


def write(execute: Callable[[str, Sequence[object]], object], rows: Sequence[tuple[str, str]], at: float) -> None:
    """Add rows of (key, text), stored at Unix time `at`, within a transaction of the caller's. Raises sqlite3.Error.

    diskcache's own `set` is two statements a row, which made every call a tenth dearer.
    """
    for chunk in chunks(rows):
        sql = f"{_ADD.format(', '.join([_ONE] * len(chunk)))} {_ANEW}"
        execute(sql, [cell for key, text in chunk for cell in (key, at, at, RAW, text)])


class Reading:
    """A connection that only reads. It never waits: where another process holds the file, sqlite3 says so at once.

    Whatever a row says of a time to expire is not read: it was paid for.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises sqlite3.Error."""
        self.path = path
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._db = self._connect()
        self._last = 0
        self._ahead: dict[object, Cells] = {}

    def value(self, key: str) -> str | None:
        """The text of a row; None where there is none.

        Raises TamperedRow for a row that this package cannot have written, sqlite3.Error where the file cannot be
        read.
        """
        with self._lock:
            try:
                row = self._ahead.pop(key, None) or self._row(key)
            except UnicodeDecodeError as error:
                raise TamperedRow("text that is none") from error
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) is not None:
                    raise
                # The value is not the text that it claims to be: sqlite3 says so without a code.
                raise TamperedRow("text that is none") from error
        if row is None:
            return None
        mode, filename, value = row
        if mode != RAW or filename is not None or type(value) is not str:
            raise TamperedRow("a value that is not text in the table", row)
        return value

    def _row(self, key: str) -> Cells | None:
        db = self._connection()
        row = db.execute(_ROW, (key,)).fetchone()
        if row is None:
            return None
        place, *cells = row
        if 0 < place - self._last <= NEAR:
            # What is asked for out of turn is forgotten: this is no second cache.
            with suppress(sqlite3.Error, UnicodeDecodeError):
                self._ahead = {of: tuple(rest) for of, *rest in db.execute(_NEXT, (place + 1, place + AHEAD))}
        self._last = place
        mode, filename, value = cells
        return mode, filename, value

    def keys(self, most: int) -> Keys | None:
        """All keys; None where there are more than `most`, as far as their numbers tell, or the file does not tell."""
        try:
            # A connection that has read would be in the way of who wants the file alone.
            with closing(self._connect()) as once:
                (last,) = once.execute("SELECT max(rowid) FROM Cache").fetchone()
                if (last or 0) > most:
                    return None
                return Keys(key for (key,) in once.execute("SELECT key FROM Cache"))
        except sqlite3.Error:
            return None

    def forget(self, rows: Sequence[tuple[str, str]]) -> None:
        """Read rows of (key, text) anew, which were written meanwhile: what was read ahead may have been damaged."""
        with self._lock:
            for key, _ in rows:
                self._ahead.pop(key, None)

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._db.close()

    def _connection(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            # A connection must not be carried into a child.
            self._pid, self._db = os.getpid(), self._connect()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, timeout=0.0, check_same_thread=False)
