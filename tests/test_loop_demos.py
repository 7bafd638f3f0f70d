"""Demos in the whole walk, on a world that no line of text mends and a worked example does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from optimizer.dataset import Example, Split
from optimizer.diff.lines import diff
from optimizer.edits import END, Edit, Op, added_demo, apply
from optimizer.errors import ErrorKind, ModelError, ProviderError
from optimizer.evaluator import Bench, Purpose, judges
from optimizer.events import CandidateMade, Decided, EditJudged, Event, ResultKnown
from optimizer.loop import Ends, Finished, run
from optimizer.mutate.base import Mutator, Proposal
from optimizer.mutate.demos import DemoMutator
from optimizer.mutate.propose import Proposers
from optimizer.outcome import Outcome, Phase, Verdict
from optimizer.prompt import Demo, Prompt
from optimizer.readers.prompts import load_version
from optimizer.results import Completion
from optimizer.ship import ship
from optimizer.targets.base import Output
from optimizer.tokens import prompt_tokens
from tests.worlds import bench_of, seed_prompt

KINDS = {"parcel": "delivery", "invoice": "billing", "thanks": "other"}
WORDS = [f"{start}{end}" for start in ("ba", "ke", "lo", "mi", "nu", "so", "ti", "va") for end in ("ra", "den", "lim")]


@dataclass(frozen=True, kw_only=True)
class Imitator:
    """Says `other`, unless an example of the row's kind shows what is wanted."""

    asked: list[tuple[Prompt, str]] = field(default_factory=list)

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        self.asked.append((candidate, example.id))
        known = {kind_of(str(demo.inputs["q"])): str(demo.output) for demo in candidate.demos}
        return Output(completion=Completion(text=known.get(kind_of(str(example.inputs["q"])), "other")))


def kind_of(question: str) -> str:
    return next(kind for kind in KINDS if kind in question)


def rows(prefix: str, count: int = 30) -> tuple[Example, ...]:
    """Rows of three kinds in turn, no two of which share many words."""
    random = Random(prefix)
    made = []
    for number in range(count):
        kind = list(KINDS)[number % 3]
        words = [*random.sample(WORDS, 5), kind]
        random.shuffle(words)
        made.append(Example(id=f"{prefix}{number:03}", inputs={"q": " ".join(words)}, expected=KINDS[kind]))
    return tuple(made)


def world(max_tokens: int | None = None) -> tuple[Bench, list[Event], Imitator]:
    bench, events, _ = bench_of(lambda text, example: "", lambda number: ("", ""), size=30)
    target = Imitator()
    bench.evaluator.target = target
    return replace(bench, train=rows("t"), val=rows("v"), test=rows("s"), max_tokens=max_tokens), events, target


def nowhere(winner: Prompt, outcome: Outcome) -> Decided:
    return Decided(kind="written", round=0, reason="kept in memory")


def walked(bench: Bench, *mutators: Mutator, seed: Prompt | None = None) -> Finished:
    proposers = Proposers(mutators=mutators or (DemoMutator(),), asks_model=False)
    return asyncio.run(run(bench, seed or seed_prompt(), proposers, Ends(look=lambda one, two: 1, ship=nowhere)))


def test_demos_mend_what_no_line_does_and_each_has_its_price():
    bench, _, _ = world()
    finished = walked(bench)
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    assert finished.outcome.test is not None and finished.outcome.test.winner == 1.0
    assert sorted(kind_of(str(demo.inputs["q"])) for demo in finished.winner.demos) == ["invoice", "parcel"]
    assert {demo.row[0] for demo in finished.winner.demos} == {"t"}
    assert [(line.id, line.change, line.label) for line in finished.outcome.lines] == [
        ("D1", "added", "earns"),
        ("D2", "added", "earns"),
    ]
    assert all("where" in line.cluster for line in finished.outcome.lines)


def test_no_row_judges_a_prompt_that_shows_it():
    bench, events, target = world()
    winner = walked(bench).winner
    assert winner.demo_rows
    assert not [row for candidate, row in target.asked if row in candidate.demo_rows]
    candidates = {event.prompt.fingerprint: event.prompt for event in events if isinstance(event, CandidateMade)}
    known = [event.result for event in events if isinstance(event, ResultKnown)]
    assert not [result for result in known if result.example in candidates[result.candidate].demo_rows]


def test_the_evaluator_leaves_shown_rows_out_whoever_asks():
    bench, _, target = world()
    demo = Demo(inputs=bench.train[0].inputs, output="delivery", row=bench.train[0].id)
    prompt = apply(seed_prompt(), [added_demo(demo, cluster="c1")])
    assert [row.id for row in judges(prompt, bench.train[:3])] == ["t001", "t002"]
    assert bench.evaluator.cost(prompt, bench.train) == 29
    purpose = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=1)
    evaluation = asyncio.run(bench.evaluator.evaluate(prompt, bench.train, purpose))
    assert len(evaluation.results) == 29 == len(target.asked) == len(bench.plan.asked[Phase.SEARCH])


def test_rows_near_a_demo_say_nothing_of_it():
    bench, events, _ = world()
    # Every failing row asks nearly the same, so that no row is left on which the demo could be tried.
    twins = [
        replace(row, inputs={"q": f"where is my parcel since the last {word} of this year please tell me"})
        if row.expected == "delivery"
        else replace(row, inputs={"q": f"{row.inputs['q']} thanks"}, expected="other")
        for row, word in zip(bench.train, [*WORDS, *WORDS], strict=False)
    ]
    walked(replace(bench, train=tuple(twins)))
    judged = [event for event in events if isinstance(event, EditJudged)]
    assert judged and all(event.tried == 0 for event in judged)


def test_a_demo_that_is_nearly_a_sealed_row_is_refused():
    bench, events, _ = world()
    finished = walked(replace(bench, test=tuple(replace(row, id=f"s{row.id}") for row in bench.train)))
    refused = [event for event in events if isinstance(event, EditJudged)]
    assert refused and {event.reason for event in refused} == {"refused: its demo is nearly a row of val or test"}
    assert not finished.winner.demos


def test_a_limit_of_tokens_holds_for_demos_as_well():
    seed = seed_prompt()
    limit = prompt_tokens(seed) + 20
    bench, events, _ = world(max_tokens=limit)
    winner = walked(bench).winner
    assert len(winner.demos) == 1
    made = [event.prompt for event in events if isinstance(event, CandidateMade) and event.origin != "placebo"]
    assert all(prompt_tokens(prompt) <= limit for prompt in made)


def test_a_prompt_never_holds_more_demos_than_its_limit():
    full = replace(
        seed_prompt(), demos=tuple(Demo(id=f"D{n}", inputs={"q": f"thanks {n}"}, output="other") for n in range(1, 8))
    )
    bench, events, _ = world()
    winner = walked(bench, seed=full).winner
    assert len(winner.demos) == 8
    made = [event.prompt for event in events if isinstance(event, CandidateMade)]
    assert max(len(prompt.demos) for prompt in made) == 8


def test_a_demo_reaches_the_version_file_and_the_diff(tmp_path: Path):
    bench, _, _ = world()
    seed = seed_prompt()
    finished = walked(bench, seed=seed)
    written = ship(seed, finished.winner, finished.outcome, run_id="r1", folder=tmp_path)
    saved = load_version(Path(written.figures["path"]))
    assert saved.prompt.demos == finished.winner.demos and saved.prompt.demo_rows
    assert saved.provenance is not None
    edits = [(edit.op, edit.line, edit.label) for edit in saved.provenance.edits]
    assert edits == [("add_demo", "D1", "earns"), ("add_demo", "D2", "earns")]
    assert all(edit.cluster and edit.worth is not None and edit.worth > 0 for edit in saved.provenance.edits)
    shown = diff(seed, saved.prompt).lines
    assert [line.id for line in shown if line.role == "demos"] == ["D1", "D2"]


def test_a_demo_does_not_make_up_for_a_mutator_that_is_not_there():
    class Gone:
        async def propose(self, proposal: Proposal) -> tuple[()]:
            raise ModelError(ErrorKind.AUTHENTICATION, "no such key")

    bench, _, _ = world()
    with pytest.raises(ProviderError, match="mutator failed for every cluster"):
        walked(bench, Gone(), DemoMutator())


def test_a_demo_that_breaks_what_is_right_is_not_taken():
    @dataclass(frozen=True, kw_only=True)
    class Copycat(Imitator):
        """Says what the last example says, whatever it is asked."""

        async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
            said = str(candidate.demos[-1].output) if candidate.demos else "other"
            return Output(completion=Completion(text=said))

    bench, events, _ = world()
    bench.evaluator.target = Copycat()
    finished = walked(bench)
    judged = [event for event in events if isinstance(event, EditJudged) and event.tried]
    assert any(event.mended for event in judged) and all(event.broke for event in judged)
    assert {event.outcome for event in judged} == {"screened out"}
    assert "and broke t0" in judged[0].reason
    assert not finished.winner.demos


class Vague:
    """Proposes a line that mends nothing."""

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        text = f"Mind the {proposal.cluster.id}."
        return (Edit(op=Op.ADD_LINE, after=END, text=text, cluster=proposal.cluster.id, source="llm"),)


def test_a_demo_is_tried_where_a_line_has_failed():
    bench, events, _ = world()
    finished = walked(bench, Vague(), DemoMutator())
    tried = [(event.round, event.edit.source) for event in events if isinstance(event, EditJudged) and event.tried]
    assert sorted(set(tried)) == [(1, "llm"), (2, "demos")]
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN and len(finished.winner.demos) == 2


@pytest.mark.parametrize(("open_rows", "taken"), [(3, 0), (10, 1)])
def test_a_demo_needs_several_rows_to_mend(open_rows: int, taken: int):
    bench, _, _ = world()
    parcels = [row for row in bench.train if row.expected == "delivery"][:open_rows]
    others = [row for row in bench.train if row.expected == "other"]
    winner = walked(replace(bench, train=(*parcels, *others))).winner
    assert len(winner.demos) == taken
