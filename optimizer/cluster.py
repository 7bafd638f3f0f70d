"""Failures -> clusters: which failures have one cause.

Two failures share a cluster when they break the same expectation in the same place. The signature of a break is
made of what metrics tell (place, wanted, got, the kind of reason); breaks in one place that fall on nearly the same
rows are one cause told twice, and are merged. A failure with two causes sits in two clusters. No model is called.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from optimizer.causes import TELLS, Break, Signature, by_cause, known_labels, reason_kind
from optimizer.dataset import Example
from optimizer.failures import Cluster, Failure
from optimizer.results import Evaluation, Result, Score
from optimizer.wording import LABEL_LENGTH, input_words, printable, quote

SAME_ROWS = 0.6
"""Jaccard overlap of members from which two signatures are one cause."""
MOST_VALUES = 40
MOST_TERMS = 12
TIED = 2.33
"""z-score from which a word counts as tied to a cluster: one-sided 1%."""
MOST_LABEL = 160
"""Characters of a reason that a label shows."""


def cluster(
    examples: Mapping[str, Example], evaluation: Evaluation, *, hold: Callable[[Result], Failure] | None = None
) -> tuple[Cluster, ...]:
    """Group the failures of one evaluation by cause, largest share of the lost score first.

    Args:
        examples: id -> example, at least for every row of the evaluation.
        evaluation: results of one candidate; errors are passed over, since they say nothing of the prompt.
        hold: makes the failure of a result; None makes one that holds row and result in memory.
    """
    hold = hold or (lambda result: Failure(example=examples[result.example], result=result))
    breaks = list(_breaks(evaluation, hold))
    if not breaks:
        return ()
    grouped = by_cause(breaks, known_labels(evaluation))
    total = sum(found.lost for found in breaks) or 1.0
    failures = {found.failure.id: found.failure for found in breaks}
    failing = document_counts(failure.example for failure in failures.values())
    # Of a large eval set most words stand in one row: they tie nothing, and are not kept.
    repeated = frozenset(word for word, count in failing.items() if count > 1)
    passing = [result.example for result in evaluation.results.values() if result.error is None and result.passed]
    usual = document_counts((examples[row] for row in passing), repeated)
    built = [_cluster(parts, total, usual, len(passing)) for parts in _merged(grouped)]
    return tuple(sorted(built, key=lambda c: (-c.share, c.id)))


def _breaks(evaluation: Evaluation, hold: Callable[[Result], Failure]) -> Iterator[Break]:
    said: dict[Score, Score] = {}
    for result in evaluation.results.values():
        if result.error is None and not result.passed:
            failure = hold(result)
            total = sum(score.weight for score in result.scores) or 1.0
            for score in result.scores:
                if not score.passed:
                    lost = score.weight * (1.0 - score.value) / total
                    # Checks word one fault in one way: the same score is kept once.
                    yield Break(failure=failure, score=said.setdefault(score, score), lost=lost)


def tied_terms(
    inside: Counter[str], size: int, outside: Counter[str], others: int, most: int = MOST_TERMS
) -> tuple[str, ...]:
    """Words of the inputs that stand in members more often than elsewhere, strongest first.

    Args:
        inside: `document_counts` of the cluster's rows.
        size: how many those are.
        outside: `document_counts` of the rows elsewhere.
        others: how many those are.
        most: words at most.

    Weighted log-odds with a smoothing of one half (Monroe et al. 2008, simplified); only words of two members or
    more, and only where the z-score is at least 2.33: a word among hundreds stands out by chance soon enough.
    """
    scored = []
    for word, count in inside.items():
        if count < 2:
            continue
        a, b = count + 0.5, size - count + 0.5
        c, d = outside[word] + 0.5, others - outside[word] + 0.5
        z = (math.log(a / b) - math.log(c / d)) / math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        if z >= TIED:
            scored.append((-z, word))
    return tuple(word for _, word in sorted(scored)[:most])


def document_counts(examples: Iterable[Example], among: frozenset[str] | None = None) -> Counter[str]:
    """Word -> in how many examples' inputs it stands; of all words, or of some."""
    counts: Counter[str] = Counter()
    for example in examples:
        words = input_words(example)
        counts.update(words if among is None else words & among)
    return counts


def _merged(grouped: Mapping[Signature, list[Break]]) -> list[dict[Signature, list[Break]]]:
    """Signatures of one place whose rows nearly coincide become one cause; greedy, from the largest on."""
    order = sorted(grouped, key=lambda key: (-sum(b.lost for b in grouped[key]), key))
    merged: list[dict[Signature, list[Break]]] = []
    sizes: list[int] = []
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)
    for key in order:
        rows = {found.failure.id for found in grouped[key]}
        common = Counter(number for row in rows for number in holders[key[0], row])
        for number, both in sorted(common.items()):
            if both >= SAME_ROWS * (len(rows) + sizes[number] - both):
                merged[number][key] = grouped[key]
                break
        else:
            for row in rows:
                holders[key[0], row].append(len(merged))
            merged.append({key: grouped[key]})
            sizes.append(len(rows))
    return merged


def _cluster(parts: Mapping[Signature, list[Break]], total: float, usual: Counter[str], passing: int) -> Cluster:
    breaks = [found for found_breaks in parts.values() for found in found_breaks]
    # Not the largest part: which one that is changes from round to round.
    name = "\x00".join(min(parts))
    lost: Counter[str] = Counter()
    failures: dict[str, Failure] = {}
    for found in breaks:
        lost[found.failure.id] += found.lost  # type: ignore[assignment]
        failures[found.failure.id] = found.failure
    members = tuple(sorted(failures.values(), key=lambda f: (-lost[f.id], f.id)))
    wanted = _frequent(found.score.wanted for found in breaks)
    got = _frequent(found.score.got for found in breaks)
    reasons = _frequent(found.score.reason for found in breaks)
    return Cluster(
        id="c" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6],
        label=_told(parts) or _label(breaks[0].score.place, wanted, got, reasons),
        members=members,
        share=sum(lost.values()) / total,
        metrics=tuple(sorted({found.score.metric for found in breaks})),
        place=breaks[0].score.place,
        wanted=wanted,
        got=got,
        terms=tied_terms(document_counts(f.example for f in members), len(members), usual, passing),
        evidence=reasons[:3],
    )


def _frequent(values: Iterable[str | None]) -> tuple[str, ...]:
    """Values that are there, most frequent first; ties in alphabetical order."""
    counts = Counter(value for value in values if value)
    return tuple(sorted(counts, key=lambda value: (-counts[value], value))[:MOST_VALUES])


def _label(place: str, wanted: Sequence[str], got: Sequence[str], reasons: Sequence[str]) -> str:
    where = place.removeprefix("$.") or "text"
    if place == "format" or not (wanted or got):
        return _short(reasons[0]) if reasons else f"{where} is wrong"
    if not got:
        return f"{where}: {_named(wanted)} is missing"
    if not wanted:
        return f"{where}: {_named(got)} must not be there"
    return f"{where}: {_named(got)} where {_named(wanted)} is wanted"


def _told(parts: Mapping[Signature, list[Break]]) -> str:
    """The plainest words of a reason for the cause; empty where checks worded it."""
    if any(key[1] != TELLS for key in parts):
        return ""
    kinds: dict[str, list[str]] = defaultdict(list)
    for one in (one for found in parts.values() for one in found):
        kinds[reason_kind(one.text)].append(one.text)
    typical = min(kinds.values(), key=lambda texts: (-len(texts), len(min(texts, key=len)), min(texts)), default=[""])
    return _short(min(typical, key=lambda text: (len(text), text)).lstrip("-•* "))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return printable(line if len(line) <= MOST_LABEL else line[: MOST_LABEL - 1] + "…")


def _named(values: Sequence[str]) -> str:
    shown = ", ".join(quote(value, LABEL_LENGTH) for value in values[:2])
    return shown if len(values) <= 2 else f"{shown} and {len(values) - 2} more"
