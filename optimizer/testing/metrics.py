"""A metric made of a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optimizer.metrics.base import MetricContext
from optimizer.results import Score


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionMetric:
    """Scores with a plain function; whatever the function raises, `score` raises too."""

    function: Callable[[MetricContext], bool | float | Score]
    """Gives a value in [0, 1], true or false, or a whole Score, which is passed on as it is."""
    key: str = "function"
    """`Score.metric`."""
    weight: float = 1.0
    """Share in the row's score."""
    threshold: float = 1.0
    """Value from which it passes."""
    required: bool = True
    """Whether a row can pass without it."""

    async def score(self, context: MetricContext) -> Score:
        """The contract of `Metric`, but for foreign exceptions."""
        given = self.function(context)
        if isinstance(given, Score):
            return given
        value = float(given)
        passed = value >= self.threshold
        return Score(
            metric=self.key,
            value=value,
            passed=passed,
            reason="" if passed else f"the function gave {value:g}, expected at least {self.threshold:g}",
            place="text",
            weight=self.weight,
            required=self.required,
        )
