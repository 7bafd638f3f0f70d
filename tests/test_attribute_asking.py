"""Rows that are asked again go their own ways, and what they show is the same as if each had waited for all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from optimizer.attribute.asking import Desk
from optimizer.attribute.removal import Removal
from optimizer.attribute.rows import Ground
from optimizer.dataset import Example
from optimizer.evaluator import Bench
from optimizer.outcome import Phase
from optimizer.prompt import Prompt
from optimizer.targets.base import Output
from tests.test_attribute import KINDS, kind_of, rules, unsteady, with_lines
from tests.worlds import FunctionTarget, bench_of, seed_prompt

Before = Callable[[str, Example], Awaitable[None]]
ENOUGH = 1000


@dataclass(frozen=True, kw_only=True)
class Waiting(FunctionTarget):
    """Answers when it may."""

    before: Before

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        await self.before(candidate.text, example)
        return await FunctionTarget.run(self, candidate, example, phase, sample)


def scene(before: Before, reserve: int) -> tuple[Bench, Removal, Waiting]:
    """A line that does nothing, in a world where every answer is a draw."""
    bench, _, pure = bench_of(unsteady(0.7), kind_of, calls=4000)
    target = Waiting(answer=pure.answer, before=before)
    bench = replace(bench, evaluator=replace(bench.evaluator, target=target))
    bench.plan.limits[Phase.ATTRIBUTION] = reserve
    whole = with_lines(seed_prompt(), [*rules(*KINDS), "Be careful."])
    cut = Ground(rows=bench.val, before={}, after={}).cut((), (), ())
    part = with_lines(seed_prompt(), list(rules(*KINDS)))
    return bench, Removal(lines=("L9",), whole=whole, part=part, strata=cut.strata), target


async def at_once(text: str, row: Example) -> None:
    """No wait at all."""


def shuffled(seed: int) -> Before:
    """Answers come in another order than that of the requests."""
    drawn = random.Random(seed)

    async def wait(text: str, row: Example) -> None:
        for _ in range(drawn.randrange(20)):
            await asyncio.sleep(0)

    return wait


async def look(desk: Desk, removal: Removal, rows: Sequence[Example], *, well: bool) -> None:
    await (desk.look_well if well else desk.look)([(removal, rows)])
    await desk.look_again([removal])


@pytest.mark.parametrize("reserve", [ENOUGH, 200, 90, 40])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_answers_decides_nothing(seed: int, reserve: int) -> None:
    async def shown(before: Before, *, well: bool) -> tuple[list[object], set[tuple[str, str]]]:
        bench, removal, target = scene(before, reserve)
        await asyncio.wait_for(look(Desk(bench=bench), removal, bench.val[:16], well=well), 60)
        assert len(target.calls) == len(set(target.calls)) <= reserve
        return list(removal.seen.items()), set(target.calls)

    plain = asyncio.run(shown(at_once, well=False))
    assert asyncio.run(shown(shuffled(seed), well=True)) == plain
    assert plain[0]


def test_a_slow_row_holds_no_other_one_up() -> None:
    """The first row is answered once another one was asked for the third time."""

    async def run() -> None:
        on = asyncio.Event()

        async def first_is_last(text: str, row: Example) -> None:
            if "Thanks." in text:
                on.set()
            if row == bench.val[0]:
                await on.wait()

        bench, removal, _ = scene(first_is_last, ENOUGH)
        await asyncio.wait_for(look(Desk(bench=bench), removal, bench.val, well=True), 60)
        assert on.is_set() and list(removal.seen) == [row.id for row in bench.val]

    asyncio.run(run())
