"""One thread that writes, so that no commit ever holds up the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

LARGEST_BATCH = 256
"""Rows of one commit. A batch is whatever came in since the last commit; no row waits for a batch to fill."""
MANY = 17
"""Rows in a batch from which on the next one waits for company: more than 16 calls in flight, the default, make."""
COMPANY = 0.004
"""Seconds that it waits: many rows under way are then a few commits, which leave the event loop alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row on its way to the disk."""

    key: str
    """Its key."""
    text: str
    """What it holds."""
    loop: asyncio.AbstractEventLoop
    """Where it was handed over."""
    written: asyncio.Future[BaseException | None]
    """None once it is durable, or why it is not; never to be awaited by a task that may be cancelled."""
    caller: asyncio.Future[BaseException | None]
    """The same a moment later, for the one task that handed it over: its cancellation leaves `written` alone."""


class Writer:
    """Takes rows from event loops, commits them in batches, and tells each when it is durable."""

    def __init__(self, commit: Callable[[Sequence[tuple[str, str]]], None], close: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            commit: writes rows of (key, text) durably; called on the thread.
            close: ends what `commit` has opened; called on the thread, last.
        """
        self._commit = commit
        self._close = close
        self._queue: SimpleQueue[Row | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="cache-writer", daemon=True)
        self._thread.start()

    def put(self, key: str, text: str) -> Row:
        """Hand over a row."""
        loop = asyncio.get_running_loop()
        row = Row(key=key, text=text, loop=loop, written=loop.create_future(), caller=loop.create_future())
        self._queue.put(row)
        return row

    def close(self) -> None:
        """Write what was handed over and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            rows: Sequence[Row] = ()
            more = True
            while more:
                if len(rows) >= MANY:
                    time.sleep(COMPANY)
                rows, more = self._batch()
                if rows:
                    self._write(rows)
        finally:
            self._close()

    def _batch(self) -> tuple[list[Row], bool]:
        """Rows that wait, at least one unless the end has come; False at the end."""
        row = self._queue.get()
        rows: list[Row] = []
        try:
            while row is not None:
                rows.append(row)
                if len(rows) == LARGEST_BATCH:
                    return rows, True
                row = self._queue.get_nowait()
        except Empty:
            return rows, True
        return rows, False

    def _write(self, rows: Sequence[Row]) -> None:
        failure: BaseException | None = None
        try:
            self._commit([(row.key, row.text) for row in rows])
        except BaseException as error:  # handed to every caller that waits, whatever it is
            failure = error
        by_loop: dict[asyncio.AbstractEventLoop, list[Row]] = defaultdict(list)
        for row in rows:
            by_loop[row.loop].append(row)
        for loop, done in by_loop.items():
            with suppress(RuntimeError):  # The loop is closed: nobody waits any more, and the rows are written.
                loop.call_soon_threadsafe(_tell, done, failure)


def _tell(rows: Sequence[Row], failure: BaseException | None) -> None:
    for row in rows:
        for waiting in (row.written, row.caller):
            if not waiting.done():
                waiting.set_result(failure)
