"""Figures over results that SQL adds up: flips, means, clusters before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optimizer.dataset import Split
from optimizer.errors import ErrorKind
from optimizer.lifecycle import Sighting, Stage, lives, since_found
from optimizer.store.by_cause import Breaks, Cause, breaks, causes
from optimizer.store.codec import loads
from optimizer.store.reader import RunReader
from optimizer.store.records import STRINGS


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
class InRound:
    """A cause in one round."""

    round: int
    """1 for the first."""
    rows: int
    """Members: rows found to fail for this cause, of those that the round asked, where `before` and `after` count those
    that fail for any."""
    stage: Stage
    """What had become of it since the round before."""


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
    ids: tuple[str, ...] = ()
    """Ids that it had in later rounds, its first one left out."""
    history: tuple[InRound, ...] = ()
    """Each round from the one on in which it was found."""
    stage: Stage = Stage.OPEN
    """What has become of it since it was found, under the winner; of rows that it was not run on, open or new alone
    are told, by the last round."""
    for_it: tuple[str, ...] = ()
    """Members that fail under the winner for this very cause; the other failing ones fail for something else."""
    new: tuple[str, ...] = ()
    """Rows of train that passed under the seed, are no members, and fail under the winner for this cause."""

    @property
    def found(self) -> int:
        """Rows that failed for this cause when it was found."""
        return self.history[0].rows if self.history else self.before

    @property
    def now(self) -> int | None:
        """Rows that fail for this cause under the winner; None where a member is not known."""
        return None if self.unknown else len(self.for_it) + len(self.new)

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
    found: dict[Split, tuple[int, list[str], list[str]]] = {}
    for name, example, was, now in reader.query(_FLIPPED, before, after):
        rows, fixed, broken = found.get(Split(name), (0, [], []))
        if was != now:
            (fixed if now else broken).append(example)
        found[Split(name)] = (rows + 1, fixed, broken)
    return {
        split: Flips(fixed=tuple(sorted(fixed)), broken=tuple(sorted(broken)), rows=rows)
        for split, (rows, fixed, broken) in sorted(found.items())
    }


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
    """Every cause of the run with its members before and after; the one with most failures before comes first."""
    rounds = reader.query("SELECT round, candidate FROM clusterings ORDER BY round")
    found, sightings = _sightings(reader, [number for number, _ in rounds])
    known = {
        (example, candidate): bool(passed)
        for candidate in dict.fromkeys((seed, winner))
        for example, passed in reader.query(_PASSED, candidate)
    }
    ways, failing = causes(reader), breaks(reader, winner)
    passed = _passing(reader, seed) if seed != winner else frozenset()
    changes = []
    for life in lives(sightings):
        label, number, share = found[life.id]
        rows = tuple(
            ClusterRow(example=row, before=known.get((row, seed)), after=known.get((row, winner)))
            for row in sorted(frozenset().union(*(seen.rows for seen in life.sightings if seen)))
        )
        history = tuple(
            InRound(round=at, rows=size, stage=stage)
            for (at, _), size, stage in zip(rounds, life.sizes, life.stages, strict=True)
            if stage
        )
        change = ClusterChange(
            id=life.id, label=label, round=number, share=share, rows=rows, ids=life.ids[1:], history=history
        )
        change = _by_cause(change, _all_ways(ways, life.ids), failing, passed)
        # The last round may have been before the last change of the prompt.
        sizes = _until_now(life.sizes, change.now, same=rounds[-1][1] == winner)
        changes.append(replace(change, stage=_known(since_found(sizes), change.now)))
    return tuple(sorted(changes, key=lambda change: (-change.before, change.round, -change.share, change.id)))


def _by_cause(change: ClusterChange, cause: Cause, failing: Breaks, passed: frozenset[str]) -> ClusterChange:
    """The change with the rows that fail for this cause."""
    members = frozenset(row.example for row in change.rows)
    return replace(
        change,
        for_it=tuple(sorted(failing.of(cause, members))),
        new=tuple(sorted(failing.others(cause, members, passed & failing.rows.keys()))),
    )


def _all_ways(causes: Mapping[str, Cause], ids: Sequence[str]) -> Cause:
    """How a cause broke under all ids that it had."""
    known = [causes[name] for name in ids if name in causes]
    return Cause(
        ways=set().union(*(cause.ways for cause in known)), wanted=set().union(*(cause.wanted for cause in known))
    )


def _passing(reader: RunReader, candidate: str) -> frozenset[str]:
    rows = reader.query("SELECT example FROM results WHERE candidate = ? AND split = 'train' AND passed = 1", candidate)
    return frozenset(str(row) for (row,) in rows)


def _sightings(
    reader: RunReader, rounds: Sequence[int]
) -> tuple[dict[str, tuple[str, int, float]], list[list[Sighting]]]:
    """Cluster id -> label, round and share as it was found first; and the clusters of each round."""
    members: dict[tuple[int, str], set[str]] = defaultdict(set)
    for number, name, example in reader.query("SELECT round, cluster, example FROM members"):
        members[number, name].add(example)
    first: dict[str, tuple[str, int, float]] = {}
    seen: dict[int, list[Sighting]] = {number: [] for number in rounds}
    for number, name, label, share, place, wanted in reader.query(_CLUSTERS):
        # As it was found first: of what is left in a later round, fewer values would be named.
        first.setdefault(name, (label, number, share))
        seen[number].append(
            Sighting(
                id=name,
                rows=frozenset(members[number, name]),
                place=place,
                wanted=loads(STRINGS, wanted),
                label=label,
            )
        )
    return first, list(seen.values())


def _until_now(sizes: tuple[int, ...], now: int | None, *, same: bool) -> tuple[int, ...]:
    """Rows in each round and under the winner; `same` where the last round looked at the winner itself."""
    if now is None:
        return sizes
    return (*sizes[:-1], now) if same else (*sizes, now)


def _known(stage: Stage, now: int | None) -> Stage:
    """What may be said: a round asks some of the rows alone, so that none found there is none mended."""
    return Stage.UNKNOWN if now is None and stage in (Stage.FIXED, Stage.SHRUNK) else stage


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


def per_call(reader: RunReader, candidate: str, other: str) -> tuple[PerCall, PerCall]:
    """What one call of each of two candidates takes, on the rows where both answered, so that the two compare."""
    rows = reader.query(_ANSWERED, candidate, other)
    return _per_call([row[:4] for row in rows]), _per_call([row[4:] for row in rows])


def _per_call(rows: Sequence[tuple[Any, ...]]) -> PerCall:
    """Means over rows of (input tokens, output tokens, dollars, seconds)."""
    calls = len(rows)
    if not calls:
        return PerCall()
    inputs, outputs, prices, seconds = zip(*rows, strict=True)
    counted = any(inputs)
    return PerCall(
        calls=calls,
        input_tokens=sum(inputs) / calls if counted else None,
        output_tokens=sum(outputs) / calls if counted else None,
        usd=None if None in prices else sum(prices) / calls,
        seconds_p95=sorted(seconds)[min(int(calls * 0.95), calls - 1)],
    )


_BOTH = "FROM results a JOIN results b ON b.example = a.example WHERE a.candidate = ? AND b.candidate = ? "
_FLIPPED = f"SELECT a.split, a.example, a.passed, b.passed {_BOTH}AND a.error IS NULL AND b.error IS NULL"
_ANSWERED = (
    "SELECT a.input_tokens, a.output_tokens, a.cost, a.latency, b.input_tokens, b.output_tokens, b.cost, b.latency "
    f"{_BOTH}AND a.input_tokens IS NOT NULL AND b.input_tokens IS NOT NULL"
)
_CLUSTERS = "SELECT round, id, label, share, place, wanted FROM clusters ORDER BY round, position"
_PASSED = """
SELECT r.example, r.passed FROM results r
WHERE r.candidate = ? AND r.error IS NULL AND r.example IN (SELECT example FROM members)
"""
