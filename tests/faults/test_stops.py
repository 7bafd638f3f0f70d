"""Kills at any time, Ctrl-C and SIGTERM: what arrived is kept, nothing is paid twice, the run goes on."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from optimizer.cli.interrupt import DRAIN
from optimizer.testing.faults import always, parse_fault
from tests.faults import invariants
from tests.faults.lab import Ended, Lab, lab
from tests.faults.models import fickle


def arrived_and_kept(here: Lab, done: Ended) -> None:
    """Every good answer that went out before the end is on the disk."""
    keys = here.keys()
    arrived = {seen.key for seen in here.meter.log[done.first : done.seen] if seen.answered}
    lost = [key for key in arrived if not done.kept & set(keys[key])]
    assert arrived and not lost, f"{len(lost)} of {len(arrived)} answers that arrived are not on the disk"


def test_a_kill_at_any_moment_with_many_calls_in_flight(tmp_path: Path) -> None:
    chance = random.Random(random.random())
    with lab(tmp_path, rows=24, concurrency=50, latency=0.02) as here:
        child = here.start()
        child.asks(chance.randint(20, 120))
        time.sleep(chance.random() / 20)  # The moment is what is tested: any will do.
        assert child.kill().code == -signal.SIGKILL
        told = here.command("runs", "--json")
        assert [run["status"] for run in told.json] == ["interrupted"], "a dead owner runs nothing"
        here.check(here.run(), code=0, same=True)


def test_a_stop_waits_for_what_is_paid_and_says_how_to_go_on(tmp_path: Path) -> None:
    with lab(tmp_path, rows=24, latency=0.1) as here:
        for number, enough in ((signal.SIGINT, 5), (signal.SIGTERM, 40)):
            child = here.start()
            child.asks(enough)
            child.send(number)
            sent = time.monotonic()
            stopped = child.end()
            says = (
                "stopping, waiting up to 5 s for ",
                "press again to quit now",
                "go on with: optimizer run evals/rows.yaml",
            )
            here.check(stopped, code=130, says=says)
            arrived_and_kept(here, stopped)
            waited = all(seen.answered for seen in here.meter.log)
            assert waited or time.monotonic() - sent > DRAIN, "what was under way was not waited for"
        here.check(here.run(), code=0, same=True)


def test_a_search_that_is_killed_amid_a_study_takes_the_same_trials(tmp_path: Path) -> None:
    with lab(tmp_path, rows=24, calls=800, answer=fickle) as here:
        log = here.folder / "runs" / "r" / "log.jsonl"
        child = here.start()
        here.wait(lambda: log.exists() and log.read_bytes().count(b'"event":"trial"') >= 3, child)
        assert child.kill().code == -signal.SIGKILL
        here.check(here.run(), code=0, same=True)
        trials = invariants.undisturbed(24, 800, "", fickle)["trials"]
        assert max(number for _, number, *_ in trials) > 1, "a round with one trial shows nothing"


@pytest.mark.parametrize("command", ["run", "eval"])
def test_the_second_ctrl_c_quits_at_once(tmp_path: Path, command: str) -> None:
    with lab(tmp_path, rows=12, faults=always(parse_fault("hang"))) as here:
        child = here.start(command=command)
        child.asks(1)
        child.interrupt()
        here.wait(lambda: "stopping" in here.output(child.name, "err").read_text("utf-8"), child)
        again = time.monotonic()
        child.interrupt()
        stopped = child.end(timeout=30)
        assert time.monotonic() - again < 10
        says = "go on with: optimizer run" if command == "run" else "the same command goes on from there"
        here.check(stopped, code=130, says=("interrupted; ", says))
