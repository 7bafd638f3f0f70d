"""All runs of a workspace: the list, and finding the one that is meant."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import StoreError, UserError
from optimizer.outcome import Verdict
from optimizer.store.folders import LATEST, run_ids, runs_folder
from optimizer.store.reader import RunReader, RunStatus
from optimizer.store.totals import attempts

VERSION = re.compile(r"[A-Za-z0-9._-]{1,80}@v[0-9]{1,9}")
"""A version of a prompt, where a run is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInfo:
    """One line of the list of runs."""

    id: str
    """The run's id."""
    name: str
    """Stem of its eval file; empty where the run cannot be read."""
    status: RunStatus | None
    """Where it is; None where it cannot be read."""
    verdict: Verdict | None
    """The claim; None while it has not ended."""
    baseline: float | None
    """Score of the seed, in [0, 1]: on test where it was made, else on val."""
    winner: float | None
    """The same of the winner."""
    on: str
    """`test`, `val`, or empty where there is no score yet."""
    calls: int
    """Attempts sent."""
    started: float
    """Unix time; 0 where the run cannot be read."""
    stand_in: bool = False
    """True where the model was the offline stand-in."""
    seed: str = ""
    """Fingerprint of the prompt that it began with."""
    best: str = ""
    """Fingerprint of the prompt that it ended with; empty where it has not ended, or ended with its seed."""
    problem: str = ""
    """Why the run cannot be read, or the error that it ended with."""


def list_runs(root: Path) -> tuple[RunInfo, ...]:
    """All runs, the one that began last first. A run that cannot be read is listed with its problem."""
    return tuple(sorted(map(lambda run_id: _info(root, run_id), run_ids(root)), key=lambda run: (-run.started, run.id)))


UNFINISHED = frozenset({RunStatus.INTERRUPTED, RunStatus.FAILED})
"""Runs that can be gone on with."""


def unfinished(root: Path, name: str | None = None) -> str | None:
    """The latest run that can be gone on with, of one eval file or of any.

    A run counts only where no other one of its eval file began after it: what was left lying before that is over.
    """
    later: set[str] = set()
    for run in list_runs(root):
        if run.name not in later and name in (None, run.name) and run.status in UNFINISHED:
            return run.id
        later.add(run.name)
    return None


def find_run(root: Path, wanted: str = LATEST) -> str:
    """The id that is meant: an id, the beginning of just one, or `latest`.

    Raises UserError where there is none, with the nearest one there is.
    """
    known = run_ids(root)
    if not known:
        raise UserError(f"no runs under {runs_folder(root)} yet (`optimizer run` makes one)")
    if wanted == LATEST:
        return max(known, key=lambda run_id: (_started(root, run_id), run_id))
    if wanted in known:
        return wanted
    begun = [run_id for run_id in known if wanted and run_id.startswith(wanted)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise UserError(f"{wanted}: {len(begun)} runs begin like that: {', '.join(sorted(begun)[:3])}")
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    if VERSION.fullmatch(wanted):
        # Which run made it is for the log of its prompt to say; the nearest run by its letters is none.
        hint = f"a version: `optimizer log {wanted.partition('@')[0]}` names its run; "
    raise UserError(f"no run {wanted[:80]!r} under {runs_folder(root)} ({hint}`optimizer runs` lists them)")


def _started(root: Path, run_id: str) -> float:
    try:
        with RunReader(root, run_id) as reader:
            return reader.started
    except (StoreError, UserError):
        return 0.0


def _info(root: Path, run_id: str) -> RunInfo:
    try:
        with RunReader(root, run_id) as reader:
            return _read(reader)
    except (StoreError, UserError) as error:
        return RunInfo(
            id=run_id,
            name="",
            status=None,
            verdict=None,
            baseline=None,
            winner=None,
            on="",
            calls=0,
            started=0.0,
            problem=str(error),
        )


def _read(reader: RunReader) -> RunInfo:
    outcome = reader.outcome()
    shown = None if outcome is None else outcome.test or outcome.val
    baseline, winner, on = None, None, ""
    if outcome is not None and shown is not None:
        baseline, winner, on = shown.baseline, shown.winner, "test" if outcome.test else "val"
    else:
        scored = reader.query(
            "SELECT AVG(score) FROM results WHERE candidate = ? AND split = 'val'", reader.meta.seed_prompt
        )
        baseline = scored[0][0]
        on = "" if baseline is None else "val"
        winner = baseline if outcome is not None else None
    return RunInfo(
        id=reader.id,
        name=reader.meta.name,
        status=reader.status,
        verdict=None if outcome is None else outcome.verdict,
        baseline=baseline,
        winner=winner,
        on=on,
        calls=attempts(reader),
        started=reader.started,
        stand_in=reader.meta.stand_in,
        seed=reader.meta.seed_prompt,
        best="" if outcome is None or outcome.winner == reader.meta.seed_prompt else outcome.winner,
        problem=reader.failure,
    )
