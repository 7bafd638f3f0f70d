"""The number of the newest row of the cache, in a file of its own.

SQLite takes a log of changes that was deleted or cut for one that never was: without this number, what was paid for
last would be gone without a word.
"""

from __future__ import annotations

import os
import zlib
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
            os.pwrite(self._descriptor, _line(row), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def noted(path: Path) -> int:
    """The number that a file holds; 0 where there is none, or the file is damaged."""
    try:
        line = path.read_bytes()[: _DIGITS + 10]
        row = int(line[:_DIGITS])
    except (OSError, ValueError):
        return 0
    return row if line == _line(row) else 0


def _line(row: int) -> bytes:
    digits = f"{row:0{_DIGITS}}".encode("ascii")
    return digits + f" {zlib.crc32(digits):08x}\n".encode("ascii")
