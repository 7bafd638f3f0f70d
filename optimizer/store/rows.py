"""Events to rows: what each event writes, as SQL statements in order."""

from __future__ import annotations

import functools
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimizer.dataset import EvalSet, Example
from optimizer.edits import Edit
from optimizer.events import (
    CallEnded,
    CallSaved,
    CallSent,
    CandidateMade,
    ClustersFound,
    Decided,
    EditJudged,
    Event,
    LinePriced,
    ResultKnown,
    RunEnded,
    TrialEnded,
)
from optimizer.failures import Failure
from optimizer.outcome import Outcome
from optimizer.prompt import Prompt
from optimizer.redaction import Scrubber
from optimizer.results import CallError, Completion, Result, Score
from optimizer.store import records, schema
from optimizer.store.codec import dumps
from optimizer.store.meta import content_hash
from optimizer.store.records import CHOICES, EDITS, FIGURES, SCORES, STRINGS, TRACE
from optimizer.store.schema import Cell, Statement

Work = Statement | Callable[[sqlite3.Connection], Iterable[Statement]]
"""A statement, or what finds its statements in the file at the moment when it is written."""
_MOST_SAID = 256
SENT, ANSWERED, FAILED, SAVED, LOST = "sent", "answered", "failed", "saved", "lost in kill"
"""States of a call. All but `saved` were sent, and count as billed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenCall:
    """An attempt that was sent and has not ended."""

    sent: CallSent
    """What was sent."""
    at: float
    """Unix time."""
    clock: float
    """Monotonic seconds, for the duration."""


@dataclass(slots=True)
class Rows:
    """Turns the events of one session into statements. Everything is scrubbed here, once."""

    scrubber: Scrubber
    """Keeps secrets out."""
    session: int
    """1 for the first process that wrote this run."""
    open: dict[str, OpenCall] = field(default_factory=dict)
    """Attempts under way, by id."""
    saved: int = 0
    """Requests that were answered without sending."""
    said: dict[tuple[Score, ...], str] = field(default_factory=dict)
    """Scores as they were written before: most rows have those of another one."""

    def of(self, event: Event, at: float, clock: float) -> list[Work]:
        """Statements of one event that happened at Unix time `at` and monotonic time `clock`.

        Raises ValueError for a call that ended and was never sent.
        """
        # Found by its type: `_statements` itself takes as long to find it as it takes to tell.
        return _statements.registry.get(type(event), _statements)(event, self, at, clock)

    def json(self, hint: Any, value: object) -> str:
        """Scrubbed JSON text."""
        return self.scrubber.json(dumps(hint, value))

    def scores(self, scores: tuple[Score, ...]) -> str:
        """The scores of a row, as JSON."""
        said = self.said.get(scores)
        if said is None:
            said = self.json(SCORES, scores)
            if len(self.said) < _MOST_SAID:
                self.said[scores] = said
        return said

    def text(self, value: str) -> str:
        """Scrubbed text."""
        return self.scrubber.text(value)

    def maybe(self, value: str | None) -> str | None:
        """Scrubbed text, or None."""
        return None if value is None else self.scrubber.text(value)

    def example(self, example: Example, position: int, split: str) -> Statement:
        """One row of the eval set."""
        body = self.json(Example, example)
        tags = self.json(STRINGS, example.tags)
        return schema.EXAMPLES.insert(position, self.text(example.id), split, content_hash(example), tags, body)

    def examples(self, evalset: EvalSet) -> list[Statement]:
        """All rows of the eval set, in file order."""
        return [
            self.example(row, position, evalset.splits[row.id].value) for position, row in enumerate(evalset.examples)
        ]

    def completion(self, key: str, completion: Completion, *, usable: bool = True) -> Statement:
        """What came back for one request; `usable` where it is an answer."""
        text = self.text(completion.text)
        tokens = (completion.usage.input_tokens, completion.usage.output_tokens)
        rest = (real(completion.cost), float(completion.latency), completion.finish_reason)
        reusable = usable and text == completion.text
        return schema.COMPLETIONS.insert(key, digest(completion.text), text, *tokens, *rest, int(reusable))

    def call(self, head: Sequence[Cell], completion: Completion | None, error: CallError | None) -> Statement:
        """One attempt: `head` is everything up to and including its duration."""
        body = None if error is None else self.json(CallError, error)
        kind = None if error is None else error.kind.value
        if completion is None:
            return schema.CALLS.insert(*head, None, None, None, None, None, None, 0, kind, body)
        figures = (completion.usage.input_tokens, completion.usage.output_tokens, real(completion.cost))
        rest = (float(completion.latency), completion.finish_reason, digest(completion.text))
        return schema.CALLS.insert(*head, *figures, *rest, int(completion.cached), kind, body)


def real(value: float | None) -> float | None:
    """A float column: whole numbers too are floats, so that the checksum is the same when read back."""
    return None if value is None else float(value)


def digest(text: str) -> str:
    """16 hex digits that tell one answer to a request from another one."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@functools.singledispatch
def _statements(event: Any, rows: Rows, at: float, clock: float) -> list[Work]:
    return []  # Progress is for the live display alone.


@_statements.register
def _(event: CallSent, rows: Rows, at: float, clock: float) -> list[Work]:
    rows.open[event.call] = OpenCall(sent=event, at=at, clock=clock)
    head = (rows.session, event.call, event.key, event.role.value, event.phase.value, SENT, at, None)
    return [rows.call(head, None, None)]


@_statements.register
def _(event: CallEnded, rows: Rows, at: float, clock: float) -> list[Work]:
    begun = rows.open.pop(event.call, None)
    if begun is None:
        raise ValueError(f"call {event.call} ended, but no CallSent was recorded for it in this session")
    sent = begun.sent
    state = ANSWERED if event.error is None else FAILED
    head = (rows.session, event.call, sent.key, sent.role.value, sent.phase.value, state, begun.at, clock - begun.clock)
    statements: list[Work] = [rows.call(head, event.completion, event.error)]
    if event.completion is not None:
        statements.append(rows.completion(sent.key, event.completion, usable=event.error is None))
    return statements


@_statements.register
def _(event: CallSaved, rows: Rows, at: float, clock: float) -> list[Work]:
    rows.saved += 1
    head = (rows.session, f"saved-{rows.saved}", event.key, event.role.value, event.phase.value, SAVED, at, None)
    return [
        rows.call(head, event.completion, None),
        rows.completion(event.key, event.completion),
    ]


@_statements.register
def _(event: CandidateMade, rows: Rows, at: float, clock: float) -> list[Work]:
    prompt = event.prompt
    head = (prompt.fingerprint, prompt.name, prompt.version, event.round, rows.text(event.origin), event.parent)
    return [schema.PROMPTS.insert(*head, rows.json(EDITS, event.edits), rows.json(Prompt, prompt), at)]


@_statements.register
def _(event: ResultKnown, rows: Rows, at: float, clock: float) -> list[Work]:
    result, completion = event.result, event.result.completion
    figures: tuple[Cell, ...] = (None, None, None, None, None, None, None)
    if completion is not None:
        usage = (completion.usage.input_tokens, completion.usage.output_tokens, real(completion.cost))
        rest = (float(completion.latency), int(completion.cached), completion.finish_reason)
        figures = (*usage, *rest, rows.text(completion.text))
    error = None if result.error is None else rows.json(CallError, result.error)
    trace = rows.json(TRACE, result.trace) if result.trace else "[]"
    head = (result.candidate, rows.text(result.example), event.split.value, event.phase.value, event.round)
    score = (int(result.passed), real(result.score))
    return [schema.RESULTS.insert(*head, *score, *figures, rows.scores(result.scores), error, trace)]


@_statements.register
def _(event: ClustersFound, rows: Rows, at: float, clock: float) -> list[Work]:
    gone = [f"DELETE FROM {table} WHERE round = ?" for table in ("members", "clusters", "clusterings")]
    statements: list[Work] = [(sql, (event.round,)) for sql in gone]
    statements.append(schema.CLUSTERINGS.insert(event.round, event.candidate))
    for position, cluster in enumerate(event.clusters):
        lists = (cluster.wanted, cluster.got, cluster.terms, cluster.evidence)
        texts = tuple(rows.json(STRINGS, values) for values in lists)
        head = (event.round, position, cluster.id, rows.text(cluster.label), float(cluster.share), cluster.place)
        statements.append(schema.CLUSTERS.insert(*head, *texts))
        statements.append(functools.partial(_members, rows, (event.round, cluster.id), cluster.members))
    return statements


def _members(
    rows: Rows, head: tuple[Cell, ...], members: Sequence[Failure], db: sqlite3.Connection
) -> Iterable[Statement]:
    """Members point to the row and the result that the file has; only what it lacks is written out."""
    for place, failure in enumerate(members):
        example, result = failure.example, failure.result
        body = rows.json(Example, example)
        known = db.execute("SELECT body FROM examples WHERE id = ?", (rows.text(example.id),)).fetchone()
        found = db.execute(
            schema.RESULTS.select("WHERE candidate = ? AND example = ?"), (result.candidate, rows.text(example.id))
        ).fetchone()
        same = found is not None and records.result(found[:-1]) == result
        row = None if known is not None and known[0] == body else body
        inline = None if same else rows.json(Result, result)
        yield schema.MEMBERS.insert(*head, place, rows.text(example.id), row, inline)


@_statements.register
def _(event: EditJudged, rows: Rows, at: float, clock: float) -> list[Work]:
    edit = event.edit
    kind = (edit.op.value, edit.slot, rows.text(edit.source), rows.text(event.outcome), rows.text(event.reason))
    broke = rows.json(STRINGS, event.broke)
    head = (event.round, edit.id, edit.cluster)
    return [schema.EDITS.insert(*head, *kind, event.mended, event.tried, broke, rows.json(Edit, edit))]


@_statements.register
def _(event: TrialEnded, rows: Rows, at: float, clock: float) -> list[Work]:
    trial = event.trial
    figures = (trial.rows, real(trial.score), real(trial.gain), int(trial.partial), rows.text(trial.reason))
    choices = rows.json(CHOICES, trial.choices)
    return [schema.TRIALS.insert(trial.round, trial.number, trial.candidate, *figures, choices)]


@_statements.register
def _(event: Decided, rows: Rows, at: float, clock: float) -> list[Work]:
    figures = rows.json(FIGURES, event.figures)
    return [schema.DECISIONS.insert(rows.text(event.kind), event.round, rows.text(event.reason), figures, at)]


@_statements.register
def _(event: LinePriced, rows: Rows, at: float, clock: float) -> list[Work]:
    worth = event.worth
    low, high = (None, None) if worth.ci is None else worth.ci
    figures = (real(worth.worth), real(low), real(high), worth.label, rows.text(worth.cluster), worth.tokens)
    flips = (rows.json(STRINGS, worth.fixed), rows.json(STRINGS, worth.broken))
    judged = (real(worth.raw), worth.rows, worth.with_line)
    return [schema.LINES.insert(worth.id, rows.text(worth.text), worth.change, *figures, *flips, *judged)]


@_statements.register
def _(event: RunEnded, rows: Rows, at: float, clock: float) -> list[Work]:
    outcome = event.outcome
    body = rows.json(Outcome, outcome)
    return [schema.OUTCOME.insert(1, outcome.verdict.value, rows.text(outcome.reason), body, at)]
