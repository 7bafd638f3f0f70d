"""What the shell may complete: names of runs, prompts, eval files, by their folders alone. Opens no file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SPLITS = ("train", "val", "test")


def runs(incomplete: str) -> list[str]:
    """Ids of runs, the latest first, and `latest`."""
    found = sorted((path.parent.name for path in _listed(Path("runs"), "*/run.sqlite")), reverse=True)
    return _beginning([*found, "latest"], incomplete)


def prompts(incomplete: str) -> list[str]:
    """Names of prompts."""
    return _beginning(sorted({path.parent.name for path in _versions()}), incomplete)


def versions(incomplete: str) -> list[str]:
    """Versions of prompts, `NAME@vN`."""
    return _beginning(sorted(f"{path.parent.name}@{path.stem}" for path in _versions()), incomplete)


def targets(incomplete: str) -> list[str]:
    """What stands for a prompt: versions, then runs."""
    return [*versions(incomplete), *runs(incomplete)]


def splits(incomplete: str) -> list[str]:
    """Splits of an eval set."""
    return _beginning(SPLITS, incomplete)


def kinds(incomplete: str) -> list[str]:
    """Kinds of marks."""
    return _beginning(("wrong-label", "regression", "note", "undo"), incomplete)


def _versions() -> Iterable[Path]:
    return _listed(Path("prompts"), "*/v*.yaml")


def _listed(folder: Path, pattern: str) -> list[Path]:
    try:
        return list(folder.glob(pattern))
    except OSError:
        # A folder that cannot be read has nothing to complete; a shell wants no error here.
        return []


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
