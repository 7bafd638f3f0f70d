"""What every contestant is asked: 2,000 reviews or so, one question, one word to find in the answer.

Imports nothing but the standard library: contestants run in environments of their own.
"""

from __future__ import annotations

import json
import resource
import time
from dataclasses import asdict, dataclass, field

INSTRUCTION = ("Decide whether the review below is positive. " * 12).strip()
EXPECTED = "positive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Took:
    """One contestant, once."""

    rows: int
    """Rows evaluated."""
    wall: float
    """Seconds."""
    cpu: float
    """CPU seconds of the process, all threads."""
    score: float
    """Mean score: 1 where every answer was read rightly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One contestant, once."""

    took: Took
    """What it took."""
    requests: int
    """Requests that the server counted meanwhile."""
    peak: int
    """Most of them open at once."""
    server: float
    """CPU seconds of the server meanwhile."""


@dataclass(slots=True)
class Found:
    """All that was measured."""

    cells: dict[str, list[Cell]] = field(default_factory=dict)
    """Contestant -> its turns."""
    missing: list[str] = field(default_factory=list)
    """Peers that are not installed."""


def reviews(rows: int) -> list[str]:
    """Texts that differ."""
    return [f"review {row} " + "was rather long, and the reviewer liked it. " * 4 for row in range(rows)]


class Clock:
    """Times one evaluation, from here on."""

    def __init__(self) -> None:
        self._cpu, self._began = _used(), time.perf_counter()

    def took(self, rows: int, score: float | None) -> Took:
        """Stop."""
        wall = time.perf_counter() - self._began
        return Took(rows=rows, wall=wall, cpu=_used() - self._cpu, score=score or 0.0)


def _used() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def tell(took: Took) -> None:
    """Print it for the parent."""
    print(json.dumps(asdict(took)), flush=True)
