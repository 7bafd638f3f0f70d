"""Work that may hang, die or eat memory, in processes of its own: the user's functions, and patterns on long texts.

A process is started when it is first needed, answers one task at a time, and is killed with all that it started when
a task overruns its deadline, and at the end of the run. It has no key of ours in its environment, and nothing to do
with our standard streams. What goes over its socket is JSON behind its length, never code.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from optimizer.metrics.process.child import Child, Ended, start
from optimizer.metrics.process.environment import without_secrets

START: Final = 60.0
"""Seconds that a new process may take until it listens."""
LAST: Final = 5.0
"""Seconds to wait at the end for processes that were killed."""
SIDE_BY_SIDE: Final = 4
"""Processes of one pool that work at once, at most."""
LARGEST_ANSWER: Final = 1_000_000
"""Bytes; what a metric may say is far shorter."""
MEMORY: Final = 2048
"""Megabytes that one process may take, where the system can hold it to that: Linux alone does."""


class ProcessFault(Exception):
    """The task has no result. The message says why, as the rest of a sentence: `did not end within 10 s`."""


class Lost(ProcessFault):
    """No result, and the process is of no more use."""


class Refused(Exception):
    """Raised by a task that has no result, on the side that does it; the message is that of the fault."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Task:
    """A function of this package that another process calls with JSON values. Equal to itself alone."""

    function: str
    """`optimizer.metrics.module:function`."""
    arguments: Mapping[str, Any]
    """By name; JSON values."""
    seconds: float
    """Time that it has."""
    memory: int = MEMORY
    """Megabytes."""
    before: Task | None = None
    """What each process does once, on a clock of its own, before it does this."""

    def message(self) -> bytes:
        """As it is sent. Raises ProcessFault where an argument is not JSON."""
        try:
            return json.dumps([self.function, self.arguments, self.seconds, self.memory]).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ProcessFault(f"was not called: its row is not JSON ({type(error).__name__})") from error


class Pool:
    """Processes that do tasks of one kind; each does one at a time."""

    def __init__(self) -> None:
        """Start none yet."""
        self._free: list[Child] = []
        self._busy: set[Child] = set()
        self._killed: list[Child] = []
        self._lock = threading.Lock()
        self._turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]
        self._turns = weakref.WeakKeyDictionary()

    async def do(self, task: Task) -> Any:
        """The result of a task.

        Where its process dies, it is tried once more in a new one: what killed it may have been left by a task before.
        Raises ProcessFault.
        """
        message = task.message()
        async with self._turn():
            try:
                return await self._once(task, message)
            except Ended:
                pass
            try:
                return await self._once(task, message)
            except Ended as error:
                raise Lost(str(error)) from error

    def do_now(self, task: Task) -> Any:
        """The same, from where nothing can be awaited: holds up the caller. Raises ProcessFault."""
        ended: list[Any] = []
        faults: list[BaseException] = []

        def work() -> None:
            try:
                ended.append(asyncio.run(self.do(task)))
            except BaseException as error:  # Raised again by the caller.
                faults.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join()
        if faults:
            raise faults[0]
        return ended[0]

    def close(self) -> None:
        """Kill all processes, and what they started."""
        with self._lock:
            children = [*self._free, *self._busy]
            self._free, self._busy = [], set()
        for child in children:
            self._kill(child)
        for child in self._killed:
            child.gone(LAST)

    def _turn(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        found = self._turns.get(loop)
        if found is None:
            found = self._turns[loop] = asyncio.Semaphore(SIDE_BY_SIDE)
        return found

    async def _once(self, task: Task, message: bytes) -> Any:
        child = self._take()
        try:
            if not child.greeted:
                await _within(START, "has a process that did not start", child.greeting)
                child.greeted = True
            if task.before is not None and task.before not in child.done:
                await _answer(child, task.before, task.before.message())
                child.done.add(task.before)
            result = await _answer(child, task, message)
        except ProcessFault as fault:
            self._put(child, free=not isinstance(fault, Lost))
            raise
        except BaseException:
            # Also where the caller is cancelled: the answer would be read as that of the next task.
            self._put(child, free=False)
            raise
        self._put(child, free=True)
        return result

    def _take(self) -> Child:
        with self._lock:
            gone = [child for child in self._free if not child.is_fit()]
            self._free = [child for child in self._free if child not in gone]
            child = self._free.pop() if self._free else None
            if child is not None:
                self._busy.add(child)
        for one in gone:
            self._kill(one)
        if child is None:
            try:
                child = start(without_secrets(os.environ))
            except OSError as error:
                raise ProcessFault(f"has no process to run in: {error.strerror}") from error
            with self._lock:
                self._busy.add(child)
        return child

    def _put(self, child: Child, *, free: bool) -> None:
        with self._lock:
            known = child in self._busy
            self._busy.discard(child)
            if free and known:
                self._free.append(child)
        if not free:
            self._kill(child)

    def _kill(self, child: Child) -> None:
        child.kill()
        self._killed = [one for one in (*self._killed, child) if not one.gone()]


async def _answer(child: Child, task: Task, message: bytes) -> Any:
    """What it said. Raises ProcessFault, and Ended where the process did not live to say it."""
    body = await _within(task.seconds, "did not end", lambda: child.ask(message, LARGEST_ANSWER))
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Lost("gave an answer that is not JSON") from error
    if not isinstance(answer, dict):
        raise Lost("gave an answer that is none")
    if "memory" in answer:
        # What fills it may be left by a task before, so that there is room in a new process.
        raise Ended(f"ran out of memory: it may take {task.memory:,} MB")
    if "fault" in answer:
        raise ProcessFault(str(answer["fault"]))
    return answer.get("result")


async def _within(seconds: float, problem: str, work: Callable[[], Awaitable[bytes]]) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await work()
    except TimeoutError as error:
        raise Lost(f"{problem} within {seconds:g} s") from error


USERS: Final = Pool()
"""Runs code that the eval file names."""
OURS: Final = Pool()
"""Runs our own code alone, on patterns and texts that may take for ever."""

_runs = 0
_runs_lock = threading.Lock()


@contextlib.contextmanager
def processes() -> Iterator[None]:
    """Within it processes stay; at the end of the outermost one all of them, and what they started, are killed."""
    global _runs
    with _runs_lock:
        _runs += 1
    try:
        yield
    finally:
        with _runs_lock:
            _runs -= 1
            last = _runs == 0
        if last:
            close_all()


def close_all() -> None:
    """Kill all processes, and what they started; the next task starts new ones."""
    for pool in (USERS, OURS):
        pool.close()


atexit.register(close_all)
