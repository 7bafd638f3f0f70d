"""Disks that are full, databases that others hold, files that are damaged: at random sizes, moments and places."""

from __future__ import annotations

import contextlib
import io
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.soak.case import Case, Turn
from tests.cli_case import cli, inside
from tests.faults.damage import KINDS, RUN, WAYS, Tally, interrupted, known, one_case
from tests.faults.lab import HOME
from tests.faults.test_storage_full import MOUNT, may_mount

PLACES = 25
"""Damaged copies of one kind of file in a turn."""
TURNS_A_KIND = 4
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))
from optimizer.cli.entry import run
sys.exit(run())
"""


def full_disk(turn: Turn) -> None:
    """A disk with little room, under the whole workspace or under the cache alone; then there is room again."""
    if not may_mount():
        turn.counts["skipped"] += 1
        return
    what = "cache" if turn.number % 3 == 2 else "workspace"
    room = turn.chance.randint(70, 150) if what == "cache" else turn.chance.randint(270, 430)
    turn.injected()
    program = [sys.executable, "-m", "tests.faults.full_disk", str(turn.folder), f"{what}={room}"]
    done = subprocess.run([*MOUNT, *program], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{what} with {room} KB: {done.stderr}"
    turn.counts["commands"] += 2


def small_files(turn: Turn) -> None:
    """A limit on the size of files, wherever it is reached; then there is none any more."""
    most = turn.chance.randint(40_000, 700_000)
    with turn.lab(rows=24, calls=200, concurrency=8) as here:
        done = here.start(program=("-c", LIMITED.format(most=most))).end()
        assert done.code in (0, 7), f"{most} bytes: {done.err}"
        if done.code:
            turn.injected()
            here.check(done, code=7, says="run paused, ")
        here.check(here.run(), code=0, same=True)


def held_database(turn: Turn) -> None:
    """Another program holds a database from a random moment on, for up to 3 seconds."""
    with turn.lab(rows=24, calls=200, concurrency=8, latency=0.02) as here:
        child = here.start()
        child.asks(turn.chance.randint(1, 40))
        name = turn.chance.choice((f"runs/{RUN}/run.sqlite", ".optimizer/cache/cache.db"))
        with contextlib.closing(sqlite3.connect(here.folder / name, isolation_level=None, timeout=30.0)) as db:
            db.execute("BEGIN EXCLUSIVE")
            turn.injected()
            seconds = turn.chance.uniform(0.1, 3.0)
            seen = len(here.meter.log)
            time.sleep(seconds)
            assert len(here.meter.log) - seen <= 2 * here.concurrency, "calls went on that could not be put down"
            db.execute("ROLLBACK")
        here.check(child.end(), code=0, same=True)


def damaged_files(turn: Turn) -> None:
    """Copies of a workspace, each with one file of one kind damaged at a random place, are shown and gone on with."""
    kind = list(KINDS)[turn.number % len(KINDS)]
    folder = turn.folder / "whole"
    folder.mkdir()
    tally = Tally()
    # What the commands warn of on the way is looked at by `one_case`; here it would be noise.
    with contextlib.redirect_stderr(io.StringIO()):
        with inside(folder):
            assert cli("init").code == 0
            if not kind.endswith(" log"):
                assert cli("run", "evals/example.yaml", "--run-id", RUN).code == 0
        if kind.endswith(" log"):
            interrupted(folder, turn.chance.randint(5, 50))
        whole = known(folder)
        for number in range(PLACES):
            # Half of the damage is a flipped bit; a file can be emptied or deleted in one way alone.
            way = WAYS[-1 - number] if number < 2 else turn.chance.choice((WAYS[0], WAYS[0], WAYS[1], WAYS[2]))
            one_case(whole, Path(turn.folder / "case"), kind, way, f"{turn.number} {kind} {way} {number}", tally)
    turn.injected(tally.cases)
    turn.counts["commands"] += 7 * tally.cases
    assert tally.cases == PLACES
    assert not tally.problems, "\n".join(tally.problems)


CASES = (
    Case(name="disk full, then room again", turn=full_disk, turns=12),
    Case(name="limit on file sizes, then none", turn=small_files, turns=12),
    Case(name="database held by another program", turn=held_database, turns=12),
    Case(name="damaged file of every kind", turn=damaged_files, turns=TURNS_A_KIND * len(KINDS)),
)
