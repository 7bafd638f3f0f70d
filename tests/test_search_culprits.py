"""Bundles that break rows: which edit did it, and what a search does about it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op
from optimizer.evaluator import Bench, Purpose
from optimizer.events import Decided, Event, ResultKnown
from optimizer.outcome import Phase
from optimizer.search.again import settled
from optimizer.search.culprits import Broke, culprits, suspects
from optimizer.search.screen import Screened
from optimizer.search.space import Space, space
from optimizer.search.study import Champion, Found, search
from optimizer.tokens import prompt_tokens
from tests.worlds import bench_of, seed_prompt

VAL = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=1)
CURE, POISON, IDLE = "say right to odd ones", "say bad to tens", "be kind"


def number_of(row: Example) -> int:
    return int(row.inputs["q"].split()[-1])


def world(text: str, row: Example) -> str:
    """Even rows are right, odd ones need the cure; the poison takes every tenth row."""
    if POISON in text and number_of(row) % 10 == 0:
        return "bad"
    return "right" if number_of(row) % 2 == 0 or CURE in text else "wrong"


def edit(text: str, op: Op = Op.ADD_LINE, target: str | None = None) -> Edit:
    after = END if op is Op.ADD_LINE else None
    return Edit(op=op, target=target, after=after, text=text or None, cluster=text or "gone", source="llm")


def passing(found: Edit, mended: int) -> Screened:
    rows = tuple(f"t{number:03}" for number in range(mended))
    return Screened(edit=found, mended=rows, tried=8, chosen=True)


def a_bench(**limits) -> tuple[Bench, list[Event]]:
    bench, events, _ = bench_of(world, lambda number: (f"what is {number}", "right"), size=40, calls=1500)
    return replace(bench, **limits), events


def searched(bench: Bench, items: list[Screened]) -> tuple[Found, Space]:
    seed = seed_prompt()
    made = space(seed, items, frozenset(line.id for line in seed.lines))

    async def go() -> Found:
        champion = Champion(prompt=seed, val=await bench.evaluator.evaluate(seed, bench.val, VAL))
        return await search(bench, champion, made, items, 1, champion.mean)

    return asyncio.run(go()), made


def test_a_culprit_is_found_on_the_rows_that_broke_alone():
    bench, events = a_bench()
    items = [passing(edit(CURE), 8), passing(edit(POISON), 2), passing(edit(IDLE), 2)]
    made = space(seed_prompt(), items)

    async def go() -> tuple[frozenset[str], list[str]]:
        candidate = made.candidate(made.bundle)
        sides = (seed_prompt(), candidate)
        before, after = await bench.evaluator.evaluate_all([(side, bench.val) for side in sides], VAL)
        changed = await settled(bench, sides, (before, after), bench.val, VAL)
        broke = Broke(
            space=made,
            choices=made.bundle,
            before=before,
            after=after,
            changed=changed,
            mended={item.edit.id: len(item.mended) for item in items},
        )
        known = sum(isinstance(event, ResultKnown) for event in events)
        found = await culprits(bench, broke, VAL)
        asked = [event.result.example for event in events if isinstance(event, ResultKnown)][known:]
        assert [one.text for one in suspects(broke)] == [POISON]
        return found, asked

    found, asked = asyncio.run(go())
    assert found == {edit(POISON).id}
    assert asked == ["v000", "v010", "v020", "v030"]


def test_the_search_goes_on_without_the_culprit():
    bench, events = a_bench()
    found, _ = searched(bench, [passing(edit(CURE), 8), passing(edit(POISON), 2)])
    text = found.best.prompt.text
    assert CURE in text and POISON not in text
    assert found.harmful == {edit(POISON).id}
    told = [event for event in events if isinstance(event, Decided) and event.kind == "harmful edit"]
    assert len(told) == 1 and "4 of 4 val rows" in told[0].reason


def test_a_useful_edit_that_breaks_a_protected_row_is_not_taken():
    # It mends far more rows than it breaks, but one of those is protected.
    items = [passing(edit(f"{CURE}, {POISON}"), 8)]
    free, _ = searched(a_bench()[0], items)
    assert POISON in free.best.prompt.text
    held, _ = searched(a_bench(protected=frozenset({"v010"}))[0], items)
    assert held.best.prompt.fingerprint == seed_prompt().fingerprint


@pytest.mark.parametrize("room", [0, 6, 9, 100])
def test_no_candidate_is_longer_than_the_limit(room):
    limit = prompt_tokens(seed_prompt()) + room
    bench, _ = a_bench(max_tokens=limit)
    found, made = searched(bench, [passing(edit(CURE), 8), passing(edit(IDLE), 2)])
    assert prompt_tokens(found.best.prompt) <= limit
    assert (CURE in found.best.prompt.text) == (room >= 6)
    assert prompt_tokens(made.candidate(made.bundle)) > prompt_tokens(seed_prompt()) + 6


def test_a_removed_line_is_a_suspect_where_its_words_went():
    seed = seed_prompt("Answer.\nalways say fine to tens")

    def fine(text: str, row: Example) -> str:
        return "fine" if number_of(row) % 10 == 0 and "always say fine" in text else "right"

    bench, _, _ = bench_of(fine, lambda n: (f"what is {n}", "fine" if n % 10 == 0 else "right"), size=40)
    gone = passing(edit("", Op.REMOVE_LINE, "L2"), 2)
    items = [passing(edit(IDLE), 2), gone]
    made = space(seed, items)

    async def go() -> list[Edit]:
        sides = (seed, made.candidate(made.bundle))
        before, after = await bench.evaluator.evaluate_all([(side, bench.val) for side in sides], VAL)
        changed = await settled(bench, sides, (before, after), bench.val, VAL)
        broke = Broke(space=made, choices=made.bundle, before=before, after=after, changed=changed, mended={})
        return suspects(broke)

    assert [one.op for one in asyncio.run(go())] == [Op.REMOVE_LINE]
