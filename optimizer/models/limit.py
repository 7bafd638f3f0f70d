"""Adaptive concurrency: as many calls in flight as the provider bears."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque

from optimizer.budget import Clock
from optimizer.errors import ErrorKind, ModelError, ProviderError
from optimizer.models.base import Model, Request, Sleep
from optimizer.results import Completion

START = 10
"""Permits at the start; they double each round trip until the first rate limit."""
CUT = 0.7
"""What is left of the permits after a rate limit."""
COOLDOWN = 5.0
"""Seconds after a cut, and after any wait that the provider asked for, in which there is no other cut."""

RESTS = (0.0, 0.5, 2.0, 8.0) + (30.0,) * 9
"""Seconds that a refused account rests, at least, by how often it was refused in a row.

A longer Retry-After wins. The first time the cut may be enough. Refused after the last, some five minutes without an
answer, the run pauses.
"""

TICK = 1e-6
"""Seconds by which a timer may end early: clocks do not agree to the last bit."""

log = logging.getLogger(__name__)


class Limit:
    """Holds a permit for each attempt; one account's permits are shared by all its calls.

    Slow start, then one permit more a round of successes; one cut for each episode of rate limits. A Retry-After
    holds back every call of the account, not only the one that was told. Where the provider refuses again what was
    sent after that, the account rests, and one call alone tries whether it is over: calls that wait their turn use
    up no attempts.
    """

    def __init__(self, inner: Model, *, most: int, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._inner = inner
        self._most = most
        self._clock = clock
        self._sleep = sleep
        self._limit = float(min(START, most))
        self._slow_start = True
        self._in_flight = 0
        # Calls know the episode in which they left: those of an earlier one say nothing of the limit as it is now.
        self._episode = 0
        self._fresh = 0
        self._straight = 0
        self._waiters: deque[asyncio.Future[int]] = deque()
        self._paused_until = self._calm_from = clock()

    @property
    def permits(self) -> int:
        """Calls that may be in flight."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """Calls that are."""
        return self._in_flight

    async def complete(self, request: Request) -> Completion:
        """Answer one request once there is a permit for it."""
        episode = await self._enter()
        sent = self._clock()
        try:
            completion = await self._inner.complete(request)
        except ModelError as error:
            if error.kind is ErrorKind.RATE_LIMIT or error.retry_after is not None:
                self._refused(error, sent, episode)
            raise
        else:
            self._answered(episode)
            return completion
        finally:
            self._leave(episode)

    async def _enter(self) -> int:
        """Take a permit, in the order of arrival, outside of any wait; the episode that the call belongs to."""
        while True:
            episode = await self._take()
            pause = self._paused_until - self._clock()
            if pause <= TICK:
                return episode
            self._leave(episode)
            await self._sleep(pause)

    async def _take(self) -> int:
        if not self._waiters and self._has_place():
            return self._admit()
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                # The permit had been handed over already.
                self._leave(waiter.result())
            raise

    def _has_place(self) -> bool:
        trying = self._straight > 1 and self._fresh
        return self._in_flight < self.permits and not trying

    def _admit(self) -> int:
        self._in_flight += 1
        self._fresh += 1
        return self._episode

    def _leave(self, episode: int) -> None:
        """Give a permit back, and hand free ones to those who wait longest."""
        self._in_flight -= 1
        self._fresh -= episode == self._episode
        while self._waiters and self._has_place():
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(self._admit())

    def _answered(self, episode: int) -> None:
        if episode == self._episode:
            self._straight = 0
        if self._limit < self._most and self._in_flight >= self.permits:
            self._limit = min(self._limit + (1.0 if self._slow_start else 1.0 / self._limit), self._most)

    def _refused(self, error: ModelError, sent: float, episode: int) -> None:
        now = self._clock()
        wait = error.retry_after or 0.0
        trying = self._straight > 1
        if error.kind is ErrorKind.RATE_LIMIT and episode == self._episode:
            wait = max(wait, self._rest(error))
        self._paused_until = max(self._paused_until, now + wait)
        # Calls that left before the last cut say nothing about the permits since, and one alone never does.
        if error.kind is ErrorKind.RATE_LIMIT and sent >= self._calm_from and not trying:
            before = self.permits
            self._limit = max(self._limit * CUT, 1.0)
            self._slow_start = False
            log.info("rate limited, concurrency %d -> %d, resumes in %.1f s", before, self.permits, wait)
            self._calm_from = now + COOLDOWN
        self._calm_from = max(self._calm_from, self._paused_until)

    def _rest(self, error: ModelError) -> float:
        """Begin an episode; how long to rest. Raises ProviderError where there were too many in a row."""
        if self._straight == len(RESTS):
            raise ProviderError(
                f"{error.message} (refused again after each of {len(RESTS)} rests); the run is paused: "
                "lower concurrency, or resume later"
            ) from error
        self._episode += 1
        self._fresh = 0
        self._straight += 1
        return RESTS[self._straight - 1]
