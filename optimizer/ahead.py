"""What a run needs only later, imported while its first calls are out: nobody waits for it then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from optimizer.events import CallSent, Event

PAUSE = 0.02
"""Seconds after the first call is on record, in which those beside it leave."""


class Ahead:
    """Does some work on a thread once the first call is sent. A sink, and an async context manager.

    A run that sends nothing, all of it being known, never begins it.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        """Set up.

        Args:
            work: imports, as a rule; what it cannot import is told by whoever needs that.
        """
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def record(self, event: Event) -> None:
        """Begin with the first call."""
        if self._task is None and isinstance(event, CallSent):
            self._task = asyncio.create_task(self._later())

    async def _later(self) -> None:
        await asyncio.sleep(PAUSE)
        with suppress(ImportError):
            await asyncio.to_thread(self._work)

    async def __aenter__(self) -> Ahead:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for it no longer. What a thread has begun it ends, before the event loop is closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
