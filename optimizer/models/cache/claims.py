"""One process asks for a key at a time: locks on single bytes of one file, which end with their process."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

POLL = 0.05
"""Seconds between two looks at a key that another process has claimed."""
PATIENCE = 300.0
"""Seconds after which a key is asked for all the same: its claimer may be stopped rather than slow."""


class Claims:
    """Keys that this process asks for. Callers of one process share a claim; `SingleFlight` keeps them apart.

    Where the file system has no locks, every claim is granted: a call may then be paid by each process.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._held: dict[str, int] = {}

    async def take(self, key: str) -> None:
        """Claim a key (hex digits); waits while another process has it, though not for ever."""
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
        else:
            self._unlock(key)

    def close(self) -> None:
        """End all claims."""
        os.close(self._descriptor)

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
