"""Whether another process has the cache open, told without asking the system each time.

While a process is alone, it need not lock what it asks for, nor look into the file for what it did not put there:
both would give the interpreter away in the middle of every call. Who comes later writes a name into a file, and waits
a moment until the other has seen it.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PLACE = 2**61
"""The byte that everybody here has locked together; keys have those before 2**60."""
_ALONE = _PLACE + 1
"""The byte that who came while nobody was there keeps locked: whether it is gone is then seen by all the others."""
_NAME = 8
"""Bytes of a name: random, so that none comes twice. At the start of the file, who came last; then, who is busy."""
_NOBODY = bytes(_NAME)
_LOOK = 0.01
"""Seconds between two looks at whether the other has seen us."""
_PATIENCE = 5.0
"""Seconds after which we go on all the same: the other may be stopped rather than slow."""
_CUT = 0.05
"""The same where the file was cut."""
_FRESH = 0.1
"""Seconds for which a look is believed while busy: far less than the others' patience."""


@dataclass(slots=True, eq=False)
class _Here:
    """What this process has of one file: the system's locks are the process's, and tell other processes alone."""

    users: list[Company] = field(default_factory=list)
    """Who has it open."""
    descriptors: list[int] = field(default_factory=list)
    """All that were opened. Closing one ends every lock of the process on the file, so the last one closes them."""
    places: dict[int, int] = field(default_factory=dict)
    """Locked byte -> how many users have it."""
    was_alone: bool = False
    """Whether a user of this process came while nobody was there."""


_open: dict[tuple[int, int], _Here] = {}
"""(device, number of the file) -> who has it open here."""
_guard = threading.Lock()
"""Held for what takes no time: nobody writes or locks while another thread closes."""
_entrance = threading.Lock()
"""One thread of this process comes in at a time."""


class Company:
    """One user of a cache, and what it knows of the others.

    Where the file system has no locks, nobody is ever alone. A file that is cut, overwritten or deleted meanwhile ends
    that as well.
    """

    def __init__(self, descriptor: int) -> None:
        """Come in. Takes the descriptor over. Raises OSError where it is none."""
        found = os.fstat(descriptor)
        self._file = found.st_dev, found.st_ino
        self._descriptor = descriptor
        self._name = os.urandom(_NAME)
        self._alone = self._busy = self._left = False
        self._looked = 0.0
        with _guard:
            self._here = _open.setdefault(self._file, _Here())
            self._here.descriptors.append(descriptor)
            self._here.users.append(self)
        if fcntl is not None:
            with suppress(OSError), _entrance:
                self._come_in()
            if not self._alone:
                with suppress(OSError):
                    self._be_seen()

    def alone(self) -> bool:
        """Whether nobody else has come since. Takes no time while busy."""
        if self._alone and (not self._busy or time.monotonic() - self._looked > _FRESH):
            self.look()
        return self._alone

    def look(self) -> bool:
        """The same, as it is at this moment."""
        with _guard:
            self._look()
        return self._alone

    def busy(self, *, busy: bool) -> None:
        """Say whether calls are under way that nobody else can see, then look who has come."""
        with _guard:
            if not self._left and self._busy is not busy:
                self._busy = busy
                try:
                    os.pwrite(self._descriptor, self._name if busy else _NOBODY, _NAME)
                except OSError:
                    self._alone = False  # On a full disk, say: nobody could know.
            self._look()

    def lock(self, place: int) -> bool:
        """Lock a byte of the file; False where another process has it. Users of one process share it."""
        with _guard:
            if self._left or fcntl is None:
                return True
            if place not in self._here.places:
                try:
                    if not self._try(fcntl.LOCK_EX, place):
                        return False
                except OSError:
                    return True  # No locks here.
            self._here.places[place] = self._here.places.get(place, 0) + 1
            return True

    def unlock(self, place: int) -> None:
        """End one `lock`; does nothing where that was not granted by the system."""
        with _guard:
            users = self._here.places.pop(place, 0)
            if users > 1:
                self._here.places[place] = users - 1
            elif users and not self._left:
                with suppress(OSError):
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)

    def leave(self) -> None:
        """Go. The system's locks end with the last user of this process."""
        self.busy(busy=False)
        with _guard:
            self._left, self._alone = True, False
            self._here.users.remove(self)
            if not self._here.users:
                del _open[self._file]
                for descriptor in self._here.descriptors:
                    os.close(descriptor)

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            self._alone = (
                self._alone
                and os.pread(self._descriptor, _NAME, 0) == self._name
                # Who makes another file of that name does not see this one.
                and os.fstat(self._descriptor).st_nlink > 0
            )
        except OSError:
            self._alone = False

    def _come_in(self) -> None:
        until = time.monotonic() + _PATIENCE
        if first := self._try(fcntl.LOCK_EX, _PLACE):
            # Nobody else gets past this lock. What the file holds may have been left by one that was killed.
            with _guard:
                first = len(self._here.users) == 1 and self._begin()
        # Who is in the middle of the lines above has it for a moment, unless it is stopped.
        while not (present := self._try(fcntl.LOCK_SH, _PLACE)) and time.monotonic() < until:
            time.sleep(_LOOK)
        with _guard:
            if first:
                # Others went on without us where we were stopped for long.
                self._alone = present and len(self._here.users) == 1 and time.monotonic() < until
                return
            os.pwrite(self._descriptor, self._name, 0)
            for user in self._here.users:
                user._alone = False

    def _begin(self) -> bool:
        """Whether the others can be told that nobody is there but us: not on a full disk, say."""
        try:
            self._here.was_alone = self._try(fcntl.LOCK_EX, _ALONE)
            return os.pwrite(self._descriptor, self._name + _NOBODY, 0) == 2 * _NAME
        except OSError:
            return False

    def _be_seen(self) -> None:
        """Wait until nobody has calls under way that we cannot see."""
        began = time.monotonic()
        time.sleep(_LOOK)
        while (said := os.pread(self._descriptor, _NAME, _NAME)) != _NOBODY:
            with _guard:
                if self._here.was_alone:
                    return  # It is of this process.
                if self._try(fcntl.LOCK_SH, _ALONE):
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _ALONE)
                    return  # It was killed.
            # A file that was cut, or never written, says nothing: whoever is busy has seen that after a few looks.
            if time.monotonic() > began + (_PATIENCE if len(said) == _NAME else _CUT):
                # Those who come after us need not wait for it again. It looks before it asks for anything else.
                os.pwrite(self._descriptor, _NOBODY, _NAME)
                return
            time.sleep(_LOOK)

    def _try(self, kind: int, place: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, kind | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True
