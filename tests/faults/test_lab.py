"""The lab itself: it finds what it is there to find."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.testing.faults import always, by_rate, refuse
from tests.faults import invariants
from tests.faults.lab import CANARY, Lab, lab


def test_a_run_without_faults_holds_every_invariant(tmp_path: Path) -> None:
    with lab(tmp_path, rows=24) as here:
        done = here.run()
        here.check(done, code=0, says="verdict:", same=True)
        assert len(here.meter.log) > 150
        again = here.run()
        here.check(again, code=0, same=True)
        assert again.seen == done.seen, "a complete run asks nothing"
        _finds_what_is_wrong(here)


def _finds_what_is_wrong(here: Lab) -> None:
    seen = here.meter.log[7]
    here.meter.log.append(replace(seen, attempt=2))
    with pytest.raises(AssertionError, match="A: 1 requests"):
        invariants.paid_once(here)
    with pytest.raises(AssertionError, match="D: "):
        invariants.bill_is_right(here)
    here.meter.log.pop()
    leak = here.folder / "runs" / "r" / "log.jsonl"
    leak.write_text(leak.read_text("utf-8") + CANARY, "utf-8")
    with pytest.raises(AssertionError, match=r"log\.jsonl"):
        invariants.no_secret(CANARY, here.folder, here.aside)


def test_kills_and_faults_hold_them_too(tmp_path: Path) -> None:
    with lab(tmp_path, rows=24, faults=by_rate({"503": 0.01, "cut": 0.02, "429/ms=20": 0.05})) as here:
        child = here.start()
        child.asks(60)
        assert child.kill().code == -signal.SIGKILL
        here.check(here.run(), code=0, same=True)
        assert here.meter.stats()["faults"].keys() == {"503", "cut", "429"}


def test_a_prompt_alone(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12, faults=by_rate({"empty": 0.2})) as here:
        done = here.eval()
        here.check(done, code=0)
        assert done.json["calls"]["failed"] > 0
        assert here.eval().seen == done.seen


def test_a_foreseen_fault_is_one_line(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12, faults=always(refuse(401, code="invalid_api_key"))) as here:
        here.check(here.run(), code=6, says=("401", "run paused, 0 answers kept; go on with: optimizer run"))
        with pytest.raises(AssertionError):
            here.check(here.ended[-1], code=0)
        with pytest.raises(AssertionError):
            here.check(here.ended[-1], code=6, says="all is well")
