"""One process asks for a key at a time: locks on single bytes of one file, which end with their process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optimizer.models.cache.company import Company

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
        self._company = Company(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._locks = not self._company.alone()
        self._held: dict[str, int] = {}
        self._locked: set[str] = set()
        self._looks_out: asyncio.AbstractEventLoop | None = None
        self._round: object = None

    def alone(self) -> bool:
        """Whether no other process can have asked for anything since this one came. Takes no time."""
        return not self._locks and self._company.alone()

    async def take(self, key: str) -> None:
        """Claim a key (hex digits); waits while another process has it, though not for ever."""
        if not self._locks:
            self._look_out()
        # Asked after we said that we are busy: who came before that did not wait for us.
        if not self.alone():
            self._lock_all()
            waited = 0.0
            while key not in self._held and not self._lock(key) and waited < PATIENCE:
                await asyncio.sleep(POLL)
                waited += POLL
        self._held[key] = self._held.get(key, 0) + 1

    def give_back(self, key: str) -> None:
        """End one claim; does nothing once all have ended."""
        held = self._held.pop(key, 1) - 1
        if held:
            self._held[key] = held
        else:
            self._unlock(key)

    def close(self) -> None:
        """End all claims."""
        self._round = None
        for key in list(self._locked):
            self._unlock(key)
        self._held.clear()
        self._company.leave()

    def _look_out(self) -> None:
        loop = asyncio.get_running_loop()
        if self._looks_out is not loop:
            # The loop of before may be closed: then it looks no more.
            self._looks_out, self._round = loop, object()
            self._company.busy(busy=True)
            loop.call_later(LOOK_OUT, self._look, self._round)

    def _look(self, of: object) -> None:
        if of is not self._round:
            return  # Closed, or looked out for by another loop.
        if self._held and not self._locks and self._company.look():
            asyncio.get_running_loop().call_later(LOOK_OUT, self._look, of)
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
            for key in list(self._held):
                self._lock(key)
            self._company.busy(busy=False)

    def _lock(self, key: str) -> bool:
        if not self._company.lock(_place(key)):
            return False
        self._locked.add(key)
        return True

    def _unlock(self, key: str) -> None:
        if key in self._locked:
            self._locked.remove(key)
            self._company.unlock(_place(key))


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim, held inside `async with`."""

    claims: Claims
    """Whose."""
    key: str
    """Of what."""
    writing: Mapping[str, asyncio.Future[BaseException | None]]
    """Answers on their way to the disk, by key."""

    async def __aenter__(self) -> None:
        await self.claims.take(self.key)

    async def __aexit__(self, *_: object) -> None:
        written = self.writing.get(self.key)
        if written is None or written.done():
            self.claims.give_back(self.key)
        else:
            # The caller was cancelled. Others would not find the answer yet, and ask once more.
            written.add_done_callback(lambda _: self.claims.give_back(self.key))


def _place(key: str) -> int:
    """A byte of the file; it need not be there."""
    return int(key[:15], 16)
