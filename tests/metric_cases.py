"""Building blocks for the tests of metrics."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from optimizer.config import MetricSpec
from optimizer.dataset import Example
from optimizer.metrics import Check, Metric, MetricContext, Negated, build_metric
from optimizer.results import Completion, Score


def context(output: str, expected: Any = None, **inputs: Any) -> MetricContext:
    example = Example(id="row-1", inputs=inputs, expected=expected, source="rows.jsonl:1")
    return MetricContext(example=example, completion=Completion(text=output))


def built(written: str, value: Any = None, root: Path = Path(), **args: Any) -> Check | Negated:
    """A metric as the eval file writes it: `built("not-contains", "Romeo")`."""
    if value is not None:
        args = {"value": value, **args}
    name = written.removeprefix("not-")
    return build_metric(MetricSpec(name=name, negate=name != written, args=args), root)


def scored(metric: Metric, output: str, expected: Any = None) -> Score:
    return asyncio.run(metric.score(context(output, expected)))
