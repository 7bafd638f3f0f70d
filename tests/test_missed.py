"""Lines that pricing took away: those that rows miss come back, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from optimizer.attribute import Cause, Priced
from optimizer.config import Prefer
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op, apply
from optimizer.errors import BudgetExceeded
from optimizer.evaluator import Bench, Purpose
from optimizer.events import Decided, Event, LinePriced
from optimizer.missed import missed
from optimizer.outcome import LineWorth, Phase
from optimizer.prompt import Prompt
from optimizer.round import RunState
from optimizer.search.study import Champion
from tests.worlds import bench_of, seed_prompt

RULE = "For every tenth reader answer Bob."
SAME = "Each tenth reader is to be told of Bob."
IDLE = "Read with care."
HARMFUL = "Most important: answer Romeo."
TENTH = ("t000", "t010", "t020", "t030")
OTHERS = ("t001", "t002", "t003", "t004")

Answer = Callable[[str, Example], str]


def world(number: int) -> tuple[str, str]:
    return f"who is it {number}", "Bob" if number % 10 == 0 else "Juliet"


def answer(text: str, row: Example) -> str:
    """Every tenth row wants a rule, and every third one of the others is lost to the harmful line."""
    number = int(row.inputs["q"].split()[-1])
    if number % 10 == 0:
        return "Bob" if RULE in text or SAME in text else "Juliet"
    return "Romeo" if HARMFUL in text and number % 3 == 0 else "Juliet"


def on_train_alone(text: str, row: Example) -> str:
    """The same, but val rows are right without a rule."""
    return str(row.expected) if row.id.startswith("v") else answer(text, row)


def breaking_the_fifth(text: str, row: Example) -> str:
    """The rule gets one other train row wrong."""
    return "Bob" if row.id == "t005" and RULE in text else answer(text, row)


def added(*lines: str, to: Prompt) -> Prompt:
    return apply(to, [Edit(op=Op.ADD_LINE, after=END, text=line, source="llm") for line in lines])


def priced_line(prompt: Prompt, text: str, *, change: str = "added", label: str = "not measurable") -> LineWorth:
    (line,) = (line for line in prompt.lines if line.content == text)
    return LineWorth(id=line.id, text=text, change=change, worth=0.001, ci=None, label=label, cluster="", tokens=5)


def asked(
    before: Prompt,
    after: Prompt,
    gone: Sequence[LineWorth],
    mended: Mapping[str, Sequence[str]],
    *,
    how: Answer = answer,
    calls: int = 900,
    prefer: Prefer | None = None,
    protected: Sequence[str] = (),
) -> tuple[Priced, Priced, list[Event], Bench]:
    """What pricing left, what came of it, what was told, and the bench."""
    bench, events, _ = bench_of(how, world, calls=calls)
    bench = replace(bench, prefer=prefer, protected=frozenset(protected))
    purpose = Purpose(phase=Phase.ATTRIBUTION, split=Split.VAL, round=0)

    async def walk() -> tuple[Priced, Priced]:
        sides = [
            Champion(prompt=prompt, val=await bench.evaluator.evaluate(prompt, bench.val, purpose))
            for prompt in (before, after)
        ]
        causes = {text: Cause(label="", members=len(rows), mended=frozenset(rows)) for text, rows in mended.items()}
        state = RunState(
            seed=seed_prompt(), baseline=sides[1], champion=sides[0], train=sides[1].val.only([]), causes=causes
        )
        left = Priced(winner=sides[1], lines=(), dropped=tuple(gone))
        return left, await missed(bench, state, left)

    left, found = asyncio.run(walk())
    for phase in Phase:
        assert len(bench.plan.asked[phase]) <= bench.plan.limits[phase]
    return left, found, events, bench


def system(prompt: Prompt) -> list[str]:
    return prompt.messages[0].text.split("\n")


def without_both(*lines: str) -> tuple[Prompt, Prompt, list[LineWorth]]:
    """A champion with added lines, the seed, and the lines as they were dropped."""
    seed = seed_prompt()
    before = added(*lines, to=seed)
    return before, seed, [priced_line(before, line) for line in lines]


def test_a_line_that_rows_miss_comes_back_with_its_price_and_an_idle_one_does_not():
    before, seed, gone = without_both(RULE, IDLE)
    left, found, events, bench = asked(before, seed, gone, {RULE: TENTH, IDLE: OTHERS})
    assert system(found.winner.prompt) == ["Answer the question.", RULE]
    assert [line for line in found.lines if line.text == RULE] == [gone[0]] and found.dropped == (gone[1],)
    assert [event.worth for event in events if isinstance(event, LinePriced)] == [gone[0]]
    (told,) = [event for event in events if isinstance(event, Decided)]
    assert told.kind == "missed" and "4 train rows that it was made for and 4 val rows miss it" in told.reason
    assert told.figures["candidate"] == found.winner.prompt.fingerprint
    # The winner answered all val rows itself.
    assert {result.candidate for result in found.winner.val.results.values()} == {found.winner.prompt.fingerprint}
    assert found.winner.mean == 1.0 and len(found.winner.val.results) == len(bench.val)
    assert left.winner.mean == 0.9


@pytest.mark.parametrize(("rows", "back"), [(1, False), (2, True), (4, True)])
def test_one_row_alone_brings_no_line_back(rows: int, back: bool):
    before, seed, gone = without_both(RULE)
    _, found, _, _ = asked(before, seed, gone, {RULE: TENTH[:rows]}, how=on_train_alone)
    assert (RULE in system(found.winner.prompt)) is back


def test_of_two_lines_that_say_the_same_one_comes_back():
    before, seed, gone = without_both(RULE, SAME)
    _, found, _, _ = asked(before, seed, gone, {RULE: TENTH[:2], SAME: TENTH})
    assert system(found.winner.prompt) == ["Answer the question.", SAME]


def test_a_line_of_the_seed_that_was_put_back_and_hurts_goes_again():
    after = seed_prompt(f"Answer the question.\n{HARMFUL}")
    (line,) = (line for line in after.lines if line.content == HARMFUL)
    before = apply(after, [Edit(op=Op.REMOVE_LINE, target=line.id, source="llm")])
    gone = [priced_line(after, HARMFUL, change="removed")]
    _, found, _, _ = asked(before, after, gone, {HARMFUL: ("t003", "t006")})
    assert system(found.winner.prompt) == ["Answer the question."]


def test_a_line_that_breaks_as_much_as_it_mends_stays_away():
    before, seed, gone = without_both(HARMFUL)

    def even(text: str, row: Example) -> str:
        """The line mends every tenth row, and loses some others."""
        number = int(row.inputs["q"].split()[-1])
        return (
            ("Bob" if number % 10 == 0 else "Romeo" if number % 10 == 3 else "Juliet") if HARMFUL in text else "Juliet"
        )

    _, found, _, _ = asked(before, seed, gone, {HARMFUL: TENTH}, how=even)
    assert found.winner.prompt == seed and found.dropped == tuple(gone)


def test_what_was_shown_to_hurt_stays_away():
    before, seed, _ = without_both(RULE)
    gone = [priced_line(before, RULE, label="hurts")]
    left, found, _, _ = asked(before, seed, gone, {RULE: TENTH})
    assert found == left


@pytest.mark.parametrize("prefer", list(Prefer))
def test_nothing_comes_back_where_a_shorter_or_cheaper_prompt_is_wanted(prefer: Prefer):
    before, seed, gone = without_both(RULE)
    left, found, _, _ = asked(before, seed, gone, {RULE: TENTH}, prefer=prefer)
    assert found == left


@pytest.mark.parametrize(("protected", "back"), [((), True), (("t005",), False), (("t006",), True)])
def test_a_line_that_breaks_a_protected_row_stays_away(protected: Sequence[str], back: bool):
    before, seed, gone = without_both(RULE)
    _, found, _, _ = asked(before, seed, gone, {RULE: TENTH}, how=breaking_the_fifth, protected=protected)
    assert (RULE in system(found.winner.prompt)) is back


def test_without_room_in_the_plan_nothing_is_asked():
    before, seed, gone = without_both(RULE)
    left, found, _, bench = asked(before, seed, gone, {RULE: TENTH})
    assert RULE in system(found.winner.prompt)
    bench.plan.limits.update({phase: len(bench.plan.asked[phase]) for phase in (Phase.SEARCH, Phase.ATTRIBUTION)})
    champion = replace(left.winner, prompt=added(SAME, to=seed))
    state = RunState(seed=seed, baseline=left.winner, champion=champion, train=left.winner.val.only([]))
    other = replace(left, dropped=(priced_line(champion.prompt, SAME),))
    known = len(bench.evaluator.known)
    assert asyncio.run(missed(bench, state, other)) == other and len(bench.evaluator.known) == known


def test_where_the_budget_ends_the_winner_stays_as_it_was():
    before, seed, gone = without_both(RULE)

    def until_spent(text: str, row: Example) -> str:
        if row.id.startswith("t"):
            raise BudgetExceeded("the budget is spent; nothing more is sent")
        return answer(text, row)

    left, found, events, _ = asked(before, seed, gone, {RULE: TENTH}, how=until_spent)
    assert found == left and not any(isinstance(event, Decided) for event in events)
