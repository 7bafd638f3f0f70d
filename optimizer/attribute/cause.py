"""What a line was proposed for, and what pricing ends with. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.outcome import LineWorth
from optimizer.search.study import Champion


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """What a line was proposed for."""

    label: str
    """Label of the cluster; empty for a line of the user's own."""
    members: int
    """Failures in it when the line was proposed."""
    shown: frozenset[str] = frozenset()
    """Train rows that the proposer was shown: these never judge the line."""
    mended: frozenset[str] = frozenset()
    """Train rows that failed, and passed once the line was in."""


NO_CAUSE = Cause(label="", members=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Priced:
    """The winner with prices."""

    winner: Champion
    """After the drops. A val row that the reserve did not reach has the result of the prompt before them."""
    lines: tuple[LineWorth, ...]
    """One a changed line, in the prompt's order; removed lines last."""
    scored: tuple[Champion, ...] = ()
    """Candidates with a line or several less that were scored on all val rows: shorter prompts to choose from."""
    dropped: tuple[LineWorth, ...] = ()
    """Lines that are gone, with the prices that they had."""
