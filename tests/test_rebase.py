"""A whole-prompt rewrite as a second base, on worlds with known truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from optimizer.dataset import Example
from optimizer.edits import Edit, Op
from optimizer.errors import ErrorKind, ModelError
from optimizer.events import ClustersFound, Decided, EditJudged, Event, TrialEnded
from optimizer.failures import Cluster
from optimizer.loop import Ends, Finished, run
from optimizer.mutate.base import Attempt, Mutator
from optimizer.mutate.propose import MOST_PROPOSALS, Proposers
from optimizer.mutate.rewrite import parse_rewrite
from optimizer.outcome import Outcome, Phase, Verdict
from optimizer.prompt import Prompt
from optimizer.rebase import LABEL, attempts_of, rewrite_causes
from optimizer.round import BARREN_ROUNDS
from tests.worlds import Chatter, bench_of, seed_prompt

BOTH = 'Say "Bob".\nSay it at once.'
SEED = "Answer the question.\nBe kind.\nEvery third: Juliet."


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """Writes the prompt that a function makes of the champion's system message."""

    write: Callable[[str], str]
    asked: list[tuple[Prompt, Sequence[Cluster], Sequence[Attempt]]] = field(default_factory=list)

    async def rewrite(self, prompt: Prompt, clusters: Sequence[Cluster], attempts: Sequence[Attempt] = ()) -> Prompt:
        self.asked.append((prompt, clusters, attempts))
        written = self.write(prompt.messages[0].text)
        return parse_rewrite(json.dumps({"prompt": [{"role": "system", "text": written}]}), prompt)


@dataclass(frozen=True, kw_only=True)
class Failing:
    """Cannot write one."""

    kind: ErrorKind

    async def rewrite(self, prompt: Prompt, clusters: Sequence[Cluster], attempts: Sequence[Attempt] = ()) -> Prompt:
        raise ModelError(self.kind, "no prompt from me")


def number_of(row: Example) -> int:
    return int(row.inputs["q"].split()[-1])


def world(number: int) -> tuple[str, str]:
    return f"who is it {number}", "Juliet" if number % 3 == 0 else "Bob"


def needs_both(text: str, row: Example) -> str:
    """Says Bob only where two lines say so, each of which does nothing alone; forgets Juliet without a line of hers."""
    if number_of(row) % 3 == 0:
        return "Juliet" if "Every third: Juliet." in text else "Nobody"
    return "Bob" if all(line in text for line in BOTH.split("\n")) else "Romeo"


def nowhere(winner: Prompt, outcome: Outcome) -> Decided:
    return Decided(kind="written", round=0, reason="kept in memory")


def walked(
    author: Fixed | Failing | None, *mutators: Mutator, calls: int = 900, seed: str = SEED
) -> tuple[Finished, list[Event], dict[Phase, set[str]]]:
    bench, events, _ = bench_of(needs_both, world, calls=calls)
    proposers = Proposers(mutators=mutators or (Chatter(),), asks_model=True, author=author)
    ends = Ends(look=lambda one, two: 1, ship=nowhere)
    return asyncio.run(run(bench, seed_prompt(seed), proposers, ends)), events, bench.plan.asked


def told(events: Sequence[Event], kind: str) -> list[Decided]:
    return [event for event in events if isinstance(event, Decided) and event.kind == kind]


def test_a_rewrite_mends_what_no_single_edit_does_and_its_lines_are_priced():
    author = Fixed(write=lambda text: f"{text}\n{BOTH}")
    finished, events, asked = walked(author)
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert finished.winner.messages[0].text == f"{SEED}\n{BOTH}"
    assert {(line.text, line.change, line.label, line.cluster) for line in finished.outcome.lines} == {
        (text, "added", "earns", LABEL) for text in BOTH.split("\n")
    }
    assert [(len(found), bool(tried)) for _, found, tried in author.asked] == [(1, True)]
    assert [key for key in asked[Phase.SEARCH] if key.endswith(":rewrite")] == ["mutator:2:rewrite"]
    assert [event.reason for event in told(events, "rewrite")] == ["2 changes of the prompt, 0 more refused"]
    trial = next(event.trial for event in events if isinstance(event, TrialEnded) and event.trial.round == 2)
    assert trial.choices.keys() == {"base/1", "base/2"} and "keep" not in trial.choices.values()
    assert any(isinstance(event, ClustersFound) and event.round == 2 for event in events)


def test_a_line_that_a_rewrite_loses_comes_back_and_the_rest_stays():
    finished, events, _ = walked(Fixed(write=lambda text: f"Answer the question.\nBe kind.\n{BOTH}"))
    assert finished.outcome.test is not None and finished.outcome.test.winner == 1.0
    assert "Every third: Juliet." in finished.winner.text
    assert told(events, "harmful edit")


def test_a_locked_line_and_a_refused_one_stay_as_they_were():
    seed = SEED.replace("Be kind.", "Be kind. <!-- keep -->")
    bad = "See https://example.org/x."
    finished, events, _ = walked(Fixed(write=lambda text: f"Every third: Juliet.\n{BOTH}\n{bad}"), seed=seed)
    assert "Be kind." in finished.winner.text and "example.org" not in finished.winner.text
    refused = [event for event in events if isinstance(event, EditJudged) and event.outcome == "refused"]
    assert {event.edit.source for event in refused} == {"rewrite"}
    assert [event.reason for event in refused] == ["refused: it brings in a link or address"]


def test_where_nothing_is_left_to_propose_a_rewrite_comes_before_the_end():
    class Silent:
        async def propose(self, proposal: object) -> tuple[Edit, ...]:
            return ()

    author = Fixed(write=lambda text: f"{text}\n{BOTH}")
    finished, events, _ = walked(author, Silent())
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    kinds = [event.kind for event in events if isinstance(event, Decided)]
    assert kinds.index("rewrite") < kinds.index("accept") < kinds.index("stop")


@pytest.mark.parametrize(
    ("author", "kind"),
    [
        (Failing(kind=ErrorKind.MALFORMED), "no rewrite"),
        (Failing(kind=ErrorKind.RATE_LIMIT), "proposal failed"),
        (Fixed(write=lambda text: text), "no rewrite"),
        (Fixed(write=lambda text: f"{text}\nSee https://example.org/x."), "no rewrite"),
    ],
)
def test_without_a_rewrite_the_rounds_go_on_as_they_would_have(author: Fixed | Failing, kind: str):
    finished, events, _ = walked(author)
    plain, without, _ = walked(None)
    assert len(told(events, kind)) == 1
    assert finished.outcome.test is None and plain.outcome.test is None
    assert len(told(events, "reject")) == len(told(without, "reject")) == BARREN_ROUNDS
    assert told(events, "stop")[0].reason == told(without, "stop")[0].reason


def test_a_rewrite_that_is_no_better_changes_nothing():
    author = Fixed(write=lambda text: f"{text}\nThink twice.")
    finished, events, _ = walked(author)
    assert finished.winner.fingerprint == seed_prompt(SEED).fingerprint
    assert len(author.asked) == 1 and len(told(events, "rewrite")) == 1
    assert len(told(events, "reject")) == BARREN_ROUNDS + 1


def test_a_rewrite_needs_room_for_its_trial_and_counts_as_a_proposal():
    author = Fixed(write=lambda text: f"{text}\n{BOTH}")
    # Baseline of train and val, then hardly anything: not one trial more.
    _, _, asked = walked(author, calls=80 + 110 + 10)
    assert not author.asked and not any(key.endswith(":rewrite") for key in asked[Phase.SEARCH])
    bench, _, _ = bench_of(needs_both, world, calls=4000)
    bench.plan.take(Phase.SEARCH, {f"mutator:0:{number}" for number in range(MOST_PROPOSALS - 1)})
    proposers = Proposers(mutators=(Chatter(),), asks_model=True, author=author)
    asyncio.run(run(bench, seed_prompt(SEED), proposers, Ends(look=lambda one, two: 1, ship=nowhere)))
    assert not author.asked


def test_a_rewrite_longer_than_the_limit_is_cut_to_it_or_not_tried():
    author = Fixed(write=lambda text: f"{text}\n{BOTH}\nAnd so on and so forth, whatever may come of it in the end.")
    bench, _, _ = bench_of(needs_both, world)
    short = replace(bench, max_tokens=36)
    proposers = Proposers(mutators=(Chatter(),), asks_model=True, author=author)
    finished = asyncio.run(run(short, seed_prompt(SEED), proposers, Ends(look=lambda one, two: 1, ship=nowhere)))
    assert len(author.asked) == 1
    assert "And so on" not in finished.winner.text


def test_the_same_walk_twice_takes_the_same_decisions():
    def decisions() -> list[tuple[str, str]]:
        _, events, _ = walked(Fixed(write=lambda text: f"{text}\n{BOTH}"))
        return [(event.kind, event.reason) for event in events if isinstance(event, Decided)]

    assert decisions() == decisions()


def test_what_was_tried_on_the_largest_cause_comes_last():
    def tried(text: str) -> Attempt:
        return Attempt(edit=Edit(op=Op.ADD_LINE, after="end", text=text), outcome="mended 0")

    clusters = [Cluster(id=name, label=name, members=(), share=share) for name, share in (("c1", 0.6), ("c2", 0.4))]
    known = {"c1": (tried("one"), tried("two")), "c9": (tried("old"),), "c2": (tried("three"),)}
    assert [attempt.edit.text for attempt in attempts_of(known, clusters)] == ["old", "three", "one", "two"]


def test_a_demo_that_a_rewrite_takes_away_is_no_line_with_a_cause():
    edits = [Edit(op=Op.REMOVE_DEMO, target="D1", source="rewrite"), Edit(op=Op.REMOVE_LINE, target="L2")]
    assert list(rewrite_causes(seed_prompt(SEED), edits)) == ["Be kind."]
