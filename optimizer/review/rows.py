"""Rows of one side as SQL gives them: no output is read, so that any number of rows is read fast."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.dataset import Split
from optimizer.errors import ErrorKind
from optimizer.results import CallError, Evaluation, Result, Score
from optimizer.store.codec import loads
from optimizer.store.reader import RunReader
from optimizer.store.records import STRINGS


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What one metric said of a row."""

    metric: str
    """Its key."""
    value: float
    """In [0, 1]."""
    passed: bool
    """Whether it passed."""
    reason: str
    """Why not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row under one prompt."""

    id: str
    """Row id."""
    split: Split
    """Its split in that run."""
    hash: str
    """Of its content in that run."""
    tags: tuple[str, ...]
    """Its tags."""
    group: str | None
    """Its group."""
    passed: bool
    """Whether all that is required passed."""
    score: float | None
    """In [0, 1]; None for an error."""
    error: str
    """Kind of the error; empty for none."""
    tokens: tuple[int, int] | None
    """Prompt and completion tokens; None where nothing came back."""
    usd: float | None
    """US dollars; None where unknown."""
    seconds: float | None
    """Latency; None where nothing came back."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Metric -> what it said."""

    @property
    def thin(self) -> Result:
        """The same for the statistics, which ask for score and passing alone."""
        if self.score is None:
            return Result(example=self.id, candidate="", error=CallError(kind=ErrorKind.MALFORMED, message=self.error))
        return Result(example=self.id, candidate="", scores=(Score(metric="", value=self.score, passed=self.passed),))


def evaluation(rows: Iterable[Row], candidate: str) -> Evaluation:
    """Rows as an evaluation."""
    return Evaluation(candidate=candidate, results={row.id: row.thin for row in rows})


def read(reader: RunReader, candidate: str) -> dict[str, Row]:
    """Row id -> the row under a candidate, for all rows that a run has results of."""
    return {cells[0]: _row(cells) for cells in reader.query(_ROWS, candidate)}


def contents(reader: RunReader) -> dict[str, tuple[str, str]]:
    """Row id -> split and hash of its content, for all rows of a run."""
    return {row: (split, told) for row, split, told in reader.query("SELECT id, split, hash FROM examples")}


_ROWS = """
SELECT r.example, r.split, e.hash, e.tags, json_extract(e.body, '$.group'), r.passed, r.score,
    json_extract(r.error, '$.kind'), r.input_tokens, r.output_tokens, r.cost, r.latency, r.scores
FROM results r JOIN examples e ON e.id = r.example WHERE r.candidate = ?
"""


@functools.cache
def _tags(text: str) -> tuple[str, ...]:
    """Few sets of tags stand on many rows."""
    found: tuple[str, ...] = loads(STRINGS, text)
    return found


def _row(cells: tuple[Any, ...]) -> Row:
    name, split, told, tags, group, passed, score, error, inputs, outputs, usd, seconds, scores = cells
    return Row(
        id=name,
        split=Split(split),
        hash=told,
        tags=_tags(tags) if tags else (),
        group=group,
        passed=bool(passed),
        score=score,
        error=error or "",
        tokens=None if inputs is None else (inputs, outputs),
        usd=usd,
        seconds=seconds,
        checks={
            one["metric"]: Check(
                metric=one["metric"], value=one["value"], passed=one["passed"], reason=one.get("reason", "")
            )
            for one in json.loads(scores)
        },
    )
