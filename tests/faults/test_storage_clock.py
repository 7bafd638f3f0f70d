"""The clock jumps by days: nothing that was paid for expires, no duration is negative, the run ends as it should."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
from pathlib import Path

from optimizer.models.cache import CompletionCache
from optimizer.results import Completion
from optimizer.store import RunReader, RunStatus, find_run, list_runs, new_run_id
from tests import sample_run
from tests.faults.lab import RUN, lab

DAY = 86_400.0
JUMPY = """
import sys, time
real, left = time.time, {days}
asked = [0]
def jumping():
    asked[0] += 1
    return real() + 86_400.0 * left[min(asked[0] // 40, len(left) - 1)]
time.time = jumping
from optimizer.cli.entry import run
sys.exit(run())
"""
"""A command whose clock jumps each time that it was looked at so often."""


def test_a_run_through_which_the_clock_jumps(tmp_path: Path) -> None:
    days = (0, 2, -2)
    with lab(tmp_path, rows=12, calls=120, concurrency=4, latency=0.01) as here:
        child = here.start(program=("-c", JUMPY.format(days=days)))
        child.asks(20)
        # It stands still for as long as it is looked at, wherever it is.
        child.send(signal.SIGSTOP)
        status = RunStatus(here.command("show", RUN, "--json").json["status"])
        assert status is RunStatus.RUNNING, "what lives is not taken for dead"
        child.send(signal.SIGCONT)
        child.asks(40)
        child.kill()
        done = here.start(program=("-c", JUMPY.format(days=days[::-1]))).end()
        here.check(done, code=0, says="verdict:", same=True)
        with RunReader(here.folder, RUN) as reader:
            assert 0.0 <= reader.seconds < 3600.0
            assert all(call.seconds is None or 0.0 <= call.seconds < 600.0 for call in reader.calls())
        with contextlib.closing(sqlite3.connect(here.folder / "runs" / RUN / "run.sqlite")) as db:
            sessions = db.execute("SELECT started_at, ended_at FROM sessions WHERE ended_at IS NOT NULL").fetchall()
            assert sessions and all(0.0 <= ended - started < 3600.0 for started, ended in sessions)


def test_ids_stay_distinct_and_every_run_is_found(tmp_path: Path) -> None:
    at = 1_800_000_000.0
    ids = []
    for moment in (at, at, at - 2 * DAY, at + 2 * DAY, at):
        ids.append(new_run_id(tmp_path, "triage", now=lambda moment=moment: moment))  # type: ignore[misc]
        (tmp_path / "runs" / ids[-1]).mkdir(parents=True)
    assert len(set(ids)) == len(ids)
    sample_run.write(tmp_path, [])
    assert find_run(tmp_path) == sample_run.RUN and len(list_runs(tmp_path)) == 1


def test_a_row_with_a_time_to_expire_does_not_expire(tmp_path: Path) -> None:
    async def main() -> None:
        async with CompletionCache(tmp_path) as cache:
            await cache.put("k", Completion(text="Bob"))
        with contextlib.closing(sqlite3.connect(tmp_path / "cache.db")) as db:
            db.execute("UPDATE Cache SET expire_time = 1.0, store_time = 9e12, access_time = -1.0")
            db.commit()
        async with CompletionCache(tmp_path) as cache:
            await cache.put("other", Completion(text="Romeo"))
            found = cache.get("k")
            assert found is not None and found.text == "Bob"

    asyncio.run(main())
