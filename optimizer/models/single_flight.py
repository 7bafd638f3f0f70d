"""The same call at once is paid once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from optimizer.errors import OptimizerError
from optimizer.events import CallSaved, Sink
from optimizer.models.base import Model, Request
from optimizer.results import Completion

_Flight = asyncio.Future[Completion | OptimizerError | None]


class SingleFlight:
    """Lets callers of a key that is in flight wait for its answer.

    The first caller owns the call. Its failure goes to all who joined. Where the owner is cancelled, one of those who
    joined makes the call anew.
    """

    def __init__(self, inner: Model, sink: Sink) -> None:
        self._inner = inner
        self._sink = sink
        self._flights: dict[str, _Flight] = {}

    async def complete(self, request: Request) -> Completion:
        """Answer one request, or join the one in flight."""
        while (flight := self._flights.get(request.key)) is not None:
            # `wait` neither cancels the owner's future nor raises its failure here.
            await asyncio.wait((flight,))
            landed = flight.result()
            if isinstance(landed, OptimizerError):
                raise landed
            if landed is not None:
                await self._sink.record(
                    CallSaved(key=request.key, role=request.role, phase=request.phase, completion=landed)
                )
                return replace(landed, cached=True)
        return await self._own(request)

    async def _own(self, request: Request) -> Completion:
        flight: _Flight = asyncio.get_running_loop().create_future()
        self._flights[request.key] = flight
        landed: Completion | OptimizerError | None = None
        try:
            landed = completion = await self._inner.complete(request)
            return completion
        except OptimizerError as error:
            landed = error
            raise
        finally:
            del self._flights[request.key]
            flight.set_result(landed)
