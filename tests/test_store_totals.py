"""What a run has spent, where the provider did not say."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.errors import ErrorKind
from optimizer.events import CallEnded, CallSent, Event, RunEnded
from optimizer.outcome import Phase, Role
from optimizer.results import CallError, Completion, Usage
from optimizer.store import RunReader, Spending, run_folder, schema, spending
from tests.sample_run import RUN, begin, completion, events, until, write


def spent_on(root: Path, *replies: Completion) -> Spending:
    """What a run has spent that had these replies, and three calls that ended without one."""
    ends: list[tuple[Completion | None, CallError | None]] = [
        *((reply, None) for reply in replies),
        (None, CallError(kind=ErrorKind.TIMEOUT, message="no answer within 60 s")),
        (None, CallError(kind=ErrorKind.MALFORMED, message="not JSON", status=200)),
        (None, CallError(kind=ErrorKind.INTERNAL_SERVER, message="500", status=500)),
    ]
    happened: list[Event] = []
    for number, (reply, error) in enumerate(ends):
        happened.append(CallSent(call=f"c{number}", key=f"k{number}", role=Role.TASK, phase=Phase.SEARCH))
        happened.append(CallEnded(call=f"c{number}", key=f"k{number}", completion=reply, error=error))
    write(root, happened)
    writer = begin(root, resume=True)
    found = writer.spent()
    writer.close()
    return found


UNCOUNTED = replace(completion("x", cost=None), usage=Usage())


def test_what_may_have_been_paid_counts_in_a_budget_at_the_mean(tmp_path):
    spent = spent_on(tmp_path, completion("a"), UNCOUNTED)
    # A refusal with a status costs nothing; a timeout, a reply that is no JSON and a reply without a count may.
    assert (spent.calls, spent.tokens, spent.unclear_tokens, spent.billed_tokens) == (5, 43, 129, 172)
    assert spent.usd is None and spent.billed_usd == pytest.approx(0.004)


@pytest.mark.parametrize("reply", [UNCOUNTED, completion("a", cost=None)])
def test_dollars_that_cannot_be_told_are_not_nothing(reply, tmp_path):
    assert spent_on(tmp_path, reply).billed_usd is None


def test_sums_are_kept_when_a_session_ends_and_are_those_of_the_calls(tmp_path):
    write(tmp_path, events())
    with RunReader(tmp_path, RUN) as reader:
        assert reader.query("SELECT session FROM totals") == [(1,)]
        kept = spending(reader)
    database = run_folder(tmp_path, RUN).database
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("DELETE FROM totals")
    with RunReader(tmp_path, RUN) as reader:
        assert spending(reader) == kept


def test_kept_sums_are_not_believed_when_damaged_or_when_a_session_goes_on(tmp_path):
    write(tmp_path, until(RunEnded, events()))
    with RunReader(tmp_path, RUN) as reader:
        before = spending(reader)
    database = run_folder(tmp_path, RUN).database
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE totals SET body = '[]'")
    with RunReader(tmp_path, RUN) as reader:
        assert spending(reader) == before
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE totals SET crc = ?", (schema.checksum((1, "[]")),))
    writer = begin(tmp_path, resume=True)
    try:
        with RunReader(tmp_path, RUN) as reader:
            assert spending(reader) == before
    finally:
        writer.close()
