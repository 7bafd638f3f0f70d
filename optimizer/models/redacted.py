"""Takes the user's secrets out of answers, before anyone judges, shows or keeps them."""

from __future__ import annotations

from dataclasses import replace

from optimizer.models.base import Model, Request
from optimizer.redaction import Scrubber
from optimizer.results import Completion


class Redacted:
    """The layer nearest to the provider.

    An endpoint that echoes a request's headers would otherwise have the key kept in the cache, in scores and in
    prompts. Values alone are taken out: an answer may well speak of what looks like one.
    """

    def __init__(self, inner: Model, scrubber: Scrubber) -> None:
        self._inner = inner
        self._scrubber = scrubber

    async def complete(self, request: Request) -> Completion:
        """Answer one request."""
        found = await self._inner.complete(request)
        text = self._scrubber.values(found.text)
        return found if text == found.text else replace(found, text=text)
