"""The seam to metrics: one context in, one score out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from optimizer.dataset import Example
from optimizer.results import Completion, Score


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricContext:
    """All that a metric may look at. New information becomes a new field, never a new argument."""

    example: Example
    """The row."""
    completion: Completion
    """What came back."""

    @property
    def output(self) -> str:
        """The text."""
        return self.completion.text


class Metric(Protocol):
    """A check of one output. Holds its settings alone, so one object scores any number of rows at once."""

    async def score(self, context: MetricContext) -> Score:
        """Score one output.

        Raises ModelError of kind METRIC where the metric itself failed: the row is an error then, never a zero.
        """
        ...
