import copy
import hashlib
import sqlite3

import pytest

from optimizer.cluster import cluster
from optimizer.dataset import Example, Split
from optimizer.errors import ErrorKind, StoreError
from optimizer.failures import Failure, Kept
from optimizer.results import CallError, Completion, Evaluation, Result, Score
from optimizer.spool import BATCH
from optimizer.store.spooled import ResultSpool

ROWS = BATCH + 100
"""More than are written at once."""


def result_of(number: int) -> Result:
    row = f"r{number}"
    if number % 50 == 0:
        return Result(example=row, candidate="p", error=CallError(kind=ErrorKind.TIMEOUT, message="late"))
    passed = number % 3 > 0
    score = Score(
        metric="exact",
        value=float(passed),
        passed=passed,
        reason="" if passed else f'said "{"a" if number % 2 else "b"}"',
        place="text" if number % 2 else "$.x",
        wanted="c",
        got="c" if passed else "a" if number % 2 else "b",
    )
    return Result(example=row, candidate="p", completion=Completion(text=f"half \ud800 {number}"), scores=(score,))


def filled() -> tuple[ResultSpool, dict[str, Result]]:
    spool, held = ResultSpool(), {}
    for number in range(ROWS):
        found = result_of(number)
        spool.add(found, Split.VAL if number % 4 == 0 else Split.TRAIN)
        held[found.example] = found
    return spool, held


def test_results_come_back_as_they_were_in_the_order_of_the_splits_rows():
    spool, held = filled()
    order = sorted(held, key=lambda row: hashlib.sha256(row.encode()).digest())
    whole, val = spool.of(), spool.of(Split.VAL)
    assert list(whole) == order and len(whole) == ROWS
    assert list(whole.items()) == [(row, held[row]) for row in order]
    assert list(val.values()) == [held[row] for row in order if int(row[1:]) % 4 == 0]
    assert val["r4"] == held["r4"] and "r5" not in val and "r5" in whole
    with pytest.raises(KeyError):
        val["r5"]


def test_results_may_be_read_while_they_are_read():
    spool, held = filled()
    whole = spool.of()
    assert all(whole[row] == held[row] == again for (row, _), again in zip(whole.items(), whole.values(), strict=True))


def test_a_copy_is_a_dict_that_needs_no_file():
    spool, held = filled()
    again = copy.deepcopy(spool.of(Split.VAL))
    assert type(again) is dict and again == {row: held[row] for row in held if int(row[1:]) % 4 == 0}


def test_failures_that_are_looked_up_make_the_same_clusters():
    spool, held = filled()
    examples = {row: Example(id=row, inputs={"q": f"{row} about {int(row[1:]) % 2}"}) for row in held}
    whole = spool.of()
    kept = cluster(examples, Evaluation(candidate="p", results=whole), hold=lambda r: Kept(r.example, examples, whole))
    plain = cluster(examples, Evaluation(candidate="p", results={row: held[row] for row in whole}))
    assert [(found.id, found.label, found.share, found.terms, found.evidence) for found in kept] == [
        (found.id, found.label, found.share, found.terms, found.evidence) for found in plain
    ]
    members = [[member.id for member in found.members] for found in kept]
    assert members == [[member.id for member in found.members] for found in plain] and len(members) > 1
    again = copy.deepcopy(kept[0].members[0])
    assert type(again) is Failure and again == plain[0].members[0]


def test_no_room_for_the_file_is_told_in_one_line(monkeypatch):
    spool = ResultSpool()

    class Full:
        def execute(self, *_):
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(spool._spool, "_db", Full())
    with pytest.raises(StoreError, match=r"temporary file: database or disk is full \(make room, or .*TMPDIR\)"):
        len(spool.of())
