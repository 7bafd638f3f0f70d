"""Whether another process has the cache open, told without asking the system each time.

While a process is alone, it need not lock what it asks for, nor look into the file for what it did not put there:
both would give the interpreter away in the middle of every call. Who comes later says so in a page of memory that all
share, and waits a moment until the other has seen it.
"""

from __future__ import annotations

import mmap
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PLACE = 2**61
"""The byte that everybody here has locked; keys have those before 2**60."""
_DOOR = _PLACE + 1
"""The byte that who comes in has locked meanwhile."""
_NAME = 8
"""Bytes of a name: random, so that none comes twice."""
_NOBODY = bytes(_NAME)
_LOOK = 0.01
"""Seconds between two looks at whether the other has seen us."""
_PATIENCE = 5.0
"""Seconds after which we go on all the same: the other may be stopped rather than slow."""


@dataclass(slots=True)
class _Here:
    """Who has one file open in this process."""

    users: int = 0
    """How many."""
    descriptors: list[int] = field(default_factory=list)
    """All that were opened. Closing one ends every lock of the process on the file, so the last one closes them."""
    pages: list[mmap.mmap] = field(default_factory=list)
    """The same: a page has a descriptor of its own."""


_open: dict[tuple[int, int], _Here] = {}
"""(device, number of the file) -> who has it open here: the system's locks tell other processes alone."""


class Company:
    """One user of a cache, and what it knows of the others.

    Where the file system has no locks or no shared memory, nobody is ever alone.
    """

    def __init__(self, descriptor: int) -> None:
        """Come in. Takes the descriptor over. Raises OSError where it is none."""
        found = os.fstat(descriptor)
        self._file = found.st_dev, found.st_ino
        self._here = _open.setdefault(self._file, _Here())
        self._here.descriptors.append(descriptor)
        self._here.users += 1
        self._descriptor = descriptor
        self._name = os.urandom(_NAME)
        self._alone = False
        self._page: mmap.mmap | None = None
        if fcntl is not None:
            with suppress(OSError, ValueError):
                if found.st_size < 2 * _NAME:
                    os.pwrite(descriptor, bytes(2 * _NAME), 0)  # A hole would end the process where the disk is full.
                self._page = mmap.mmap(descriptor, 2 * _NAME)
                self._here.pages.append(self._page)
                self._come_in(self._page)

    def alone(self) -> bool:
        """Whether nobody else has come since. Takes no time."""
        if self._alone and self._page is not None and self._page[:_NAME] != self._name:
            self._alone = False
        return self._alone

    def busy(self, *, busy: bool) -> None:
        """Say whether calls are under way that nobody else can see; true only while alone, and looking out."""
        if self._page is not None:
            self._page[_NAME:] = self._name if busy else _NOBODY

    def leave(self) -> None:
        """Go. The system's locks end with the last user of this process."""
        if self._page is not None and self._page[_NAME:] == self._name:
            self.busy(busy=False)
        self._page, self._alone = None, False
        self._here.users -= 1
        if self._here.users == 0:
            del _open[self._file]
            for page in self._here.pages:
                page.close()
            for descriptor in self._here.descriptors:
                os.close(descriptor)

    def _come_in(self, page: mmap.mmap) -> None:
        # One after the other: the last name in the page is that of the last who came.
        until = time.monotonic() + _PATIENCE
        while not (entered := self._try(fcntl.LOCK_EX, _DOOR)) and time.monotonic() < until:
            time.sleep(_LOOK)
        try:
            free = entered and self._try(fcntl.LOCK_EX, _PLACE)
            fcntl.lockf(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _PLACE)
            page[:_NAME] = self._name
            self._alone = free and self._here.users == 1
            if self._alone:
                page[_NAME:] = _NOBODY  # Left by one that was killed.
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _DOOR)
        if not free:
            self._be_seen(page)

    def _be_seen(self, page: mmap.mmap) -> None:
        """Wait until nobody has calls under way that we cannot see."""
        until = time.monotonic() + _PATIENCE
        time.sleep(_LOOK)
        while page[_NAME:] != _NOBODY and time.monotonic() < until:
            if self._try(fcntl.LOCK_EX, _PLACE):
                # Whoever it was is gone.
                fcntl.lockf(self._descriptor, fcntl.LOCK_SH, 1, _PLACE)
                page[_NAME:] = _NOBODY
            time.sleep(_LOOK)

    def _try(self, kind: int, place: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, kind | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True
