"""Rows to values: the way back from what `rows.py` writes. Cells come in the order of the table's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.dataset import Example, Split
from optimizer.edits import Edit
from optimizer.events import CandidateMade, Decided, EditJudged
from optimizer.outcome import LineWorth, Outcome, Phase, Role, Trial
from optimizer.prompt import Prompt
from optimizer.results import CallError, Completion, Result, Score, Usage
from optimizer.store.codec import loads

STRINGS = tuple[str, ...]
SCORES = tuple[Score, ...]
EDITS = tuple[Edit, ...]
TRACE = tuple[Any, ...]
CHOICES = Mapping[str, str]
FIGURES = Mapping[str, Any]
Cells = Sequence[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredResult:
    """A result with what it was scored for."""

    result: Result
    """The result."""
    split: Split
    """Split of its row."""
    phase: Phase
    """What it was scored for."""
    round: int
    """0 for the baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredExample:
    """A row of the eval set as it was when the run began."""

    example: Example
    """The row."""
    split: Split
    """Its split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One attempt, or one request that was answered without sending."""

    call: str
    """Id within its session; `saved-<n>` for what was not sent."""
    session: int
    """1 for the first process that wrote the run."""
    key: str
    """Cache key of the request."""
    role: Role
    """Who asked."""
    phase: Phase
    """What for."""
    state: str
    """`sent`, `answered`, `failed`, `saved` or `lost in kill`; all but `saved` count as billed."""
    sent_at: float
    """Unix time."""
    seconds: float | None
    """From sending to the end, by the monotonic clock; None where it did not end or was not sent."""
    completion: Completion | None
    """What came back; beside an error, a reply that was paid for and cannot be used."""
    error: CallError | None
    """Why there is no answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A decision with its place and time."""

    seq: int
    """Ascending."""
    at: float
    """Unix time."""
    decided: Decided
    """What was decided, and what it rested on."""


def example(cells: Cells) -> StoredExample:
    """A row of `examples`."""
    _, _, split, _, _, body = cells
    return StoredExample(example=loads(Example, body), split=Split(split))


def candidate(cells: Cells) -> CandidateMade:
    """A row of `prompts`."""
    _, _, _, number, origin, parent, edits, body, _ = cells
    prompt = loads(Prompt, body)
    return CandidateMade(prompt=prompt, round=number, origin=origin, parent=parent, edits=loads(EDITS, edits))


def result(cells: Cells) -> Result:
    """A row of `results`, without what it was scored for."""
    fingerprint, row = cells[:2]
    input_tokens, output_tokens, cost, latency, cached, finish_reason, output, scores, error, trace = cells[7:]
    completion = None
    if output is not None:
        completion = Completion(
            text=output,
            usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
            cost=cost,
            latency=latency,
            cached=bool(cached),
            finish_reason=finish_reason,
        )
    return Result(
        example=row,
        candidate=fingerprint,
        completion=completion,
        scores=loads(SCORES, scores),
        error=None if error is None else loads(CallError, error),
        trace=loads(TRACE, trace) if trace != "[]" else (),
    )


def stored_result(cells: Cells) -> StoredResult:
    """A row of `results`."""
    return StoredResult(result=result(cells), split=Split(cells[2]), phase=Phase(cells[3]), round=cells[4])


def completion(cells: Cells) -> Completion:
    """A row of `completions`: marked as cached, for whoever gets it now has sent nothing."""
    _, _, text, input_tokens, output_tokens, cost, latency, finish_reason, _ = cells
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    return Completion(text=text, usage=usage, cost=cost, latency=latency, cached=True, finish_reason=finish_reason)


def call(cells: Cells, text: str | None) -> Call:
    """A row of `calls` with the text of its answer."""
    session, name, key, role, phase, state, sent_at, seconds = cells[:8]
    input_tokens, output_tokens, cost, latency, finish_reason, _, cached, _, error = cells[8:]
    answer = None
    if text is not None:
        answer = Completion(
            text=text,
            usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
            cost=cost,
            latency=latency,
            cached=bool(cached),
            finish_reason=finish_reason,
        )
    return Call(
        call=name,
        session=session,
        key=key,
        role=Role(role),
        phase=Phase(phase),
        state=state,
        sent_at=sent_at,
        seconds=seconds,
        completion=answer,
        error=None if error is None else loads(CallError, error),
    )


def edit(cells: Cells) -> EditJudged:
    """A row of `edits`."""
    number, outcome, reason, mended, tried, broke, body = cells[0], *cells[6:]
    return EditJudged(
        round=number,
        edit=loads(Edit, body),
        outcome=outcome,
        reason=reason,
        mended=mended,
        tried=tried,
        broke=loads(STRINGS, broke),
    )


def trial(cells: Cells) -> Trial:
    """A row of `trials`."""
    number_of_round, number, fingerprint, rows, score, gain, partial, reason, choices = cells
    return Trial(
        round=number_of_round,
        number=number,
        choices=loads(CHOICES, choices),
        candidate=fingerprint,
        rows=rows,
        score=score,
        gain=gain,
        partial=bool(partial),
        reason=reason,
    )


def decision(cells: Cells, seq: int) -> Decision:
    """A row of `decisions`."""
    kind, number, reason, figures, at = cells
    decided = Decided(kind=kind, round=number, reason=reason, figures=loads(FIGURES, figures))
    return Decision(seq=seq, at=at, decided=decided)


def line(cells: Cells) -> LineWorth:
    """A row of `lines`."""
    name, text, change, worth, low, high, label, cluster, tokens, fixed, broken, raw, rows, other = cells
    return LineWorth(
        id=name,
        text=text,
        change=change,
        worth=worth,
        ci=None if low is None or high is None else (low, high),
        label=label,
        cluster=cluster,
        tokens=tokens,
        fixed=loads(STRINGS, fixed),
        broken=loads(STRINGS, broken),
        raw=raw,
        rows=rows,
        with_line=other,
    )


def outcome(cells: Cells) -> Outcome:
    """The row of `outcome`."""
    found: Outcome = loads(Outcome, cells[3])
    return found
