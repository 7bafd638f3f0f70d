"""The number of the newest row of the cache, in a file of its own.

SQLite takes a log of changes that was deleted or cut for one that never was: without this number, what was paid for
last would be gone without a word.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_DIGITS = 20


class Newest:
    """The file, open for writing."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def note(self, row: int) -> None:
        """Write the number down; it need not be durable, since one that is too low does no harm."""
        with suppress(OSError):
            os.pwrite(self._descriptor, f"{row:0{_DIGITS}}\n".encode("ascii"), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
