"""The list of runs, as values and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optimizer.cli.tables import table
from optimizer.report.wording import percent
from optimizer.store import RunInfo


def facts(run: RunInfo) -> dict[str, Any]:
    """One run as JSON values."""
    return {
        "run": run.id,
        "name": run.name,
        "status": run.status.value if run.status else None,
        "verdict": run.verdict.value if run.verdict else None,
        "baseline": run.baseline,
        "winner": run.winner,
        "on": run.on or None,
        "calls": run.calls,
        "started": run.started or None,
        "stand_in": run.stand_in,
        "problem": run.problem,
    }


def text(runs: Sequence[RunInfo]) -> str:
    """All runs as a table."""
    return table([("run", "verdict", "calls", "score"), *map(_row, runs)], right=(2,))


def _row(run: RunInfo) -> tuple[str, str, str, str]:
    if run.status is None:
        return run.id, "unreadable", "-", run.problem
    return run.id, run.verdict.value if run.verdict else run.status.value, f"{run.calls:,}", _score(run)


def _score(run: RunInfo) -> str:
    if run.baseline is None:
        return run.problem or "-"
    gone = f" -> {percent(run.winner)}" if run.winner is not None else ""
    optimistic = ", optimistic" if run.on == "val" and run.winner != run.baseline else ""
    stand_in = " (stand-in)" if run.stand_in else ""
    return f"{percent(run.baseline)}{gone} on {run.on}{optimistic}{stand_in}"
