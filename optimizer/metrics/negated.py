"""`not-`: any check turned round, with a reason of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from optimizer.config import MetricSpec
from optimizer.dataset import Example
from optimizer.metrics.base import Check, Finding, MetricContext, measured, scored
from optimizer.results import Score


@dataclass(frozen=True, kw_only=True, slots=True)
class Negated:
    """Passes where the check does not: its value is 1 then, else 0.

    The threshold stays the check's own: it says from where on the check holds.
    """

    check: Check
    """The check; key, weight and `required` are taken from it."""

    @property
    def key(self) -> str:
        """Unique in an eval set: `Score.metric`."""
        return self.check.key

    async def score(self, context: MetricContext) -> Score:
        """Score one output; the contract of `Metric`."""
        finding = await measured(self.check, context)
        if finding.value < self.check.threshold:
            return scored(self.check, Finding(value=1.0, place=finding.place), passed=True)
        opposite = self.check.opposite(context, finding)
        return scored(self.check, replace(opposite, value=0.0, wanted=None), passed=False)

    def describe(self) -> MetricSpec:
        """The spec that builds this metric again."""
        return replace(self.check.describe(), negate=True)

    def code(self) -> Path | None:
        """The check's own."""
        return self.check.code()

    async def make_ready(self) -> None:
        """The check's own."""
        await self.check.make_ready()

    def row_fault(self, example: Example) -> tuple[str, str] | None:
        """What the check needs, its negation needs too."""
        return self.check.row_fault(example)
