"""The only retry loop: exactly 1 + R attempts, one deadline for all of them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextvars import ContextVar
from dataclasses import dataclass

from optimizer.budget import Clock
from optimizer.errors import RETRYABLE, ErrorKind, ModelError, ProviderError
from optimizer.models.base import Model, Request, Sleep
from optimizer.results import Completion

FIRST_WAIT = 0.5
"""Seconds before the first repeat, less jitter; doubles each time."""
LONGEST_WAIT = 16.0
"""Seconds that a wait of our own choosing never passes."""
LONGEST_RETRY_AFTER = 3600.0
"""Seconds that a provider may ask us to wait; above, the run pauses."""


@dataclass(slots=True)
class _Stopwatch:
    """What is left of one request's deadline."""

    left: float
    """Seconds."""
    longest: float
    """Seconds that one attempt may take."""


_stopwatch: ContextVar[_Stopwatch] = ContextVar("stopwatch")


class Retry:
    """Repeats what may succeed when it is sent again.

    The deadline counts the time in which an attempt is out, and waits of our own choosing. Waiting for a permit, or
    for as long as the provider asked us to, is not counted: a call that waits its turn has not failed.
    """

    def __init__(
        self, inner: Model, *, retries: int = 5, deadline: float = 240.0, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._inner = inner
        self._retries = retries
        self._deadline = deadline
        # A call that hangs gets a second chance, so no attempt may take the whole deadline.
        self._longest = deadline / 2 if retries else deadline
        self._sleep = sleep

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Raises ModelError with the number of attempts once there is no point in another."""
        stopwatch = _Stopwatch(left=self._deadline, longest=self._longest)
        token = _stopwatch.set(stopwatch)
        attempt = 0
        try:
            while True:
                attempt += 1
                try:
                    return await self._inner.complete(request)
                except ModelError as error:
                    error.attempts = attempt
                    wait = self._wait(error, request.key, stopwatch.left)
                    if wait is None:
                        raise
                    if error.retry_after is None:
                        stopwatch.left -= wait
                await self._sleep(wait)
        finally:
            _stopwatch.reset(token)

    def _wait(self, error: ModelError, key: str, left: float) -> float | None:
        """Seconds before the next attempt; None where there is to be none."""
        if error.kind not in RETRYABLE or error.attempts > self._retries or left <= 0:
            return None
        wait = backoff(key, error.attempts)
        if error.retry_after is None:
            return wait if wait < left else None
        if error.retry_after > LONGEST_RETRY_AFTER:
            raise ProviderError(
                f"{error.message}; it asks for a wait of {error.retry_after:.0f} s: resume the run after that"
            ) from error
        # The provider knows best; a wait of nothing is no wait that anyone means.
        return error.retry_after or wait


class Timed:
    """Ends an attempt that takes more than its request has left. Sits next to the provider."""

    def __init__(self, inner: Model, clock: Clock = time.monotonic) -> None:
        self._inner = inner
        self._clock = clock

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Raises ModelError of kind TIMEOUT where the time is up."""
        stopwatch = _stopwatch.get()
        allowed = min(stopwatch.left, stopwatch.longest)
        started = self._clock()
        try:
            async with asyncio.timeout(allowed):
                return await self._inner.complete(request)
        except TimeoutError as error:
            raise ModelError(ErrorKind.TIMEOUT, f"{request.model}: no answer within {allowed:.1f} s") from error
        finally:
            stopwatch.left -= self._clock() - started


def backoff(key: str, attempt: int) -> float:
    """Seconds to wait after failed attempt number `attempt`, counted from 1.

    Grows exponentially; its jitter is a hash of key and attempt, so that a rerun waits as long as the first run did
    and requests that failed together do not come back together.
    """
    digest = hashlib.sha256(f"{key}:{attempt}".encode()).digest()
    jitter = int.from_bytes(digest[:4], "big") / 2**32
    return min(FIRST_WAIT * 2.0 ** (attempt - 1), LONGEST_WAIT) * (0.5 + jitter / 2)
