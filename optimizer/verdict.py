"""From a comparison on test to the claim, in fixed words. Pure."""

from __future__ import annotations

from optimizer.outcome import Comparison, Verdict
from optimizer.stats import MIN_DISCORDANT, gain_is_shown, level_at, loss_is_shown, minimum_detectable_gain

WANTED_GAIN = 0.10
"""A test split that cannot show this much is too small to say no."""
USUAL_SHARE = 0.2
"""Part of the rows that is taken to change its outcome, where nothing was compared."""


def verdict(tested: Comparison | None, *, rows: int, stopped: str = "") -> tuple[Verdict, str]:
    """The claim and its reason.

    Args:
        tested: baseline and winner on test; None where the winner is the seed and no test was made.
        rows: rows of the test split.
        stopped: why the search ended, in words.
    """
    if tested is None:
        search = f" ({stopped})" if stopped else ""
        why = f"no edit made the prompt better on val{search}, so the seed stays and the test rows stay sealed"
        return _no_claim(rows, USUAL_SHARE, why)
    if loss_is_shown(tested):
        return Verdict.WORSE, f"on {tested.n} unseen rows the score fell by {-100 * tested.gain:.1f} points"
    if gain_is_shown(tested):
        return Verdict.GAIN_SHOWN, f"on {tested.n} rows that the search never saw"
    if tested.discordant < MIN_DISCORDANT:
        why = f"only {tested.discordant} of {tested.n} rows differ, and {MIN_DISCORDANT} are needed for a claim"
    else:
        low, high = (100 * end for end in tested.ci)
        why = f"the interval of the gain is {low:+.1f} to {high:+.1f} points and mid-p {tested.p:.3f}"
        if tested.look and tested.look > 1:
            why += f" at look {tested.look}, where the level is {level_at(tested.look):.2g}"
    if tested.lost:
        why += f"; {tested.lost} more rows ended in an error with the winner alone"
    return _no_claim(tested.n, tested.discordant / tested.n if tested.n else USUAL_SHARE, why)


def _no_claim(rows: int, share: float, why: str) -> tuple[Verdict, str]:
    """Too small or not shown, for a split of which this share of the rows changes its outcome."""
    smallest = minimum_detectable_gain(rows, share)
    if smallest > WANTED_GAIN:
        return (
            Verdict.TOO_SMALL,
            f"{why}; {rows} test rows show gains of about {100 * smallest:.0f} points or more, and about "
            f"{_rows_for(WANTED_GAIN, share)} would show {100 * WANTED_GAIN:.0f}: add rows",
        )
    return Verdict.NOT_SHOWN, f"{why}; look at the largest clusters, and add rows where they are thin"


def _rows_for(gain: float, share: float) -> int:
    rows = MIN_DISCORDANT
    while minimum_detectable_gain(rows, share) > gain:
        rows += 5
    return rows
