"""The seam to what is being improved: a candidate prompt and an example in, an output out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from optimizer.dataset import Example
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.results import Completion


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What a target gives back."""

    completion: Completion
    """The answer that metrics see."""
    trace: tuple[Mapping[str, Any], ...] = ()
    """Steps that led to it, where the target tells them."""


class Target(Protocol):
    """What is being improved."""

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        """Run one example under one candidate, `sample` being the repeat. Raises ModelError for this row's fault."""
        ...
