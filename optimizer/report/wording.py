"""Figures as people read them. Unknown is said, never shown as 0."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

UNKNOWN = "unknown"


def percent(value: float | None) -> str:
    """A share in [0, 1]: `71.7%`."""
    return UNKNOWN if value is None else f"{value:.1%}"


def points(value: float | None) -> str:
    """A difference of shares, in points: `+11.7`."""
    if value is None:
        return UNKNOWN
    rounded = round(value * 100, 1) + 0.0  # No minus in front of zero.
    return f"{rounded:+.1f}"


def interval(ci: Sequence[float] | None) -> str:
    """A 95% interval in points: `[+3.9, +19.4]`; empty where there is none."""
    return "" if ci is None else f"[{points(ci[0])}, {points(ci[1])}]"


def probability(p: float | None) -> str:
    """`p=0.007`, `p<0.001`; empty where there is none."""
    if p is None:
        return ""
    return "p<0.001" if p < 0.001 else f"p={p:.3f}"


def money(usd: float | None) -> str:
    """US dollars: `$3.12`, below a dollar with two digits that count."""
    if usd is None:
        return UNKNOWN
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.2g}" if usd >= 0.0001 else f"${usd:.1e}"


def count(number: float | None) -> str:
    """`1,904`; `412` for a mean; `unknown`."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def change(before: Any, after: Any) -> str:
    """`a -> b`, or one of them where they are the same."""
    return str(before) if before == after else f"{before} -> {after}"


def counted(amount: int, one: str, many: str | None = None) -> str:
    """`1 row`, `2 rows`."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def listed(amounts: Mapping[str, int]) -> str:
    """`search 1,600, test 240`, without what is 0."""
    return ", ".join(f"{name} {number:,}" for name, number in amounts.items() if number)


def spell(seconds: float) -> str:
    """A duration: `42 s`, `22 min`, `3.1 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def go_on(arguments: Sequence[str], run: str) -> str:
    """The same command again, going on with that run: another model or prompt would be another run."""
    added = [] if "--resume" in arguments else ["--resume"]
    if not any(part == "--run-id" or part.startswith("--run-id=") or part == run for part in arguments):
        added += ["--run-id", run]
    return shlex.join(["optimizer", *arguments, *added])
