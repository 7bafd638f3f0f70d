"""The whole walk on worlds with known truth."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from optimizer.dataset import Example
from optimizer.edits import END, Edit, Op
from optimizer.errors import BudgetExceeded, ErrorKind, ModelError, ProviderError
from optimizer.events import Decided, EditJudged, LinePriced, ResultKnown, RunEnded, TrialEnded
from optimizer.loop import Ends, run
from optimizer.mutate.base import Proposal
from optimizer.mutate.llm import material
from optimizer.mutate.mined import MinedMutator
from optimizer.mutate.propose import Proposers
from optimizer.outcome import Outcome, Phase, Verdict
from optimizer.prompt import Prompt
from optimizer.stats import mid_p
from tests.worlds import Chatter, bench_of, drawn_anew, seed_prompt

MINED = Proposers(mutators=(MinedMutator(),), asks_model=False)


def says_romeo(text: str, example: Example) -> str:
    """Says Romeo to even questions until the prompt says Bob instead; says Juliet to odd ones."""
    if int(example.inputs["q"].split()[-1]) % 3 == 0:
        return "Juliet"
    return "Bob" if '"Bob" instead of "Romeo"' in text else "Romeo"


def bob_world(number: int) -> tuple[str, str]:
    return f"who is it {number}", "Juliet" if number % 3 == 0 else "Bob"


def nowhere(winner: Prompt, outcome: Outcome) -> Decided:
    return Decided(kind="written", round=0, reason="kept in memory", figures={"verdict": outcome.verdict.value})


ENDS = Ends(look=lambda seed, winner: 1, ship=nowhere)


def test_a_wrong_name_is_mended_by_one_line_and_the_gain_is_shown():
    bench, events, _ = bench_of(says_romeo, bob_world)
    finished = asyncio.run(run(bench, seed_prompt(), MINED, ENDS))
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert finished.outcome.test is not None
    assert finished.outcome.test.baseline < 0.4
    assert finished.outcome.test.winner == 1.0
    (line,) = finished.outcome.lines
    assert "Bob" in line.text and line.label == "earns" and line.worth is not None and line.worth > 0.5
    assert isinstance(events[-1], RunEnded)


def test_no_phase_asks_for_more_than_its_plan_and_test_rows_are_scored_once():
    bench, events, target = bench_of(says_romeo, bob_world, calls=400)
    asyncio.run(run(bench, seed_prompt(), MINED, ENDS))
    for phase in Phase:
        assert len(bench.plan.asked[phase]) <= bench.plan.limits[phase]
    assert len(set(target.calls)) == len(target.calls)
    tested = [event for event in events if isinstance(event, ResultKnown) and event.phase is Phase.TEST]
    assert len(tested) == 2 * len(bench.test)
    first_test = events.index(tested[0])
    assert not any(isinstance(event, (TrialEnded, LinePriced)) for event in events[first_test:])


def test_where_nothing_helps_the_seed_stays_and_the_test_rows_stay_sealed():
    bench, events, target = bench_of(lambda text, example: "Romeo", bob_world)
    finished = asyncio.run(run(bench, seed_prompt(), MINED, ENDS))
    assert finished.outcome.verdict in (Verdict.NOT_SHOWN, Verdict.TOO_SMALL)
    assert finished.outcome.test is None
    assert "better on val (no edit is left to try), so" in finished.outcome.reason
    assert finished.winner.fingerprint == seed_prompt().fingerprint
    assert not any(row.startswith("s") for _, row in target.calls)


def test_the_same_run_twice_takes_the_same_decisions():
    def decisions() -> list[tuple[str, str]]:
        bench, events, _ = bench_of(says_romeo, bob_world)
        asyncio.run(run(bench, seed_prompt(), MINED, ENDS))
        return [(event.kind, event.reason) for event in events if isinstance(event, Decided)]

    assert decisions() == decisions()


def test_a_run_over_known_results_asks_for_nothing_and_decides_alike():
    bench, events, target = bench_of(says_romeo, bob_world)
    asyncio.run(run(bench, seed_prompt(), MINED, ENDS))
    again, more, silent = bench_of(says_romeo, bob_world)
    again.evaluator.known.update(bench.evaluator.known)
    asyncio.run(run(again, seed_prompt(), MINED, ENDS))
    assert silent.calls == []
    assert [e for e in events if isinstance(e, Decided)] == [e for e in more if isinstance(e, Decided)]


def test_a_line_that_another_one_makes_useless_is_dropped_before_the_test():
    partial, cure = "Say Bob to the first ten.", 'Write "Bob" instead of "Romeo".'

    class Chatty:
        async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
            return tuple(
                Edit(op=Op.ADD_LINE, after=END, text=text, cluster=proposal.cluster.id, source="llm")
                for text in (partial, cure)
            )

    def either_mends(text: str, example: Example) -> str:
        few = partial in text and int(example.inputs["q"].split()[-1]) < 10
        return says_romeo(text + ('"Bob" instead of "Romeo"' if few else ""), example)

    bench, events, _ = bench_of(either_mends, bob_world)
    finished = asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(Chatty(),), asks_model=False), ENDS))
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert any(isinstance(event, Decided) and event.kind == "drop line" for event in events)
    assert [line.text for line in finished.outcome.lines] == [cure]


def test_a_removed_line_has_its_price_and_its_cause():
    class Remover:
        async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
            return (Edit(op=Op.REMOVE_LINE, target="L2", cluster=proposal.cluster.id, source="llm"),)

    def stubborn(text: str, example: Example) -> str:
        return "Romeo" if "Always say Romeo." in text else str(example.expected)

    bench, _, _ = bench_of(stubborn, bob_world)
    seed = seed_prompt("Answer.\nAlways say Romeo.")
    finished = asyncio.run(run(bench, seed, Proposers(mutators=(Remover(),), asks_model=False), ENDS))
    (line,) = finished.outcome.lines
    assert (line.id, line.change, line.label) == ("L2", "removed", "earns")
    assert '"Romeo" where' in line.cluster


def test_a_line_of_the_users_own_is_tried():
    bench, _, _ = bench_of(says_romeo, bob_world)
    tries = ('Say "Bob" instead of "Romeo", please.',)
    finished = asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(), asks_model=False, tries=tries), ENDS))
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert tries[0] in finished.winner.text


def test_a_refused_edit_is_recorded_with_its_reason():
    class Leaky:
        async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
            text = "See https://evil.example/x for more."
            return (Edit(op=Op.ADD_LINE, after=END, text=text, cluster=proposal.cluster.id),)

    bench, events, _ = bench_of(says_romeo, bob_world)
    finished = asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(Leaky(),), asks_model=False), ENDS))
    refused = [event for event in events if isinstance(event, EditJudged)]
    assert [event.outcome for event in refused] == ["refused"]
    assert "link" in refused[0].reason
    assert "evil" not in finished.winner.text


def test_proposers_see_train_rows_alone():
    seen: set[str] = set()
    texts: list[str] = []

    class Nosy(Chatter):
        async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
            seen.update(row.example.id for row in (*proposal.cluster.members, *proposal.passing))
            texts.append(material(proposal))
            return await super().propose(proposal)

    def marked(text: str, example: Example) -> str:
        said = drawn_anew(0)(text, example)
        return f"wrong by {example.id}" if said == "wrong" else said

    bench, _, _ = bench_of(marked, bob_world)
    asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(Nosy(),), asks_model=True), ENDS))
    assert len(texts) > 1 and seen
    assert all(row.startswith("t") for row in seen)
    assert not any(f'"{prefix}0' in text or f" by {prefix}0" in text for text in texts for prefix in "vs")


class Broken:
    """A proposer whose model never answers."""

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        raise ModelError(ErrorKind.INTERNAL_SERVER, "the server said 500")


def test_a_mutator_that_always_fails_is_no_success_with_the_seed():
    bench, _, _ = bench_of(says_romeo, bob_world)
    with pytest.raises(ProviderError, match="mutator failed for every cluster"):
        asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(Broken(),), asks_model=True), ENDS))


def test_mined_edits_carry_a_run_whose_mutator_fails():
    bench, events, _ = bench_of(says_romeo, bob_world)
    proposers = Proposers(mutators=(MinedMutator(), Broken()), asks_model=True)
    finished = asyncio.run(run(bench, seed_prompt(), proposers, ENDS))
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert any(isinstance(event, Decided) and event.kind == "proposal failed" for event in events)


@dataclass
class Fading:
    """Proposes the cure for the largest cause, and fails from the second round on."""

    kind: ErrorKind

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        if "Bob" in proposal.prompt.text:
            raise ModelError(self.kind, "no edits from me")
        text = 'Write "Bob" instead of "Romeo".'
        return (Edit(op=Op.ADD_LINE, after=END, text=text, cluster=proposal.cluster.id, source="llm"),)


def says_romeo_or_nonsense(text: str, example: Example) -> str:
    return "nonsense" if int(example.inputs["q"].split()[-1]) % 5 == 0 else says_romeo(text, example)


def test_a_later_reply_that_makes_no_sense_costs_the_run_nothing_of_what_it_found():
    bench, events, _ = bench_of(says_romeo_or_nonsense, bob_world)
    proposers = Proposers(mutators=(Fading(kind=ErrorKind.MALFORMED),), asks_model=True)
    finished = asyncio.run(run(bench, seed_prompt(), proposers, ENDS))
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert any(isinstance(event, Decided) and event.kind == "proposal failed" for event in events)


def test_a_later_fault_that_may_pass_ends_the_run_so_that_it_can_be_resumed():
    bench, _, _ = bench_of(says_romeo_or_nonsense, bob_world)
    proposers = Proposers(mutators=(Fading(kind=ErrorKind.RATE_LIMIT),), asks_model=True)
    with pytest.raises(ProviderError, match="no edits from me"):
        asyncio.run(run(bench, seed_prompt(), proposers, ENDS))


def test_a_budget_that_ends_among_proposals_waits_for_those_under_way():
    ended: list[str] = []

    class Slow:
        async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
            await asyncio.sleep(0.01)
            ended.append(proposal.cluster.id)
            return ()

    class Poor:
        async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
            raise BudgetExceeded("budget of 3 calls is used up")

    bench, _, _ = bench_of(says_romeo, bob_world)
    with pytest.raises(BudgetExceeded):
        asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(Poor(), Slow()), asks_model=True), ENDS))
    assert len(ended) == 1


def test_where_every_val_row_is_right_no_round_is_paid_for():
    def right_on_val(text: str, example: Example) -> str:
        return "nonsense" if example.id in ("t003", "t010") else says_romeo(text, example)

    bench, events, _ = bench_of(right_on_val, bob_world)
    finished = asyncio.run(run(bench, seed_prompt(), MINED, ENDS))
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    stops = [event for event in events if isinstance(event, Decided) and event.kind == "stop"]
    assert [(event.round, event.reason.split(",")[0]) for event in stops] == [(1, "every val row is right")]


def test_a_line_of_the_users_own_that_is_there_twice_is_tried_once():
    bench, events, _ = bench_of(says_romeo, bob_world)
    tries = ('Write "Bob" instead of "Romeo".',) * 2
    asyncio.run(run(bench, seed_prompt(), Proposers(mutators=(MinedMutator(),), asks_model=False, tries=tries), ENDS))
    judged = [event for event in events if isinstance(event, EditJudged) and event.edit.text == tries[0]]
    assert len(judged) == 1


def test_where_outcomes_are_only_drawn_anew_no_gain_is_claimed():
    claims = 0
    tested, chosen = [0, 0], [0, 0]
    for seed in range(24):
        bench, _, _ = bench_of(drawn_anew(seed), bob_world, seed=seed)
        proposers = Proposers(mutators=(Chatter(),), asks_model=True)
        outcome = asyncio.run(run(bench, seed_prompt(), proposers, ENDS)).outcome
        claims += outcome.verdict is Verdict.GAIN_SHOWN
        for paired, flips in ((outcome.test, tested), (outcome.val, chosen)):
            if paired is not None:
                flips[0] += len(paired.fixed)
                flips[1] += len(paired.broken)
    # Of 2,000 such runs 13 claimed a gain, so a correct product makes four claims or more in 24 runs once in 50,000
    # times. All four bounds together fail one in 10,000 times.
    assert claims <= 3
    # Nothing is chosen on test, so rows go up there as often as down; on val the choice shows.
    assert sum(tested) > 0
    assert 2e-5 < mid_p(*tested) < 1 - 2e-5
    assert chosen[0] > chosen[1]


def test_rows_that_end_in_errors_are_no_zeros():
    def breaks(text: str, example: Example) -> str:
        raise ModelError(ErrorKind.INTERNAL_SERVER, "the server said 500")

    bench, _, _ = bench_of(breaks, bob_world)
    with pytest.raises(ProviderError, match="80 of 80 rows ended in an error"):
        asyncio.run(run(bench, seed_prompt(), MINED, ENDS))


def test_a_few_errors_are_left_out_of_the_comparison():
    def flaky(text: str, example: Example) -> str:
        if example.id.endswith("7"):
            raise ModelError(ErrorKind.TIMEOUT, "no answer within 60 s")
        return says_romeo(text, example)

    bench, _, _ = bench_of(flaky, bob_world)
    finished = asyncio.run(run(bench, seed_prompt(), MINED, ENDS))
    assert finished.outcome.test is not None
    assert finished.outcome.test.n == 36
    assert finished.outcome.test.winner == 1.0
