"""Screens at their limits: edits that do not fit, answers that ended in an error, very long outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from optimizer.cluster import cluster
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op
from optimizer.evaluator import Bench, Purpose, by_id
from optimizer.mutate.propose import proposals_for
from optimizer.outcome import Phase
from optimizer.search.place import overruling
from optimizer.search.screen import Candidates, Screening, screen
from optimizer.tokens import prompt_tokens
from tests.worlds import bench_of, seed_prompt

TRAIN = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=0)


def line(text: str, cluster_id: str = "c") -> Edit:
    return Edit(op=Op.ADD_LINE, after=END, text=text, cluster=cluster_id, source="llm")


def a_bench(answer: Callable[[str, Example], str]) -> Bench:
    return bench_of(answer, lambda number: (f"what is {number}", "right"), size=20)[0]


def screened(bench: Bench, texts: Sequence[str]) -> Screening:
    """Screen lines on the first cluster."""
    seed = seed_prompt()

    async def go() -> Screening:
        base = await bench.evaluator.evaluate(seed, bench.train, TRAIN)
        proposals = proposals_for(seed, cluster(by_id(bench.train), base), base, by_id(bench.train), {})
        edits = [line(text, next(iter(proposals))) for text in texts]
        return await screen(bench, Candidates(champion=seed, base=base, proposals=proposals, edits=edits), 1)

    return asyncio.run(go())


def test_an_edit_that_is_too_long_leaves_its_turn_to_the_next_one():
    bench = a_bench(lambda text, row: "right" if "cure" in text else "wrong")
    limit = prompt_tokens(seed_prompt()) + 4
    long, cure = screened(replace(bench, max_tokens=limit), ["be kind " * 20, "cure"]).edits
    assert not long.tried and not long.passed
    assert cure.passed


def test_very_long_outputs_are_no_burden():
    output = "ab cd " * 400_000
    assert overruling([line("say ab"), line("say xy")], output, "xy") == {line("say ab").id}
