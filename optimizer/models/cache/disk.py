"""diskcache behind one file.

Rows are text and stand in the table itself: no row is ever unpickled, no row names a file. Nothing is evicted and
nothing expires, since everything here was paid for.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.errors import StoreError
from optimizer.models.cache import folder as files
from optimizer.models.cache.claims import Claims
from optimizer.models.cache.codec import TamperedRow, decode, encode
from optimizer.models.cache.writer import Writer
from optimizer.results import Completion

BUSY_SECONDS = 60.0
"""How long a commit waits for another process that writes."""
_FULL = 2

log = logging.getLogger(__name__)


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


class CompletionCache:
    """Completions by cache key, in a folder of their own. A context manager, plain or async."""

    def __init__(self, folder: Path) -> None:
        """Open or make the cache.

        A damaged file is moved aside, what can be read of it is kept, and one warning says so. Raises StoreError
        where the folder cannot be read and written.
        """
        self.folder = folder
        self.dropped = 0
        """Rows found damaged since it was opened; they are asked anew."""
        self._writing: dict[str, asyncio.Future[BaseException | None]] = {}
        try:
            moved = files.prepare(folder)
            self._table = _open_table(folder)
            self._claims = Claims(folder / "claims")
        except (sqlite3.Error, OSError) as error:
            raise self._fault("open", error) from error
        if moved is not None:
            self._restore(moved)
        self._writer = Writer(self._commit, self._table.close)

    def get(self, key: str) -> Completion | None:
        """The completion of a key, or None. Takes microseconds, so it is called on the event loop."""
        try:
            row = self._table.get(key)
        except (TamperedRow, UnicodeDecodeError):
            row = ""
        except sqlite3.DatabaseError as error:
            if files.code_of(error) is not None:
                raise self._fault("read", error) from error
            # The value is not the text that it claims to be: sqlite3 says so without a code.
            row = ""
        if row is None:
            return None
        completion = decode(key, row)
        if completion is None:
            self.dropped += 1
            log.warning("cache: entry %s is damaged and is asked anew (%d so far)", key[:12], self.dropped)
        return completion

    async def put(self, key: str, completion: Completion) -> None:
        """Store a completion; returns once it is durable. Raises StoreError where it cannot be stored.

        A caller that is cancelled meanwhile does not take the row back.
        """
        written = self._writing[key] = self._writer.put(key, encode(key, completion))
        written.add_done_callback(lambda done: self._forget(key, done))
        failure = await asyncio.shield(written)
        if failure is not None:
            raise failure

    async def settled(self, key: str) -> None:
        """Wait until a `put` of this key that is under way has ended."""
        written = self._writing.get(key)
        if written is not None:
            await asyncio.wait((written,))

    @asynccontextmanager
    async def claimed(self, key: str) -> AsyncIterator[None]:
        """Keep other processes from asking for a key meanwhile; waits for one that does. Look at the table inside."""
        await self._claims.take(key)
        try:
            yield
        finally:
            self._claims.give_back(key)

    def stats(self) -> CacheStats:
        """Count the entries and measure the files."""
        with files.connect(self.folder) as connection:
            entries, oldest, newest = connection.execute(
                "SELECT count(*), min(store_time), max(store_time) FROM Cache"
            ).fetchone()
        return CacheStats(entries=entries, bytes=files.size(self.folder), oldest=oldest, newest=newest)

    def stored(self, beginning: str, most: int = 3) -> list[tuple[str, float]]:
        """Keys that begin like that, with the time at which they were stored."""
        with files.connect(self.folder) as connection:
            rows = connection.execute(
                "SELECT key, store_time FROM Cache WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
                (beginning, beginning + "\U0010ffff", most),
            )
            return [(str(key), float(at)) for key, at in rows]

    def surplus(self, *, older_than: float | None = None, keep_bytes: int | None = None) -> Surplus:
        """What `prune` with the same arguments would delete."""
        with files.connect(self.folder) as connection:
            entries, size, newest = connection.execute(
                f"SELECT count(*), total(size), max(store_time) {_SURPLUS}", _limits(older_than, keep_bytes)
            ).fetchone()
        return Surplus(entries=entries, bytes=int(size), newest=newest)

    def prune(self, older_than: float | None = None, *, keep_bytes: int | None = None) -> int:
        """Delete entries, the oldest first; returns how many.

        Args:
            older_than: those stored more than that many seconds ago.
            keep_bytes: those beyond this size, counted from the newest; the file itself takes somewhat more.
        """
        with files.connect(self.folder) as connection:
            deleted = connection.execute(
                f"DELETE FROM Cache WHERE rowid IN (SELECT place {_SURPLUS})", _limits(older_than, keep_bytes)
            )
            connection.commit()
            connection.execute("VACUUM")
        return deleted.rowcount

    def close(self) -> None:
        """Write what was handed over, then close the file."""
        self._writer.close()
        self._table.close()
        self._claims.close()

    def __enter__(self) -> CompletionCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> CompletionCache:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _forget(self, key: str, written: asyncio.Future[BaseException | None]) -> None:
        if self._writing.get(key) is written:
            del self._writing[key]

    def _commit(self, rows: Sequence[tuple[str, str]]) -> None:
        import diskcache

        try:
            with self._table.transact():
                for key, text in rows:
                    self._table.set(key, text)
        except diskcache.Timeout as error:
            # diskcache calls everything that keeps a transaction from beginning a timeout.
            raise self._fault("write", error.__context__) from error
        except (sqlite3.Error, OSError) as error:
            raise self._fault("write", error) from error

    def _fault(self, what: str, error: BaseException | None) -> StoreError:
        if isinstance(error, sqlite3.Error) and files.is_damage(error):
            files.mark(self.folder)
            return StoreError(
                f"the cache in {self.folder} is damaged ({error}); resume: the next start keeps what can be read"
            )
        return StoreError(f"cannot {what} the cache in {self.folder}: {_why(error)}")

    def _restore(self, moved: Path) -> None:
        rows = list(files.salvage(moved))
        self._commit(rows)
        log.warning(
            "cache: the file in %s was damaged; %d entries could be read and are kept, the damaged file is now in %s",
            self.folder,
            len(rows),
            moved,
        )


_SURPLUS = """
FROM (
    SELECT rowid AS place, store_time, length(key) + length(value) AS size,
        SUM(length(key) + length(value)) OVER (ORDER BY store_time DESC, rowid DESC) AS so_far
    FROM Cache
) WHERE store_time < ? OR so_far > ?
"""
"""Entries that are too old or too many, counted from the newest."""


def _limits(older_than: float | None, keep_bytes: int | None) -> tuple[float, float]:
    """The two limits of `_SURPLUS`; one that is not given leaves everything."""
    oldest = float("-inf") if older_than is None else time.time() - older_than
    return oldest, float("inf") if keep_bytes is None else float(keep_bytes)


def _why(error: BaseException | None) -> str:
    text = str(error)
    if "locked" in text:
        return f"another process has held it for {BUSY_SECONDS:.0f} s"
    return text or type(error).__name__


def _open_table(folder: Path) -> Any:
    import diskcache

    from optimizer.models.cache.text import TextDisk

    # Settings given here replace those in the file, which anyone may have written.
    return diskcache.Cache(
        str(folder),
        timeout=BUSY_SECONDS,
        disk=TextDisk,
        **{
            **diskcache.DEFAULT_SETTINGS,
            "eviction_policy": "none",
            "cull_limit": 0,
            "statistics": 0,
            "sqlite_synchronous": _FULL,
        },
    )
