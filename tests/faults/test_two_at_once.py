"""Two commands in one workspace: one owner a run, one payment a call."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from optimizer.testing.faults import Fault, always, in_turn
from tests.faults import invariants, kept
from tests.faults.lab import lab


def test_the_second_of_two_in_one_run_is_told_by_whom_it_is_in_use(tmp_path: Path) -> None:
    with lab(tmp_path, rows=24, faults=always(Fault(form="hang"))) as here:
        first = here.start()
        first.asks(1)
        second = here.run()
        here.check(second, code=2, says=(f"error: run r is in use by pid {first.process.pid} since ", "--run-id"))
        assert [run["status"] for run in here.command("runs", "--json").json] == ["running"]
        killed = first.kill()
        owner = json.loads((here.folder / "runs" / "r" / "lock").read_text("utf-8"))
        assert owner["pid"] == first.process.pid, "the lock of a dead process stays, and is taken over"
        assert killed.code == -signal.SIGKILL
        here.meter.faults = None
        here.check(here.run(), code=0, same=True)


def test_two_runs_on_one_cache_pay_once(tmp_path: Path) -> None:
    with lab(tmp_path, rows=24, latency=0.02) as here:
        runs = [here.start("--run-id", name) for name in ("a", "b")]
        ended = [child.end() for child in runs]
        for name, done in zip("ab", ended, strict=True):
            here.check(done, code=0, run=name)
        assert here.meter.stats()["seen"] == here.meter.stats()["distinct"] > 50
        stories = [invariants.story(here.folder, name) for name in "ab"]
        assert stories[0]["results"] == stories[1]["results"] and stories[0]["trials"] == stories[1]["trials"]


def test_two_of_the_same_at_once_pay_once(tmp_path: Path) -> None:
    with lab(tmp_path, rows=43, latency=0.1) as here:
        both = [here.start("--json", command="eval") for _ in range(2)]
        for child in both:
            here.check(child.end(), code=0)
        assert here.meter.stats()["seen"] == here.meter.stats()["distinct"] == 30
        paid = [child.end().json["calls"] for child in both]
        assert sum(calls["paid"] for calls in paid) == sum(calls["saved"] for calls in paid) == 30


def test_where_the_owner_of_a_call_is_killed_the_other_takes_over(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12, concurrency=4, faults=in_turn(*[Fault(form="hang")] * 4)) as here:
        owner = here.start(command="eval")
        owner.asks(4)
        other = here.start("--json", command="eval")
        here.wait(lambda: "data: " in here.output(other.name, "err").read_text("utf-8"), other)
        assert owner.kill().code == -signal.SIGKILL
        done = other.end()
        assert done.code == 0, done.err
        rows = done.json["splits"]["train"]["n"] + done.json["splits"]["val"]["n"]
        assert done.json["calls"] == {"paid": rows, "saved": 0, "failed": 0}
        assert len(here.meter.log) == rows + 4, "only what hung with its owner was asked again"
        here.check(done, code=0)


def test_a_failure_of_one_is_no_answer_for_the_other(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12, latency=0.1, faults=in_turn(*[Fault(form="length")] * 2)) as here:
        both = [here.start("--json", command="eval") for _ in range(2)]
        ended = [child.end() for child in both]
        errors = [sum(len(split["errors"]) for split in done.json["splits"].values()) for done in ended]
        assert sum(errors) == 2, "each cut-off answer is an error of the one who asked, and nobody's answer"
        stored = kept.rows(here.folder / ".optimizer" / "cache" / "cache.db", "SELECT count(*) FROM Cache")
        good = {seen.key for seen in here.meter.log if seen.answered}
        assert stored == [(len(good),)]
