"""Failures -> clusters: which failures have one cause.

Two failures share a cluster when they break the same expectation in the same place. The signature of a break is
made of what metrics tell (place, wanted, got, the kind of reason); breaks in one place that fall on nearly the same
rows are one cause told twice, and are merged. A failure with two causes sits in two clusters. No model is called.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optimizer.dataset import Example
from optimizer.failures import Cluster, Failure
from optimizer.results import Evaluation, Score
from optimizer.wording import LABEL_LENGTH, input_words, quote

FORBIDDEN = "not "
"""Goes before a place where values are kept that must not be there."""
CONFUSED = "confused"
PATTERN = 3
"""Rows from which a confusion of two labels is a cause of its own."""
SAME_ROWS = 0.6
"""Jaccard overlap of members from which two signatures are one cause."""
MOST_VALUES = 40
MOST_TERMS = 12
TIED = 2.33
"""z-score from which a word counts as tied to a cluster: one-sided 1%."""
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?')


@dataclass(frozen=True, kw_only=True, slots=True)
class Break:
    """One expectation that one failure broke."""

    failure: Failure
    """The row."""
    score: Score
    """What the metric said."""
    lost: float
    """Part of the row's score that this metric lost, in [0, 1]."""


def cluster(examples: Mapping[str, Example], evaluation: Evaluation) -> tuple[Cluster, ...]:
    """Group the failures of one evaluation by cause, largest share of the lost score first.

    Args:
        examples: id -> example, at least for every row of the evaluation.
        evaluation: results of one candidate; errors are passed over, since they say nothing of the prompt.
    """
    breaks = [
        Break(failure=failure, score=score, lost=_lost(score, failure))
        for failure in (Failure(example=examples[r.example], result=r) for r in evaluation.failures)
        for score in failure.failed
    ]
    if not breaks:
        return ()
    labels = known_labels(evaluation)
    grouped: dict[tuple[str, ...], list[Break]] = defaultdict(list)
    for found in breaks:
        grouped[signature(found.score, labels)].append(found)
    grouped = _pooled(grouped)
    total = sum(found.lost for found in breaks) or 1.0
    passing = [examples[r.example] for r in evaluation.results.values() if r.error is None and r.passed]
    usual = document_counts(passing)
    built = [_cluster(parts, total, usual, len(passing)) for parts in _merged(grouped)]
    return tuple(sorted(built, key=lambda c: (-c.share, c.id)))


def known_labels(evaluation: Evaluation) -> dict[str, frozenset[str]]:
    """Place -> the expected labels there, for places whose expected values repeat as labels do.

    Values that must not be there are kept apart, under the place with FORBIDDEN before it.
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    for result in evaluation.results.values():
        for score in result.scores:
            if score.wanted is not None:
                wanted[score.place].append(score.wanted)
            elif score.got is not None and not score.passed:
                wanted[FORBIDDEN + score.place].append(score.got)
    return {
        place: frozenset(values)
        for place, values in wanted.items()
        if len(set(values)) <= max(2, len(values) // 2) and max(map(len, values)) <= LABEL_LENGTH
    }


def signature(score: Score, labels: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """What makes two breaks one cause: the place and, as far as values repeat, the values."""
    kind = reason_kind(score.reason)
    if score.wanted is None:
        names = score.got is not None and score.got in labels.get(FORBIDDEN + score.place, ())
        return (score.place, kind, score.got or "") if names else (score.place, kind)
    if score.place not in labels:
        return (score.place, kind)
    if score.got is None:
        return (score.place, kind, score.wanted)
    if score.got not in labels[score.place]:
        return (score.place, kind, "outside the labels")
    return (score.place, CONFUSED, score.wanted, score.got)


def reason_kind(reason: str) -> str:
    """A reason without its quoted values and numbers: the same cause in the same words."""
    return QUOTED.sub("…", reason)


def tied_terms(
    members: Sequence[Example], outside: Counter[str], others: int, most: int = MOST_TERMS
) -> tuple[str, ...]:
    """Words of the inputs that stand in members more often than elsewhere, strongest first.

    Args:
        members: rows of the cluster.
        outside: `document_counts` of the rows elsewhere.
        others: how many those are.
        most: words at most.

    Weighted log-odds with a smoothing of one half (Monroe et al. 2008, simplified); only words of two members or
    more, and only where the z-score is at least 2.33: a word among hundreds stands out by chance soon enough.
    """
    scored = []
    for word, count in document_counts(members).items():
        if count < 2:
            continue
        a, b = count + 0.5, len(members) - count + 0.5
        c, d = outside[word] + 0.5, others - outside[word] + 0.5
        z = (math.log(a / b) - math.log(c / d)) / math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        if z >= TIED:
            scored.append((-z, word))
    return tuple(word for _, word in sorted(scored)[:most])


def document_counts(examples: Iterable[Example]) -> Counter[str]:
    """Word -> in how many examples' inputs it stands."""
    counts: Counter[str] = Counter()
    for example in examples:
        counts.update(input_words(example))
    return counts


def _lost(score: Score, failure: Failure) -> float:
    total = sum(other.weight for other in failure.result.scores) or 1.0
    return score.weight * (1.0 - score.value) / total


def _pooled(grouped: Mapping[tuple[str, ...], list[Break]]) -> dict[tuple[str, ...], list[Break]]:
    """Confusions of labels that one or two rows show are no pattern: those of one place are told together."""
    pooled: dict[tuple[str, ...], list[Break]] = defaultdict(list)
    for key, found in grouped.items():
        thin = len(key) == 4 and key[1] == CONFUSED and len(found) < PATTERN
        pooled[(key[0], CONFUSED) if thin else key] += found
    return pooled


def _merged(grouped: Mapping[tuple[str, ...], list[Break]]) -> list[dict[tuple[str, ...], list[Break]]]:
    """Signatures of one place whose rows nearly coincide become one cause; greedy, from the largest on."""
    order = sorted(grouped, key=lambda key: (-sum(b.lost for b in grouped[key]), key))
    merged: list[tuple[set[str], dict[tuple[str, ...], list[Break]]]] = []
    for key in order:
        rows = {found.failure.example.id for found in grouped[key]}
        for members, parts in merged:
            if key[0] == next(iter(parts))[0] and len(rows & members) / len(rows | members) >= SAME_ROWS:
                parts[key] = grouped[key]
                break
        else:
            merged.append((rows, {key: grouped[key]}))
    return [parts for _, parts in merged]


def _cluster(parts: Mapping[tuple[str, ...], list[Break]], total: float, usual: Counter[str], passing: int) -> Cluster:
    breaks = [found for found_breaks in parts.values() for found in found_breaks]
    # Not the largest part: which one that is changes from round to round.
    name = "\x00".join(min(parts))
    lost: Counter[str] = Counter()
    failures: dict[str, Failure] = {}
    for found in breaks:
        lost[found.failure.example.id] += found.lost  # type: ignore[assignment]
        failures[found.failure.example.id] = found.failure
    members = tuple(sorted(failures.values(), key=lambda f: (-lost[f.example.id], f.example.id)))
    wanted = _frequent(found.score.wanted for found in breaks)
    got = _frequent(found.score.got for found in breaks)
    reasons = _frequent(found.score.reason for found in breaks)
    return Cluster(
        id="c" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6],
        label=_label(breaks[0].score.place, wanted, got, reasons),
        members=members,
        share=sum(lost.values()) / total,
        metrics=tuple(sorted({found.score.metric for found in breaks})),
        place=breaks[0].score.place,
        wanted=wanted,
        got=got,
        terms=tied_terms([f.example for f in members], usual, passing),
        evidence=reasons[:3],
    )


def _frequent(values: Iterable[str | None]) -> tuple[str, ...]:
    """Values that are there, most frequent first; ties in alphabetical order."""
    counts = Counter(value for value in values if value)
    return tuple(sorted(counts, key=lambda value: (-counts[value], value))[:MOST_VALUES])


def _label(place: str, wanted: Sequence[str], got: Sequence[str], reasons: Sequence[str]) -> str:
    where = place.removeprefix("$.") or "text"
    if place == "format" or not (wanted or got):
        return reasons[0] if reasons else f"{where} is wrong"
    if not got:
        return f"{where}: {_named(wanted)} is missing"
    if not wanted:
        return f"{where}: {_named(got)} must not be there"
    return f"{where}: {_named(got)} where {_named(wanted)} is wanted"


def _named(values: Sequence[str]) -> str:
    shown = ", ".join(quote(value, LABEL_LENGTH) for value in values[:2])
    return shown if len(values) <= 2 else f"{shown} and {len(values) - 2} more"
