"""The default target: render one prompt, call one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.dataset import Example
from optimizer.models.base import Model, Request
from optimizer.outcome import Phase
from optimizer.prompt import Prompt, prepare
from optimizer.targets.base import Output


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptTarget:
    """One prompt, one model."""

    model: Model
    """The gate."""
    provider: str
    """Provider of the task model."""
    name: str
    """Its name."""
    base_url: str | None = None
    """Its endpoint."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the config; those of the prompt override them."""

    def request(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Request:
        """The request for one row: what the plan counts and the cache keys."""
        return Request(
            provider=self.provider,
            model=self.name,
            messages=prepare(candidate, example),
            params={**self.params, **candidate.params},
            base_url=self.base_url,
            sample=sample,
            phase=phase,
        )

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        """Render and call."""
        return Output(completion=await self.model.complete(self.request(candidate, example, phase, sample)))
