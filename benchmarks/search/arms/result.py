"""What an arm comes back with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.search.endpoint import Endpoint


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What the server had counted of a search."""

    task_calls: int
    """Calls of the task model."""
    reflection_calls: int
    """Calls of the reflection model."""
    task_tokens: int
    """Input and output together."""
    reflection_tokens: int
    """Input and output together."""

    @property
    def calls(self) -> int:
        """Search calls: task and reflection together."""
        return self.task_calls + self.reflection_calls

    @classmethod
    def now(cls, endpoint: Endpoint) -> Spent:
        """What the search of this endpoint has used so far."""
        counts = endpoint.counts()

        def of(role: str, *what: str) -> int:
            return sum(counts.get(f"search/{role}/{name}", 0) for name in what)

        return cls(
            task_calls=of("task", "calls"),
            reflection_calls=of("reflection", "calls"),
            task_tokens=of("task", "input", "output"),
            reflection_tokens=of("reflection", "input", "output"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """The best prompt that an arm had within a budget of search calls."""

    budget: int
    """The budget."""
    spent: Spent
    """What had been used when this prompt was the best one."""
    score: float
    """On the test rows, measured by us."""
    prompt: str
    """The prompt."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else the arm says of it."""
