"""Several answers to one row, made into one result: scores are averaged inside a row before anything is compared.

Repeats of one row are not independent, so they never count as rows. Averaging takes a part of the model's own noise
out of every comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optimizer.results import Result, Score


def joined(repeats: Sequence[Result], thresholds: Sequence[float | None]) -> Result:
    """One result of a row that was asked several times.

    Each score's value is the mean over the repeats that ran; it passes from the metric's threshold on. Words and
    completion are those of the first repeat that failed where the row fails, of the first that ran where it passes:
    what is read belongs to one answer, as far as one answer failed for all that the row fails for. All answers stand
    in the trace. Repeats with an error are left out; where none ran, the row is the first one's error.

    Args:
        repeats: at least one, in the order of their index.
        thresholds: value from which it passes, for each metric in the order of the scores; None where the metric
            does not say: then it passes where every repeat did.
    """
    if len(repeats) == 1:
        return repeats[0]
    ran = [result for result in repeats if result.error is None]
    trace = tuple(_told(number, result) for number, result in enumerate(repeats, start=1))
    if not ran:
        return replace(repeats[0], trace=trace)
    failed = [result for result in ran if not result.passed]
    bare = _scores(ran, thresholds)
    if failed and not replace(ran[0], scores=bare).passed:
        # The answer that is shown speaks first.
        ran = [failed[0], *(result for result in ran if result is not failed[0])]
    return replace(ran[0], scores=_scores(ran, thresholds), trace=trace)


def _scores(ran: Sequence[Result], thresholds: Sequence[float | None]) -> tuple[Score, ...]:
    columns = zip(*(result.scores for result in ran), strict=True)
    return tuple(_mean(scores, threshold) for scores, threshold in zip(columns, thresholds, strict=True))


def _mean(scores: Sequence[Score], threshold: float | None) -> Score:
    """One metric's score: told in the words of the first repeat that came out as the mean did."""
    value = sum(score.value for score in scores) / len(scores)
    if threshold is None:
        passed = all(score.passed for score in scores)
    else:
        # Sums of thirds fall short of 1 by a rounding.
        passed = value >= threshold - 1e-9
    told = next((score for score in scores if score.passed is passed), scores[0])
    return replace(told, value=value, passed=passed, reason="" if passed else told.reason)


def _told(number: int, result: Result) -> Mapping[str, Any]:
    told: dict[str, Any] = {
        "repeat": number,
        "output": result.output,
        "score": result.score,
        "passed": result.passed,
    }
    if result.error is not None:
        told["error"] = f"{result.error.kind.value}: {result.error.message}"
    if result.trace:
        told["trace"] = list(result.trace)
    return told
