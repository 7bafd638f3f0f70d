"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Write a file in place of what is there: after a crash it is the old one or the new one. Raises OSError."""
    temporary = _written(path, text)
    try:
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def create(path: Path, text: str) -> bool:
    """Write a new file; False where the name is taken. Raises OSError."""
    temporary = _written(path, text)
    try:
        # A link fails where the name is taken, which a rename does not.
        os.link(temporary, path)
    except FileExistsError:
        return False
    except PermissionError:
        return _create_directly(path, text)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it, where they are not there, with names that outlive a power loss.

    The mode is that of the last one. Raises OSError.
    """
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(path.parent)
    path.mkdir(mode, exist_ok=True)
    sync_folder(path.parent)


def _create_directly(path: Path, text: str) -> bool:
    """For file systems without hard links."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    _write(descriptor, text)
    sync_folder(path.parent)
    return True


def _written(path: Path, text: str) -> Path:
    """A temporary file beside the path that holds the text, on disk."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        _write(descriptor, text)
        if path.exists():
            _own(temporary, path.stat())
        else:
            temporary.chmod(0o666 & ~_umask())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _own(temporary: Path, old: os.stat_result) -> None:
    """Give a file the owner and the mode of the one that it takes the place of, as far as we may."""
    new = temporary.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with contextlib.suppress(PermissionError):
            os.chown(temporary, old.st_uid, old.st_gid)
    temporary.chmod(old.st_mode & 0o777)


def _write(descriptor: int, text: str) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def sync_folder(folder: Path) -> None:
    """Make a rename durable; a platform that cannot open folders needs no such step."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
