"""Checks of outputs: the registry, and what the eval file's specs become.

`build_metrics` turns specs into metrics, `score_output` applies them to one output, `check_rows` finds rows that a
metric cannot use, `metrics_fingerprint` names a set of metrics by what it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from optimizer.config import MetricSpec
from optimizer.dataset import Example, canonical_json
from optimizer.errors import ConfigError, ModelError, Problem
from optimizer.metrics.base import Check, Finding, Metric, MetricContext, metric_error
from optimizer.metrics.json import Json, JsonField
from optimizer.metrics.label import Label, LabelFigure, LabelFigures, label_figures
from optimizer.metrics.length import Length
from optimizer.metrics.negated import Negated
from optimizer.metrics.python import Python
from optimizer.metrics.regex import Regex
from optimizer.metrics.spec import build_check, key_of, unknown_metric
from optimizer.metrics.text import Contains, Exact
from optimizer.results import Score

METRICS: Final[dict[str, type[Check]]] = {
    check.name: check for check in (Contains, Exact, Json, JsonField, Label, Length, Python, Regex)
}
"""Name in the eval file -> the check."""

__all__ = [
    "METRICS",
    "Check",
    "Finding",
    "Label",
    "LabelFigure",
    "LabelFigures",
    "Metric",
    "MetricContext",
    "Negated",
    "build_metric",
    "build_metrics",
    "check_rows",
    "code_of",
    "describe",
    "label_figures",
    "metric_key",
    "metrics_fingerprint",
    "score_output",
    "threshold_of",
]


def build_metrics(specs: Sequence[MetricSpec], root: Path) -> tuple[Metric, ...]:
    """Metrics in the order of their specs.

    Args:
        specs: as the eval file says.
        root: folder of the eval file; files that metrics name are relative to it.

    Raises:
        ConfigError: an unknown metric or argument, a missing or wrong value, a file that cannot be used, the same
            metric twice, or no metric that counts.
    """
    built: dict[str, Check | Negated] = {}
    for number, spec in enumerate(specs, start=1):
        place = ("metrics", number - 1)
        try:
            metric = build_metric(spec, root)
        except ConfigError as error:
            name = f"not-{spec.name}" if spec.negate else spec.name
            raise ConfigError(f"metrics, item {number} ({name}): {error}", place) from error
        if metric.key in built:
            raise ConfigError(f"metrics, item {number}: {metric.key} is there twice; leave one out", place)
        built[metric.key] = metric
    if not any(spec.weight > 0 for spec in specs):
        raise ConfigError("metrics: none has a weight above 0, so no output could lose; add a metric or a weight")
    return tuple(built.values())


def build_metric(spec: MetricSpec, root: Path) -> Check | Negated:
    """One metric from its spec. Raises ConfigError."""
    check = build_check(_check(spec), spec, root)
    return Negated(check=check) if spec.negate else check


def metric_key(spec: MetricSpec) -> str:
    """The name of a metric in its eval set: `contains`, `not-contains: Romeo`, `json-field: sentiment`.

    Unique for metrics that differ in more than weight, threshold and `required`. Raises ConfigError for an unknown
    metric.
    """
    return key_of(_check(spec), spec)


def describe(metric: Metric) -> MetricSpec | None:
    """The spec that builds a metric again; None for a metric that was not built from one."""
    return metric.describe() if isinstance(metric, Check | Negated) else None


def metrics_fingerprint(specs: Sequence[MetricSpec], root: Path) -> str:
    """sha256 that changes when the same outputs could score differently.

    Over the settings, defaults filled in, the versions, and the content of files that metrics name; not over the
    order of the metrics, and not over how a spec is written. Raises ConfigError.
    """
    entries = []
    for spec in specs:
        metric = build_metric(spec, root)
        check = metric.check if isinstance(metric, Negated) else metric
        told = check.describe()
        terms = [check.weight, check.threshold, check.required]
        settings = [told.name, spec.negate, dict(told.args), terms, check.version, dict(check.sources())]
        entries.append(canonical_json(settings))
    return hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest()


def check_rows(metrics: Sequence[Metric], examples: Sequence[Example]) -> list[Problem]:
    """Rows whose `expected` a metric cannot use, in the order of the rows. To be asked before the first request."""
    checks = [metric for metric in metrics if isinstance(metric, Check | Negated)]
    problems = []
    for example in examples:
        where = example.source or f"row {example.id}"
        faults = [fault for check in checks if (fault := check.row_fault(example)) is not None]
        problems += [Problem(where=where, field="expected", problem=problem, fix=fix) for problem, fix in faults]
    return problems


def threshold_of(metric: Metric) -> float | None:
    """Value from which a metric's score passes; None where the metric does not say. Turned round, it is 1."""
    return metric.threshold if isinstance(metric, Check) else 1.0 if isinstance(metric, Negated) else None


def code_of(metric: Metric) -> Path | None:
    """The user's file whose code a metric runs, in another process; None where it runs none, or does not say."""
    return metric.code() if isinstance(metric, Check | Negated) else None


async def score_output(metrics: Sequence[Metric], context: MetricContext) -> tuple[Score, ...]:
    """Scores of one output, in the order of the metrics.

    Raises ModelError of kind METRIC where a metric failed, whatever it raised: the row is an error then.
    """
    scores = []
    for metric in metrics:
        try:
            scores.append(await metric.score(context))
        except ModelError:
            raise
        except Exception as error:
            raise metric_error(type(metric).__name__, context, f"raised {type(error).__name__}") from error
    return tuple(scores)


def _check(spec: MetricSpec) -> type[Check]:
    if spec.name not in METRICS:
        raise unknown_metric(spec.name, METRICS)
    return METRICS[spec.name]
