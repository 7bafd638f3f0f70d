"""The writer thread: takes what the loop hands over, and commits it in groups.

While one group is on its way to the disk the next one gathers, so the number of commits a second never limits the
number of calls. An event is acknowledged after its commit, never before.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optimizer import locked
from optimizer.chunks import chunks
from optimizer.errors import StoreError
from optimizer.store.faults import fault
from optimizer.store.log import Log
from optimizer.store.rows import Work
from optimizer.store.schema import INSERTS, Cell, insert_sql

MOST_IN_GROUP = 2048
"""Events in one commit, at most."""
MANY = 17
"""Events of a group that are waited for from which on the next one waits for company: more than 16 calls in flight, the
default, make. Results come with them, and nobody waits for those."""
COMPANY = 0.004
"""Seconds that it waits. Between statements this thread and the event loop wait for each other: with 128 calls in
flight, groups of four times as many events made a fifth more calls a second."""


@dataclass(frozen=True, slots=True)
class Job:
    """One event on its way to the disk."""

    work: Sequence[Work]
    """What it writes."""
    line: str
    """Its line in the log; empty for none."""
    waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None
    """Who waits for the commit."""


class Commits:
    """Owns the connection and the log file from its start to its end."""

    def __init__(self, db: sqlite3.Connection, path: Path, log: Log) -> None:
        self._db = db
        # Between two tries the user can be told what is waited for.
        db.execute(f"PRAGMA busy_timeout = {1000 * locked.STEP:.0f}")
        self._path = path
        self._log = log
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"store {path.parent.name}", daemon=True)
        self._together: dict[str, list[tuple[Cell, ...]]] = {}
        self.error: BaseException | None = None
        """Why nothing can be written any more."""
        self._thread.start()

    def put(self, work: Sequence[Work], line: str) -> None:
        """Hand over without waiting."""
        self._queue.put(Job(work, line, None))

    async def durable(self, work: Sequence[Work], line: str) -> None:
        """Hand over, and wait until it and everything before it is on the disk."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._queue.put(Job(work, line, (loop, future)))
        await future

    def backlog(self) -> int:
        """Events that are waiting, about."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Write what was handed over, then end the thread. The connection is the caller's again."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        jobs: Sequence[Job] = ()
        while True:
            if sum(job.waiter is not None for job in jobs) >= MANY:
                time.sleep(COMPANY)
            jobs, last = self._gather()
            if jobs:
                self._write(jobs)
            if last:
                return

    def _gather(self) -> tuple[list[Job], bool]:
        job = self._queue.get()
        jobs: list[Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) >= MOST_IN_GROUP:
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _write(self, jobs: Sequence[Job]) -> None:
        if self.error is None:
            try:
                self._commit(jobs)
            except (sqlite3.Error, OSError, StoreError) as error:
                self.error = error if isinstance(error, StoreError) else fault(self._path, error)
                self._roll_back()
            except BaseException as error:
                # A bug, or no memory: whoever waits gets it as it is, and nothing more is written.
                self.error = error
                self._roll_back()
        _tell([job.waiter for job in jobs if job.waiter is not None], self.error)

    def _commit(self, jobs: Sequence[Job]) -> None:
        locked.patiently(self._path, lambda: self._db.execute("BEGIN IMMEDIATE"))
        self._together.clear()
        for job in jobs:
            for work in job.work:
                self._do(work)
        self._insert()
        self._db.execute("COMMIT")
        lines = [job.line for job in jobs if job.line]
        if lines:
            try:
                self._log.write(lines)
            except OSError as error:
                raise fault(self._log.path, error) from error

    def _do(self, work: Work) -> None:
        """Rows that are only added wait, table by table; whatever else reads or deletes comes after them."""
        if not callable(work) and work[0] in INSERTS:
            self._together.setdefault(INSERTS[work[0]].name, []).append(work[1])
            return
        self._insert()
        for sql, cells in work(self._db) if callable(work) else (work,):
            execute(self._db, sql, cells)

    def _insert(self) -> None:
        """Add many rows with few statements."""
        for name, rows in self._together.items():
            for chunk in chunks(rows):
                execute(self._db, insert_sql(name, len(chunk)), [cell for row in chunk for cell in row])
        self._together.clear()

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            # SQLite has rolled back by itself, or will when the file is opened again.
            return


def execute(db: sqlite3.Connection, sql: str, cells: Sequence[Cell]) -> sqlite3.Cursor:
    """Run one statement. Text that is no Unicode (half a surrogate pair) goes in as bytes."""
    try:
        return db.execute(sql, cells)
    except UnicodeEncodeError:
        return db.execute(sql, [_encoded(cell) for cell in cells])


def _encoded(cell: Cell) -> Cell:
    if isinstance(cell, str):
        try:
            cell.encode()
        except UnicodeEncodeError:
            return cell.encode("utf-8", "surrogatepass")
    return cell


def decoded(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Cells as they were before `execute` wrote them."""
    if bytes not in map(type, cells):
        return tuple(cells)
    return tuple(cell.decode("utf-8", "surrogatepass") if isinstance(cell, bytes) else cell for cell in cells)


def _tell(
    waiters: Iterable[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]], error: BaseException | None
) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for loop, future in waiters:
        by_loop.setdefault(loop, []).append(future)
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, futures, error)
        except RuntimeError:
            continue  # The loop is closed: nobody waits any more.


def _settle(futures: Iterable[asyncio.Future[None]], error: BaseException | None) -> None:
    for future in futures:
        if future.done():
            continue  # The waiter was cancelled; its event is kept all the same.
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(_copy(error))


def _copy(error: BaseException) -> BaseException:
    """Each waiter raises an exception of its own: shared ones would pile up tracebacks."""
    return StoreError(str(error)) if isinstance(error, StoreError) else error
