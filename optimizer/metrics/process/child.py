"""One process, from our side: started, asked, killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

HEAD: Final = struct.Struct(">IQ")
"""In front of each message: its length, and its number. An answer has the number of what was asked."""
LAST_BREATH: Final = 0.5
"""Seconds that a process may take from its last word to its end."""
_BOOT: Final = (
    "import sys; sys.path[:] = sys.argv[2:]; from optimizer.metrics.process.worker import main; main(int(sys.argv[1]))"
)


class Ended(Exception):
    """The process said no more; the message tells how it ended, as the rest of a sentence."""


@dataclass(eq=False, slots=True)
class Child:
    """A process that answers one message at a time."""

    process: subprocess.Popen[bytes]
    """What was started; the head of a group of its own."""
    channel: socket.socket
    """Our end of its socket."""
    owner: int = field(default_factory=os.getpid)
    """Process that started it: a copy of us must neither ask nor kill it."""
    paths: list[str] = field(default_factory=lambda: [_folder(), *sys.path])
    """Our working folder, and where we imported from, when it was started: what it has, too."""
    greeted: bool = False
    """Whether it said that it listens."""
    asked: int = 0
    """Messages sent."""
    done: set[Hashable] = field(default_factory=set)
    """What is done once by each process, and was."""

    def is_fit(self) -> bool:
        """Whether it runs, is ours, and imports what we would import now."""
        here = self.paths[0] == _folder() and self.paths[1:] == sys.path
        return here and self.owner == os.getpid() and self.process.poll() is None

    async def greeting(self) -> bytes:
        """Wait until it listens. Raises Ended."""
        return await self._receive(0)

    async def ask(self, message: bytes, most: int) -> bytes:
        """Send a message; its answer, of `most` bytes at most. Raises Ended."""
        self.asked += 1
        framed = HEAD.pack(len(message), self.asked) + message
        try:
            await asyncio.get_running_loop().sock_sendall(self.channel, framed)
        except OSError:
            await self._tell_end()
        return await self._receive(most)

    def kill(self) -> None:
        """End it and all that it started. It is gone a moment later: see `gone`."""
        self.channel.close()
        if self.owner != os.getpid():
            return
        if hasattr(os, "killpg"):
            # Its group outlives it, where it left others behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()

    def gone(self, seconds: float = 0.0) -> bool:
        """Whether it is gone, within so many seconds: the system takes a while to clear away gigabytes."""
        if self.owner != os.getpid():
            return True
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    async def _receive(self, most: int) -> bytes:
        head = await self._exactly(HEAD.size, b"")
        size, number = HEAD.unpack_from(head)
        if size > most or number != self.asked:
            # Something else wrote there: what comes next would be taken for the next answer.
            raise Ended("gave an answer that is none")
        return await self._exactly(size, head[HEAD.size :])

    async def _exactly(self, size: int, begun: bytes) -> bytes:
        """At least so many bytes; more only where more is wanted next."""
        loop = asyncio.get_running_loop()
        found = begun
        while len(found) < size:
            try:
                piece = await loop.sock_recv(self.channel, 65_536)
            except OSError:
                piece = b""
            if not piece:
                await self._tell_end()
            found += piece
        return found

    async def _tell_end(self) -> None:
        """Raise Ended in words. Its socket closes a moment before it is gone."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LAST_BREATH
        while (code := self.process.poll()) is None and loop.time() < until:
            await asyncio.sleep(0.005)
        if code is None:
            raise Ended("closed the connection of its process")
        if code >= 0:
            raise Ended(f"ended its process (exit code {code})")
        names = {one.value: one.name for one in signal.Signals}
        raise Ended(f"crashed its process ({names.get(-code, f'signal {-code}')})")


def _folder() -> str:
    """The working folder; empty where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def start(environ: Mapping[str, str]) -> Child:
    """A new process, which listens soon. Raises OSError."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        with theirs:
            # Imports as we do; a folder that we do not import from does not come in by its being the working folder.
            command = [sys.executable, "-P", "-c", _BOOT, str(theirs.fileno()), *sys.path]
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=dict(environ),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    return Child(process=process, channel=ours)
