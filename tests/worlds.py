"""Small worlds with known truth for tests of the loop: a target that is a pure function of prompt and row."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field

from optimizer.dataset import Example
from optimizer.edits import END, Edit, Op
from optimizer.errors import ModelError
from optimizer.evaluator import Bench, Evaluator
from optimizer.events import Event, Recording
from optimizer.executors.base import Job
from optimizer.metrics.base import MetricContext
from optimizer.mutate.base import Proposal
from optimizer.outcome import Phase
from optimizer.plan import plan_for
from optimizer.prompt import Prompt, build
from optimizer.results import Completion, Score
from optimizer.targets.base import Output, Target


@dataclass(frozen=True, kw_only=True)
class FunctionTarget:
    """The output is this function of the prompt's text and the row."""

    answer: Callable[[str, Example], str]
    calls: list[tuple[str, str]] = field(default_factory=list)

    async def run(self, candidate: Prompt, example: Example, phase: Phase, sample: int = 0) -> Output:
        self.calls.append((candidate.fingerprint, example.id))
        return Output(completion=Completion(text=self.answer(candidate.text, example)))


class OneByOne:
    """An executor that runs jobs in order."""

    async def map(self, target: Target, jobs: Iterable[Job]) -> AsyncGenerator[tuple[Job, Output | ModelError], None]:
        for job in jobs:
            try:
                yield job, await target.run(job.candidate, job.example, job.phase, job.sample)
            except ModelError as error:
                yield job, error


@dataclass(frozen=True)
class Says:
    """Passes where the output is the expected value."""

    async def score(self, context: MetricContext) -> Score:
        right = context.output == context.example.expected
        return Score(
            metric="says",
            value=float(right),
            passed=right,
            reason="" if right else f'the output is "{context.output}", expected "{context.example.expected}"',
            place="text",
            wanted=context.example.expected,
            got=context.output,
        )


def rows(count: int, make: Callable[[int], tuple[str, str]], prefix: str) -> tuple[Example, ...]:
    """Examples from a function of their number to (input, expected)."""
    made = []
    for number in range(count):
        question, expected = make(number)
        made.append(Example(id=f"{prefix}{number:03}", inputs={"q": question}, expected=expected))
    return tuple(made)


def bench_of(
    answer: Callable[[str, Example], str],
    make: Callable[[int], tuple[str, str]],
    *,
    size: int = 40,
    calls: int = 900,
    seed: int = 0,
) -> tuple[Bench, list[Event], FunctionTarget]:
    """A bench over a pure world: train, val and test of equal size."""
    sink = Recording()
    target = FunctionTarget(answer=answer)
    evaluator = Evaluator(
        target=target,
        metrics=(Says(),),
        executor=OneByOne(),
        sink=sink,
        plan=plan_for(calls=calls, train=size, val=size, test=size),
    )
    bench = Bench(
        evaluator=evaluator,
        train=rows(size, make, "t"),
        val=rows(size, make, "v"),
        test=rows(size, make, "s"),
        seed=seed,
    )
    return bench, sink.events, target


def seed_prompt(text: str = "Answer the question.") -> Prompt:
    """A system line, and the row's question as user message."""
    return build("seed", [("system", text), ("user", "{{ q }}")])


def drawn_anew(seed: int) -> Callable[[str, Example], str]:
    """A world in which no edit helps: each text draws every row's outcome again, right one time in two."""

    def answer(text: str, example: Example) -> str:
        digest = hashlib.sha256(f"{seed}\n{example.id}\n{text}".encode()).digest()
        return str(example.expected) if digest[0] < 128 else "wrong"

    return answer


class Chatter:
    """A proposer whose lines say nothing: three new ones whenever it is asked."""

    def __init__(self) -> None:
        self.lines = 0

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        self.lines += 3
        numbers = range(self.lines - 2, self.lines + 1)
        return tuple(
            Edit(op=Op.ADD_LINE, after=END, text=f"Note {number}.", cluster=proposal.cluster.id, source="llm")
            for number in numbers
        )
