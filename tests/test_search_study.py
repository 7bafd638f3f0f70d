"""What a study may not take: prompts over the limits, and gains that no row shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op
from optimizer.errors import ErrorKind, ModelError
from optimizer.evaluator import Bench, Purpose
from optimizer.outcome import Phase
from optimizer.protect import broken
from optimizer.search.screen import Screened
from optimizer.search.space import space
from optimizer.search.study import Champion, Found, search
from optimizer.tokens import prompt_tokens
from tests.worlds import bench_of, seed_prompt

VAL = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=1)
CURE, POISON = "say right to some", "say bad to tens"


def number_of(row: Example) -> int:
    return int(row.inputs["q"].split()[-1])


def added(text: str, mended: int) -> Screened:
    edit = Edit(op=Op.ADD_LINE, after=END, text=text, cluster=text, source="llm")
    return Screened(edit=edit, mended=tuple(f"t{number:03}" for number in range(mended)), tried=8, chosen=True)


def a_bench(answer: Callable[[str, Example], str]) -> Bench:
    bench, _, _ = bench_of(answer, lambda number: (f"what is {number}", "right"), size=40, calls=1500)
    return bench


def searched(bench: Bench, items: list[Screened], text: str = "Answer the question.") -> tuple[Found, Champion]:
    seed = seed_prompt(text)

    async def go() -> tuple[Found, Champion]:
        champion = Champion(prompt=seed, val=await bench.evaluator.evaluate(seed, bench.val, VAL))
        made = space(seed, items, frozenset(line.id for line in seed.lines))
        return await search(bench, champion, made, items, 1, champion.mean), champion

    return asyncio.run(go())


def cured(text: str, row: Example) -> str:
    """Every fourth row needs the cure; the poison takes every tenth one."""
    if POISON in text and number_of(row) % 10 == 0:
        return "bad"
    return "right" if number_of(row) % 4 != 1 or CURE in text else "wrong"


def test_what_is_left_of_a_bundle_may_not_break_a_protected_row_either():
    # Either of two more lines breaks the protected row, so that leaving out one of them shows nothing.
    def twice_broken(text: str, row: Example) -> str:
        return "odd" if row.id == "v003" and ("be kind" in text or "be nice" in text) else cured(text, row)

    bench = replace(a_bench(twice_broken), protected=frozenset({"v003"}))
    items = [added(CURE, 8), added(POISON, 1), added("be kind", 4), added("be nice", 4)]
    found, champion = searched(bench, items)
    assert broken(champion.val, found.best.val, bench.protected) == ()


def test_a_champion_passes_every_protected_row_that_its_parent_passes():
    # One row falls by chance under the cure, and is right again when asked once more: the run's end would refuse it.
    def flaky(text: str, row: Example) -> str:
        unlucky = row.id == "v004" and CURE in text and "Thank" not in text
        return "wrong" if unlucky else cured(text, row)

    bench = replace(a_bench(flaky), protected=frozenset({"v004"}))
    found, champion = searched(bench, [added(CURE, 8)])
    assert broken(champion.val, found.best.val, bench.protected) == ()


def test_what_is_left_of_a_bundle_is_within_the_limit_of_tokens():
    # The harmful edit is the one that makes room for the other.
    seed = "Answer the question.\nTake care with tens, whatever it is that people may ask of you."
    gone = Edit(op=Op.REMOVE_LINE, target="L2", cluster="gone", source="llm")
    harmful = Screened(edit=gone, mended=("t001",), tried=8, chosen=True)

    def answer(text: str, row: Example) -> str:
        return "bad" if number_of(row) % 10 == 0 and "Take care" not in text else cured(text, row)

    limit = prompt_tokens(seed_prompt(seed))
    bench = replace(a_bench(answer), max_tokens=limit)
    found, _ = searched(bench, [added(CURE, 8), harmful], seed)
    assert prompt_tokens(found.best.prompt) <= limit


def test_rows_on_which_the_champion_ended_in_an_error_are_no_gain():
    # A fault of the provider meets the baseline alone; the edit changes nothing.
    def faulty(text: str, row: Example) -> str:
        if text == seed_prompt().text and number_of(row) % 4 == 0:
            raise ModelError(ErrorKind.TIMEOUT, "late")
        return "right" if number_of(row) % 2 else "wrong"

    bench = a_bench(faulty)
    found, champion = searched(bench, [added("be kind", 1)])
    assert len(champion.val.errors) == 10
    assert found.best is champion


def test_an_edit_that_breaks_rows_with_errors_does_not_pass_for_the_best():
    def answer(text: str, row: Example) -> str:
        number = number_of(row)
        if "hush" in text and number % 2:
            raise ModelError(ErrorKind.CUT_OFF, "cut off")
        return "right" if number % 2 == 0 or ("cure" in text and number % 3) else "wrong"

    found, _ = searched(a_bench(answer), [added("hush", 4), added("cure", 4)])
    assert "cure" in found.best.prompt.text and "hush" not in found.best.prompt.text
