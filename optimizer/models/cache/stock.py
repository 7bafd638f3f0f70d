"""What a cache holds, and which of it is surplus."""

from __future__ import annotations

import time
from dataclasses import dataclass

LATEST = 253_402_300_799.0
"""The last second of the year 9999, beyond which no calendar goes."""
SURPLUS = """
FROM (
    SELECT rowid AS place, store_time, length(key) + length(value) AS size,
        SUM(length(key) + length(value)) OVER (ORDER BY store_time DESC, rowid DESC) AS so_far
    FROM Cache
) WHERE store_time < ? OR so_far > ?
"""
"""Entries that are too old or too many, counted from the newest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheStats:
    """What a cache holds."""

    entries: int
    """Completions."""
    bytes: int
    """Size of its files."""
    oldest: float | None
    """When the first was stored, in seconds since 1970; None where there is none."""
    newest: float | None
    """When the last was stored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Surplus:
    """Entries that pruning would delete."""

    entries: int
    """How many."""
    bytes: int
    """Size of what they hold."""
    newest: float | None
    """When the last of them was stored; None where there is none."""


def moment(at: object) -> float | None:
    """A time of the table; None for what is none, since a damaged row may hold anything."""
    return at if isinstance(at, float) and 0 <= at <= LATEST else None


def limits(older_than: float | None, keep_bytes: int | None) -> tuple[float, float]:
    """The two limits of `SURPLUS`; one that is not given leaves everything."""
    oldest = float("-inf") if older_than is None else time.time() - older_than
    return oldest, float("inf") if keep_bytes is None else float(keep_bytes)
