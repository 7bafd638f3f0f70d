"""The seam to models: one request in, one completion out."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from optimizer.dataset import canonical_json
from optimizer.errors import ErrorKind, ModelError
from optimizer.outcome import Phase, Role
from optimizer.prompt import Message
from optimizer.results import Completion, Usage

Sleep = Callable[[float], Awaitable[object]]
"""`asyncio.sleep`, or a fake of it."""
CHARS_PER_TOKEN = 4
"""Rough size of a token, for estimates only."""
TOKENS_PER_MESSAGE = 4
"""What a message costs besides its text."""
ANSWER_TOKENS = 256
"""Estimate of an answer's tokens where the request sets no limit."""
MOST_TOKENS = 2**40
"""A count of tokens from here on is nonsense, and would not fit the file of a run."""


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
    key: str = field(init=False, compare=False, repr=False)
    """sha256 of provider, base URL, model, messages, parameters and sample: the cache key.

    Computed once, since each layer of the gate asks for it.
    """

    def __post_init__(self) -> None:
        messages = [[message.role, message.content] for message in self.messages]
        parts = [self.provider, self.base_url, self.model, messages, dict(self.params), self.sample]
        digest = hashlib.sha256(canonical_json(parts).encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "key", digest)


class UnusableReply(ModelError):
    """A reply that was paid for and cannot be used: empty, cut off or filtered."""

    def __init__(self, kind: ErrorKind, message: str, *, reply: Completion) -> None:
        super().__init__(kind, message, status=200)
        self.reply = reply
        """What came back, with its usage; its text may be empty."""


def usage_of(prompt_tokens: object, completion_tokens: object) -> Usage:
    """Tokens as a provider counts them; 0 for what is no sensible count."""
    return Usage(input_tokens=_count(prompt_tokens), output_tokens=_count(completion_tokens))


def _count(value: object) -> int:
    # `True` is an int to Python, and another value to SQLite.
    return value if type(value) is int and 0 < value < MOST_TOKENS else 0


def check_usable(completion: Completion) -> Completion:
    """The same completion, or UnusableReply where its answer is cut off, filtered or blank."""
    if completion.finish_reason == "length":
        raise UnusableReply(
            ErrorKind.CUT_OFF,
            f"the answer was cut off after {completion.usage.output_tokens} tokens: raise max_tokens",
            reply=completion,
        )
    if completion.finish_reason == "content_filter":
        raise UnusableReply(ErrorKind.CONTENT_FILTER, "the provider's filter held the answer back", reply=completion)
    if not completion.text.strip():
        raise UnusableReply(
            ErrorKind.EMPTY, f"empty answer (finish reason {completion.finish_reason!r:.40})", reply=completion
        )
    return completion


def estimate_usage(request: Request) -> Usage:
    """What a request may use, before it is sent."""
    chars = sum(len(message.content) for message in request.messages)
    limit = request.params.get("max_completion_tokens", request.params.get("max_tokens"))
    return Usage(
        input_tokens=chars // CHARS_PER_TOKEN + TOKENS_PER_MESSAGE * len(request.messages),
        output_tokens=limit if isinstance(limit, int) else ANSWER_TOKENS,
    )


class Model(Protocol):
    """Anything that answers requests. Wrappers have the shape of what they wrap."""

    async def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises ModelError for this call's fault, BudgetExceeded where the budget cannot pay for it,
        StoreError where its answer cannot be kept.
        """
        ...
