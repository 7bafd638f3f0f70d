"""Another program holds a database: the run waits and says so, the event loop goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from optimizer import locked
from optimizer.build import Ended, Order, execute
from optimizer.errors import StoreError
from optimizer.events import CallEnded, Event, RunEnded
from optimizer.models.cache import CompletionCache
from optimizer.readers.config import load_config
from optimizer.results import Completion
from optimizer.store import RunReader
from tests.cli_case import cli
from tests.faults.lab import RUN, lab

CACHE = Path(".optimizer/cache/cache.db")
LOCKS = Path("/proc/locks")
STALL = 2.0
"""Seconds that the event loop may stand still here: twenty times what it should, for a busy machine. The lock is
held longer than that."""
IMPATIENT = """
import sys
from optimizer import locked
locked.PATIENCE, locked.TELL_AFTER = 1.0, 0.3
from optimizer.cli.entry import run
sys.exit(run())
"""


@contextlib.contextmanager
def held(database: Path, how: str = "BEGIN EXCLUSIVE") -> Iterator[sqlite3.Connection]:
    """Hold a database as another program would."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None, timeout=30.0)) as db:
        for statement in how.split(";"):
            db.execute(statement).fetchall()
        yield db


class Heart:
    """Beats on the event loop; `longest` is the longest time between two beats."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.beats = 0

    async def beat(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            self.beats += 1

    async def again(self) -> None:
        """Wait for a beat: a stall is seen by the beat that comes after it."""
        seen = self.beats
        while self.beats == seen:
            await asyncio.sleep(0)


class Locks:
    """A sink that locks a database when it sees an event, from a thread, until the wait for it was told and more."""

    def __init__(self, database: Path, at: type[Event], number: int) -> None:
        self._database, self._at, self._left = database, at, number
        self._thread = threading.Thread(target=self._hold)
        self._told = threading.Event()
        self._has = threading.Event()

    async def record(self, event: Event) -> None:
        if isinstance(event, self._at):
            self._left -= 1
            if self._left == 0:
                self.begin()

    def begin(self) -> None:
        self._thread.start()
        self._has.wait()

    def _hold(self) -> None:
        with held(self._database):
            self._has.set()
            began = time.monotonic()
            self._told.wait(30.0)
            # Hold on for long enough that a loop which waits for it would be seen to.
            threading.Event().wait(max(0.0, 1.3 * STALL - (time.monotonic() - began)))

    def tell(self, record: logging.LogRecord) -> bool:
        if self._has.is_set() and "database busy, waiting up to" in record.getMessage():
            self._told.set()
        return True

    def end(self) -> bool:
        self._thread.join()
        return self._told.is_set()


@contextlib.contextmanager
def heard_by(sinks: Sequence[Locks]) -> Iterator[None]:
    for sink in sinks:
        locked.log.addFilter(sink.tell)
    yield
    for sink in sinks:
        locked.log.removeFilter(sink.tell)


def run(root: Path, sinks: Sequence[Locks], run_id: str, *, resume: bool = False) -> tuple[Ended, float]:
    async def main() -> tuple[Ended, float]:
        heart = Heart()
        beating = asyncio.create_task(heart.beat())
        config = load_config(root / "evals" / "example.yaml", {})
        order = Order(config=config, root=root, run_id=run_id, resume=resume)
        ended = await execute(order, watch=sinks)
        await heart.again()
        beating.cancel()
        return ended, heart.longest

    return asyncio.run(main())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    return tmp_path


def test_the_loop_goes_on_while_another_program_holds_a_database(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run(workspace, (), "warm")  # what is imported on the way is imported
    CACHE.unlink()
    monkeypatch.setattr(locked, "TELL_AFTER", 0.1)
    base = workspace / "runs" / "a" / "run.sqlite"
    sinks = (Locks(base, CallEnded, 10), Locks(workspace / CACHE, CallEnded, 30), Locks(base, RunEnded, 1))
    with heard_by(sinks):
        ended, stalled = run(workspace, sinks, "a")
        assert all(sink.end() for sink in sinks), "the user was told"
    assert stalled < STALL
    told = [text.rpartition("/")[2] for text in caplog.messages if "database busy" in text]
    names = ("cache.db", "run.sqlite", "run.sqlite")
    assert sorted(told) == [f"{name}: database busy, waiting up to 60 s" for name in names]
    with RunReader(workspace, "warm") as first, RunReader(workspace, "a") as second:
        assert first.trials() == second.trials(), "no trial is lost"
    assert ended.outcome.verdict == "GAIN SHOWN"


def test_the_loop_goes_on_while_the_start_waits(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locked, "TELL_AFTER", 0.1)
    before, _ = run(workspace, (), "a")
    with contextlib.closing(sqlite3.connect("runs/a/run.sqlite", isolation_level=None)) as db:
        db.execute("DELETE FROM outcome")
    for database, run_id in ((Path("runs/a/run.sqlite"), "a"), (CACHE, "b")):
        sink = Locks(workspace / database, CallEnded, 0)
        with heard_by((sink,)):
            sink.begin()
            after, stalled = run(workspace, (), run_id, resume=True)
            assert sink.end() and stalled < STALL
        assert after.outcome == before.outcome


def test_a_reader_of_the_cache_that_is_shut_out_waits_on_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locked, "PATIENCE", 1.3 * STALL)

    async def main() -> None:
        heart = Heart()
        beating = asyncio.create_task(heart.beat())
        async with CompletionCache(tmp_path) as cache:
            await cache.put("k", Completion(text="Bob"))
        async with CompletionCache(tmp_path) as cache:
            # Nobody who reads already can be shut out; who reads for the first time can.
            shut_out = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"
            with (
                held(tmp_path / "cache.db", shut_out),
                pytest.raises(StoreError, match=r"cannot read the cache in .*: another process has held it for 3 s"),
            ):
                await cache.find("k")
            found = await cache.find("k")
            assert found is not None and found.text == "Bob"
        await heart.again()
        beating.cancel()
        assert heart.longest < STALL

    asyncio.run(main())


def test_a_run_that_waits_for_ever_pauses_with_a_plain_line(tmp_path: Path) -> None:
    # What the meter is asked first it answers late enough that the file can be locked meanwhile.
    with lab(tmp_path, rows=12, calls=120, concurrency=4, latency=0.05) as here:
        child = here.start(program=("-c", IMPATIENT))
        child.asks(6)
        with held(here.folder / "runs" / RUN / "run.sqlite") as db:
            seen = len(here.meter.log)
            done = child.end()
            asked = len(here.meter.log) - seen
            busy = here.command("show", RUN)
            system_tells = f" {os.getpid()} " in LOCKS.read_text("ascii") if LOCKS.exists() else False
            db.execute("ROLLBACK")
        assert asked <= here.concurrency, "no call is sent that cannot be put down"
        here.check(done, code=7, says=(f"runs/{RUN}/run.sqlite: database busy", "waiting up to 1 s"))
        assert f"database busy (pid {os.getpid()}), waiting" in done.err or not system_tells
        assert f"error: runs/{RUN}/run.sqlite: locked by another program" in done.err
        assert "answers kept; go on with: optimizer run" in done.err
        assert busy.code == 0, "what is there can be read meanwhile"
        here.check(here.run(), code=0, says="verdict:", same=True)
