"""An answer goes into the cache while it goes into the run, so that a call waits for the disk once and not twice."""

from __future__ import annotations

from optimizer.events import CallEnded, Event, Sink
from optimizer.models.cache.disk import CompletionCache


class Kept:
    """A Sink before the run's own: what was answered is stored in the cache as well.

    Errors, blank and cut-off answers are not stored.
    """

    def __init__(self, store: CompletionCache, onward: Sink) -> None:
        self._store = store
        self._onward = onward

    async def record(self, event: Event) -> None:
        """Take one event; an answer is durable in both when this returns. Raises StoreError."""
        if not isinstance(event, CallEnded) or event.completion is None or event.error is not None:
            return await self._onward.record(event)
        row = self._store.hand_over(event.key, event.completion)
        await self._onward.record(event)
        await self._store.written(row)
        return None
