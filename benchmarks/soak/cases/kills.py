"""kill -9, Ctrl-C and SIGTERM at random times."""

from __future__ import annotations

import signal
import subprocess
import time

from benchmarks.soak.case import Case, Turn
from tests.faults.lab import Child, Lab

KILLS_A_TURN = 5
LONGEST = 2.5
"""Seconds in which a moment is drawn: longer than a run takes to its first request, shorter than most runs."""


def _wait(child: Child, seconds: float) -> bool:
    """Let a command run for a while; False where it ends before."""
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _kill_once(turn: Turn, here: Lab) -> bool:
    """One start with a kill at a random moment; False where it ended well before."""
    child = here.start()
    if turn.chance.random() < 0.5:
        lives = _wait(child, turn.chance.uniform(0.0, LONGEST))
    else:
        more = len(here.meter.log) + turn.chance.randint(1, 80)
        while (lives := child.process.poll() is None) and len(here.meter.log) < more:
            time.sleep(0.001)
    if lives:
        child.process.kill()
    done = child.end()
    assert done.code in (0, -signal.SIGKILL), done.err
    turn.counts["kills"] += done.code != 0
    turn.injected(done.code != 0)
    return done.code != 0


def random_kills(turn: Turn) -> None:
    """Kill runs at 50 in flight, start them again, and kill them again."""
    killed = 0
    while killed < KILLS_A_TURN:
        with turn.lab(rows=60, concurrency=50, latency=0.03) as here:
            while killed < KILLS_A_TURN and _kill_once(turn, here):
                killed += 1
            here.check(here.run(), code=0, same=True)


def random_stops(turn: Turn) -> None:
    """Ctrl-C, or SIGTERM in every third turn, at a random moment; then the run goes on to its end."""
    number = signal.SIGTERM if turn.number % 3 == 2 else signal.SIGINT
    with turn.lab(rows=24, latency=0.1) as here:
        child = here.start()
        lives = _wait(child, turn.chance.uniform(0.2, LONGEST))
        if lives:
            child.send(number)
            turn.injected()
        sent = time.monotonic()
        done = child.end(timeout=60)
        if done.code == -number:
            # Python itself was only starting: nothing was asked, and there is nothing to go on with.
            assert done.seen == done.first and not here.folder.joinpath("runs").exists(), done.err
        elif done.code != 0:
            assert time.monotonic() - sent < 30, "it took too long to stop"
            here.check(done, code=130)
            keys = here.keys()
            arrived = {seen.key for seen in here.meter.log if seen.answered}
            lost = [key for key in arrived if not done.kept & set(keys[key])]
            assert not lost, f"A: {len(lost)} answers that arrived before the end are not on the disk"
        here.check(here.run(), code=0, same=True)


CASES = (
    Case(name="kill -9 at a random moment, 50 in flight", turn=random_kills, turns=44),
    Case(name="Ctrl-C or SIGTERM at a random moment", turn=random_stops, turns=75, quick=3),
)
