"""Figures over results that SQL adds up: flips, means, clusters before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.dataset import Split
from optimizer.errors import ErrorKind
from optimizer.store.reader import RunReader


@dataclass(frozen=True, kw_only=True, slots=True)
class Flips:
    """Rows that came out otherwise under a second candidate. Rows with an error on either side are left out."""

    fixed: tuple[str, ...] = ()
    """Failed under the first, pass under the second."""
    broken: tuple[str, ...] = ()
    """Passed under the first, fail under the second."""
    rows: int = 0
    """Rows that ran under both."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateScore:
    """One candidate on one split."""

    candidate: str
    """Fingerprint."""
    split: Split
    """The split."""
    rows: int
    """Rows that ran."""
    passed: int
    """Rows that passed."""
    score: float | None
    """Mean score in [0, 1]; None where no row ran."""
    errors: int
    """Rows with an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterRow:
    """One member of a cluster, before and after."""

    example: str
    """Row id."""
    before: bool | None
    """Whether it passed under the seed; None where that is not known."""
    after: bool | None
    """Whether it passes under the winner; None where that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterChange:
    """A cause of failures, before and after."""

    id: str
    """Cluster id."""
    label: str
    """The cause, in words, as it was found first."""
    round: int
    """Round in which it was found first."""
    share: float
    """Part of the lost score in that round, in [0, 1]."""
    rows: tuple[ClusterRow, ...]
    """Every row that was a member in any round."""

    @property
    def before(self) -> int:
        """Members that failed under the seed."""
        return sum(row.before is False for row in self.rows)

    @property
    def failing(self) -> int:
        """Members that are known to fail under the winner."""
        return sum(row.after is False for row in self.rows)

    @property
    def unknown(self) -> int:
        """Members that have no score under the winner."""
        return sum(row.after is None for row in self.rows)

    @property
    def after(self) -> int | None:
        """Members that fail under the winner; None where one of them is not known."""
        return None if self.unknown else self.failing


@dataclass(frozen=True, kw_only=True, slots=True)
class RowError:
    """A row without a score."""

    example: str
    """Row id."""
    split: Split
    """Its split."""
    candidate: str
    """Fingerprint."""
    kind: ErrorKind
    """What went wrong."""
    message: str
    """One line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PerCall:
    """What one call of a candidate takes, on average."""

    calls: int = 0
    """Outputs that it was measured on."""
    input_tokens: float | None = None
    """As the provider counts; None where nothing was counted."""
    output_tokens: float | None = None
    """As the provider counts."""
    usd: float | None = None
    """None where a price is unknown."""
    seconds_p95: float | None = field(default=None)
    """95 of 100 calls took less."""


def flips(reader: RunReader, before: str, after: str) -> Mapping[Split, Flips]:
    """Rows that flipped between two candidates, by split; only splits with rows that ran under both."""
    ran = _BOTH + "AND a.error IS NULL AND b.error IS NULL"
    counts = reader.query(f"SELECT a.split, COUNT(*) {ran} GROUP BY a.split", before, after)
    changed = reader.query(f"SELECT a.split, a.example, b.passed {ran} AND a.passed <> b.passed", before, after)
    found = {}
    for split, rows in counts:
        fixed = sorted(example for name, example, passed in changed if name == split and passed)
        broken = sorted(example for name, example, passed in changed if name == split and not passed)
        found[Split(split)] = Flips(fixed=tuple(fixed), broken=tuple(broken), rows=rows)
    return found


def scores(reader: RunReader) -> tuple[CandidateScore, ...]:
    """Every candidate on every split that it ran on, in the order in which they were first scored."""
    rows = reader.query(
        "SELECT candidate, split, COUNT(score), SUM(passed), AVG(score), COUNT(*) - COUNT(score) "
        "FROM results GROUP BY candidate, split ORDER BY MIN(seq)"
    )
    return tuple(
        CandidateScore(candidate=name, split=Split(split), rows=ran, passed=passed, score=score, errors=errors)
        for name, split, ran, passed, score, errors in rows
    )


def cluster_changes(reader: RunReader, seed: str, winner: str) -> tuple[ClusterChange, ...]:
    """Every cluster of the run with its members before and after; the one with most failures before comes first."""
    known: dict[str, tuple[str, int, float]] = {}
    for name, label, number, share in reader.query("SELECT id, label, round, share FROM clusters ORDER BY round"):
        # As it was found first: of what is left in a later round, fewer values would be named.
        known.setdefault(name, (label, number, share))
    rows: dict[str, list[ClusterRow]] = {}
    for cluster, example, before, after in reader.query(_MEMBERS, seed, winner):
        row = ClusterRow(example=example, before=_passed(before), after=_passed(after))
        rows.setdefault(cluster, []).append(row)
    changes = [
        ClusterChange(id=name, label=label, round=number, share=share, rows=tuple(rows.get(name, ())))
        for name, (label, number, share) in known.items()
    ]
    return tuple(sorted(changes, key=lambda change: (-change.before, change.round, -change.share, change.id)))


def row_errors(reader: RunReader, *candidates: str) -> tuple[RowError, ...]:
    """Rows without a score under these candidates."""
    marks = ", ".join("?" * len(candidates))
    rows = reader.query(
        "SELECT example, split, candidate, json_extract(error, '$.kind'), json_extract(error, '$.message') "
        f"FROM results WHERE candidate IN ({marks}) AND score IS NULL ORDER BY candidate, example",
        *candidates,
    )
    return tuple(
        RowError(example=example, split=Split(split), candidate=candidate, kind=ErrorKind(kind), message=message)
        for example, split, candidate, kind, message in rows
    )


def per_call(reader: RunReader, candidate: str, other: str) -> PerCall:
    """What one call of a candidate takes, on the rows that ran under `other` too, so that the two compare."""
    calls, inputs, outputs, usd, priced = reader.query(
        "SELECT COUNT(a.output), AVG(a.input_tokens), AVG(a.output_tokens), AVG(a.cost), COUNT(a.cost) "
        f"{_BOTH} AND a.output IS NOT NULL AND b.output IS NOT NULL",
        candidate,
        other,
    )[0]
    if not calls:
        return PerCall()
    slow = reader.query(
        f"SELECT a.latency {_BOTH} AND a.output IS NOT NULL AND b.output IS NOT NULL "
        "ORDER BY a.latency LIMIT 1 OFFSET ?",
        candidate,
        other,
        min(int(calls * 0.95), calls - 1),
    )
    counted = bool(inputs)
    return PerCall(
        calls=calls,
        input_tokens=inputs if counted else None,
        output_tokens=outputs if counted else None,
        usd=usd if priced == calls else None,
        seconds_p95=slow[0][0],
    )


def _passed(value: int | None) -> bool | None:
    return None if value is None else bool(value)


_BOTH = "FROM results a JOIN results b ON b.example = a.example WHERE a.candidate = ? AND b.candidate = ? "
_MEMBERS = """
SELECT m.cluster, m.example, a.passed, b.passed
FROM (SELECT DISTINCT cluster, example FROM members) m
LEFT JOIN results a ON a.candidate = ? AND a.example = m.example AND a.error IS NULL
LEFT JOIN results b ON b.candidate = ? AND b.example = m.example AND b.error IS NULL
ORDER BY m.cluster, m.example
"""
