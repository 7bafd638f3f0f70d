"""What `apply` changed, kept so that `--undo` restores the bytes.

Kept is the one value, not the file: its old and its new characters, and a hash of the whole file before and after.
So a config's secrets are copied nowhere, and a file that anybody changed since is never touched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from optimizer.errors import StoreError, UserError
from optimizer.readers import atomic
from optimizer.readers.base import shown

MOST = 50
"""Changes of one file that are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One change of one file."""

    file: str
    """The file, from the workspace where it lies inside."""
    key: str
    """The key."""
    prompt: str
    """What was put there: `triage@v7`."""
    when: str
    """Time in UTC."""
    before: str
    """sha256 of the file before."""
    after: str
    """sha256 of the file after."""
    start: int
    """Bytes before the place where both differ."""
    old: str
    """The bytes that stood there, in base64."""
    new: int
    """How many bytes stand there now."""


def keep(root: Path, file: Path, before: bytes, after: bytes, *, key: str, prompt: str) -> Path:
    """Write down a change before it is made; returns where. Raises StoreError where the disk refuses."""
    start = len(os.path.commonprefix([before, after]))
    most = min(len(before), len(after)) - start
    tail = next((n for n in range(most) if before[-1 - n] != after[-1 - n]), most)
    record = Record(
        file=_name(root, file),
        key=key,
        prompt=prompt,
        when=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        before=_hash(before),
        after=_hash(after),
        start=start,
        old=base64.b64encode(before[start : len(before) - tail]).decode(),
        new=len(after) - tail - start,
    )
    folder = _folder(root, file)
    try:
        atomic.make_folder(folder, 0o700)
        number = max((_number(path) for path in folder.glob("*.json")), default=0) + 1
        while not atomic.create(folder / f"{number:06}.json", json.dumps(asdict(record), indent=1) + "\n"):
            number += 1
        (folder / f"{number:06}.json").chmod(0o600)
        for path in _paths(folder)[MOST:]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{shown(folder)}: cannot be written: {error.strerror} (nothing is changed)") from error
    return folder / f"{number:06}.json"


def last(root: Path, file: Path, now: bytes) -> tuple[Record, bytes, Path]:
    """The latest change that stands in a file: the record, the bytes before it, where it is kept.

    Raises UserError where there is none, or where the file changed since.
    """
    folder = _folder(root, file)
    for path in _paths(folder):
        record = _read(path)
        if _hash(now) == record.before:
            # It never got as far as the file, or was taken back already.
            continue
        old = base64.b64decode(record.old)
        restored = now[: record.start] + old + now[record.start + record.new :]
        if _hash(now) != record.after or _hash(restored) != record.before:
            raise UserError(
                f"{shown(file)}: changed since {record.prompt} was put there ({record.when}), so it cannot be undone "
                f"here (the old value is in {shown(path)})"
            )
        return record, restored, path
    raise UserError(f"{shown(file)}: nothing to undo (this workspace has put nothing there, or has undone it)")


def forget(path: Path) -> None:
    """Take a record away, after it was undone. What cannot be taken away does no harm."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def _read(path: Path) -> Record:
    try:
        return Record(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"{shown(path)}: cannot be read ({type(error).__name__}; take it away to go on)") from None


def _paths(folder: Path) -> list[Path]:
    """Records, the newest first."""
    return sorted(_records(folder), key=_number, reverse=True)


def _records(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.glob("*.json") if path.stem.isdecimal())


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdecimal() else 0


def _folder(root: Path, file: Path) -> Path:
    known = hashlib.sha256(_name(root, file).encode(errors="surrogateescape")).hexdigest()[:12]
    return root / ".optimizer" / "applied" / f"{file.name[:60]}-{known}"


def _name(root: Path, file: Path) -> str:
    try:
        return file.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(file.resolve())


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
