"""A database that another program has locked: wait for it, say so once, and give up in the end."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PATIENCE = 60.0
"""Seconds that a lock of another program is waited for."""
TELL_AFTER = 1.0
"""Seconds of waiting after which the user is told."""
STEP = 0.25
"""Seconds of one try: the timeout of every connection that is opened for a try."""

_LOCKS = Path("/proc/locks")
_SHARED_MEMORY = "-shm"

log = logging.getLogger(__name__)
T = TypeVar("T")


def patiently(path: Path, attempt: Callable[[], T], *, patience: float | None = None) -> T:
    """Try until the file is free; call it on a thread, never on an event loop.

    Args:
        path: the database.
        attempt: raises sqlite3.Error where the file is locked; nothing else is tried again.
        patience: seconds, PATIENCE where none are given.

    Raises the last error where the file was never free.
    """
    began = time.monotonic()
    most = PATIENCE if patience is None else patience
    told = False
    while True:
        tried = time.monotonic()
        try:
            return attempt()
        except sqlite3.Error as error:
            waited = time.monotonic() - began
            if not is_locked(error) or waited >= most:
                raise
            if time.monotonic() - tried < STEP / 2:
                # Some locks make SQLite give up at once.
                time.sleep(STEP / 5)
        if not told and waited >= min(TELL_AFTER, most / 2):
            told = True
            log.warning("%s: database busy%s, waiting up to %.0f s", path, in_brackets(path), most)


def wait_until_free(path: Path) -> None:
    """Return once the file can be written; does nothing where it is no sound database. Raises sqlite3.Error."""
    db = sqlite3.connect(path, isolation_level=None, timeout=STEP)
    try:
        patiently(path, lambda: db.execute("BEGIN IMMEDIATE"))
        db.execute("ROLLBACK")
    finally:
        db.close()


def is_locked(error: BaseException | None) -> bool:
    """True where another connection holds the file."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def in_brackets(path: Path) -> str:
    """` (pid 123)` for the other process that writes the file; empty where the system does not tell."""
    found = holders(path)
    return f" (pid {', '.join(map(str, found[:3]))})" if found else ""


def holders(path: Path) -> list[int]:
    """Processes besides this one that hold a lock for writing on a database, as far as Linux tells."""
    wanted = set()
    for file in (path, path.with_name(path.name + _SHARED_MEMORY)):
        try:
            known = file.stat()
        except OSError:
            continue
        wanted.add(f"{os.major(known.st_dev):02x}:{os.minor(known.st_dev):02x}:{known.st_ino}")
    try:
        lines = _LOCKS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    found = set()
    for line in lines:
        # `1: POSIX  ADVISORY  WRITE 4321 fd:00:1234 120 120`; a process that only waits has an arrow in front.
        fields = line.split()
        if len(fields) == 8 and fields[3] == "WRITE" and fields[5] in wanted and fields[4].isdecimal():
            found.add(int(fields[4]))
    return sorted(found - {os.getpid()})
