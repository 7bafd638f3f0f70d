"""Ctrl-C and SIGTERM: the first asks the run to stop and drain, the second quits."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio

DRAIN = 5.0
"""Seconds that calls under way are given to be answered."""
GRACE = 2.0
"""Seconds on top, to close what is open; then the process ends whatever hangs."""
AT_ONCE = 0.7
"""Seconds from the second signal to the end of the process, at most."""
EXIT_CODE = 130
SHOW_CURSOR = "\x1b[?25h"
"""A live display hides it."""

T = TypeVar("T")


class Shown(Protocol):
    """What the display is asked for."""

    def stopping(self, seconds: float) -> None:
        """Say that the run is stopping."""
        ...


class Interrupted(Exception):
    """The user stopped a command; `str` is the line that says how to go on."""


class Stopper:
    """Turns signals into the cancellation of one piece of work. One use."""

    def __init__(self, display: Shown, how_to_go_on: str, quit_now: Callable[[int], object] = os._exit) -> None:
        self._display = display
        self._line = how_to_go_on
        self._quit_now = quit_now
        self._signals = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._timers: list[threading.Timer] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work to its end. Raises Interrupted where a signal ended it."""
        import asyncio

        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            return asyncio.run(self._watched(work))
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise Interrupted(self._line) from None
        finally:
            for timer in self._timers:
                timer.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)

    async def _watched(self, work: Coroutine[Any, Any, T]) -> T:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._task = task = asyncio.create_task(work)
        if self._signals:
            task.cancel()
        return await task

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._first if self._signals == 1 else self._again)
        # A thread keeps the promise even where the loop is busy or a drain hangs.
        timer = threading.Timer(DRAIN + GRACE if self._signals == 1 else AT_ONCE, self._quit)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _first(self) -> None:
        self._display.stopping(DRAIN)
        self._again()

    def _again(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _quit(self) -> None:
        # Straight to the file: the main thread may hold the locks of every stream and of the display.
        cursor = SHOW_CURSOR if sys.__stderr__ is not None and sys.__stderr__.isatty() else ""
        try:
            os.write(2, f"{cursor}\n{self._line}\n".encode())
        except OSError:
            # Nobody reads any more; the exit code still tells.
            pass
        finally:
            self._quit_now(EXIT_CODE)
