"""A case: a world, a prompt of lines whose kind is known, and a bench that answers in process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from unittest.mock import patch

from benchmarks.line_worth.plant import Planted, planned, worded
from benchmarks.search import task
from benchmarks.search.arms import ours
from benchmarks.search.statements import read_prompt
from benchmarks.search.worlds import FAMILIES, making
from benchmarks.search.worlds.world import World
from optimizer.attribute import Cause
from optimizer.config import MetricSpec
from optimizer.dataset import Example, Split
from optimizer.edits import END, Edit, Op, apply, without_line
from optimizer.errors import ModelError
from optimizer.evaluator import Bench, Evaluator, Purpose
from optimizer.events import Recording
from optimizer.executors.base import Job
from optimizer.metrics import build_metrics
from optimizer.outcome import Phase
from optimizer.plan import Plan
from optimizer.prompt import Prompt, build, prepare
from optimizer.results import Completion
from optimizer.search.study import Champion
from optimizer.targets.base import Output, Target

SHOWN = 6
"""Failures that a proposer is shown, at most."""
WORDINGS = 4
"""Prompts of the same lines in other words; the best one on val is the winner, as a search would have it."""
SAMPLE = 2000
"""Rows that the truth is taken on."""
BEFORE = Purpose(phase=Phase.SEARCH, split=Split.TRAIN, round=0)
"""Requests before attribution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many rows, how good the model, how many calls."""

    train: int
    """Rows that proposers see failures of."""
    val: int
    """Rows that choose."""
    adherence: float
    """Share of rows in which the model does what the prompt states."""
    reserve: int
    """Requests that attribution may ask for."""

    def __str__(self) -> str:
        return f"{self.train} + {self.val} rows, adherence {self.adherence:g}, reserve {self.reserve}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A winner to price."""

    world: World
    """The task; its test rows are the sample."""
    seed: Prompt
    """The prompt without the lines."""
    winner: Champion
    """The prompt with them, on val."""
    planted: Mapping[str, Planted]
    """Line id -> what it is."""
    causes: Mapping[str, Cause]
    """Text -> what it was proposed for."""
    bench: Bench
    """Answers in process."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A target that asks the world's task model."""

    world: World

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        """One answer."""
        messages = [{"role": one.role, "content": one.content} for one in prepare(candidate, example)]
        return Output(completion=Completion(text=task.answer(self.world, messages)))


class InOrder:
    """An executor that runs jobs one after another."""

    async def map(self, target: Target, jobs: Iterable[Job]) -> AsyncGenerator[tuple[Job, Output | ModelError], None]:
        """Each job with its answer."""
        for job in jobs:
            yield job, await target.run(job.candidate, job.example, job.phase)


@contextmanager
def sized(train: int, val: int, test: int) -> Iterator[None]:
    """Worlds that are made inside have so many rows."""
    with patch.object(making, "SIZES", {"train": train, "val": val, "test": test}):
        yield


async def case_of(family: str, seed: int, size: Size) -> Case:
    """Make a case: a pure function of its arguments."""
    with sized(size.train, size.val, SAMPLE):
        world = replace(FAMILIES[family](seed), adherence=size.adherence)
    rng = Random(f"line worth:{family}:{seed}:{size}")
    bench = bench_of(world, size, seed)
    start = build("seed", [("system", world.prompt), ("user", "{{ text }}")])
    plan = planned(world, rng)
    tried = [put_into(start, worded(world, plan, Random(f"{seed}:{number}"))) for number in range(WORDINGS)]
    champions = [Champion(prompt=one, val=await bench.evaluator.evaluate(one, bench.val, BEFORE)) for one, _ in tried]
    best = max(range(WORDINGS), key=lambda number: champions[number].mean)
    planted = tried[best][1]
    await bench.evaluator.evaluate(start, (*bench.val, *bench.train), BEFORE)
    # A search knows its winner on some of the train rows.
    await bench.evaluator.evaluate(champions[best].prompt, rng.sample(bench.train, len(bench.train) // 2), BEFORE)
    causes = {line.text: cause_of(world, bench, start, champions[best].prompt, line, rng) for line in planted.values()}
    return Case(world=world, seed=start, winner=champions[best], planted=planted, causes=causes, bench=bench)


def bench_of(world: World, size: Size, seed: int) -> Bench:
    """A bench whose plan limits nothing but attribution."""
    limits = {Phase.SEARCH: 1_000_000, Phase.TEST: 0, Phase.ATTRIBUTION: size.reserve}
    evaluator = Evaluator(
        target=Answers(world),
        metrics=build_metrics([spec_of(metric) for metric in ours.metrics(world)], Path()),
        executor=InOrder(),
        sink=Recording(),
        plan=Plan(limits=limits),
    )
    return Bench(evaluator=evaluator, train=examples(world, "train"), val=examples(world, "val"), test=(), seed=seed)


def examples(world: World, split: str) -> tuple[Example, ...]:
    """Rows as an eval set has them."""
    rows = world.split(split)
    return tuple(Example(id=row.id, inputs={"text": row.text}, expected=world.wanted(row)) for row in rows)


def spec_of(metric: str | Mapping[str, str]) -> MetricSpec:
    """A metric as the eval file names it."""
    if isinstance(metric, str):
        return MetricSpec(name=metric)
    ((name, value),) = metric.items()
    return MetricSpec(name=name, args={"value": value})


def put_into(start: Prompt, lines: Sequence[Planted]) -> tuple[Prompt, dict[str, Planted]]:
    """The prompt with the lines at its end, and their ids."""
    made = apply(start, [Edit(op=Op.ADD_LINE, after=END, text=line.text) for line in lines])
    old = {line.id for line in start.lines}
    new = [line for line in made.lines if line.id not in old]
    return made, {line.id: planted for line, planted in zip(new, lines, strict=True)}


def cause_of(world: World, bench: Bench, start: Prompt, winner: Prompt, line: Planted, rng: Random) -> Cause:
    """What a search would know: failures of one fold were shown, and some train rows pass that failed before."""
    known = bench.evaluator.known
    rows = {row.id: row for row in world.split("train")}
    failed = [key for key in rows if not known[start.fingerprint, key].passed]
    members = [key for key in failed if line.rule in (*rows[key].cause.values(), *rows[key].expected.values())]
    fold = [key for key in members if rng.random() < 0.5] or members[:1]
    after = {key: known.get((winner.fingerprint, key)) for key in members}
    return Cause(
        label=line.rule,
        members=len(members),
        shown=frozenset(fold[:SHOWN]),
        mended=frozenset(key for key, result in after.items() if result is not None and result.passed),
    )


def effects(case: Case, prompt: Prompt, lines: Sequence[str]) -> dict[str, float]:
    """Line -> what it is worth in a prompt, on the sample, with the model's luck held equal on both sides."""
    whole = score(case.world, prompt)
    return {line: whole - score(case.world, without_line(case.seed, prompt, line)) for line in lines}


def score(world: World, prompt: Prompt) -> float:
    """Mean on the sample."""
    text = next(message.text for message in prompt.messages if message.role == "system")
    frame = task.Frame(reading=read_prompt(world, text), demos=(), mark="truth")
    total = 0.0
    for row in world.split("test"):
        said = task.decide(world, row, frame)
        total += sum(said[name] == row.expected[name] for name in world.fields) / len(world.fields)
    return total / SAMPLE
