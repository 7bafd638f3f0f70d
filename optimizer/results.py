"""What comes back: completions, scores, results, evaluations. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optimizer.errors import ErrorKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens of one call, as the provider counts them."""

    input_tokens: int = 0
    """Prompt tokens."""
    output_tokens: int = 0
    """Completion tokens, reasoning included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """One answer of a model."""

    text: str
    """The answer; never empty."""
    usage: Usage = field(default_factory=Usage)
    """Tokens."""
    cost: float | None = None
    """US dollars at list price; None where the price is unknown."""
    latency: float = 0.0
    """Seconds from sending to the last byte; of the original call where `cached`."""
    cached: bool = False
    """True where no request was sent for it."""
    finish_reason: str = "stop"
    """The provider's word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallError:
    """Why a row has no output: data only, fit for a file."""

    kind: ErrorKind
    """What went wrong."""
    message: str
    """One line."""
    status: int | None = None
    """HTTP status, where there was one."""
    attempts: int = 1
    """Attempts made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What one metric says of one output."""

    metric: str
    """Key of the metric in this eval set: `contains`, `not-contains: Romeo`, `json-field: sentiment`."""
    value: float
    """In [0, 1]; 1 is best."""
    passed: bool
    """value >= threshold."""
    reason: str = ""
    """Why it failed, in words that a person understands; empty where it passed."""
    place: str = ""
    """Where the expectation broke: `text`, `format`, `$.sentiment`, `length`."""
    wanted: str | None = None
    """The expected value at that place, where there is one."""
    got: str | None = None
    """The value found there."""
    weight: float = 1.0
    """Share in the row's score; 0 reports only, and fails no row."""
    required: bool = True
    """Whether the row can pass without it."""
    version: str = "1"
    """Version of the metric's code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One example under one candidate: an output with scores, or an error. An error has no score."""

    example: str
    """Example id."""
    candidate: str
    """Fingerprint of the prompt, or of whatever the target runs."""
    completion: Completion | None = None
    """The output; None where there is an error."""
    scores: tuple[Score, ...] = ()
    """One a metric; empty where there is an error."""
    error: CallError | None = None
    """Why there is no score."""
    trace: tuple[Mapping[str, Any], ...] = ()
    """What the target chose to tell: steps of a program."""

    @property
    def score(self) -> float | None:
        """Weighted mean of the scores in [0, 1]; None for an error."""
        if self.error is not None:
            return None
        total = sum(score.weight for score in self.scores)
        return sum(score.weight * score.value for score in self.scores) / total if total else 1.0

    @property
    def passed(self) -> bool:
        """True where every required metric passed that has a weight."""
        return self.error is None and all(score.passed for score in self.scores if score.required and score.weight > 0)

    @property
    def output(self) -> str:
        """The text, or empty for an error."""
        return self.completion.text if self.completion else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Results of one candidate on one set of rows: a view; its numbers are derived."""

    candidate: str
    """Fingerprint."""
    results: Mapping[str, Result]
    """Example id -> result."""

    @property
    def scored(self) -> dict[str, float]:
        """Example id -> score, errors left out."""
        return {key: result.score for key, result in self.results.items() if result.score is not None}

    @property
    def mean(self) -> float | None:
        """Mean row score in [0, 1] over rows that ran; None where none did."""
        values = list(self.scored.values())
        return sum(values) / len(values) if values else None

    @property
    def errors(self) -> tuple[Result, ...]:
        """Results that are errors."""
        return tuple(result for result in self.results.values() if result.error is not None)

    @property
    def failures(self) -> tuple[Result, ...]:
        """Results that ran and did not pass."""
        return tuple(r for r in self.results.values() if r.error is None and not r.passed)

    def only(self, ids: Sequence[str]) -> Evaluation:
        """The same, for some rows."""
        return Evaluation(candidate=self.candidate, results={i: self.results[i] for i in ids if i in self.results})
