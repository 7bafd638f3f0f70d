"""Rows that are asked several times: one result a row, a request a repeat."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.build import Order, execute
from optimizer.config import MetricSpec, ModelSpec
from optimizer.dataset import Example, Split
from optimizer.errors import BudgetExceeded, ConfigError, ErrorKind, ModelError, UserError
from optimizer.evaluator import Purpose
from optimizer.events import ResultKnown
from optimizer.executors.base import Job
from optimizer.intake import take_in
from optimizer.loop import run
from optimizer.metrics import build_metrics, threshold_of
from optimizer.models.base import Request
from optimizer.models.offline.model import OfflineModel
from optimizer.outcome import Phase, Verdict
from optimizer.plan import plan_for
from optimizer.prompt import Message, Prompt
from optimizer.readers.config import load_config
from optimizer.repeats import joined
from optimizer.results import CallError, Completion, Result, Score
from optimizer.store import RunReader, spending
from optimizer.store.looks import look_at
from optimizer.targets.base import Output, Target
from tests.cli_case import cli
from tests.test_loop import ENDS, MINED, bob_world, says_romeo
from tests.test_run import workspace
from tests.worlds import FunctionTarget, bench_of, seed_prompt

__all__ = ["workspace"]

PURPOSE = Purpose(phase=Phase.SEARCH, split=Split.VAL, round=0)


def score(value: float, passed: bool, metric: str = "m", got: str | None = None, required: bool = True) -> Score:
    reason = "" if passed else f"was {value}"
    return Score(metric=metric, value=value, passed=passed, reason=reason, got=got, required=required)


def result(text: str, *scores: Score) -> Result:
    return Result(example="r1", candidate="c", completion=Completion(text=text), scores=scores)


def fault(message: str) -> Result:
    return Result(example="r1", candidate="c", error=CallError(kind=ErrorKind.TIMEOUT, message=message))


def test_one_repeat_is_the_row_itself():
    one = result("a", score(1.0, True))
    assert joined([one], [1.0]) is one


@pytest.mark.parametrize(
    ("values", "threshold", "mean", "passed", "shown"),
    [
        ((1.0, 0.0, 1.0), 1.0, 2 / 3, False, "answer 1"),
        ((1.0, 0.0, 1.0), 0.6, 2 / 3, True, "answer 0"),
        ((0.0, 0.0, 1.0), 0.6, 1 / 3, False, "answer 0"),
        ((1.0, 1.0, 1.0), 1.0, 1.0, True, "answer 0"),
        ((1 / 3, 1 / 3, 1 / 3), 1 / 3, 1 / 3, True, "answer 0"),
        ((0.9, 0.7), 0.8, 0.8, True, "answer 0"),
    ],
)
def test_a_row_has_the_mean_and_passes_by_its_threshold(values, threshold, mean, passed, shown):
    repeats = [result(f"answer {n}", score(value, value >= threshold)) for n, value in enumerate(values)]
    row = joined(repeats, [threshold])
    assert row.score == pytest.approx(mean)
    assert (row.passed, row.output) == (passed, shown)
    assert bool(row.scores[0].reason) is not passed
    assert [step["score"] for step in row.trace] == list(values)
    assert [step["output"] for step in row.trace] == [f"answer {n}" for n in range(len(values))]


def test_a_metric_that_names_no_threshold_passes_where_every_repeat_did():
    passing = [result("a", score(0.5, True)), result("b", score(0.7, True))]
    assert joined(passing, [None]).passed
    assert not joined([*passing, result("c", score(0.9, False))], [None]).passed


def test_what_is_read_belongs_to_the_answer_that_is_shown():
    first = result("right, long", score(1.0, True, "label"), score(0.0, False, "length"))
    second = result("wrong, long", score(0.0, False, "label", got="wrong"), score(0.0, False, "length"))
    third = result("odd, short", score(0.0, False, "label", got="odd"), score(1.0, True, "length"))
    row = joined([third, first, second], [1.0, 1.0])
    assert row.output == "odd, short" and row.scores[0].got == "odd"
    # The first answer did not fail for its length: the words are those of the next one that did.
    assert [score_.value for score_ in row.scores] == [pytest.approx(1 / 3), pytest.approx(1 / 3)]
    assert all(score_.reason for score_ in row.scores)
    # A metric that no row needs to pass makes none fail.
    spare = [
        result("a", score(1.0, True), score(0.0, False, "style", required=False)),
        result("b", score(1.0, True), score(1.0, True, "style")),
    ]
    assert joined(spare, [1.0, 1.0]).passed and joined(spare, [1.0, 1.0]).output == "a"


def test_repeats_in_error_are_left_out_and_a_row_of_errors_is_one():
    row = joined([fault("slow"), result("b", score(1.0, True)), result("c", score(0.0, False))], [1.0])
    assert (row.error, row.score, row.output) == (None, 0.5, "c")
    assert row.trace[0]["error"] == "timeout: slow"
    lost = joined([fault("slow"), fault("slower")], [1.0])
    assert lost.error is not None and lost.error.message == "slow" and lost.score is None and len(lost.trace) == 2


def test_thresholds_are_those_of_the_metrics():
    specs = [
        MetricSpec(name="contains"),
        MetricSpec(name="exact", threshold=0.6),
        MetricSpec(name="contains", negate=True, args={"value": "x"}, threshold=0.5),
    ]
    assert [threshold_of(metric) for metric in build_metrics(specs, Path())] == [1.0, 0.6, 1.0]


class Drawing(FunctionTarget):
    """Answers by a hash of prompt, row and repeat; one row in ten fails on its second repeat."""

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        self.calls.append((f"{candidate.fingerprint} {sample}", example.id))
        if sample == 1 and example.id.endswith("7"):
            raise ModelError(ErrorKind.TIMEOUT, "no answer")
        digest = hashlib.sha256(f"{candidate.text} {example.id} {sample}".encode()).digest()
        return Output(completion=Completion(text=str(example.expected) if digest[0] < 128 else "wrong"))


class Backwards:
    """An executor whose rows arrive last first."""

    async def map(self, target: Target, jobs: Iterable[Job]) -> AsyncGenerator[tuple[Job, Output | ModelError], None]:
        for job in reversed(list(jobs)):
            try:
                yield job, await target.run(job.candidate, job.example, job.phase, job.sample)
            except ModelError as error:
                yield job, error


def test_each_row_is_asked_as_often_as_is_wanted_and_known_once():
    bench, events, _ = bench_of(lambda text, example: "", lambda number: (f"q {number}", "yes"))
    evaluator, target = bench.evaluator, Drawing(answer=lambda text, example: "")
    evaluator.target, evaluator.repeats = target, 3
    assert evaluator.cost(seed_prompt(), bench.val) == evaluator.requests(bench.val) == 120
    found = asyncio.run(evaluator.evaluate(seed_prompt(), bench.val, PURPOSE))
    assert len(target.calls) == len(set(target.calls)) == 120
    assert len(bench.plan.asked[Phase.SEARCH]) == 120 and evaluator.cost(seed_prompt(), bench.val) == 0
    known = [event for event in events if isinstance(event, ResultKnown)]
    assert len(known) == len(found.results) == 40 and not found.errors
    assert {round(value, 6) for value in found.scored.values()} > {0.333333, 0.666667}
    assert found.results["v007"].score in (0.0, 0.5, 1.0) and "error" in found.results["v007"].trace[1]
    again = asyncio.run(evaluator.evaluate(seed_prompt(), bench.val, PURPOSE))
    assert again == found and len(target.calls) == 120
    other, _, _ = bench_of(lambda text, example: "", lambda number: (f"q {number}", "yes"))
    other.evaluator.target, other.evaluator.repeats, other.evaluator.executor = target, 3, Backwards()
    assert dict(asyncio.run(other.evaluator.evaluate(seed_prompt(), bench.val, PURPOSE)).results) == dict(found.results)


def test_rows_with_marks_in_their_ids_are_not_taken_for_repeats():
    bench, _, _ = bench_of(lambda text, example: "yes", lambda number: (f"q {number}", "yes"))
    rows = [Example(id=name, inputs={"q": "?"}, expected="yes") for name in ("a", "1:a", "a:1", "2:a")]
    bench.evaluator.repeats = 3
    asyncio.run(bench.evaluator.evaluate(seed_prompt(), rows, PURPOSE))
    assert len(bench.plan.asked[Phase.SEARCH]) == 12


def test_the_plan_counts_every_repeat():
    plain = plan_for(calls=605, train=20, val=20, test=20, protected=5)
    thrice = plan_for(calls=1815, train=20, val=20, test=20, protected=5, repeats=3)
    assert {phase: 3 * limit for phase, limit in plain.limits.items()} == thrice.limits
    assert thrice.kept == 15
    with pytest.raises(BudgetExceeded, match="each row asked 3 times") as caught:
        plan_for(calls=200, train=20, val=20, test=20, repeats=3)
    needed = int(str(caught.value).partition("budget.calls to ")[2].split()[0])
    assert plan_for(calls=needed, train=20, val=20, test=20, repeats=3).limits[Phase.SEARCH] >= 121
    assert sum(plan_for(calls=None, train=50, val=50, test=50, repeats=4).limits.values()) == 6 * 4 * 150


def test_no_phase_of_a_run_with_repeats_asks_for_more_than_its_plan():
    bench, _, target = bench_of(says_romeo, bob_world)
    bench.evaluator.repeats = 2
    bench.evaluator.plan = plan_for(calls=900, train=40, val=40, test=40, repeats=2)
    finished = asyncio.run(run(bench, seed_prompt(), MINED, ENDS))
    assert finished.outcome.verdict is Verdict.GAIN_SHOWN
    for phase in Phase:
        assert len(bench.plan.asked[phase]) <= bench.plan.limits[phase]
    assert len(bench.plan.asked[Phase.TEST]) == 2 * 2 * 40
    assert len(target.calls) == sum(map(len, bench.plan.asked.values()))


def test_the_stand_in_draws_each_sample_anew():
    asked = Request(
        provider="offline",
        model="offline",
        messages=(
            Message(role="system", content='Sort the review: positive, negative or mixed.\nSay "Bob", never "Romeo".'),
            Message(role="user", content="Who wrote this play about a young man in love?"),
        ),
    )
    samples = [replace(asked, sample=number) for number in range(40)]
    assert len({request.key for request in samples}) == 40
    answers = [asyncio.run(OfflineModel().complete(request)).text for request in samples]
    assert answers == [asyncio.run(OfflineModel().complete(request)).text for request in samples]
    assert len(set(answers)) > 1


def ordered(workspace: Path, run_id: str, **overrides: object) -> Order:
    config = load_config(workspace / "evals" / "romeo-bob.yaml", {"mutator": "none", "model": "offline", **overrides})
    return Order(config=config, root=workspace, run_id=run_id)


def test_a_run_keeps_every_answer_and_another_pays_for_more_repeats_alone(workspace, monkeypatch):
    ended = asyncio.run(execute(ordered(workspace, "r1", repeats=2, calls=900)))
    assert ended.outcome.test is not None and ended.outcome.test.n >= 36
    with RunReader(workspace, "r1") as reader:
        spent = spending(reader)
        kept = len(reader.completions())
        halves = [row for (row,) in reader.query("SELECT score FROM results WHERE score NOT IN (0, 1)")]
        (stored,) = reader.query("SELECT trace FROM results LIMIT 1")[0]
    assert spent.calls == kept == 2 * ended_rows(workspace, "r1")
    assert halves and len(json.loads(stored)) == 2
    again = asyncio.run(execute(ordered(workspace, "r2", repeats=2, calls=900)))
    assert again.outcome == ended.outcome
    asyncio.run(execute(ordered(workspace, "r3", repeats=3, calls=1400)))
    with RunReader(workspace, "r2") as second, RunReader(workspace, "r3") as third:
        assert spending(second).calls == 0
        # Of the seed's three answers to a train, val or test row, two were in the cache.
        assert spending(third).saved >= 2 * 132
    monkeypatch.chdir(workspace)
    facts, page = cli("case", "other-28", "r1", "--json").json, cli("case", "other-28", "r1").out
    assert [step["repeat"] for step in facts["seed"]["trace"]] == [1, 2]
    assert "repeat 1: " in page and "repeat 2: " in page


def ended_rows(workspace: Path, run_id: str) -> int:
    with RunReader(workspace, run_id) as reader:
        return int(reader.query("SELECT COUNT(*) FROM results")[0][0])


def test_a_run_that_stops_among_repeats_goes_on_without_paying_twice(workspace):
    with pytest.raises(BudgetExceeded):
        asyncio.run(execute(ordered(workspace, "r1", repeats=3, budget={"calls": 1400, "tokens": 9000})))
    with RunReader(workspace, "r1") as reader:
        before, rows = spending(reader).calls, ended_rows(workspace, "r1")
    # Some row was left with one or two of its three answers.
    assert before > 3 * rows > 0
    (workspace / ".optimizer" / "cache").rename(workspace / "gone")
    order = replace(ordered(workspace, "r1", repeats=3, budget={"calls": 1400, "tokens": 9000000}), resume=True)
    ended = asyncio.run(execute(order))
    with RunReader(workspace, "r1") as reader:
        twice = reader.query("SELECT key FROM calls WHERE state = 'answered' GROUP BY key HAVING COUNT(*) > 1")
        assert twice == [] and spending(reader).calls == len(reader.completions())
    whole = asyncio.run(execute(ordered(workspace, "r2", repeats=3, budget={"calls": 1400, "tokens": 9000000})))
    assert ended.outcome.test is not None and whole.outcome.test is not None
    assert replace(ended.outcome.test, look=1) == replace(whole.outcome.test, look=1)


def test_other_repeats_are_another_run_and_another_look(workspace):
    once, twice = (take_in(ordered(workspace, "r", repeats=repeats).config).meta() for repeats in (1, 2))
    assert look_at(once, "a", "b").identity != look_at(twice, "a", "b").identity
    with pytest.raises(BudgetExceeded):
        asyncio.run(execute(ordered(workspace, "r1", repeats=1, budget={"calls": 600, "tokens": 9000})))
    with pytest.raises(UserError, match=r"repeats changed \(1 -> 2\)"):
        asyncio.run(execute(replace(ordered(workspace, "r1", repeats=2, calls=900), resume=True)))


@pytest.mark.parametrize("wrong", [0, -1, 101, 1.5, "3", True])
def test_repeats_are_a_whole_number(workspace, wrong):
    with pytest.raises(ConfigError, match="repeats"):
        ordered(workspace, "r", repeats=wrong)


@pytest.mark.parametrize(
    ("model", "params", "repeats", "said"),
    [
        ("openai/gpt-4o-mini", {"temperature": 0}, 3, "temperature 0"),
        ("openai/gpt-4o-mini", {"seed": 7}, 3, "a seed"),
        ("openai/gpt-4o-mini", {"temperature": 0}, 1, ""),
        ("openai/gpt-4o-mini", {"temperature": 0.7}, 3, ""),
        ("offline", {"temperature": 0}, 3, ""),
    ],
)
def test_repeats_that_would_repeat_themselves_are_told(workspace, model, params, repeats, said):
    config = ordered(workspace, "r", repeats=repeats).config
    loaded = take_in(replace(config, model=ModelSpec(name=model, params=params)))
    told = [warning for warning in loaded.warnings if "repeats" in warning]
    assert len(told) == bool(said) and all(said in warning for warning in told)
