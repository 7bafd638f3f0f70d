"""Rows in this process: a few workers on one iterator, not a task a row."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sized
from dataclasses import dataclass

from optimizer.errors import BudgetExceeded, ModelError
from optimizer.executors.base import Job, Output, Target

_Row = tuple[Job, Output | ModelError]


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Keeps up to `concurrency` rows under way.

    Where the consumer stops, or a fault ends the run, no row starts any more; rows under way have `drain` seconds to
    end, since their calls are paid for and their answers are worth keeping. At the end of a budget they have longer:
    nobody waits to be let go, and what is thrown away would be paid for twice.
    """

    concurrency: int = 16
    """Rows under way, at most."""
    drain: float = 5.0
    """Seconds to wait for rows under way at the end."""
    patience: float = 60.0
    """The same where the budget ended: as long as an attempt may take."""

    async def map(self, target: Target, jobs: Iterable[Job]) -> AsyncGenerator[_Row, None]:
        """Run all jobs; see `Executor.map`.

        Close the iterator (`contextlib.aclosing`) where it is not read to its end.
        """
        size = min(self.concurrency, len(jobs)) if isinstance(jobs, Sized) else self.concurrency
        crew = _Crew(target, size=size, drain=self.drain, patience=self.patience)
        crew.start(jobs)
        try:
            async for row in crew.rows():
                yield row
        finally:
            await crew.dismiss()
        if crew.fault is not None:
            raise crew.fault


class _Room:
    """A semaphore that hands each place straight to who waits longest.

    `asyncio.Semaphore` looks through all who were woken and have not run yet: with 128 workers that was a fifth of the
    time of a rerun from the cache.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Take a place, once there is one."""
        if self._places:
            self._places -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Give a place back."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._places += 1


class _Crew:
    """The workers of one `map`."""

    def __init__(self, target: Target, *, size: int, drain: float, patience: float) -> None:
        self.fault: Exception | None = None
        """The first fault that ends the run."""
        self._target = target
        self._size = size
        self._drain = drain
        self._patience = patience
        self._stopped = False
        self._done: asyncio.Queue[_Row | None] = asyncio.Queue()
        # Rows under way and rows done but not taken yet: a slow consumer holds the workers back.
        self._room = _Room(2 * size)
        self._task: asyncio.Task[None] | None = None

    def start(self, jobs: Iterable[Job]) -> None:
        """Set the workers to work."""
        self._task = asyncio.create_task(self._run(jobs))

    async def rows(self) -> AsyncIterator[_Row]:
        """Rows as they end, those that end while the crew stops included."""
        while (row := await self._done.get()) is not None:
            self._room.release()
            yield row

    async def dismiss(self) -> None:
        """Start no more rows, wait for those under way, and cancel what takes longer than the drain."""
        self._stop(self._drain)
        assert self._task is not None
        await asyncio.wait((self._task,), timeout=self._drain)
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self, jobs: Iterable[Job]) -> None:
        queue = iter(jobs)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._size):
                    group.create_task(self._work(queue))
        finally:
            self._done.put_nowait(None)

    async def _work(self, queue: Iterator[Job]) -> None:
        while True:
            await self._room.acquire()
            if self._stopped or (job := next(queue, None)) is None:
                return
            try:
                output: Output | ModelError = await self._target.run(job.candidate, job.example, job.phase, job.sample)
            except ModelError as error:
                output = error
            except Exception as error:
                # Raised by `map` once the others have ended: raised here it would cancel calls that are paid for.
                self.fault = self.fault or error
                self._stop(self._patience if isinstance(error, BudgetExceeded) else self._drain)
                return
            self._done.put_nowait((job, output))

    def _stop(self, seconds: float) -> None:
        if self._stopped:
            return
        self._stopped = True
        for _ in range(self._size):
            self._room.release()
        if self._task is not None:
            # The timer of a crew that is done in time finds nothing to cancel.
            asyncio.get_running_loop().call_later(seconds, self._task.cancel)
