"""What a round knows of its champion on train, and what the run knows of its winner on val."""

from __future__ import annotations

import asyncio

from optimizer.dataset import Example
from optimizer.edits import END, Edit, Op
from optimizer.errors import ErrorKind, ModelError
from optimizer.evaluator import Bench
from optimizer.events import ClustersFound, Decided
from optimizer.loop import Ends, Finished, run
from optimizer.mutate.base import Proposal
from optimizer.mutate.propose import Proposers
from optimizer.outcome import Outcome
from optimizer.prompt import Prompt
from tests.worlds import bench_of, seed_prompt

CURE, POISON = "say right to some", "say bad to tens"


def number_of(row: Example) -> int:
    return int(row.inputs["q"].split()[-1])


def written(winner: Prompt, outcome: Outcome) -> Decided:
    return Decided(kind="written", round=0, reason="kept in memory")


def walked(bench: Bench, *mutators) -> Finished:
    proposers = Proposers(mutators=mutators, asks_model=False)
    return asyncio.run(run(bench, seed_prompt(), proposers, Ends(look=lambda one, two: 1, ship=written)))


class Says:
    """Proposes these lines for every cause, and keeps what it was shown."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.seen: list[Proposal] = []

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        self.seen.append(proposal)
        return tuple(
            Edit(op=Op.ADD_LINE, after=END, text=text, cluster=proposal.cluster.id, source="llm") for text in self.texts
        )


def test_a_failing_row_that_ended_in_an_error_in_the_screen_is_not_lost_from_sight():
    fell: set[str] = set()

    def answer(text: str, row: Example) -> str:
        if CURE in text and row.id == "t001" and not fell:
            fell.add(row.id)
            raise ModelError(ErrorKind.TIMEOUT, "late")
        return "wrong" if number_of(row) % 4 == 1 and (CURE not in text or row.id in ("t001", "v001")) else "right"

    bench, events, _ = bench_of(answer, lambda number: (f"what is {number}", "right"))
    mutator = Says(CURE)
    winner = walked(bench, mutator).winner
    assert CURE in winner.text and fell
    found = [event for event in events if isinstance(event, ClustersFound) and event.round == 2]
    assert [member.example.id for event in found for one in event.clusters for member in one.members] == ["t001"]


def test_passing_rows_that_proposers_see_show_the_answer_that_passed():
    # Row 1 fails by chance: any other prompt gets it right.
    def answer(text: str, row: Example) -> str:
        unlucky = number_of(row) == 1 and text == seed_prompt().text
        return "wrong" if unlucky or number_of(row) % 4 == 2 else "right"

    bench, _, _ = bench_of(answer, lambda number: (f"what is {number}", "right"))
    mutator = Says("be kind")
    walked(bench, mutator)
    assert "t001" not in {member.example.id for one in mutator.seen for member in one.cluster.members}
    assert {row.result.output for one in mutator.seen for row in one.passing} == {"right"}


def test_the_winner_of_a_bundle_that_came_apart_answers_all_val_rows_before_its_lines_are_priced():
    # The poison mends rows of train, and breaks others of val.
    def answer(text: str, row: Example) -> str:
        number = number_of(row)
        if POISON in text and number % 10 == 0 and row.id[0] == "v":
            return "bad"
        if number % 4 == 1 and CURE not in text:
            return "left"
        return "off" if number in (2, 7) and (POISON not in text or row.id[0] == "v") else "right"

    bench, events, _ = bench_of(answer, lambda number: (f"what is {number}", "right"))
    winner = walked(bench, Says(CURE, POISON)).winner
    assert CURE in winner.text and POISON not in winner.text
    known = {row for candidate, row in bench.evaluator.known if candidate == winner.fingerprint}
    assert {row.id for row in bench.val} <= known
