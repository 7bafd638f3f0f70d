"""A planned change is written, and taken back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import UserError
from optimizer.export.apply import backup, files
from optimizer.export.apply.config_file import Patch, Place
from optimizer.readers.base import shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Undo:
    """A change that is to be taken back."""

    patch: Patch
    """From what is there now to what was there before."""
    when: str
    """When the change was made, in UTC."""
    record: Path
    """Where it is kept."""


def write(patch: Patch, root: Path | None = None) -> None:
    """Write a planned change.

    Args:
        patch: the change.
        root: the workspace that keeps what `undo` needs; None keeps nothing.

    Raises UserError where the file changed since it was read or may not be written, StoreError where the disk
    refuses.
    """
    files.replace(patch.file, patch.before, patch.after, key=patch.key, prompt=patch.prompt, root=root)


def plan_undo(place: Place, root: Path) -> Undo:
    """The latest change of a file that this workspace made, turned round.

    Args:
        place: the file; where a key is given, the change has to be of that key.
        root: the workspace.

    Raises UserError where there is none, or where the file changed since.
    """
    file = files.locate(place.file)
    now = files.read(place.file, file)
    record, restored, path = backup.last(root, file, now)
    if place.key and _bare(place.key) != _bare(record.key):
        raise UserError(f"{shown(place.file)}: the last change there was of the key {record.key} (leave --key out)")
    patch = Patch(file=file, key=record.key, prompt=record.prompt, role="", before=now, after=restored)
    return Undo(patch=patch, when=record.when, record=path)


def undo(planned: Undo) -> None:
    """Take a change back. Raises as `write` does."""
    write(planned.patch)
    backup.forget(planned.record)


def _bare(key: str) -> str:
    return re.sub(r"\[(\d+)\]", r".\1", key).removeprefix(".")
