"""The outermost layer of the gate: what is known is not asked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optimizer.errors import ModelError
from optimizer.events import CallSaved, Sink
from optimizer.models.base import Model, Request, check_usable
from optimizer.models.cache.disk import CompletionCache
from optimizer.results import Completion


class Cached:
    """Answers from the run that is being resumed, then from the disk; stores what comes from further in.

    An answer is durable before anyone sees it. Errors, blank and cut-off answers are not kept. A completion from here
    has `cached` set, and its `cost` is what it would have cost.
    """

    def __init__(
        self, inner: Model, store: CompletionCache | None, sink: Sink, known: Mapping[str, Completion]
    ) -> None:
        self._inner = inner
        self._store = store
        self._sink = sink
        self._known = known

    async def complete(self, request: Request) -> Completion:
        """Answer one request."""
        found = await self._find(request.key)
        if found is not None:
            await self._sink.record(
                CallSaved(key=request.key, role=request.role, phase=request.phase, completion=found)
            )
            return replace(found, cached=True)
        completion = await self._inner.complete(request)
        if self._store is not None and _good(completion):
            await self._store.put(request.key, completion)
        return completion

    async def _find(self, key: str) -> Completion | None:
        known = self._known.get(key)
        if known is not None and _good(known):
            return known
        if self._store is None:
            return None
        # Between the end of a call and its commit neither the flight nor the table knows the key.
        await self._store.settled(key)
        return self._store.get(key)


def _good(completion: Completion) -> bool:
    try:
        check_usable(completion)
    except ModelError:
        return False
    return True
