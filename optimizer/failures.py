"""Failures and the clusters that name their causes. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optimizer.dataset import Example
from optimizer.results import Result, Score


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A result that ran and was wrong, beside its example."""

    example: Example
    """The row."""
    result: Result
    """What came back."""

    @property
    def id(self) -> str:
        """Id of the row."""
        return self.example.id

    @property
    def failed(self) -> tuple[Score, ...]:
        """The scores that did not pass."""
        return tuple(score for score in self.result.scores if not score.passed)

    @property
    def lost(self) -> float:
        """Score lost on this row, in [0, 1]."""
        return 1.0 - (self.result.score or 0.0)


class Kept(Failure):
    """A failure of which only the id is in memory; row and result are looked up at every use."""

    __slots__ = ("_examples", "_results", "_row")
    _row: str
    _examples: Mapping[str, Example]
    _results: Mapping[str, Result]

    def __init__(self, row: str, examples: Mapping[str, Example], results: Mapping[str, Result]) -> None:
        for name, value in (("_row", row), ("_examples", examples), ("_results", results)):
            object.__setattr__(self, name, value)

    @property
    def id(self) -> str:
        """Id of the row."""
        return self._row

    @property
    def example(self) -> Example:
        """The row."""
        return self._examples[self._row]

    @property
    def result(self) -> Result:
        """What came back."""
        return self._results[self._row]

    def __reduce__(self) -> tuple[Any, ...]:
        return _failure, (self.example, self.result)


def _failure(example: Example, result: Result) -> Failure:
    return Failure(example=example, result=result)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Failures with one cause. A failure with two causes sits in two clusters."""

    id: str
    """`c` and 6 hex digits of the cause's signature: the same cause has the same id in every round."""
    label: str
    """The cause, in words made without a model call."""
    members: tuple[Failure, ...]
    """At least one, ordered by lost score, then id."""
    share: float
    """Part of all lost score that its members' failing metrics account for, in [0, 1]."""
    metrics: tuple[str, ...] = ()
    """Keys of the metrics whose failures make it up: an edit mends a member when one of these rises."""
    place: str = ""
    """Where the expectation broke."""
    wanted: tuple[str, ...] = ()
    """Expected values at that place, most frequent first, at most 40."""
    got: tuple[str, ...] = ()
    """Values found there instead, in the same order of frequency."""
    terms: tuple[str, ...] = ()
    """Input terms tied to it, strongest first."""
    evidence: tuple[str, ...] = ()
    """Up to three reasons of members, as the metrics gave them."""
