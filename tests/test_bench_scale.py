from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.scale import overhead, steady
from benchmarks.scale.server import FAULTS, fault_of
from benchmarks.scale.workspace import Ended


def test_a_thousand_calls_with_faults_lose_nothing_and_leave_nothing_open():
    told, wrong = steady.run(steady.LEAST)
    assert [one for one in wrong if not one.startswith("memory")] == []
    assert told["scored"] == 999 and told["calls"] == 999 + sum(told["faults"].values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lost": 1}, "1 lost"),
        ({"answered twice": 2}, "2 answered twice"),
        ({"unclosed": 1}, "1 unclosed"),
        ({"most memory after": 112.0}, "memory grew from 100 to 112 MB"),
        ({"descriptors": (20, 40)}, "descriptors grew from 20 to 40"),
        ({"connections": 70}, "70 connections for 64 calls under way"),
        ({"threads": (3, 8)}, "threads grew from 3 to 8"),
        ({}, None),
    ],
)
def test_what_grows_or_is_lost_is_said(change, said):
    flat: dict[str, Any] = {"lost": 0, "errors": 0, "answered twice": 0, "unclosed": 0, "memory when warm": 100.0}
    flat |= {"most memory after": 109.0, "descriptors": (20, 22), "connections": 64, "threads": (3, 3)}
    assert steady.objections(flat | change) == ([said] if said else [])


def test_faults_come_in_the_share_that_is_asked_for_and_a_retry_may_succeed():
    drawn = [fault_of(b"%d" % number, 1, 0.1) for number in range(5000)]
    assert 400 < sum(map(bool, drawn)) < 600 and set(drawn) == {"", *FAULTS}
    faulty = [number for number, fault in enumerate(drawn) if fault]
    assert any(not fault_of(b"%d" % number, 2, 0.1) for number in faulty)


def test_a_log_of_calls_tells_where_no_call_was_under_way_and_before_which_step():
    at = [(0.0, 0.2), (0.01, 0.21), (0.5, 0.7), (0.7, 0.9), (0.95, 1.15)]
    log = [{"at": begun, "ended": ended} for begun, ended in at]
    told = [
        {"at": "1970-01-01T00:16:39.990Z", "event": "call sent", "role": "task", "phase": "search"},
        {"at": "1970-01-01T00:16:40.300Z", "event": "candidate", "origin": "trial 12"},
        {"at": "1970-01-01T00:16:40.490Z", "event": "call sent", "role": "task", "phase": "search"},
        {"at": "1970-01-01T00:16:40.940Z", "event": "call sent", "role": "mutator", "phase": "search"},
        {"at": "1970-01-01T00:16:41.990Z", "event": "call sent", "role": "task", "phase": "test"},
    ]
    run = Ended(code=0, out="", err="", wall=2.0, cpu=0.5, peak=60.0, began=999.5)
    found = overhead.figures(log, run, 0.2, overhead.Steps([json.dumps(one) for one in told], 1000.0))
    assert [(pause.step, round(pause.seconds, 3)) for pause in found.pauses] == [("trial", 0.29), ("proposals", 0.05)]
    assert found.calls == 5 and found.busy == pytest.approx(0.81) and found.best == pytest.approx(0.6)
    assert found.overhead == pytest.approx(1.19 / 2.0)
    assert found.start == pytest.approx(0.5) and found.end == pytest.approx(0.35)
    assert overhead.by_step(found.pauses)[0] == "0.29 s in 1 before trial, the longest 0.29 s"
