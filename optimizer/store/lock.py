"""One owner a run: a lock file with the owner's pid and start time.

The lock itself is the operating system's (`flock`), so it ends with its process whatever happens. What the file says
is for people. Where there is no `flock`, pid and start time decide.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from optimizer.errors import StoreError, UserError
from optimizer.store.faults import fault

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Who writes a run."""

    pid: int
    """Process id."""
    started: str
    """When that process began, as the system counts it: tells it from a later process of the same id."""
    since: float
    """Unix time of the lock."""


class Lock:
    """A lock that is held. `release` gives it back; so does the end of the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Empty the file and let go. The file stays: deleting it would race with the next owner."""
        if self._descriptor < 0:
            return
        try:
            os.ftruncate(self._descriptor, 0)
        except OSError as error:
            raise fault(self._path, error) from error
        finally:
            os.close(self._descriptor)
            self._descriptor = -1


def acquire(path: Path, what: str, now: float) -> Lock:
    """Take the lock, from a dead owner too.

    Raises UserError where a living process holds it, StoreError where the file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise fault(path, error) from error
    try:
        if not _take(descriptor, path):
            raise UserError(_told(owner(path), what))
        os.ftruncate(descriptor, 0)
        text = json.dumps({"pid": os.getpid(), "started": process_start(os.getpid()), "since": now})
        os.write(descriptor, text.encode())
    except OSError as error:
        os.close(descriptor)
        raise fault(path, error) from error
    except UserError:
        os.close(descriptor)
        raise
    return Lock(path, descriptor)


def _take(descriptor: int, path: Path) -> bool:
    if fcntl is not None:
        # A reader that asks whether the run is alive holds a shared lock for an instant.
        for wait in (0.0, 0.01, 0.05, 0.1):
            time.sleep(wait)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:
                break  # This file system has no flock.
            return True
        else:
            return False
    found = owner(path)
    return found is None or not alive(found)


def owner(path: Path) -> Owner | None:
    """Who the file says holds the lock; None where it is empty or says nothing sensible."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Owner(pid=int(told["pid"]), started=str(told["started"]), since=float(told["since"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def held(path: Path) -> bool:
    """True where a living process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(str(fault(path, error))) from error
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        pass  # No flock here: the file's words decide.
    finally:
        os.close(descriptor)
    found = owner(path)
    return found is not None and alive(found)


def alive(owner: Owner) -> bool:
    """True where that very process still runs."""
    if process_start(owner.pid) != owner.started:
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def process_start(pid: int) -> str:
    """When a process began, in the system's own count; empty where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name in brackets may hold spaces and brackets; the 20th field behind it is the start time.
    return stat.rpartition(")")[2].split()[19]


def _told(found: Owner | None, what: str) -> str:
    if found is None:
        return f"{what} is in use by another process (wait for it, or choose another --run-id)"
    since = time.strftime("%H:%M", time.localtime(found.since))
    return f"{what} is in use by pid {found.pid} since {since} (wait for it, or choose another --run-id)"
