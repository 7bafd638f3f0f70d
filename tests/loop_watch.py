"""Watches event loops for steps that hold them up, in the process that it is imported into.

    python -m tests.loop_watch FILE run evals/rows.yaml      # the command line, watched; what was found goes to FILE

A step is what runs between two awaits. It is a stall where it takes much processor time of its thread: that is told
exactly, and a busy machine adds nothing to it. It is one as well where it lets the loop wait for a lock, a file or
another process. What the machine took is no such wait: the time in which threads of this process were ready to run
and other programs ran instead, which Linux tells, though not to the last millisecond; so the limit for waits is wider.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import threading
import time
import traceback
from asyncio import events
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

LOOK = 0.02
"""Seconds between two looks at what runs."""
SPIN = 0.035
"""Seconds that `slowness` takes on the machine that limits are set for."""
SCHEDULED = Path("/proc/self/task")


@dataclass(frozen=True, kw_only=True)
class Stall:
    """A step that took long."""

    at: float
    """When it began, on the monotonic clock."""
    seconds: float
    """Processor seconds that it took."""
    waited: float
    """Seconds that it waited, less what the machine took."""
    where: str
    """What ran in it."""


@dataclass(kw_only=True)
class Watch:
    """What was seen so far."""

    limit: float
    """Processor seconds from which a step is a stall."""
    wait: float
    """Seconds of waiting from which it is one."""
    steps: int = 0
    stalls: list[Stall] = field(default_factory=list)
    seen: dict[int, str] = field(default_factory=dict)
    """Thread -> where its present step was when it was last looked at; none where nobody looked yet."""


def waited() -> float:
    """Seconds in which threads of this process were ready to run, and did not."""
    total = 0
    for task in os.listdir(SCHEDULED) if SCHEDULED.is_dir() else ():
        with contextlib.suppress(OSError, IndexError, ValueError):
            total += int((SCHEDULED / task / "schedstat").read_bytes().split()[1])
    return total / 1e9


class _Looker(threading.Thread):
    """Looks at what runs now and then, so that a stall can say where it was."""

    def __init__(self, seen: dict[int, str]) -> None:
        super().__init__(name="loop watch", daemon=True)
        self.began: dict[int, float] = {}
        """Thread -> when its step began."""
        self.seen = seen
        self.over = threading.Event()
        self._waited = waited()

    def run(self) -> None:
        while not self.over.wait(LOOK):
            now, frames = time.monotonic(), sys._current_frames()
            long = [thread for thread, start in list(self.began.items()) if now - start > LOOK]
            for thread in long:
                if thread in frames:
                    self.seen[thread] = "".join(traceback.format_stack(frames[thread])[-12:])
            if not long:
                self._waited = waited()

    def taken(self) -> float:
        """Seconds that the machine took since a look before the step began; all of them where that is not told."""
        return max(waited() - self._waited, 0.0) if SCHEDULED.is_dir() else math.inf


@contextlib.contextmanager
def watching(limit: float = 0.1, wait: float = 0.5) -> Iterator[Watch]:
    """Watch every step of every event loop. On a slow machine a step may take longer, as all else does."""
    watch = Watch(limit=limit * slowness(), wait=wait)
    looker = _Looker(watch.seen)
    run = events.Handle._run

    def step(handle: events.Handle) -> None:
        me, used = threading.get_ident(), time.thread_time()
        looker.began[me] = began = time.monotonic()
        try:
            run(handle)
        finally:
            del looker.began[me]
            idle = time.monotonic() - began - (used := time.thread_time() - used)
            watch.steps += 1
            where = looker.seen.pop(me, "")
            if used >= watch.limit or (idle >= watch.wait and idle - looker.taken() >= watch.wait):
                stall = Stall(at=began, seconds=used, waited=idle, where=where or repr(handle))
                watch.stalls.append(stall)

    looker.start()
    setattr(events.Handle, "_run", step)  # noqa: B010  (a plain assignment is refused by the type)
    try:
        yield watch
    finally:
        setattr(events.Handle, "_run", run)  # noqa: B010
        looker.over.set()
        looker.join()


def slowness() -> float:
    """How many times longer this machine takes for the same work, at least 1."""
    found = []
    for _ in range(3):
        began = time.thread_time()
        sum(number * number for number in range(500_000))
        found.append(time.thread_time() - began)
    return max(1.0, min(found) / SPIN)


def main(target: Path, arguments: list[str]) -> int:
    """Run the command line, watched."""
    from optimizer.cli.entry import run

    with watching() as watch:
        try:
            return run(arguments)
        finally:
            found = {"steps": watch.steps, "stalls": [asdict(one) for one in watch.stalls]}
            target.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
