"""The fake of the Model seam: any function of a request."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from optimizer.errors import ModelError
from optimizer.models.base import Request
from optimizer.results import Completion

Answer = str | Completion | ModelError
"""What a fake gives: a text, a whole completion, or the fault to raise."""


@dataclass(slots=True)
class FunctionModel:
    """Answers with a function, plain or async, and remembers what it was asked."""

    answer: Callable[[Request], Answer | Awaitable[Answer]]
    """From a request to an answer."""
    requests: list[Request] = field(default_factory=list)
    """Every request, in the order of arrival."""

    async def complete(self, request: Request) -> Completion:
        """Ask the function. Raises ModelError where it returns one."""
        self.requests.append(request)
        given = self.answer(request)
        answer = await given if inspect.isawaitable(given) else given
        if isinstance(answer, ModelError):
            raise answer
        return Completion(text=answer) if isinstance(answer, str) else answer
