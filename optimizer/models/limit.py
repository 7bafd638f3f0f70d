"""Adaptive concurrency: as many calls in flight as the provider bears."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque

from optimizer.budget import Clock
from optimizer.errors import ErrorKind, ModelError
from optimizer.models.base import Model, Request, Sleep
from optimizer.results import Completion

START = 10
"""Permits at the start; they double each round trip until the first rate limit."""
CUT = 0.7
"""What is left of the permits after a rate limit."""
COOLDOWN = 5.0
"""Seconds after a cut, and after any wait that the provider asked for, in which there is no other cut."""

log = logging.getLogger(__name__)


class Limit:
    """Holds a permit for each attempt; one account's permits are shared by all its calls.

    Slow start, then one permit more a round of successes; one cut for each episode of rate limits. A Retry-After
    holds back every call of the account, not only the one that was told.
    """

    def __init__(self, inner: Model, *, most: int, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._inner = inner
        self._most = most
        self._clock = clock
        self._sleep = sleep
        self._limit = float(min(START, most))
        self._slow_start = True
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._paused_until = self._calm_from = clock()

    @property
    def permits(self) -> int:
        """Calls that may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """Calls that are."""
        return self._in_flight

    async def complete(self, request: Request) -> Completion:
        """Answer one request once there is a permit for it."""
        await self._enter()
        sent = self._clock()
        try:
            completion = await self._inner.complete(request)
        except ModelError as error:
            if error.kind is ErrorKind.RATE_LIMIT or error.retry_after is not None:
                self._refused(error, sent)
            raise
        else:
            self._answered()
            return completion
        finally:
            self._in_flight -= 1
            self._wake()

    async def _enter(self) -> None:
        """Take a permit, in the order of arrival, outside of any wait that the provider asked for."""
        while True:
            await self._take()
            pause = self._paused_until - self._clock()
            if pause <= 0:
                return
            self._in_flight -= 1
            self._wake()
            await self._sleep(pause)

    async def _take(self) -> None:
        if self._in_flight < self.permits and not self._waiters:
            self._in_flight += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                # The permit had been handed over already.
                self._in_flight -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        """Hand free permits to those who wait longest."""
        while self._waiters and self._in_flight < self.permits:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._in_flight += 1
                waiter.set_result(None)

    def _answered(self) -> None:
        if self._limit < self._most and self._in_flight >= self.permits:
            self._limit = min(self._limit + (1.0 if self._slow_start else 1.0 / self._limit), self._most)

    def _refused(self, error: ModelError, sent: float) -> None:
        now = self._clock()
        wait = error.retry_after or 0.0
        self._paused_until = max(self._paused_until, now + wait)
        # Calls that left before the last cut say nothing about the permits since.
        if error.kind is ErrorKind.RATE_LIMIT and sent >= self._calm_from:
            before = self.permits
            self._limit = max(self._limit * CUT, 1.0)
            self._slow_start = False
            log.info("rate limited, concurrency %d -> %d, resumes in %.1f s", before, self.permits, wait)
            self._calm_from = now + COOLDOWN
        self._calm_from = max(self._calm_from, self._paused_until)
