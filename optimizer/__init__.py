"""Prompt refinement driven by error analysis: every changed line has a price, and the gain is tested once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optimizer.api import aevaluate, aoptimize, evaluate, optimize
    from optimizer.config import BudgetSpec, DataSpec, MetricSpec, ModelSpec, Prefer, Price, RunConfig
    from optimizer.dataset import Example, Split
    from optimizer.errors import BudgetExceeded, OptimizerError, ProviderError, StoreError, UserError
    from optimizer.events import Event, Sink
    from optimizer.failures import Cluster, Failure
    from optimizer.frames import Run, load_run
    from optimizer.metrics.base import MetricContext
    from optimizer.outcome import Comparison, LineWorth, Outcome, Verdict
    from optimizer.prompt import Prompt
    from optimizer.results import Completion, Evaluation, Result, Score
    from optimizer.scored import Scored

__all__ = [
    "BudgetExceeded",
    "BudgetSpec",
    "Cluster",
    "Comparison",
    "Completion",
    "DataSpec",
    "Evaluation",
    "Event",
    "Example",
    "Failure",
    "LineWorth",
    "MetricContext",
    "MetricSpec",
    "ModelSpec",
    "OptimizerError",
    "Outcome",
    "Prefer",
    "Price",
    "Prompt",
    "ProviderError",
    "Result",
    "Run",
    "RunConfig",
    "Score",
    "Scored",
    "Sink",
    "Split",
    "StoreError",
    "UserError",
    "Verdict",
    "aevaluate",
    "aoptimize",
    "evaluate",
    "load_run",
    "optimize",
]

_HOMES = {
    "api": ("aevaluate", "aoptimize", "evaluate", "optimize"),
    "scored": ("Scored",),
    "config": ("BudgetSpec", "DataSpec", "MetricSpec", "ModelSpec", "Prefer", "Price", "RunConfig"),
    "dataset": ("Example", "Split"),
    "errors": ("BudgetExceeded", "OptimizerError", "ProviderError", "StoreError", "UserError"),
    "events": ("Event", "Sink"),
    "failures": ("Cluster", "Failure"),
    "frames": ("Run", "load_run"),
    "metrics.base": ("MetricContext",),
    "outcome": ("Comparison", "LineWorth", "Outcome", "Verdict"),
    "prompt": ("Prompt",),
    "results": ("Completion", "Evaluation", "Result", "Score"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import optimizer` itself stays free of cost."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"optimizer.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'optimizer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
