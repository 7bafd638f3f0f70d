"""What a gate judges: rows under the old and the new prompt, what the run claims, what a call costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.dataset import Example, Split
from optimizer.outcome import Comparison, LineWorth, Outcome, Verdict
from optimizer.prompt import Prompt
from optimizer.redaction import Scrubber
from optimizer.report.sheet import STAND_IN
from optimizer.results import Evaluation, Result
from optimizer.store.figures import PerCall, flips, per_call
from optimizer.store.reader import RunReader, RunStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How one row came out under one prompt."""

    score: float | None
    """In [0, 1]; None for an error."""
    passed: bool
    """Whether every required metric passed; False for an error."""
    reasons: tuple[str, ...] = ()
    """`metric: why it failed`, one a metric that failed."""
    error: str = ""
    """Kind of the error; empty where the row has a score."""
    message: str = ""
    """What the error says."""
    seconds: float = 0.0
    """Time that the call took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row that is judged."""

    id: str
    """Row id."""
    split: Split
    """Its split."""
    before: Answer | None
    """Under the old prompt; None where that was not run on it, or there is none."""
    after: Answer | None
    """Under the new prompt; None where it was not run on it."""
    group: str | None = None
    """Rows of one group are not independent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Everything that limits are held against."""

    subject: str
    """The run's id, or the name of the eval file."""
    prompt: str
    """Ref of the prompt that is judged: `triage@v2`."""
    model: str
    """The task model."""
    on: str
    """Which rows: `test`, `val`, `train and val`."""
    rows: tuple[Row, ...]
    """All rows of those splits, but for those that the prompt shows as demos."""
    old: str = ""
    """Ref of the prompt that it is compared with; empty where there is none."""
    changed: bool = True
    """False where the new prompt is the old one."""
    run: bool = False
    """Whether a run is judged, and not one evaluation."""
    status: str = RunStatus.COMPLETE.value
    """Where the run is."""
    failure: str = ""
    """The error that stopped it."""
    verdict: Verdict | None = None
    """The claim; None where there is none."""
    reason: str = ""
    """Why."""
    compared: Comparison | None = None
    """Old and new on those rows."""
    costs: tuple[PerCall, PerCall] = (PerCall(), PerCall())
    """What a call takes, old and new, on rows that both answered."""
    lines: tuple[LineWorth, ...] = ()
    """Prices of the changed lines."""
    elsewhere: int = 0
    """Rows of other splits that passed with the old prompt and fail with the new one."""
    path: str = ""
    """File of the prompt that is judged; empty where it has none."""
    seed_path: str = ""
    """File of the prompt that it was made from."""
    edited: bool = False
    """Whether the file says something else now than what was measured."""
    stand_in: bool = False
    """Whether the figures come from the offline stand-in."""

    @property
    def mark(self) -> str:
        """What stands behind a figure that no real model gave; empty for one that a real model gave."""
        return f" ({STAND_IN})" if self.stand_in else ""

    @property
    def optimistic(self) -> bool:
        """Whether these rows chose the prompt."""
        return self.run and self.changed and self.on != Split.TEST.value


def of_run(reader: RunReader, *, prompt: Prompt | None = None, path: str = "") -> Evidence:
    """The evidence of a run: on test where it was tested, else on val.

    Args:
        reader: the run.
        prompt: the version that is to be judged, where one was named; None takes what the run came to.
        path: its file.

    Raises StoreError where the run is damaged.
    """
    with reader.snapshot():
        scrub = Scrubber().text
        outcome, seed, best = reader.outcome(), reader.seed(), reader.best()
        first = seed.fingerprint if seed else reader.meta.seed_prompt
        last = best.fingerprint if best else first
        on = Split.TEST if outcome is not None and outcome.test is not None else Split.VAL
        meta = reader.meta
        found = Evidence(
            subject=reader.id,
            prompt=_ref(reader, best) if prompt is None else prompt.ref,
            old=meta.prompt if meta.prompt_version is None else f"{meta.prompt}@v{meta.prompt_version}",
            model=meta.model,
            on=on.value,
            rows=_rows(reader, on, (first, last), scrub),
            changed=first != last,
            run=True,
            status=reader.status.value,
            failure=scrub(reader.failure),
            costs=per_call(reader, first, last),
            lines=tuple(_clean(line, scrub) for line in reader.lines()),
            elsewhere=sum(len(other.broken) for split, other in flips(reader, first, last).items() if split is not on),
            path=path or _written(reader, changed=first != last),
            seed_path=meta.prompt_path,
            edited=prompt is not None and prompt.fingerprint != last,
            stand_in=meta.stand_in,
        )
        return found if outcome is None else _claimed(found, outcome, scrub)


def of_scores(
    evaluations: Mapping[Split, Evaluation], examples: Sequence[Example], *, subject: str, prompt: str, model: str
) -> Evidence:
    """The evidence of one prompt that was scored without a search.

    Args:
        evaluations: its results by split.
        examples: rows of the eval set, for their groups.
        subject: name of the eval file.
        prompt: ref of the prompt.
        model: the task model.
    """
    scrub = Scrubber().text
    groups = {row.id: row.group for row in examples}
    rows = [
        Row(id=scrub(row), split=split, before=None, after=_answer(result, scrub), group=groups.get(row))
        for split, found in evaluations.items()
        for row, result in found.results.items()
    ]
    on = " and ".join(split.value for split in evaluations)
    return Evidence(subject=subject, prompt=prompt, model=model, on=on, rows=tuple(rows))


def _claimed(found: Evidence, outcome: Outcome, scrub: Callable[[str], str]) -> Evidence:
    compared = outcome.test or outcome.val
    return replace(found, verdict=outcome.verdict, reason=scrub(outcome.reason), compared=compared)


def _rows(reader: RunReader, on: Split, pair: tuple[str, str], scrub: Callable[[str], str]) -> tuple[Row, ...]:
    before, after = (
        {found.result.example: _answer(found.result, scrub) for found in reader.results(candidate, on)}
        for candidate in pair
    )
    seed = reader.seed()
    shown = seed.demo_rows if seed else frozenset()
    return tuple(
        Row(
            id=scrub(stored.example.id),
            split=on,
            before=before.get(stored.example.id),
            after=after.get(stored.example.id),
            group=stored.example.group,
        )
        for stored in reader.examples(on)
        if stored.example.id not in shown
    )


def _answer(result: Result, scrub: Callable[[str], str]) -> Answer:
    if result.error is not None:
        kind, message = result.error.kind.value, scrub(result.error.message)
        return Answer(score=None, passed=False, error=kind, message=message)
    reasons = [
        scrub(f"{score.metric}: {score.reason}" if score.reason else score.metric)
        for score in result.scores
        if not score.passed and score.weight > 0
    ]
    seconds = result.completion.latency if result.completion else 0.0
    return Answer(score=result.score, passed=result.passed, reasons=tuple(reasons), seconds=seconds)


def _clean(line: LineWorth, scrub: Callable[[str], str]) -> LineWorth:
    return replace(line, text=scrub(line.text), cluster=scrub(line.cluster))


def _ref(reader: RunReader, best: Prompt | None) -> str:
    """`triage@v2`, where the winner was written as a version."""
    if best is None:
        return reader.meta.prompt
    if best.fingerprint == reader.meta.seed_prompt and reader.meta.prompt_version is not None:
        return replace(best, version=reader.meta.prompt_version).ref
    written = reader.decisions("written")
    version = written[-1].decided.figures.get("version") if written else best.version
    return replace(best, version=version).ref


def _written(reader: RunReader, *, changed: bool) -> str:
    """File of what the run came to; empty where it was not written."""
    if not changed:
        return reader.meta.prompt_path
    written = reader.decisions("written")
    return str(written[-1].decided.figures.get("path") or "") if written else ""


def failing(rows: Iterable[Row]) -> list[Row]:
    """Rows that have a score under the new prompt and do not pass."""
    return [row for row in rows if row.after is not None and not row.after.error and not row.after.passed]


def unscored(rows: Iterable[Row]) -> list[Row]:
    """Rows that have no score under the new prompt: an error, or never asked."""
    return [row for row in rows if row.after is None or row.after.error]


def regressed(rows: Iterable[Row]) -> list[Row]:
    """Rows that are known to have passed with the old prompt and to fail with the new one."""
    return [row for row in failing(rows) if row.before is not None and row.before.passed]
