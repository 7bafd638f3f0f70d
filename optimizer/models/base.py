"""The seam to models: one request in, one completion out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from optimizer.dataset import canonical_json
from optimizer.outcome import Phase, Role
from optimizer.prompt import Message
from optimizer.results import Completion


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One call of a model."""

    provider: str
    """`openai`, `litellm` or `offline`."""
    model: str
    """Name as the provider knows it."""
    messages: tuple[Message, ...]
    """At least one."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters: temperature, max_tokens, seed, response_format... as the OpenAI protocol names them."""
    base_url: str | None = None
    """Endpoint; None for the provider's own."""
    sample: int = 0
    """Index of the sample, so that k samples stay k samples."""
    role: Role = Role.TASK
    """Who asks; no part of the key."""
    phase: Phase = Phase.SEARCH
    """What for; no part of the key."""

    @property
    def key(self) -> str:
        """sha256 of provider, base URL, model, messages, parameters and sample: the cache key."""
        messages = [[message.role, message.content] for message in self.messages]
        parts = [self.provider, self.base_url, self.model, messages, dict(self.params), self.sample]
        return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


class Model(Protocol):
    """Anything that answers requests. Wrappers have the shape of what they wrap."""

    async def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises ModelError for this call's fault, BudgetExceeded where the budget cannot pay for it,
        StoreError where its answer cannot be kept.
        """
        ...
