"""What must hold whatever went wrong. Each function asserts one thing, and says what it found."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.report.summary import summary
from optimizer.store import RunReader, spending
from optimizer.store.totals import Spending
from optimizer.testing.faults import GOOD_TEXT
from tests.faults import kept

if TYPE_CHECKING:
    from optimizer.testing.server import Answer
    from tests.faults.lab import Ended, Lab

SAME = {
    "trials": "SELECT round, number, candidate, rows, score, gain, partial, reason, choices FROM trials ORDER BY 1, 2",
    "results": "SELECT candidate, example, split, passed, score, output FROM results ORDER BY 1, 2",
    "decisions": "SELECT kind, round, reason FROM decisions WHERE kind != 'data' ORDER BY rowid",
    "lines": "SELECT id, text, worth, low, high, label, rows FROM lines ORDER BY 1",
    "outcome": "SELECT verdict, reason FROM outcome",
}
"""What an interrupted run and one without faults must have in common."""


def plain_words(done: Ended) -> None:
    """E: no traceback, and one line for an error; nothing for a child that was killed."""
    told = done.out + done.err
    assert "Traceback" not in told and "this is a bug" not in told, told
    assert "Exception ignored" not in told and "unclosed" not in told and "never awaited" not in told, told
    if done.code in (2, 5, 6, 7):
        errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, done.err


def nobody_left(pids: Sequence[int]) -> None:
    """E: the children, each the leader of its session, left nobody behind."""
    end = time.monotonic() + 10.0
    for pid in pids:
        while _group_lives(pid):
            assert time.monotonic() < end, f"process group {pid} lives on"
            time.sleep(0.01)


def _group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """What was paid for, and what became of it."""

    again: int = 0
    """Requests for an answer that was on the disk."""
    lost: int = 0
    """Answers that were on the disk at the end of one command, and were not at the end of a later one."""
    under_way: int = 0
    """Good answers that were not on the disk when their command ended: what a kill costs."""
    most_under_way: int = 0
    """The most of any one command, beyond what it may be: above 0 is too many."""
    requests: int = 0
    """All."""
    most_requests: int = 0
    """What they may be: distinct ones, what was under way at a stop, and one a fault."""


def accounts(lab: Lab) -> Accounts:
    """Go through the meter's log, command by command."""
    log, keys, samples = list(lab.meter.log), lab.keys(), _samples(lab)
    again, lost, under_way, most, begun = 0, 0, 0, 0, 0
    before: frozenset[str] = frozenset()
    for done in sorted(lab.ended, key=lambda one: one.seen):
        stored = {key for key, several in keys.items() if sum(one in done.kept for one in several) >= samples}
        again = max(again, sum(seen.key in stored for seen in log[done.seen :]))
        lost += len(before - done.kept)
        before = done.kept
        good = Counter(seen.key for seen in log[begun : done.seen] if seen.fault is None)
        held = {key: sum(one in done.kept for one in keys[key]) for key in good}
        missing = sum(max(0, min(count, samples) - held[key]) for key, count in good.items())
        together = sum(other.first < done.seen and other.seen > done.first for other in lab.ended)
        most = max(most, missing - lab.concurrency * together)
        under_way += missing
        begun = done.seen
    faults = sum(seen.fault is not None and seen.fault not in GOOD_TEXT for seen in log)
    return Accounts(
        again=again,
        lost=lost,
        under_way=under_way,
        most_under_way=most,
        requests=len(log),
        most_requests=len(keys) * samples + under_way + faults,
    )


def paid_once(lab: Lab) -> None:
    """A and B: what is on the disk is never asked again, and a kill loses at most the calls in flight."""
    found = accounts(lab)
    assert found.again <= lab.damaged, f"A: {found.again} requests for answers that were on the disk"
    assert found.lost <= lab.damaged, f"A: {found.lost} answers were on the disk, and are not any more"
    assert found.most_under_way <= 0, f"B: {found.most_under_way} good answers too many were lost in one stop"
    assert found.requests <= found.most_requests, (
        f"B: {found.requests} requests, at most {found.most_requests} are right"
    )


def bill_is_right(lab: Lab) -> None:
    """D: the report's calls, tokens and money are the meter's."""
    totals: list[Spending] = []
    for database in sorted(lab.folder.glob("runs/*/run.sqlite")):
        if not kept.rows(database, "SELECT 1 FROM meta"):
            continue  # It was killed before it was a run, and so before its first request.
        with RunReader(lab.folder, database.parent.name) as reader:
            spent, told = spending(reader), summary(reader)
        totals.append(spent)
        _same_in_report(spent, told)
    evals = [done for done in lab.ended if done.out.startswith('{\n  "eval"')]
    if any(done.code != 0 for done in lab.ended if done not in evals) and not totals:
        return  # An eval that failed tells no counts.
    log = list(lab.meter.log)
    good = sum(seen.answered for seen in log)
    paid = sum(done.json["calls"]["paid"] for done in evals)
    failed = sum(spent.failed for spent in totals) + sum(done.json["calls"]["failed"] for done in evals)
    calls, lost = sum(spent.calls for spent in totals) + paid, sum(spent.lost for spent in totals)
    assert calls - lost <= len(log) <= calls, f"D: {len(log)} requests; reported {calls}, of those {lost} lost"
    stops = sum(done.code not in (0, 3, 4) for done in lab.ended)
    assert lost <= lab.concurrency * stops, f"D: {lost} lost calls after {stops} stops"
    if lost:
        return
    assert (failed, calls - failed) == (len(log) - good, good), (
        f"D: {failed} of {calls} failed; the meter has {good} good"
    )
    if not evals:
        _tokens_are_right(lab, totals)


def _tokens_are_right(lab: Lab, totals: Sequence[Spending]) -> None:
    met = lab.meter.stats()
    inputs, outputs = sum(spent.input_tokens for spent in totals), sum(spent.output_tokens for spent in totals)
    assert (inputs, outputs) == (met["input_tokens"], met["output_tokens"]), f"D: {inputs} and {outputs} tokens"
    if not any(fault.startswith("usage-") for fault in met["faults"]):
        usd = sum(spent.usd or 0.0 for spent in totals)
        assert abs(usd - (inputs + 2 * outputs) / 1e6) < 1e-9, f"D: {usd} dollars"


def _same_in_report(spent: Spending, told: dict[str, Any]) -> None:
    calls = told["calls"]
    assert (calls["total"], calls["failed"], calls["lost"]) == (spent.calls, spent.failed, spent.lost), calls
    assert calls["task"] + calls["mutator"] + calls["judge"] == spent.calls, calls
    assert told["tokens"] == spent.tokens and told["usd"] == spent.usd, told


def no_secret(secret: str, *folders: Path) -> None:
    """E: no file holds the key, plain or in base64."""
    shapes = (secret.encode(), base64.b64encode(secret.encode()), json.dumps(secret)[1:-1].encode())
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                text = path.read_bytes()
                assert not any(shape in text for shape in shapes), f"the API key is in {path}"


def same_as_without_faults(lab: Lab, run: str) -> None:
    """C: the run equals one with the same settings that nothing disturbed."""
    wanted = undisturbed(lab.rows, lab.calls, lab.more, lab.answer)
    found = story(lab.folder, run)
    for part, expected in wanted.items():
        assert found[part] == expected, f"C: {part} differ"


def story(workspace: Path, run: str) -> dict[str, Any]:
    """All that two equal runs have in common."""
    database = workspace / "runs" / run / "run.sqlite"
    told: dict[str, Any] = {part: kept.rows(database, sql) for part, sql in SAME.items()}
    with RunReader(workspace, run) as reader:
        report = summary(reader)
    told["report"] = {part: report[part] for part in ("status", "verdict", "test", "val", "fixed", "broken", "errors")}
    told["prompt"] = report["prompt"]
    for path in sorted(workspace.glob("prompts/*/v*.yaml")):
        told[path.name] = re.sub(r"(?m)^(\s*)(created|at): .*$", "", path.read_text("utf-8"))
    return told


@functools.cache
def undisturbed(rows: int, calls: int, more: str, answer: Answer) -> dict[str, Any]:
    """The story of a run without faults."""
    from tests.faults.lab import RUN, lab

    settings: dict[str, Any] = {"rows": rows, "calls": calls, "more": more, "answer": answer}
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder), **settings) as quiet:
        done = quiet.run()
        assert done.code == 0, done.err
        told = story(quiet.folder, RUN)
    assert told["trials"] and told["results"] and told["outcome"]
    return told


def _samples(lab: Lab) -> int:
    found = re.search(r"(?m)^repeats: (\d+)", lab.more)
    return int(found.group(1)) if found else 1
