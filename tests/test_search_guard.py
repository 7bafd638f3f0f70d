"""Rows that are right, asked beside demos, and what that may cost."""

from __future__ import annotations

import asyncio

import pytest

from optimizer.dataset import Split
from optimizer.evaluator import Purpose
from optimizer.outcome import Phase
from optimizer.search.guard import GUARDS, broken
from tests.worlds import bench_of, seed_prompt

TRAIN = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=1)


@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize("room", [GUARDS - 1, GUARDS, 2 * GUARDS - 1, 2 * GUARDS, 4 * GUARDS])
def test_asking_the_guards_stays_within_its_room(room: int, repeats: int):
    bench, _, _ = bench_of(lambda text, row: "wrong" if "new" in text else "right", lambda n: (f"q {n}", "right"))
    bench.evaluator.repeats = repeats
    rows = bench.train[:GUARDS]

    async def go() -> tuple[tuple[str, ...], int]:
        before = await bench.evaluator.evaluate(seed_prompt("old"), rows, TRAIN)
        asked = len(bench.plan.asked[Phase.SEARCH])
        found = await broken(bench, seed_prompt("new"), rows, before.results, TRAIN, room)
        return found, len(bench.plan.asked[Phase.SEARCH]) - asked

    found, spent = asyncio.run(go())
    assert spent <= room
    assert len(found) == (GUARDS if room >= GUARDS * repeats else 0)
