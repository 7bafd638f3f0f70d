"""On which rows a line can be seen to matter: of its own cluster, with a value that it names, and the rest. Pure.

The strata say where to look first. They take no part in what is seen: whatever they hold, means of each that count
by its share of all rows give a mean over all rows. A row that the line's proposer was shown counts in the shares, and
is never asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from optimizer.attribute.posterior import CLUSTER, FAILED, NAMED, OTHERS
from optimizer.dataset import Example
from optimizer.results import Result

Key = tuple[str, str, str | None]
"""Metric, place and wanted value of a break."""
Aim = tuple[frozenset[str], frozenset[str]]
"""Train rows whose failures a line was proposed for, and rows that it mended."""
LONGEST_VALUE = 60
"""A wanted value of more characters is a text, and no line names it."""
COMMON = 0.5
"""A value of more than this part of the rows tells no rows apart."""
COVERED = 0.8
"""Part of a line's rows that the breaks of its cluster must account for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stratum:
    """Rows that are alike for one line."""

    name: str
    """`cluster`, `failed`, `named` or `others`."""
    share: float
    """Of all rows, those that may not judge included."""
    of: int
    """All rows."""
    rows: tuple[Example, ...]
    """Those that may judge, in the order in which they are asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """The rows as they are for one line."""

    strata: tuple[Stratum, ...]
    """Cluster, failed, named, others."""
    metrics: frozenset[str]
    """What the line is about; empty where that is not known, or is all of them."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is known of the rows before any line is left out."""

    rows: tuple[Example, ...]
    """Val and train, in the order in which rows are asked."""
    before: Mapping[str, Result]
    """Row -> result of the run's first prompt."""
    after: Mapping[str, Result]
    """Row -> result of the winner, or of a near relative."""

    def cut(self, texts: Sequence[str], aims: Sequence[Aim], shown: Collection[str]) -> Cut:
        """Cut the rows for some lines that are left out together.

        Args:
            texts: the lines.
            aims: what each of them was proposed for.
            shown: rows that may not judge them.

        Where a line has neither a cluster nor a value that it names, the rows that differ between the run's first
        prompt and the winner stand for its cluster.
        """
        own, about = self._kin(aims)
        named, metrics = self._named(texts)
        if not own | named:
            own = {row.id for row in self.rows if self._changed(row.id)}
        named -= own
        failed = {row for row in named if self._fails(row)}
        rest = {row.id for row in self.rows} - own - named
        parts = {CLUSTER: own, FAILED: failed, NAMED: named - failed, OTHERS: rest}
        strata = tuple(
            Stratum(
                name=name,
                share=len(ids) / len(self.rows),
                of=len(self.rows),
                rows=tuple(row for row in self.rows if row.id in ids and row.id not in shown),
            )
            for name, ids in parts.items()
        )
        counted = about | metrics
        return Cut(strata=strata, metrics=counted if counted < self.metrics else frozenset())

    @cached_property
    def metrics(self) -> frozenset[str]:
        """Those that count for the score."""
        return frozenset(score.metric for result in self.before.values() for score in result.scores if score.weight > 0)

    def _kin(self, aims: Sequence[Aim]) -> tuple[set[str], frozenset[str]]:
        """Rows that failed as the rows aimed at did, and on which metrics that was."""
        rows: set[str] = set()
        metrics: set[str] = set()
        for shown, mended in aims:
            for key in self._causes(shown, mended):
                rows |= {row for row, keys in self._broken.items() if key in keys}
                metrics.add(key[0])
        return rows, frozenset(metrics)

    @cached_property
    def _broken(self) -> dict[str, frozenset[Key]]:
        return {row: _breaks(result) for row, result in self.before.items()}

    def _causes(self, shown: Collection[str], mended: Collection[str]) -> list[Key]:
        """The breaks that the rows aimed at have, and others have not.

        Where some of the shown rows were mended, it is their break that the line is about.
        """
        breaks = self._broken
        aimed = [row for row in sorted(shown or mended) if breaks.get(row)]
        left = {row for row in aimed if row in mended} or set(aimed)
        enough = (1 - COVERED) * len(left)
        counts = Counter(key for row in aimed for key in breaks[row])
        usual = Counter(key for keys in breaks.values() for key in keys)
        found: list[Key] = []
        while len(left) > enough:
            lift = {key: counts[key] / len(aimed) - usual[key] / len(breaks) for row in left for key in breaks[row]}
            best = max(sorted(lift, key=str), key=lambda key: lift[key])
            if lift[best] <= 0:
                break
            found.append(best)
            left = {row for row in left if best not in breaks[row]}
        return found

    def _named(self, texts: Sequence[str]) -> tuple[set[str], frozenset[str]]:
        """Rows that want, or got, a value that stands in the lines, and on which metrics; values of many rows aside."""
        text = "\n".join(texts).casefold()
        most = COMMON * len(self.rows)
        # A plain search first: few of the values stand in the text at all.
        known = [value for value, places in self._places.items() if value in text and len(places) <= most]
        patterns = {value: re.compile(rf"(?<!\w){re.escape(value)}(?!\w)") for value in known}
        patterns = {value: pattern for value, pattern in patterns.items() if pattern.search(text)}
        places = [place for value in patterns for place in self._places[value].items()]
        heard: set[str] = set()
        for key, result in self.after.items() if patterns else ():
            output = result.output.casefold()
            if any(value in output and pattern.search(output) for value, pattern in patterns.items()):
                heard.add(key)
        metrics = frozenset(metric for _, found in places for metric in found)
        return {row for row, _ in places} | (heard if len(heard) <= most else set()), metrics & self.metrics

    @cached_property
    def _places(self) -> dict[str, dict[str, set[str]]]:
        """Value -> row -> metrics that it is wanted by, or was got on."""
        found: dict[str, dict[str, set[str]]] = {}
        for row in self.rows:
            for result in (self.before.get(row.id), self.after.get(row.id)):
                for metric, value in _values(result):
                    found.setdefault(value, {}).setdefault(row.id, set()).add(metric)
        return found

    @cached_property
    def failing(self) -> float:
        """Part of the rows that the winner fails; never quite none."""
        known = [result for result in self.after.values() if result.error is None]
        return (sum(not result.passed for result in known) + 1) / (len(known) + 2)

    def _fails(self, row: str) -> bool:
        result = self.after.get(row)
        return result is not None and result.error is None and not result.passed

    def _changed(self, row: str) -> bool:
        before, after = self.before.get(row), self.after.get(row)
        scores = {result.score for result in (before, after) if result is not None}
        return len(scores) == 2 and None not in scores


def in_turn(rows: Sequence[Example], seed: int, first: Collection[str]) -> tuple[Example, ...]:
    """Rows in an order fixed before any line is left out: those that cost less first, then by a hash of the seed."""

    def place(row: Example) -> tuple[bool, bytes]:
        return row.id not in first, blake2b(f"{seed}:{row.id}".encode(), digest_size=8).digest()

    return tuple(sorted(rows, key=place))


def _breaks(result: Result) -> frozenset[Key]:
    return frozenset((score.metric, score.place, score.wanted) for score in result.scores if not score.passed)


def _values(result: Result | None) -> Iterator[tuple[str, str]]:
    """Metrics with the values that they want, or got, where these are short."""
    for score in result.scores if result else ():
        for told in (score.wanted, score.got):
            value = told.strip("\"' ").casefold() if told else ""
            if 1 < len(value) <= LONGEST_VALUE and "\n" not in value:
                yield score.metric, value
