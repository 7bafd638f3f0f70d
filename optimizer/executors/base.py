"""The seam to where rows run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Protocol

from optimizer.dataset import Example
from optimizer.errors import ModelError
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.targets.base import Output as Output
from optimizer.targets.base import Target as Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One candidate on one row, asked once."""

    candidate: Prompt
    """The prompt."""
    example: Example
    """The row."""
    phase: Phase
    """What it is run for."""
    sample: int = 0
    """Which of the row's repeats, from 0 on."""


class Executor(Protocol):
    """Runs rows side by side. Never sits inside the chain of one call."""

    def map(self, target: Target, jobs: Iterable[Job]) -> AsyncGenerator[tuple[Job, Output | ModelError], None]:
        """Run all jobs, taken as there is room, and yield each as it ends: an output, or this row's fault as a value.

        Order of arrival is arbitrary; nothing may be decided by it. BudgetExceeded, ProviderError and StoreError
        end the iteration: no new job is started, those in flight are given time to end.
        """
        ...
