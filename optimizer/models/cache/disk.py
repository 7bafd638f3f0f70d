"""diskcache behind one file.

Rows are text and stand in the table itself: no row is ever unpickled, no row names a file. Nothing is evicted and
nothing expires, since everything here was paid for.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optimizer import locked
from optimizer.errors import StoreError
from optimizer.models.cache import folder as files
from optimizer.models.cache.aside import Aside
from optimizer.models.cache.claims import Claim, Claims
from optimizer.models.cache.codec import TamperedRow, decode, encode
from optimizer.models.cache.keys import MOST
from optimizer.models.cache.newest import Newest
from optimizer.models.cache.stock import SURPLUS, CacheStats, Surplus, limits, moment
from optimizer.models.cache.table import Reading, write
from optimizer.models.cache.writer import Row, Writer
from optimizer.results import Completion

_FULL = 2
_PAGES = 512
"""Of 4 KiB, that a connection holds in memory."""

log = logging.getLogger(__name__)


class _Busy(StoreError):
    """Another process holds the file."""


class CompletionCache:
    """Completions by cache key, in a folder of their own. A context manager, plain or async."""

    def __init__(self, folder: Path) -> None:
        """Open or make the cache.

        A damaged file is moved aside, what can be read of it is kept, and one warning says so. Raises StoreError
        where the folder cannot be read and written.
        """
        self.folder = folder
        self._aside = Aside(folder)
        self._closed = False
        self._writing: dict[str, asyncio.Future[BaseException | None]] = {}
        try:
            moved = files.prepare(folder)
            lost = files.lost(folder)
            self._table = _open_table(folder)
            # A connection belongs to its thread: what opened the file need not be what writes it.
            self._table.close()
            self._reading = Reading(folder / files.DATABASE)
            self._newest = Newest(folder / files.NEWEST)
            # Last, since who comes in has to leave.
            self._claims = Claims(folder / files.CLAIMS)
        except (sqlite3.Error, OSError) as error:
            raise self._fault("open", error) from error
        if moved is not None:
            self._restore(moved)
        elif lost:
            log.warning(
                "cache damaged: the newest %d entries are gone from %s (was it deleted, or its -wal file?); they are "
                "asked again",
                lost,
                folder / files.DATABASE,
            )
            self._note_newest()
            self._table.close()
        # What comes from elsewhere while another process is there is not in it, and is looked for in the file.
        self._keys = self._reading.keys(MOST) if self._claims.alone() else None
        self._writer = Writer(self._commit, self._table.close)

    @property
    def dropped(self) -> int:
        """Rows found damaged since it was opened; they are asked anew."""
        return self._aside.rows

    def get(self, key: str) -> Completion | None:
        """The completion of a key, or None; raises StoreError where it cannot be read."""
        return self._found(key, locked.patiently)

    async def find(self, key: str) -> Completion | None:
        """The same for the event loop: takes microseconds, and goes to a thread where another process holds the file.

        Raises as `get` does.
        """
        if self._keys is not None and self._claims.alone() and not self._keys.may_hold(key):
            return None
        try:
            return self._found(key, lambda _, attempt: attempt())
        except _Busy:
            return await asyncio.to_thread(self.get, key)

    def _found(self, key: str, way: Callable[[Path, Callable[[], str | None]], str | None]) -> Completion | None:
        try:
            row = way(self._reading.path, lambda: self._reading.value(key))
        except TamperedRow as tampered:
            self._aside.put(key, tampered)
            return None
        except sqlite3.DatabaseError as error:
            if locked.is_locked(error):
                raise _Busy(f"cannot read the cache in {self.folder}: {self._why(error)}") from error
            raise self._fault("read", error) from error
        if row is None:
            return None
        completion = decode(key, row)
        if completion is None:
            self._aside.put(key, row)
        return completion

    async def put(self, key: str, completion: Completion) -> None:
        """Store a completion; returns once it is durable. Raises StoreError where it cannot be stored.

        A caller that is cancelled meanwhile does not take the row back.
        """
        await self.written(self.hand_over(key, completion))

    def hand_over(self, key: str, completion: Completion) -> Row:
        """Begin to store a completion; `written` waits for it. It is stored whether or not anyone does."""
        if self._keys is not None:
            self._keys.add(key)
        row = self._writer.put(key, encode(key, completion))
        self._writing[key] = row.written
        return row

    async def written(self, row: Row) -> None:
        """Wait until what was handed over is durable. Raises StoreError where it cannot be stored."""
        try:
            failure = await row.caller
        finally:
            if row.written.done():
                self._forget(row.key, row.written)
            else:
                row.written.add_done_callback(lambda done: self._forget(row.key, done))
        if failure is not None:
            raise failure

    async def settled(self, key: str) -> None:
        """Wait until a `put` of this key that is under way has ended."""
        written = self._writing.get(key)
        if written is not None:
            await asyncio.wait((written,))

    def claimed(self, key: str) -> Claim:
        """Keep other processes from asking for a key meanwhile; waits for one that does. Look at the table inside."""
        return Claim(self._claims, key, self._writing)

    def stats(self) -> CacheStats:
        """Count the entries and measure the files."""
        with self._looked() as connection:
            entries, oldest, newest = connection.execute(
                "SELECT count(*), min(store_time), max(store_time) FROM Cache"
            ).fetchone()
        size = files.size(self.folder)
        return CacheStats(entries=entries, bytes=size, oldest=moment(oldest), newest=moment(newest))

    def stored(self, beginning: str, most: int = 3) -> list[tuple[str, float]]:
        """Keys that begin like that, with the time at which they were stored."""
        with self._looked() as connection:
            rows = connection.execute(
                "SELECT key, store_time FROM Cache WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
                (beginning, beginning + "\U0010ffff", most),
            )
            return [(str(key), float(at)) for key, at in rows]

    def surplus(self, *, older_than: float | None = None, keep_bytes: int | None = None) -> Surplus:
        """What `prune` with the same arguments would delete."""
        with self._looked() as connection:
            entries, size, newest = connection.execute(
                f"SELECT count(*), total(size), max(store_time) {SURPLUS}", limits(older_than, keep_bytes)
            ).fetchone()
        return Surplus(entries=entries, bytes=int(size), newest=moment(newest))

    def prune(self, older_than: float | None = None, *, keep_bytes: int | None = None) -> int:
        """Delete entries, the oldest first; returns how many.

        Args:
            older_than: those stored more than that many seconds ago.
            keep_bytes: those beyond this size, counted from the newest; the file itself takes somewhat more.
        """
        with self._looked() as connection:
            deleted = connection.execute(
                f"DELETE FROM Cache WHERE rowid IN (SELECT place {SURPLUS})", limits(older_than, keep_bytes)
            )
            connection.commit()
            self._newest.note(connection.execute("SELECT max(rowid) FROM Cache").fetchone()[0] or 0)
            connection.execute("VACUUM")
        return deleted.rowcount

    def close(self) -> None:
        """Write what was handed over, then close the file. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        if self.dropped:
            with suppress(StoreError):
                self._aside.tell(self.stats().entries)
        self._reading.close()
        self._newest.close()
        self._claims.close()

    def __enter__(self) -> CompletionCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> CompletionCache:
        return self

    async def __aexit__(self, *_: object) -> None:
        # What is on its way to the disk may have to wait for it: the event loop does not.
        await asyncio.to_thread(self.close)

    @contextmanager
    def _looked(self) -> Iterator[sqlite3.Connection]:
        """A connection for what looks at the whole table. Raises StoreError where the file is damaged."""
        try:
            with files.connect(self.folder) as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._fault("read", error) from error

    def _forget(self, key: str, written: asyncio.Future[BaseException | None]) -> None:
        if self._writing.get(key) is written:
            del self._writing[key]

    def _commit(self, rows: Sequence[tuple[str, str]]) -> None:
        try:
            locked.patiently(self._reading.path, lambda: self._try(rows))
        except (sqlite3.Error, OSError) as error:
            raise self._fault("write", error) from error
        self._reading.forget(rows)

    def _try(self, rows: Sequence[tuple[str, str]]) -> None:
        import diskcache

        try:
            with self._table.transact():
                write(self._table._sql, rows, time.time())
            self._note_newest()
        except diskcache.Timeout as error:
            # diskcache calls everything that keeps a transaction from beginning a timeout.
            raise error.__context__ or sqlite3.OperationalError("timeout") from None
        except sqlite3.OperationalError as error:
            # On a full disk SQLite has rolled back by itself, and diskcache fails when it does so again.
            began = error.__context__ if "cannot rollback" in str(error) else None
            raise began or error from None

    def _note_newest(self) -> None:
        (last,) = self._table._sql("SELECT max(rowid) FROM Cache").fetchone()
        self._newest.note(last or 0)

    def _fault(self, what: str, error: BaseException | None) -> StoreError:
        if isinstance(error, sqlite3.Error) and files.is_damage(error):
            files.mark(self.folder)
            return StoreError(
                f"the cache in {self.folder} is damaged ({error}); resume: the next start keeps what can be read"
            )
        return StoreError(f"cannot {what} the cache in {self.folder}: {self._why(error)}")

    def _why(self, error: BaseException | None) -> str:
        if locked.is_locked(error):
            holder = locked.in_brackets(self.folder / files.DATABASE)
            return f"another process{holder} has held it for {locked.PATIENCE:.0f} s (let it end, then resume)"
        if files.is_full(error):
            return "no space left on the disk (free some, then resume: nothing that was stored is lost)"
        if isinstance(error, OSError) and error.strerror:
            return f"{error.filename or self.folder}: {error.strerror} (check the rights of the folder)"
        return str(error) or type(error).__name__

    def _restore(self, moved: Path) -> None:
        found = files.salvage(moved)
        self._commit(found.rows)
        self._table.close()
        kept = len(found.rows)
        lost = (
            f"{kept} entries could be read and are kept, the rest is lost"
            if found.dropped is None
            else f"{found.dropped} of {found.dropped + kept} entries dropped"
        )
        log.warning("cache damaged: %s, copy at %s", lost, moved)


def _open_table(folder: Path) -> Any:
    import diskcache

    from optimizer.models.cache.text import TextDisk

    # Settings given here replace those in the file, which anyone may have written.
    return diskcache.Cache(
        str(folder),
        timeout=locked.STEP,
        disk=TextDisk,
        **{
            **diskcache.DEFAULT_SETTINGS,
            "eviction_policy": "none",
            "cull_limit": 0,
            "statistics": 0,
            "sqlite_synchronous": _FULL,
            # What the system holds of the file costs us nothing; our own copies of it would grow with every call.
            "sqlite_mmap_size": 0,
            "sqlite_cache_size": _PAGES,
        },
    )
