"""Many rows in few statements.

After each statement a writing thread waits for the interpreter's lock, up to 5 ms while the event loop is busy: one
statement a row would halve the rate of calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

SIZES = (32, 16, 8, 4, 2, 1)
"""Rows in one statement: few sizes, so that SQLite parses each but once; 32 rows fit the oldest limit on parameters."""

Row = TypeVar("Row")


def chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """All rows in order, in pieces of these sizes, the largest first."""
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
