"""What chance, errors and the end of the reserve must not do to the prices of lines."""

from __future__ import annotations

import asyncio

import pytest

from optimizer.attribute import Cause, Priced, attribute
from optimizer.dataset import Example
from optimizer.search.study import Champion
from tests.test_attribute import SEARCH, kind_of, luck, with_lines
from tests.worlds import bench_of, seed_prompt


@pytest.mark.parametrize("lines", [1, 2])
def test_rows_that_the_first_prompt_got_wrong_by_chance_speak_for_no_line(lines):
    """They are the line's own rows because of these very answers; any other prompt gets most of them right."""

    def idle(number: int) -> Priced:
        def coin(text: str, example: Example) -> str:
            return str(example.expected) if luck(str(number), text, example.id) < 0.8 else "no idea"

        bench, _, _ = bench_of(coin, kind_of, calls=2000, size=80)
        start = seed_prompt()
        texts = [f"Note {number}-{line}." for line in range(lines)]
        winner = with_lines(start, texts)

        async def run() -> Priced:
            before = await bench.evaluator.evaluate(start, (*bench.val, *bench.train), SEARCH)
            val = await bench.evaluator.evaluate(winner, bench.val, SEARCH)
            failed = [row.id for row in bench.train if not before.results[row.id].passed]
            cause = Cause(label="luck", members=len(failed), share=0.2, shown=frozenset(failed[:3]))
            return await attribute(bench, start, Champion(prompt=winner, val=val), dict.fromkeys(texts, cause))

        return asyncio.run(run())

    found = [worth for number in range(8) for one in [idle(number)] for worth in (*one.lines, *one.dropped)]
    assert len(found) == 8 * lines
    assert sum(worth.label != "not measurable" for worth in found) <= 1
