"""What SQLite and the disk complain about, in one line that names the file and what to do."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from optimizer import locked
from optimizer.errors import StoreError

_FULL = "no space left on the disk; free some, then run again with --resume"
_LOCKED = "locked by another program; close what has it open, then run again with --resume"
_READ_ONLY = "not writable; check the permissions of the file and its folder"
_DAMAGED = "damaged; restore it from a copy, or start a new run: the cache still has the answers"

_BY_SQLITE = (
    ("SQLITE_FULL", _FULL),
    ("SQLITE_BUSY", _LOCKED),
    ("SQLITE_LOCKED", _LOCKED),
    ("SQLITE_READONLY", _READ_ONLY),
    ("SQLITE_PERM", _READ_ONLY),
    ("SQLITE_AUTH", _READ_ONLY),
    ("SQLITE_CANTOPEN", "cannot be opened; check that its folder exists and is writable"),
    ("SQLITE_CORRUPT", _DAMAGED),
    ("SQLITE_NOTADB", _DAMAGED),
    ("SQLITE_IOERR", "the disk gave an error, or a limit on file sizes was reached"),
)
_BY_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "a limit on file sizes was reached",
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
}


def fault(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """The error that a user sees. The first cause stays in it in brackets."""
    if isinstance(error, OSError):
        known = _BY_ERRNO.get(error.errno or 0)
        told = error.strerror or type(error).__name__
        where = error.filename if isinstance(error.filename, str) else path
        return StoreError(f"{where}: {known} ({told})" if known else f"{where}: {told}")
    name = getattr(error, "sqlite_errorname", None) or ""
    told = " ".join(str(error).split())
    for prefix, known in _BY_SQLITE:
        if name.startswith(prefix):
            holder = locked.in_brackets(path) if known is _LOCKED else ""
            return StoreError(f"{path}: {known}{holder} ({told})")
    return StoreError(f"{path}: {told}")


def damaged(path: Path, table: str, place: object) -> StoreError:
    """One row is not what was written, and nothing else can tell what it was."""
    return StoreError(f"{path}: {_DAMAGED} (table {table}, row {place}: checksum)")
