"""What runs in a process of its own: reads a task, calls a function, writes what it gave, until nobody asks any more.

Everything here is on the side that may hang or die. What keeps it from outliving us: it ends when our end of the
socket is closed, and a timer of the system ends it where a function does not come back and we are gone.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from optimizer.metrics.process import Refused
from optimizer.metrics.process.child import HEAD
from optimizer.wording import printable

IDLE: Final = 600.0
"""Seconds without a task after which a process ends."""
GRACE: Final = 5.0
"""Seconds beyond a task's deadline after which the system ends the process, should nobody else."""
HEARD: Final = 80
"""Characters, the last ones, that are kept of what a function prints."""


def main(descriptor: int) -> None:
    """Serve tasks until the socket is closed."""
    sys.argv = ["metric"]
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    if hasattr(os, "register_at_fork"):
        # A child that a function leaves behind must not keep our end waiting.
        os.register_at_fork(after_in_child=channel.close)
    with contextlib.suppress(ValueError, AttributeError):
        # Ctrl-C is for us: calls under way end, and then this process.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _no_core()
    me = os.getpid()
    heard = Heard()
    sys.stdout = sys.stderr = heard
    _send(channel, 0, b"")
    with contextlib.suppress(OSError):
        channel.settimeout(IDLE)
        while (asked := _receive(channel)) is not None:
            number, body = asked
            answer, spent = _served(body, heard)
            if os.getpid() != me:
                os._exit(0)
            _send(channel, number, answer)
            if spent:
                break
    if os.getpid() == me and hasattr(os, "killpg") and os.getpgid(0) == me:
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


class Heard(io.TextIOWrapper):
    """A stream that keeps the end of what is printed, and prints nothing."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        super().__init__(open(os.devnull, "wb"), encoding="utf-8", errors="backslashreplace")
        self.last = ""

    def write(self, text: str) -> int:
        """Keep the end."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.last = (self.last + text[-HEARD:])[-HEARD:]
        return len(text)


def _served(body: bytes, heard: Heard) -> tuple[bytes, bool]:
    """(the answer, whether this process is of no more use)."""
    heard.last = ""
    try:
        name, arguments, seconds, memory = json.loads(body)
        with _limited(seconds, memory):
            answer = {"result": _function(name)(**arguments)}
        return _written(answer), False
    except Refused as refusal:
        told = heard.last.strip()
        after = f', after it had printed "{printable(told)}"'.replace("\n", " ") if told else ""
        return _written({"fault": f"{refusal}{after}"}), False
    except MemoryError:
        pass
    except BaseException as error:  # Whatever it is, it belongs to the task, and is told there.
        return _written({"fault": f"raised {type(error).__name__}"}), False
    return b'{"memory": true}', True


def _written(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode()


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    if not module.startswith("optimizer.metrics."):
        raise Refused("is no task")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


@contextlib.contextmanager
def _limited(seconds: float, memory: int) -> Iterator[None]:
    _limit_memory(memory)
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


_limit = 0


def _limit_memory(megabytes: int) -> None:
    """Hold this process to so much memory of its own. Other systems than Linux count something else, or nothing."""
    global _limit
    if megabytes == _limit or sys.platform != "linux":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
    _limit = megabytes


def _no_core() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _receive(channel: socket.socket) -> tuple[int, bytes] | None:
    """The next message with its number; None where the other side is gone."""
    head = _exactly(channel, HEAD.size)
    if head is None:
        return None
    size, number = HEAD.unpack(head)
    body = _exactly(channel, size)
    return None if body is None else (number, body)


def _exactly(channel: socket.socket, size: int) -> bytes | None:
    pieces = []
    while size:
        piece = channel.recv(min(size, 1 << 20))
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _send(channel: socket.socket, number: int, body: bytes) -> None:
    channel.sendall(HEAD.pack(len(body), number) + body)
