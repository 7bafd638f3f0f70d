"""Another program holds a database: the run waits and says so, the event loop goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizer import locked
from optimizer.build import Ended, Order, execute
from optimizer.errors import StoreError
from optimizer.events import CallEnded, Event, RunEnded
from optimizer.models.cache import CompletionCache
from optimizer.readers.config import load_config
from optimizer.results import Completion
from optimizer.store import RunReader, find_run
from tests.cli_case import cli
from tests.faults.lab import RUN, lab

CACHE = Path(".optimizer/cache/cache.db")
LOCKS = Path("/proc/locks")
STALL = 1.0
"""Seconds that the event loop may stand still here: ten times what it should, for a machine that is busy. The lock is
held much longer."""
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

    async def beat(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now


class Locks:
    """A sink that locks a database when it sees an event, from a thread, until the wait for it was told and more."""

    def __init__(self, database: Path, at: type[Event], number: int, seconds: float) -> None:
        self._database, self._at, self._left, self._seconds = database, at, number, seconds
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
            threading.Event().wait(max(0.0, self._seconds - (time.monotonic() - began)))

    def tell(self, record: logging.LogRecord) -> bool:
        if "database busy, waiting up to" in record.getMessage():
            self._told.set()
        return True

    def end(self) -> bool:
        self._thread.join()
        return self._told.is_set()


def run(root: Path, sink: Locks | None, run_id: str, *, resume: bool = False) -> tuple[Ended, float]:
    async def main() -> tuple[Ended, float]:
        heart = Heart()
        beating = asyncio.create_task(heart.beat())
        config = load_config(root / "evals" / "example.yaml", {})
        order = Order(config=config, root=root, run_id=run_id, resume=resume)
        ended = await execute(order, watch=() if sink is None else (sink,))
        beating.cancel()
        return ended, heart.longest

    return asyncio.run(main())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    return tmp_path


@pytest.mark.parametrize(
    ("database", "at", "number"),
    [
        (Path("runs/a/run.sqlite"), CallEnded, 10),
        (Path("runs/a/run.sqlite"), RunEnded, 1),
        (CACHE, CallEnded, 10),
    ],
    ids=["run", "end of run", "cache"],
)
def test_the_loop_goes_on_while_another_program_holds_a_database(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    database: Path,
    at: type[Event],
    number: int,
) -> None:
    run(workspace, None, "warm")  # what is imported on the way is imported
    for path in (workspace / ".optimizer").rglob("cache.db"):
        path.unlink()
    monkeypatch.setattr(locked, "TELL_AFTER", 0.1)
    sink = Locks(workspace / database, at, number, 2.5 * STALL)
    logging.getLogger("optimizer").addFilter(sink.tell)
    locked.log.addFilter(sink.tell)
    try:
        ended, stalled = run(workspace, sink, "a")
        assert sink.end(), "the user was told"
    finally:
        locked.log.removeFilter(sink.tell)
        logging.getLogger("optimizer").removeFilter(sink.tell)
    assert stalled < STALL
    (told,) = [text for text in caplog.messages if "database busy" in text]
    assert told.endswith(f"{database.name}: database busy, waiting up to 60 s")
    with RunReader(workspace, "warm") as first, RunReader(workspace, "a") as second:
        assert first.trials() == second.trials(), "no trial is lost"
    assert ended.outcome.verdict == "GAIN SHOWN"


def test_the_loop_goes_on_while_the_start_waits(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locked, "TELL_AFTER", 0.1)
    before, _ = run(workspace, None, "a")
    with contextlib.closing(sqlite3.connect("runs/a/run.sqlite", isolation_level=None)) as db:
        db.execute("DELETE FROM outcome")
    for database in (Path("runs/a/run.sqlite"), CACHE):
        sink = Locks(workspace / database, CallEnded, 0, 2.5 * STALL)
        locked.log.addFilter(sink.tell)
        sink.begin()
        after, stalled = run(workspace, None, "a" if database != CACHE else "b", resume=True)
        locked.log.removeFilter(sink.tell)
        assert sink.end() and stalled < STALL
        assert after.outcome == before.outcome


def test_a_reader_of_the_cache_that_is_shut_out_waits_on_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locked, "PATIENCE", 1.2)

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
                pytest.raises(StoreError, match=r"cannot read the cache in .*: another process has held it for 1 s"),
            ):
                await cache.find("k")
            found = await cache.find("k")
            assert found is not None and found.text == "Bob"
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


def test_a_run_that_is_shown_while_it_goes_on_is_not_disturbed(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12, calls=120, concurrency=4, latency=0.05) as here:
        child = here.start()
        child.asks(20)
        # It stands still for as long as it is looked at, wherever it is.
        child.send(signal.SIGSTOP)
        shown = here.command("show", RUN, "--json")
        child.send(signal.SIGCONT)
        assert shown.code == 0 and shown.json["status"] == "running"
        assert find_run(here.folder) == RUN
        here.check(child.end(), code=0, same=True)
