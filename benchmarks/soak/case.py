"""What a case of the soak is: a name, and a turn that is taken many times with another number each time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.invariants import accounts
from tests.faults.lab import Ended, Lab, lab


@dataclass(kw_only=True)
class Turn:
    """One turn of a case: a number, chance of its own, an empty folder, and counts."""

    number: int
    """From 0; the same number is the same turn."""
    folder: Path
    """Empty; kept where the turn fails."""
    chance: random.Random
    """Seeded by case and number."""
    quick: bool = False
    """Whether it may be a small one."""
    counts: Counter[str] = field(default_factory=Counter)
    """`injected`, `commands`, `requests`, `under_way`, `lost`, `twice`; a case may add names of its own."""
    labs: int = 0

    def injected(self, faults: int = 1) -> None:
        """Note faults that no meter counts: kills, signals, damaged files."""
        self.counts["injected"] += faults

    @contextmanager
    def lab(self, **settings: Any) -> Iterator[Lab]:
        """A lab of `tests.faults` whose commands and requests are counted."""
        self.labs += 1
        folder = self.folder / f"lab-{self.labs}"
        folder.mkdir()
        with lab(folder, **settings) as here:
            try:
                yield here
            finally:
                self._count(here)

    def _count(self, here: Lab) -> None:
        found = accounts(here)
        self.counts["commands"] += len(here.ended)
        self.counts["requests"] += len(here.meter.log)
        self.counts["injected"] += sum(seen.fault is not None for seen in here.meter.log)
        self.counts["under_way"] += found.under_way
        self.counts["lost"] += found.lost
        self.counts["twice"] += found.again
        self.counts["crashes"] += sum(map(crashed, here.ended))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of fault."""

    name: str
    """A few words: what is done."""
    turn: Callable[[Turn], None]
    """One turn. Raises AssertionError, or anything else, where something is not as promised."""
    turns: int | Callable[[], int]
    """How often, in the long form."""
    quick: int = 1
    """How often with `--quick`."""


def crashed(done: Ended) -> bool:
    """Whether a command ended in a way that nobody foresaw."""
    return done.code == 1 or "Traceback" in done.err + done.out or "this is a bug" in done.err
