"""Shorter prompts before their lines are priced, on worlds with known truth."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from optimizer.config import Prefer
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op, apply
from optimizer.evaluator import Purpose
from optimizer.events import Decided, Event, LinePriced
from optimizer.loop import Ends, Finished, run
from optimizer.mutate.base import Proposal
from optimizer.mutate.propose import Proposers
from optimizer.mutate.shorten import NEARLY, SEED, shorter
from optimizer.outcome import Outcome, Phase, Verdict
from optimizer.prompt import Prompt
from optimizer.prune import SHARE, candidates, prune, shortened_seed
from optimizer.round import RunState
from optimizer.search.study import Champion
from tests.worlds import bench_of, seed_prompt

CURE = 'Write "Bob" where you would have written "Romeo".'
TWICE = "Answer every question of our readers in a single word."
NEARLY_SAID = "Answer every question of all our readers in a single word."
IDLE = "You work for a small publisher of plays and their commentaries."
POLITE = "I would like you to make sure to be brief. Please note that readers are busy. Thank you very much."


def number_of(row: Example) -> int:
    return int(row.inputs["q"].split()[-1])


def world(number: int) -> tuple[str, str]:
    return f"who is it {number}", "Juliet" if number % 3 == 0 else "Bob"


def answer(text: str, row: Example) -> str:
    """Right with the cure, as long as a line asks for a single word, and for some rows one that calls it a must."""
    said = "Juliet" if number_of(row) % 3 == 0 else "Bob" if CURE in text else "Romeo"
    careless = "It is a must." not in text and "Mind the must." in text and number_of(row) in (1, 2)
    return f"It is {said}, I think." if "single word" not in text or careless else said


class Curing:
    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        return (Edit(op=Op.ADD_LINE, after=END, text=CURE, cluster=proposal.cluster.id, source="llm"),)


def nowhere(winner: Prompt, outcome: Outcome) -> Decided:
    return Decided(kind="written", round=0, reason="kept in memory")


def walked(
    *lines: str, prefer: Prefer | None = None, protected: Sequence[str] = (), calls: int = 1500
) -> tuple[Finished, list[Event], dict[Phase, set[str]]]:
    bench, events, _ = bench_of(answer, world, calls=calls)
    bench = replace(bench, prefer=prefer, protected=frozenset(protected))
    proposers = Proposers(mutators=(Curing(),), asks_model=False)
    ends = Ends(look=lambda one, two: 1, ship=nowhere)
    finished = asyncio.run(run(bench, seed_prompt("\n".join(lines)), proposers, ends))
    for phase in Phase:
        assert len(bench.plan.asked[phase]) <= bench.plan.limits[phase]
    return finished, events, bench.plan.asked


def told(events: Sequence[Event], kind: str) -> list[Decided]:
    return [event for event in events if isinstance(event, Decided) and event.kind == kind]


def system(finished: Finished) -> list[str]:
    return finished.winner.messages[0].text.split("\n")


@pytest.mark.parametrize("second", [TWICE, NEARLY_SAID])
def test_a_line_that_another_one_says_goes(second: str):
    finished, events, _ = walked(TWICE, second)
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert len(system(finished)) == 2 and CURE in system(finished)
    (decided,) = told(events, "shorten")
    assert "no val row is lost for good" in decided.reason and decided.figures["tokens"] >= 10
    prices = {line.text: line for line in finished.outcome.lines}
    gone = next(line for line in finished.outcome.lines if line.change == "removed")
    assert gone.cluster.startswith("shorter: L") and (gone.worth, gone.label) == (0.0, "not measurable")
    assert prices[CURE].label == "earns" and (prices[CURE].worth or 0.0) > 0.5
    assert gone in [event.worth for event in events if isinstance(event, LinePriced)]


def test_phrases_that_ask_for_nothing_go_and_what_they_stand_around_stays():
    finished, events, _ = walked(TWICE, POLITE)
    assert len(told(events, "shorten")) == 1
    short = next(line for line in finished.outcome.lines if line.change == "replaced")
    assert short.text in system(finished) and "busy" in short.text and "thank you" not in short.text.lower()


def test_lines_that_went_together_have_one_price():
    finished, events, _ = walked(TWICE, TWICE, POLITE)
    gone = [line for line in finished.outcome.lines if line.change != "added"]
    assert len(told(events, "shorten")) == 1
    assert [(line.id, line.worth) for line in gone] == [("L3", 0.0), ("L2", 0.0)]
    assert gone[0].cluster == "shorter: phrases that ask for nothing; measured together with L2"


def test_what_saves_a_word_or_two_is_not_worth_its_calls():
    finished, events, _ = walked(TWICE, "Be brief, please.")
    assert "Be brief, please." in system(finished)
    assert not told(events, "shorten") and not told(events, "not shorter")


def test_a_line_of_the_users_own_that_may_be_idle_stays_unless_shorter_is_preferred():
    finished, events, _ = walked(TWICE, IDLE)
    assert IDLE in system(finished) and not told(events, "shorten")
    finished, events, _ = walked(TWICE, IDLE, prefer=Prefer.SHORTER)
    assert IDLE not in system(finished) and TWICE in system(finished) and CURE in system(finished)
    # All at once loses rows, so that halves are tried.
    assert told(events, "not shorter") and told(events, "shorten")
    assert finished.outcome.test is not None and finished.outcome.test.winner == 1.0


def test_a_locked_line_stays():
    finished, _, _ = walked(TWICE, f"{TWICE} <!-- keep -->", f"{IDLE} <!-- keep -->", prefer=Prefer.SHORTER)
    assert system(finished) == [TWICE, IDLE, CURE]
    assert finished.winner.lines[0].locked and finished.winner.lines[1].locked


def test_what_loses_rows_stays():
    lines = ("Mind the must.", f"It is a must. {TWICE}", f"For readers: it must be as they wish. {TWICE}")
    finished, events, _ = walked(*lines, prefer=Prefer.SHORTER)
    assert lines[1] in system(finished) and lines[2] not in system(finished)
    assert finished.outcome.test is not None and finished.outcome.test.winner == 1.0
    assert any("2 val rows are lost" in event.reason for event in told(events, "not shorter"))


def test_a_protected_row_is_not_lost_even_by_chance():
    # Row v004 is right by chance alone: any other text than the long one gets it wrong once.
    def lucky(text: str, row: Example) -> str:
        said = answer(text, row)
        short = text.count(TWICE) < 2 and CURE in text and "hank" not in text
        return "no" if row.id == "v004" and short else said

    def shortened(protected: Sequence[str]) -> bool:
        bench, events, _ = bench_of(lucky, world, calls=1500)
        bench = replace(bench, protected=frozenset(protected))
        proposers = Proposers(mutators=(Curing(),), asks_model=False)
        ends = Ends(look=lambda one, two: 1, ship=nowhere)
        asyncio.run(run(bench, seed_prompt(f"{TWICE}\n{TWICE}"), proposers, ends))
        return bool(told(events, "shorten"))

    assert shortened(()) and not shortened(("v004",))


def test_no_more_than_its_part_of_the_reserve_is_used():
    finished, events, asked = walked(TWICE, TWICE, calls=80 + 80 + 140)
    # A third of the reserve cannot pay for one val split: nothing is tried.
    assert int(len(asked[Phase.ATTRIBUTION])) <= 55
    assert SHARE * 55 < 40 and not told(events, "shorten") and not told(events, "not shorter")
    assert system(finished).count(TWICE) == 2


def test_candidates_can_be_made_together_and_leave_every_message_a_line():
    seed = seed_prompt(f"{IDLE}\nBe kind to every one of the readers.")
    edits = candidates(seed, seed, idle=True)
    assert len(edits) == 1 and apply(seed, edits).messages[0].text
    assert candidates(seed, seed, idle=False) == []
    twin = seed_prompt(f"{TWICE}\n{TWICE}\nPlease note that it is late.")
    edits = candidates(twin, twin, idle=True)
    assert len({edit.target for edit in edits}) == len(edits) == 3
    assert apply(twin, edits).messages[0].text == "It is late."


def test_less_sure_edits_are_left_out():
    prompt = seed_prompt(f"{TWICE}\n{IDLE}")
    added = apply(prompt, [Edit(op=Op.ADD_LINE, after=END, text=CURE)])
    assert {edit.target for edit in shorter(added, prompt)} == {"L1", "L2", "L4"}
    assert {edit.target for edit in shorter(added, prompt, SEED)} == {"L1", "L2"}
    assert shorter(added, prompt, NEARLY) == ()


def test_the_seed_is_shortened_where_the_winner_has_its_lines_as_they_were():
    seed = seed_prompt(f"{TWICE}\n{IDLE}\nBe kind.")
    winner = apply(
        seed,
        [Edit(op=Op.REPLACE_LINE, target="L2", text="Be brief."), Edit(op=Op.ADD_LINE, after=END, text=CURE)],
    )
    gone = [Edit(op=Op.REMOVE_LINE, target=target) for target in ("L2", "L3", "L5")]
    assert shortened_seed(seed, winner, gone).messages[0].text == f"{TWICE}\n{IDLE}"
    assert shortened_seed(seed, winner, []) is seed


def test_asking_again_leaves_the_rest_of_the_reserve_alone():
    # The shorter prompt loses a few rows by chance: asked again, it is right, and all val rows are too dear then.
    def unlucky(text: str, row: Example) -> str:
        return "right" if TWICE + "\n" + TWICE in text or "Thank" in text or number_of(row) > 3 else "wrong"

    bench, _, _ = bench_of(unlucky, lambda number: (f"q {number}", "right"))
    seed = seed_prompt(f"{TWICE}\n{TWICE}")
    most = 3 * len(bench.val)
    bench.plan.limits[Phase.ATTRIBUTION] = most

    async def go() -> None:
        purpose = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)
        champion = Champion(prompt=seed, val=await bench.evaluator.evaluate(seed, bench.val, purpose))
        state = RunState(seed=seed_prompt(), baseline=champion, champion=champion, train=champion.val)
        await prune(bench, state)

    asyncio.run(go())
    assert 0 < len(bench.plan.asked[Phase.ATTRIBUTION]) <= SHARE * most
