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
MANY = 4
"""Rows in a batch from which on the next one waits for company."""
COMPANY = 0.002
"""Seconds that it waits: many rows under way are then a few commits, which leave the event loop alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    key: str
    text: str
    loop: asyncio.AbstractEventLoop
    written: asyncio.Future[BaseException | None]


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
        self._queue: SimpleQueue[_Row | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="cache-writer", daemon=True)
        self._thread.start()

    def put(self, key: str, text: str) -> asyncio.Future[BaseException | None]:
        """Hand over a row; the future holds None once it is durable, or why it is not."""
        loop = asyncio.get_running_loop()
        row = _Row(key=key, text=text, loop=loop, written=loop.create_future())
        self._queue.put(row)
        return row.written

    def close(self) -> None:
        """Write what was handed over and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            rows: Sequence[_Row] = ()
            more = True
            while more:
                if len(rows) >= MANY:
                    time.sleep(COMPANY)
                rows, more = self._batch()
                if rows:
                    self._write(rows)
        finally:
            self._close()

    def _batch(self) -> tuple[list[_Row], bool]:
        """Rows that wait, at least one unless the end has come; False at the end."""
        row = self._queue.get()
        rows: list[_Row] = []
        try:
            while row is not None:
                rows.append(row)
                if len(rows) == LARGEST_BATCH:
                    return rows, True
                row = self._queue.get_nowait()
        except Empty:
            return rows, True
        return rows, False

    def _write(self, rows: Sequence[_Row]) -> None:
        failure: BaseException | None = None
        try:
            self._commit([(row.key, row.text) for row in rows])
        except BaseException as error:  # handed to every caller that waits, whatever it is
            failure = error
        by_loop: dict[asyncio.AbstractEventLoop, list[_Row]] = defaultdict(list)
        for row in rows:
            by_loop[row.loop].append(row)
        for loop, done in by_loop.items():
            with suppress(RuntimeError):  # The loop is closed: nobody waits any more, and the rows are written.
                loop.call_soon_threadsafe(_tell, done, failure)


def _tell(rows: Sequence[_Row], failure: BaseException | None) -> None:
    for row in rows:
        if not row.written.done():
            row.written.set_result(failure)
