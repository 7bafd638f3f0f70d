"""What makes two broken expectations one cause: their signature.

A signature is made of what the metric tells: the place and, as far as values repeat as labels do, what was wanted and
what came. Checks of this package word one cause in one way, so their reasons are signatures as they are; reasons in
free words, of a judge or of a function of the user's, are read by `phrasing`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from optimizer.failures import Failure
from optimizer.phrasing import Told, told
from optimizer.results import Evaluation, Score
from optimizer.wording import LABEL_LENGTH

QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?')
"""What changes from row to row in a reason of a check."""

Signature = tuple[str, ...]
"""Place, kind, values."""

WORDED: Final = frozenset({"contains", "exact", "json", "json-field", "label", "length", "regex"})
"""Metrics that word one kind of failure in one way."""
FORBIDDEN: Final = "not "
"""Goes before a place where values are kept that must not be there, and before a metric that is turned round."""
CONFUSED: Final = "confused"
"""Kind of a signature: one value came where another one is wanted."""
OUTSIDE: Final = "outside the labels"
"""Value of a signature: what came is none of the labels."""
TELLS: Final = "tells"
"""Kind of a signature: what a reason in free words tells."""
PATTERN: Final = 3
"""Rows from which a confusion of two values is a cause of its own."""
MOST_LABELS: Final = 10_000
"""Different values at one place, beyond which they are no labels, however many rows there are."""
BY_DEFAULT: Final = 0.5
"""Share of the values outside the labels at a place, from which one value is what comes by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Break:
    """One expectation that one failure broke."""

    failure: Failure
    """The row."""
    score: Score
    """What the metric said."""
    lost: float
    """Part of the row's score that was lost by it, in [0, 1]."""
    text: str = ""
    """The words of the reason that tell of this cause, where they are free."""


def by_cause(breaks: Sequence[Break], labels: Mapping[str, frozenset[str]]) -> dict[Signature, list[Break]]:
    """Breaks by signature. One whose reason tells of several causes stands in each, with its part of what was lost.

    Args:
        breaks: of one candidate.
        labels: `known_labels` of its evaluation.
    """
    free = _free_words(breaks)
    confusions = _Confusions.among([found.score for found in breaks], labels)
    grouped: dict[Signature, list[Break]] = defaultdict(list)
    for found in breaks:
        score = found.score
        if _is_label(score, labels):
            grouped[confusions.signature(score)].append(found)
        elif _is_worded(score):
            grouped[_worded(score, labels)].append(found)
        else:
            parts = free[score.metric, score.place][score.reason]
            for part in parts:
                one = replace(found, lost=found.lost / len(parts), text=part.text)
                grouped[score.place, TELLS, part.name].append(one)
    return dict(grouped)


def known_labels(evaluation: Evaluation) -> dict[str, frozenset[str]]:
    """Place -> the expected labels there, for places whose expected values repeat as labels do.

    Values that must not be there are kept apart, under the place with FORBIDDEN before it.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    counts: Counter[str] = Counter()
    for result in evaluation.results.values():
        for score in result.scores:
            if score.wanted is not None:
                place, value = score.place, score.wanted
            elif score.got is not None and not score.passed:
                place, value = FORBIDDEN + score.place, score.got
            else:
                continue
            counts[place] += 1
            if len(wanted[place]) <= MOST_LABELS:
                # A value that is too long for a label, or one value too many, settles it: no more are gathered.
                wanted[place].update([value] if len(value) <= LABEL_LENGTH else map(str, range(MOST_LABELS + 1)))
    return {
        place: frozenset(values)
        for place, values in wanted.items()
        if len(values) <= min(max(2, counts[place] // 2), MOST_LABELS)
    }


def reason_kind(reason: str) -> str:
    """A reason without its quoted values and numbers: the same cause in the same words."""
    return QUOTED.sub("…", reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Confusions:
    """Which value came where which label is wanted, over all breaks."""

    labels: Mapping[str, frozenset[str]]
    """Place -> expected labels."""
    came: Mapping[tuple[str, str], Counter[str]]
    """(place, wanted) -> values that came instead."""
    usual: Mapping[str, Counter[str]]
    """Place -> values that came there instead of any label."""
    defaults: frozenset[tuple[str, str]]
    """(place, value) of values outside the labels that come instead of several of them."""

    @classmethod
    def among(cls, scores: Sequence[Score], labels: Mapping[str, frozenset[str]]) -> _Confusions:
        came: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        usual: dict[str, Counter[str]] = defaultdict(Counter)
        for score in scores:
            if _is_label(score, labels) and score.wanted is not None and score.got is not None:
                came[score.place, score.wanted][score.got] += 1
                usual[score.place][score.got] += 1
        return cls(labels=labels, came=came, usual=usual, defaults=frozenset(_defaults(came, usual, labels)))

    def signature(self, score: Score) -> Signature:
        """Of a score with an expected label."""
        place, wanted, got = score.place, score.wanted or "", score.got
        kind = reason_kind(score.reason) if _is_worded(score) else ""
        if got is None:
            return (place, kind, wanted)
        if got not in self.labels[place] and (place, got) not in self.defaults:
            # Whatever they are: to name the labels would mend them all.
            return (place, kind, OUTSIDE)
        return (place, CONFUSED, wanted, self._instead(place, wanted, got))

    def _instead(self, place: str, wanted: str, got: str) -> str:
        """The value itself where it makes a pattern, else the one that mostly comes instead of this label.

        One or two rows are no pattern of what comes; what is wanted is what they have in common with others.
        """
        counts = self.came[place, wanted]
        patterns = [value for value, count in counts.items() if count >= PATTERN]
        if got in patterns:
            return got
        if patterns:
            return min(patterns, key=lambda value: (-counts[value], value))
        known = [value for value in counts if value in self.labels[place] or (place, value) in self.defaults]
        return min(known, key=lambda value: (-self.usual[place][value], value))


def _defaults(
    came: Mapping[tuple[str, str], Counter[str]],
    usual: Mapping[str, Counter[str]],
    labels: Mapping[str, frozenset[str]],
) -> Iterator[tuple[str, str]]:
    """A value that stands for one label is another word for it; one that comes instead of several is none."""
    for place, counts in usual.items():
        outside = {value: count for value, count in counts.items() if value not in labels[place]}
        for value, count in outside.items():
            instead_of = [key for key, values in came.items() if key[0] == place and values[value] >= PATTERN]
            if len(instead_of) > 1 and count >= BY_DEFAULT * sum(outside.values()):
                yield place, value


def _is_label(score: Score, labels: Mapping[str, frozenset[str]]) -> bool:
    return score.wanted is not None and score.place in labels


def _is_worded(score: Score) -> bool:
    return score.metric.partition(":")[0].strip().removeprefix("not-") in WORDED


def _free_words(breaks: Sequence[Break]) -> dict[tuple[str, str], dict[str, tuple[Told, ...]]]:
    """(metric, place) -> reason -> what it tells."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for found in breaks:
        if not _is_worded(found.score):
            counts[found.score.metric, found.score.place][found.score.reason] += 1
    return {key: told(reasons) for key, reasons in counts.items()}


def _worded(score: Score, labels: Mapping[str, frozenset[str]]) -> Signature:
    """Of a score whose reason is worded by a check, without an expected label."""
    kind = reason_kind(score.reason)
    named = score.wanted is None and score.got in labels.get(FORBIDDEN + score.place, ())
    return (score.place, kind, score.got or "") if named else (score.place, kind)
