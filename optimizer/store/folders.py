"""Where a run lies, and what it may be called. Nothing outside `runs/` is ever reached by a run's id."""

from __future__ import annotations

import random
import re
import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import UserError

RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
"""What a run may be called: with a dash at its start it could not be named on a command line."""
LATEST = "latest"
"""Stands for the run that began last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFolder:
    """The files of one run."""

    path: Path
    """`runs/<id>`."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def database(self) -> Path:
        """Results, calls, decisions: everything."""
        return self.path / "run.sqlite"

    @property
    def log(self) -> Path:
        """One event a line."""
        return self.path / "log.jsonl"

    @property
    def config(self) -> Path:
        """What was asked, resolved."""
        return self.path / "config.yaml"

    @property
    def lock(self) -> Path:
        """Who writes it."""
        return self.path / "lock"


def runs_folder(root: Path) -> Path:
    """The folder of all runs of a workspace."""
    return root / "runs"


def run_folder(root: Path, run_id: str) -> RunFolder:
    """Where that run lies, whether it is there or not.

    Raises UserError for an id that is none, and for a link that leads out of `runs/`.
    """
    if not RUN_ID.fullmatch(run_id) or run_id == LATEST:
        raise UserError(
            f"run id {run_id[:80]!r}: not usable (use 1 to 80 letters, digits, dots, dashes and underscores, the first "
            f"no dot or dash, and not `{LATEST}`)"
        )
    path = runs_folder(root) / run_id
    if path.is_symlink() and not _stays(path):
        raise UserError(f"{path}: a link that leads out of {runs_folder(root)} (move the run's folder there)")
    return RunFolder(path=path)


def _stays(link: Path) -> bool:
    """Whether a link leads to something beside it; one that leads in a circle leads nowhere."""
    try:
        return link.resolve().parent == link.parent.resolve()
    except (OSError, RuntimeError):
        return False


def run_ids(root: Path) -> list[str]:
    """Ids of all runs, in the order of the alphabet."""
    folder = runs_folder(root)
    if not folder.is_dir():
        return []
    found = [path.name for path in folder.iterdir() if (path / "run.sqlite").is_file()]
    return sorted(name for name in found if RUN_ID.fullmatch(name))


def new_run_id(
    root: Path,
    name: str,
    *,
    now: Callable[[], float] = time.time,
    letters: Callable[[], str] | None = None,
) -> str:
    """An id that no run has: `<UTC yyyymmdd-HHMMSS>-<name>-<3 letters>`, distinct even where the clock stands still.

    Args:
        root: the workspace.
        name: what the run is about; what no id may hold becomes a dash.
        now: Unix time.
        letters: gives the letters; None draws them from the system. No decision of a run rests on them.
    """
    draw = letters or _letters
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now()))
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:50] or "run"
    for _ in range(1000):
        run_id = f"{stamp}-{clean}-{draw()}"
        if not run_folder(root, run_id).path.exists():
            return run_id
    raise UserError(f"{runs_folder(root)}: no free id for {clean} at {stamp} (name one with --run-id)")


def _letters() -> str:
    return "".join(random.SystemRandom().choices(string.ascii_lowercase, k=3))
