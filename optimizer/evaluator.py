"""EvalSet x candidate -> stream of Results -> Evaluation.

Scores rows that are not known yet, tells the sink of each, and counts what was asked in the plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import MappingProxyType

from optimizer.config import Prefer, Price
from optimizer.dataset import Example, Split
from optimizer.errors import ModelError
from optimizer.events import Event, ResultKnown, Sink
from optimizer.executors.base import Executor, Job
from optimizer.metrics import code_of, score_output, threshold_of
from optimizer.metrics.base import Metric, MetricContext
from optimizer.metrics.process import SIDE_BY_SIDE
from optimizer.outcome import Phase
from optimizer.plan import Plan
from optimizer.prompt import Prompt
from optimizer.repeats import joined
from optimizer.results import CallError, Evaluation, Result
from optimizer.targets.base import Output, Target
from optimizer.tokens import prompt_tokens
from optimizer.unscored import Straight


@dataclass(frozen=True, kw_only=True, slots=True)
class Purpose:
    """What rows are scored for: goes into the record of each result."""

    phase: Phase
    """Whose calls these are."""
    split: Split
    """Split of the rows."""
    round: int
    """0 for the baseline."""


@dataclass(kw_only=True, slots=True)
class Evaluator:
    """Scores candidates on rows; each (candidate, row) once, with as many repeats as are wanted."""

    target: Target
    """What is being improved."""
    metrics: Sequence[Metric]
    """Checks of every output."""
    executor: Executor
    """Runs rows side by side."""
    sink: Sink
    """Is told each result before it is used."""
    plan: Plan
    """Counts what is asked."""
    known: dict[tuple[str, str], Result] = field(default_factory=dict)
    """(candidate fingerprint, example id) -> result: of this run, or of the part that is being resumed."""
    repeats: int = 1
    """Times that each row is asked; its scores are the means."""
    straight: Straight = field(default_factory=Straight)
    """Ends the run where metrics score nothing."""

    async def evaluate(self, candidate: Prompt, rows: Sequence[Example], purpose: Purpose) -> Evaluation:
        """Score one candidate on rows; errors come back as results with an error.

        Rows that the candidate shows as demos are left out, whoever asks: see `judges`.
        Raises BudgetExceeded, ProviderError, StoreError, and UserError where metrics score nothing: the run ends.
        """
        (evaluation,) = await self.evaluate_all([(candidate, rows)], purpose)
        return evaluation

    async def evaluate_all(
        self,
        wanted: Sequence[tuple[Prompt, Sequence[Example]]],
        purpose: Purpose,
        splits: Mapping[str, Split] = MappingProxyType({}),
    ) -> list[Evaluation]:
        """Score several candidates side by side, each on rows of its own; evaluations in the order asked.

        Args:
            wanted: candidates, each with its rows.
            purpose: what for.
            splits: id -> split, for rows of another one than the purpose names.
        """
        jobs: dict[str, Job] = {}
        judged = [(candidate, judges(candidate, rows)) for candidate, rows in wanted]
        for candidate, rows in judged:
            fingerprint = candidate.fingerprint
            self.plan.take(purpose.phase, self._keys(candidate, rows))
            for row in rows:
                if (fingerprint, row.id) not in self.known:
                    for sample in range(self.repeats):
                        job = Job(candidate=candidate, example=row, phase=purpose.phase, sample=sample)
                        jobs[row_key(fingerprint, row, sample)] = job
        await self._score(list(jobs.values()), purpose, splits)
        return [
            Evaluation(
                candidate=candidate.fingerprint,
                results={row.id: self.known[candidate.fingerprint, row.id] for row in rows},
            )
            for candidate, rows in judged
        ]

    async def _score(self, jobs: Sequence[Job], purpose: Purpose, splits: Mapping[str, Split]) -> None:
        """Run jobs and record their results, in the order in which they are complete.

        Where the run stops midway, a row of which a repeat is missing has no result; its answers are kept by the gate.
        """
        async with aclosing(self.stream(jobs)) as results:
            async for result in results:
                event = ResultKnown(
                    result=result,
                    split=splits.get(result.example, purpose.split),
                    phase=purpose.phase,
                    round=purpose.round,
                )
                await self.sink.record(event)
                self.known[result.candidate, result.example] = result

    async def scan(self, candidate: Prompt, rows: Iterable[Example], purpose: Purpose) -> AsyncGenerator[Result, None]:
        """Score one candidate on rows, however many: results as they are complete, none of them remembered.

        Rows are taken as there is room, and are not counted in the plan. Raises as `evaluate`.
        """
        async with aclosing(self.stream(self._jobs(candidate, rows, purpose.phase))) as results:
            async for result in results:
                await self.sink.record(
                    ResultKnown(result=result, split=purpose.split, phase=purpose.phase, round=purpose.round)
                )
                yield result

    def _jobs(self, candidate: Prompt, rows: Iterable[Example], phase: Phase) -> Iterator[Job]:
        shown = candidate.demo_rows
        for row in rows:
            if row.id not in shown:
                for sample in range(self.repeats):
                    yield Job(candidate=candidate, example=row, phase=phase, sample=sample)

    async def stream(self, jobs: Iterable[Job]) -> AsyncGenerator[Result, None]:
        """Results of whole rows in the order in which they are complete; nothing is remembered."""
        thresholds = [threshold_of(metric) for metric in self.metrics]
        begun: dict[tuple[str, str], dict[int, Result]] = {}
        async with aclosing(self._scored(jobs)) as scored:
            async for job, result in scored:
                self.straight.take(result)
                repeats = begun.setdefault((result.candidate, result.example), {})
                repeats[job.sample] = result
                if len(repeats) == self.repeats:
                    del begun[result.candidate, result.example]
                    # By their index: the order of arrival decides nothing.
                    yield joined([repeats[sample] for sample in sorted(repeats)], thresholds)

    async def _scored(self, jobs: Iterable[Job]) -> AsyncGenerator[tuple[Job, Result], None]:
        """Jobs with their results; a few rows are scored side by side where that happens in other processes."""
        most = SIDE_BY_SIDE if any(code_of(metric) for metric in self.metrics) else 1
        under_way: set[asyncio.Task[tuple[Job, Result]]] = set()
        try:
            async with aclosing(self.executor.map(self.target, jobs)) as done:
                async for job, output in done:
                    if most == 1:
                        yield await self._result(job, output)
                        continue
                    under_way.add(asyncio.create_task(self._result(job, output)))
                    ready = {task for task in under_way if task.done()}
                    if len(under_way) >= most and not ready:
                        ready, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                    under_way -= ready
                    for task in ready:
                        yield task.result()
            for waiting in asyncio.as_completed(under_way):
                yield await waiting
        finally:
            for task in under_way:
                task.cancel()

    def cost(self, candidate: Prompt, rows: Sequence[Example]) -> int:
        """Requests that scoring these rows would add to the plan."""
        return len(self.plan.fresh(self._keys(candidate, judges(candidate, rows))))

    def requests(self, rows: Sequence[Example]) -> int:
        """Requests that a candidate which was never asked takes on these rows."""
        return self.repeats * len(rows)

    def _keys(self, candidate: Prompt, rows: Sequence[Example]) -> set[str]:
        fingerprint = candidate.fingerprint
        return {row_key(fingerprint, row, sample) for row in rows for sample in range(self.repeats)}

    async def _result(self, job: Job, output: Output | ModelError) -> tuple[Job, Result]:
        fingerprint, example = job.candidate.fingerprint, job.example
        if isinstance(output, ModelError):
            return job, Result(example=example.id, candidate=fingerprint, error=as_error(output))
        try:
            context = MetricContext(example=example, completion=output.completion)
            scores = await score_output(self.metrics, context)
        except ModelError as error:
            return job, Result(
                example=example.id, candidate=fingerprint, completion=output.completion, error=as_error(error)
            )
        return job, Result(
            example=example.id,
            candidate=fingerprint,
            completion=output.completion,
            scores=scores,
            trace=output.trace,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What every step of the search works on."""

    evaluator: Evaluator
    """Scores candidates."""
    train: tuple[Example, ...]
    """Rows whose failures are shown to proposers."""
    val: tuple[Example, ...]
    """Rows that choose."""
    test: tuple[Example, ...]
    """Sealed rows."""
    seed: int
    """The run's seed."""
    protected: frozenset[str] = frozenset()
    """Ids of rows, of any split, that pass with the winner if they passed with the seed: see `protect.broken`."""
    max_tokens: int | None = None
    """Most tokens of a prompt, by our estimate; None is no limit: see `fits`."""
    prefer: Prefer | None = None
    """What is wanted beside the score."""
    price: Price | None = None
    """List price of the task model; None where it is unknown."""

    @property
    def plan(self) -> Plan:
        """Requests asked and left."""
        return self.evaluator.plan

    async def tell(self, event: Event) -> None:
        """Record an event."""
        await self.evaluator.sink.record(event)


def fits(prompt: Prompt, limit: int | None) -> bool:
    """Whether a prompt is within a limit of tokens, by our estimate; None is no limit."""
    return limit is None or prompt_tokens(prompt) <= limit


def judges(prompt: Prompt, rows: Sequence[Example]) -> Sequence[Example]:
    """Rows that may judge a prompt: all but those that it shows as demos, answers and all."""
    shown = prompt.demo_rows
    return [row for row in rows if row.id not in shown] if shown else rows


def as_error(error: ModelError) -> CallError:
    """The part of a fault that a result keeps."""
    return CallError(kind=error.kind, message=error.message, status=error.status, attempts=error.attempts)


def row_key(fingerprint: str, example: Example, sample: int = 0) -> str:
    """What the plan counts: one candidate on one row, asked once, is one request."""
    return f"{sample}:{fingerprint}:{example.id}" if sample else f"{fingerprint}:{example.id}"


def by_id(examples: Sequence[Example]) -> Mapping[str, Example]:
    """Examples by their id."""
    return {example.id: example for example in examples}
