"""One process asks for a key at a time: locks on single bytes of one file, which end with their process."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from optimizer.models.cache.company import Company

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

POLL = 0.05
"""Seconds between two looks at a key that another process has claimed."""
PATIENCE = 300.0
"""Seconds after which a key is asked for all the same: its claimer may be stopped rather than slow."""
LOOK_OUT = 0.02
"""Seconds between two looks at whether another process has come, while keys are claimed without a lock."""


class Claims:
    """Keys that this process asks for. Callers of one process share a claim; `SingleFlight` keeps them apart.

    Locks are taken once another process is there. Where the file system has no locks, every claim is granted: a call
    may then be paid by each process.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file; waits a moment where another process has it. Raises OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._company = Company(self._descriptor)
        self._locks = not self._company.alone()
        self._held: dict[str, int] = {}
        self._looks_out: asyncio.AbstractEventLoop | None = None

    def alone(self) -> bool:
        """Whether no other process can have asked for anything since this one came. Takes no time."""
        return not self._locks and self._company.alone()

    async def take(self, key: str) -> None:
        """Claim a key (hex digits); waits while another process has it, though not for ever."""
        if self.alone():
            self._look_out()
        # Asked once more: who came before we said that we are busy did not wait for us.
        if not self.alone():
            self._lock_all()
            waited = 0.0
            while key not in self._held and not self._lock(key) and waited < PATIENCE:
                await asyncio.sleep(POLL)
                waited += POLL
        self._held[key] = self._held.get(key, 0) + 1

    def give_back(self, key: str) -> None:
        """End one claim."""
        held = self._held.pop(key) - 1
        if held:
            self._held[key] = held
        elif self._locks:
            self._unlock(key)

    def close(self) -> None:
        """End all claims."""
        for key in self._held if self._locks else ():
            self._unlock(key)
        self._held.clear()
        self._company.leave()

    def _look_out(self) -> None:
        loop = asyncio.get_running_loop()
        if self._looks_out is not loop:
            self._looks_out = loop
            self._company.busy(busy=True)
            loop.call_later(LOOK_OUT, self._look)

    def _look(self) -> None:
        if self._held and not self._locks and self._company.alone():
            asyncio.get_running_loop().call_later(LOOK_OUT, self._look)
            return
        self._looks_out = None
        if self._held:
            self._lock_all()
        elif not self._locks:
            self._company.busy(busy=False)

    def _lock_all(self) -> None:
        """Lock what was claimed while nobody else was there; from now on each key is locked as it is claimed."""
        if not self._locks:
            self._locks = True
            for key in self._held:
                self._lock(key)
            self._company.busy(busy=False)

    def _lock(self, key: str) -> bool:
        if fcntl is None:
            return True
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(key))
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True
        return True

    def _unlock(self, key: str) -> None:
        if fcntl is not None:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _place(key))
            except OSError:
                return  # No locks here.


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim, held inside `async with`."""

    claims: Claims
    """Whose."""
    key: str
    """Of what."""

    async def __aenter__(self) -> None:
        await self.claims.take(self.key)

    async def __aexit__(self, *_: object) -> None:
        self.claims.give_back(self.key)


def _place(key: str) -> int:
    """A byte of the file; it need not be there."""
    return int(key[:15], 16)
