"""What an arm comes back with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.search.endpoint import Endpoint


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """The best prompt that an arm had when its search had used so many calls."""

    budget: int
    """The budget."""
    calls: int
    """Search calls by the server when this prompt was chosen."""
    score: float
    """On the test rows, measured by us."""
    prompt: str
    """The prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One run of an arm: one prompt a budget, and what the server counted."""

    reached: tuple[Reached, ...]
    """By budget."""
    counts: Mapping[str, int]
    """`phase/role/what` -> number."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else the arm says of itself."""

    @classmethod
    def of(cls, endpoint: Endpoint, *, reached: tuple[Reached, ...], extra: Mapping[str, Any] | None = None) -> Result:
        """Take the server's counts along."""
        return cls(reached=reached, counts=endpoint.counts(), extra=extra or {})

    def plain(self) -> dict[str, Any]:
        """As JSON writes it."""
        return asdict(self)
