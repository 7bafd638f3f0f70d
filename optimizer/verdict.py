"""From a comparison on test to the claim, in fixed words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optimizer.outcome import Comparison, Verdict
from optimizer.results import Evaluation
from optimizer.stats import (
    MIN_DISCORDANT,
    gain_is_shown,
    level_at,
    loss_is_shown,
    minimum_detectable_gain,
    posterior_better,
    units_moved,
)

WANTED_GAIN = 0.10
"""A test split that cannot show this much is too small to say no."""
USUAL_SHARE = 0.2
"""Part of the rows that is taken to change its outcome, where nothing was compared."""

HARMED = 0.95
"""Posterior probability that a metric breaks more rows than it mends from which a claim of a gain says so."""
NAMED = 10
"""Protected rows that a reason names."""


def verdict(
    tested: Comparison | None,
    *,
    rows: int,
    stopped: str = "",
    refused: str = "",
    broken: Sequence[str] = (),
    harms: Mapping[str, tuple[int, int]] | None = None,
) -> tuple[Verdict, str]:
    """The claim and its reason.

    Args:
        tested: baseline and winner on test; None where no test was made.
        rows: rows of the test split.
        stopped: why the search ended, in words.
        refused: why the best prompt on val was not taken, in words; empty where it was.
        broken: protected rows that passed with the seed and do not pass with the winner.
        harms: required metric -> rows broken and mended on test, where it got worse; see `harmed`.
    """
    if broken:
        return Verdict.BLOCKED, _blocked(broken, tested)
    if tested is None:
        search = f" ({stopped})" if stopped else ""
        why = refused or f"no edit made the prompt better on val{search}"
        why += ", so the seed stays and the test rows stay sealed"
        return _no_claim(rows, USUAL_SHARE, why)
    if loss_is_shown(tested):
        return Verdict.WORSE, f"on {tested.n} unseen rows the score fell by {-100 * tested.gain:.1f} points"
    if gain_is_shown(tested):
        return Verdict.GAIN_SHOWN, f"on {tested.n} rows that the search never saw{_harms(harms or {})}"
    if (moved := units_moved(tested)) < MIN_DISCORDANT:
        units = f"{tested.n} rows differ" if tested.groups is None else f"{tested.groups} groups of rows moved"
        why = f"only {moved} of {units}, and {MIN_DISCORDANT} are needed for a claim"
    else:
        low, high = (100 * end for end in tested.ci)
        why = f"the interval of the gain is {low:+.1f} to {high:+.1f} points and mid-p {tested.p:.3f}"
        if tested.look and tested.look > 1:
            why += f" at look {tested.look}, where the level is {level_at(tested.look):.2g}"
    if tested.lost:
        why += f"; {tested.lost} more rows ended in an error with the winner alone"
    share = tested.discordant / tested.n if tested.n else USUAL_SHARE
    return _no_claim(tested.n, share, why, tested.effective)


def harmed(before: Evaluation, after: Evaluation) -> dict[str, tuple[int, int]]:
    """Required metric -> (rows broken, rows mended), for those that break more rows than they mend beyond much doubt.

    The claim goes by the weighted score, which can rise while a metric that rows need to pass fails more often.
    """
    counts: dict[str, list[int]] = {}
    for row, result in before.results.items():
        other = after.results.get(row)
        if result.error is not None or other is None or other.error is not None:
            continue
        now = {score.metric: score.passed for score in other.scores}
        for score in result.scores:
            if score.required and score.weight > 0 and now.get(score.metric, score.passed) is not score.passed:
                counts.setdefault(score.metric, [0, 0])[0 if score.passed else 1] += 1
    return {
        metric: (broken, mended)
        for metric, (broken, mended) in sorted(counts.items())
        if posterior_better(broken, mended) > HARMED
    }


def _harms(harms: Mapping[str, tuple[int, int]]) -> str:
    told = [f"{metric} breaks {broken} of them and mends {mended}" for metric, (broken, mended) in harms.items()]
    return f"; but {', '.join(told)}: look at these before you ship it" if told else ""


def _blocked(broken: Sequence[str], tested: Comparison | None) -> str:
    named = ", ".join(broken[:NAMED]) + (f", ... and {len(broken) - NAMED} more" if len(broken) > NAMED else "")
    one = len(broken) == 1
    sealed = "" if tested else "; the test rows stay sealed"
    return (
        f"{len(broken)} protected {'row' if one else 'rows'} passed with the seed and {'does' if one else 'do'} not "
        f"pass with the winner: {named}; the seed stays{sealed}"
    )


def _no_claim(rows: int, share: float, why: str, effective: float | None = None) -> tuple[Verdict, str]:
    """Too small or not shown, for a split of which this share of the rows changes its outcome.

    Args:
        rows: rows of the split.
        share: part of them whose outcome changes.
        why: why nothing is claimed.
        effective: independent rows that would tell as much; None where each row stands alone.
    """
    worth = rows if effective is None else effective
    smallest = minimum_detectable_gain(worth, share)
    if smallest > WANTED_GAIN:
        groups = "" if effective is None else f", which in their groups tell as much as {effective:.0f} apart,"
        return (
            Verdict.TOO_SMALL,
            f"{why}; {rows} test rows{groups} show gains of about {100 * smallest:.0f} points or more, and about "
            f"{_rows_for(WANTED_GAIN, share, rows / worth if worth else 1.0)} would show {100 * WANTED_GAIN:.0f}: "
            "add rows",
        )
    return Verdict.NOT_SHOWN, f"{why}; look at the largest clusters, and add rows where they are thin"


def _rows_for(gain: float, share: float, each: float) -> int:
    """Rows that would show a gain, where so many are worth one that stands alone."""
    rows = MIN_DISCORDANT
    while minimum_detectable_gain(rows / each, share) > gain:
        rows += 5
    return rows
