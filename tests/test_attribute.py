"""What is dropped, and what stays."""

from __future__ import annotations

import asyncio

import pytest

from optimizer.attribute import Cause, Priced, attribute
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op, apply
from optimizer.evaluator import Purpose
from optimizer.outcome import Phase
from optimizer.search.study import Champion
from tests.worlds import bench_of, seed_prompt

RARE = "a rule for one row in ten"
UNLUCKY = ("v001", "v002", "v003", "v004", "v006")


def rare(text: str, row: Example) -> str:
    """One row in ten needs the line; with it some other val rows come out wrong by luck."""
    number = int(row.inputs["q"].split()[-1])
    if number % 10 == 5:
        return "right" if RARE in text else "wrong"
    return "wrong" if RARE in text and row.id in UNLUCKY else "right"


def priced(mended: int) -> Priced:
    bench, _, _ = bench_of(rare, lambda number: (f"what is {number}", "right"), size=40)
    seed = seed_prompt()
    winner = apply(seed, [Edit(op=Op.ADD_LINE, after=END, text=RARE)])
    purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=1)
    cause = Cause(label="rare", members=4, mended=frozenset(f"t{number:03}" for number in range(mended)))

    async def go() -> Priced:
        champion = Champion(prompt=winner, val=await bench.evaluator.evaluate(winner, bench.val, purpose))
        return await attribute(bench, seed, champion, {RARE: cause})

    return asyncio.run(go())


@pytest.mark.parametrize(("mended", "stays"), [(4, True), (1, False)])
def test_a_line_that_mended_train_rows_stays_where_val_alone_would_drop_it(mended, stays):
    found = priced(mended)
    assert (RARE in found.winner.prompt.text) is stays
    if stays:
        (line,) = found.lines
        assert line.worth is not None and line.worth < 0 and line.label == "not measurable"
