"""Nothing holds up the event loop: no step of a run takes over 100 ms, whatever goes on beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.lab import Lab, lab
from tests.faults.test_metrics import with_metric
from tests.loop_watch import watching

PATTERN = r"""  - not-regex: {pattern: '^(\w|\w\w)+!$', required: false, weight: 0.1}
"""
SLOW = """import time

def score(context):
    if context.example.id.endswith("00"):
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
    return len(context.output) % 2, "its length is odd " + context.output
"""
HELD = 2.0
"""Seconds for which each database is held."""


@contextlib.contextmanager
def holding(here: Lab) -> Iterator[list[str]]:
    """Hold every database of a workspace for a while, while requests are made; the list tells which were held."""
    over, held = threading.Event(), list[str]()

    def hold() -> None:
        while not over.wait(0.05):
            if len(here.meter.log) < 50:
                continue
            for path in [*here.folder.rglob("run.sqlite"), *here.folder.rglob("cache.db")]:
                if path.name not in held:
                    with contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as database:
                        database.execute("BEGIN IMMEDIATE")
                        held.append(path.name)
                        over.wait(HELD)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        over.set()
        thread.join()


def test_no_step_of_a_run_holds_up_the_loop(tmp_path: Path) -> None:
    """From the first request on; before it nothing waits for the loop."""
    with lab(tmp_path, rows=216, calls=450, latency=0.01) as here, holding(here) as held:
        with_metric(here, SLOW, settings=", deadline: 30, weight: 0.1", required=False)
        text = here.eval_file.read_text("utf-8")
        here.eval_file.write_text(text.replace("metrics:\n", "metrics:\n" + PATTERN), "utf-8")
        found = tmp_path / "stalls.json"
        done = here.start(program=("-m", "tests.loop_watch", str(found))).end()
        here.check(done, code=0)
        watch = json.loads(found.read_text("utf-8"))
        assert sorted(held) == ["cache.db", "run.sqlite"]
        assert watch["steps"] > len(here.meter.log)
        stalls = [one for one in watch["stalls"] if one["at"] > here.meter.log[0].at]
        assert not stalls, "\n".join(f"{one['seconds']:.2f} + {one['waited']:.2f} s\n{one['where']}" for one in stalls)


def test_the_watch_sees_what_holds_up_the_loop() -> None:
    def looked_at(name: str) -> bool:
        return f"in {name}" in watch.seen.get(threading.get_ident(), "")

    async def busy() -> None:
        end, late = time.thread_time() + 1.5 * watch.limit, time.monotonic() + 60
        while time.thread_time() < end or (time.monotonic() < late and not looked_at("busy")):
            pass

    async def blocked() -> None:
        late = time.monotonic() + 60
        time.sleep(5 * watch.wait)
        while time.monotonic() < late and not looked_at("blocked"):
            time.sleep(0.05)

    async def fine() -> None:
        await asyncio.to_thread(time.sleep, 0.2)
        await asyncio.sleep(0.2)

    with watching(wait=0.3) as watch:
        asyncio.run(busy())
        asyncio.run(blocked())
        asyncio.run(fine())
    assert [[name for name in ("busy", "blocked", "fine") if f"in {name}" in one.where] for one in watch.stalls] == [
        ["busy"],
        ["blocked"],
    ]
