"""The files of a new workspace."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from optimizer.errors import StoreError, UserError
from optimizer.readers import atomic
from optimizer.readers.base import shown

STARTER = {
    "example.yaml": "evals/example.yaml",
    "example.jsonl": "evals/example.jsonl",
    "v1.yaml": "prompts/example/v1.yaml",
}
"""File of the package -> where it goes."""
IGNORED = ("/runs/", "/.optimizer/", ".env")
"""What version control should leave out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """What `init` did."""

    written: tuple[str, ...]
    """Files that were written or added to."""
    kept: tuple[str, ...]
    """Files that were there already."""
    next: str
    """The next command."""

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"written": list(self.written), "kept": list(self.kept), "next": self.next}


def write(folder: Path) -> Started:
    """Write what is not there yet. Raises UserError where the folder is none, StoreError where the disk refuses."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: not a folder")
    written: list[str] = []
    kept: list[str] = []
    try:
        for source, target in STARTER.items():
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            text = files("optimizer.cli").joinpath("starter", source).read_text("utf-8")
            (written if atomic.create(path, text) else kept).append(shown(path))
        ignore = folder / ".gitignore"
        (written if _ignore(ignore) else kept).append(shown(ignore))
    except OSError as error:
        raise StoreError(f"{shown(folder)}: cannot be written: {error.strerror} (check space and rights)") from error
    go = f"cd {shlex.quote(str(folder))} && " if folder.resolve() != Path.cwd() else ""
    return Started(written=tuple(written), kept=tuple(kept), next=f"{go}optimizer run evals/example.yaml")


def _ignore(path: Path) -> bool:
    """Add the lines that are missing behind what is there; False where none is."""
    before = path.read_text("utf-8") if path.exists() else ""
    missing = list(_missing(before))
    if not missing:
        return False
    gap = "" if not before or before.endswith("\n") else "\n"
    atomic.replace(path, before + gap + "\n".join(missing) + "\n")
    return True


def _missing(before: str) -> Iterator[str]:
    known = {line.strip().strip("/") for line in before.splitlines()}
    for line in IGNORED:
        if line.strip("/") not in known:
            yield line
