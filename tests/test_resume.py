"""A run that is killed goes on: same winner, nothing acknowledged is sent twice, and the bill is the server's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from optimizer.dataset import canonical_json
from optimizer.store import RunReader, spending
from optimizer.testing.server import FakeServer, running_server
from tests.test_run import workspace

__all__ = ["workspace"]

PLACES = 8
LATENCY = 0.03
ENOUGH = 60.0
"""Seconds after which a child that does nothing is given up."""


def command(workspace: Path, base_url: str, *flags: str) -> subprocess.Popen[str]:
    """`optimizer run` as a user starts it, against the server."""
    fixed = ["--base-url", base_url, "--run-id", "r", "--concurrency", str(PLACES)]
    return subprocess.Popen(
        [sys.executable, "-m", "optimizer", "run", "evals/romeo-bob.yaml", *fixed, *flags],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(server: FakeServer, seen: int, child: subprocess.Popen[str]) -> None:
    """Until the server has seen that many requests."""
    until = time.monotonic() + ENOUGH
    while len(server.log) < seen:
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < until, f"only {len(server.log)} requests arrived"
        time.sleep(0.005)


def told(child: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = child.communicate(timeout=ENOUGH)
    assert child.returncode == 0, err
    return dict(json.loads(out))


def kill_when_seen(server: FakeServer, seen: int, child: subprocess.Popen[str], *, held: bool) -> None:
    """Kill the child once the server has seen that many requests.

    Held: the server keeps its answers back until every place is taken, so that each call that the run has recorded
    as sent has arrived. Not held: at once, wherever the child happens to be.
    """
    wait_for(server, seen, child)
    if held:
        server.latency = ENOUGH
        arrived = -1
        while arrived != len(server.log):
            arrived = len(server.log)
            time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    server.latency = LATENCY


@pytest.mark.parametrize(("kills", "held"), [((40, 150), True), ((93, 94, 250), False)])
def test_kill_9_and_resume(workspace, kills, held):
    with running_server() as calm:
        whole = told(command(workspace, calm.base_url, "--json"))
    for left in ("runs", ".optimizer"):
        shutil.rmtree(workspace / left)
    (workspace / "prompts" / "romeo-bob" / "v2.yaml").unlink()
    with running_server(latency=LATENCY) as server:
        for kill in kills:
            kill_when_seen(server, kill, command(workspace, server.base_url, "--resume"), held=held)
        with RunReader(workspace, "r") as reader:
            kept = len(reader.completions())
        before = Counter(seen.key for seen in server.log)
        resumed = told(command(workspace, server.base_url, "--resume", "--json"))
        after = Counter(seen.key for seen in server.log[before.total() :])
    assert resumed["prompt"]["text"] == whole["prompt"]["text"]
    assert resumed["test"] == {**whole["test"], "look": resumed["test"]["look"]}
    assert resumed["lines"] == whole["lines"]
    in_flight = PLACES * len(kills)
    # What is asked for again was not answered durably: at most what was in flight at each kill.
    assert sum(key in before for key in after) <= in_flight
    assert kept >= before.total() - in_flight
    with RunReader(workspace, "r") as reader:
        billed = spending(reader).calls
    assert billed == resumed["calls"]["task"] + resumed["calls"]["mutator"]
    # A call is billed from when it is recorded, which is before it leaves: the bill errs upwards, by what a kill finds
    # between the two, and never downwards.
    assert 0 <= billed - len(server.log) <= (0 if held else in_flight)


def test_ctrl_c_leaves_a_run_that_resumes(workspace):
    with running_server(latency=0.05) as server:
        child = command(workspace, server.base_url)
        wait_for(server, 60, child)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=ENOUGH)
        assert child.returncode == 130
        assert "--resume" in err
        assert all(seen.answered for seen in server.log), "calls in flight are waited for"
        sent = len(server.log)
        with RunReader(workspace, "r") as reader:
            assert len(reader.completions()) == sent
        resumed = told(command(workspace, server.base_url, "--resume", "--json"))
        assert Counter(seen.key for seen in server.log).most_common(1)[0][1] == 1
    assert resumed["verdict"] == "GAIN SHOWN"
    assert canonical_json(resumed["calls"]["by_phase"]) != "{}"


def test_a_run_that_is_complete_is_shown_again_and_costs_nothing(workspace):
    with running_server() as server:
        first = told(command(workspace, server.base_url, "--json"))
        sent = len(server.log)
        again = told(command(workspace, server.base_url, "--resume", "--json"))
        assert len(server.log) == sent
    assert again == first


def test_a_changed_row_is_refused_on_resume_with_what_changed(workspace):
    with running_server(latency=0.05) as server:
        child = command(workspace, server.base_url)
        wait_for(server, 30, child)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        rows = workspace / "evals" / "romeo-bob.jsonl"
        rows.write_text(rows.read_text(encoding="utf-8").replace("Which nobleman", "What nobleman"), encoding="utf-8")
        sent = len(server.log)
        child = command(workspace, server.base_url, "--resume")
        _, err = child.communicate(timeout=ENOUGH)
    assert child.returncode == 2
    assert "other-28" in err and "edited" in err
    assert len(server.log) == sent
