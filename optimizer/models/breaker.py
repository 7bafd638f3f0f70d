"""The circuit breaker: a provider that is down is asked a few times, not a thousand."""

from __future__ import annotations

import asyncio

from optimizer.errors import FATAL, ErrorKind, ModelError, ProviderError
from optimizer.models.base import Model, Request
from optimizer.results import Completion

LEAST_FAILURES = 10
"""Straight failures that are always borne."""
_ANSWERS = frozenset({ErrorKind.CUT_OFF, ErrorKind.CONTENT_FILTER})
"""Errors that only a provider in good health gives."""
_ADVICE = {
    ErrorKind.AUTHENTICATION: "check the API key and resume",
    ErrorKind.PERMISSION_DENIED: "check what the API key may do and resume",
    ErrorKind.NOT_FOUND: "check the model's name and base_url and resume",
    ErrorKind.INSUFFICIENT_QUOTA: "add credit to the account and resume",
    ErrorKind.RATE_LIMIT: "lower concurrency, or resume later",
    ErrorKind.BAD_REQUEST: "check the model's parameters and resume",
    ErrorKind.UNPROCESSABLE_ENTITY: "check the model's parameters and resume",
    ErrorKind.CONNECTION: "check base_url and the network and resume",
    ErrorKind.MALFORMED: "check that base_url speaks the OpenAI protocol and resume",
}


class Breaker:
    """Stops a run after one fault that every call would meet, or after `most` failures with no answer between them.

    While failures mount, no more calls are out than failures are left, so a provider that is down gets no more than
    `most` requests. A rate limit has its own count, since it passes: it breaks the run only once as many attempts
    have been refused in a row as `most` requests may make.
    """

    def __init__(self, inner: Model, *, concurrency: int, retries: int) -> None:
        self._inner = inner
        self._most = max(LEAST_FAILURES, concurrency)
        self._most_refusals = self._most * (1 + retries)
        self._failures = 0
        self._refusals = 0
        self._out = 0
        self._changed = asyncio.Event()
        self._broken: str | None = None

    async def complete(self, request: Request) -> Completion:
        """Answer one request. Raises ProviderError, without a request, once the circuit is open."""
        await self._enter()
        self._out += 1
        try:
            completion = await self._inner.complete(request)
        except ModelError as error:
            self._count(error)
            if self._broken is not None:
                raise ProviderError(self._broken) from error
            raise
        else:
            self._failures = self._refusals = 0
            return completion
        finally:
            self._out -= 1
            self._changed.set()

    async def _enter(self) -> None:
        while self._broken is None and self._failures and self._out >= self._most - self._failures:
            self._changed.clear()
            await self._changed.wait()
        if self._broken is not None:
            raise ProviderError(self._broken)

    def _count(self, error: ModelError) -> None:
        if error.kind in _ANSWERS:
            return
        if error.kind is ErrorKind.RATE_LIMIT:
            self._refusals += 1
        else:
            self._failures += 1
        if error.kind in FATAL:
            self._open(error, "")
        elif self._failures >= self._most:
            self._open(error, f" ({self._failures} failures in a row)")
        elif self._refusals >= self._most_refusals:
            self._open(error, f" ({self._refusals} refusals in a row)")

    def _open(self, error: ModelError, how_often: str) -> None:
        if self._broken is None:
            advice = _ADVICE.get(error.kind, "resume once the provider is back")
            self._broken = f"{error.message}{how_often}; the run is paused: {advice}"
