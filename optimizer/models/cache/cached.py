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
    """Answers from the run that is being resumed, then from the disk; `Kept` stores what comes from further in.

    An answer is durable before anyone sees it. A completion from here has `cached` set, and its `cost` is what it
    would have cost.
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
        known = self._known.get(request.key)
        if known is not None and _good(known):
            return await self._saved(request, known)
        store = self._store
        if store is None:
            return await self._inner.complete(request)
        # Between the end of a call and its commit neither the flight nor the table knows the key.
        await store.settled(request.key)
        async with store.claimed(request.key):
            found = await store.find(request.key)
            if found is not None:
                return await self._saved(request, found)
            return await self._inner.complete(request)

    async def _saved(self, request: Request, found: Completion) -> Completion:
        await self._sink.record(CallSaved(key=request.key, role=request.role, phase=request.phase, completion=found))
        return replace(found, cached=True)


def _good(completion: Completion) -> bool:
    try:
        check_usable(completion)
    except ModelError:
        return False
    return True
