"""Reads rows of the cache's file, and believes none of them."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from optimizer.models.cache.codec import TamperedRow

RAW = 1
"""diskcache's mode of a value that stands in the table as it is."""
_ROW = "SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1"


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

    def value(self, key: str) -> str | None:
        """The text of a row; None where there is none.

        Raises TamperedRow for a row that this package cannot have written, sqlite3.Error where the file cannot be
        read.
        """
        with self._lock:
            try:
                row = self._connection().execute(_ROW, (key,)).fetchone()
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
