"""Providers that fail a lot: storms of 429, and a mixture of every fault that can be mended by asking again."""

from __future__ import annotations

import random

from benchmarks.soak.case import Case, Turn
from optimizer.testing.faults import RATE_LIMITS, Fault, Script, Seen, parse_fault, refuse

SOON = tuple(fault for fault in RATE_LIMITS if fault.headers.get("Retry-After") != "200")
MIXED = tuple(
    map(
        parse_fault,
        (
            "429/ms=50",
            "500",
            "502",
            "503",
            "reset",
            "short",
            "cut",
            "html",
            "empty",
            "null",
            "array",
            "garbage/size=100000",
        ),
    )
)


def share(percent: int, attempts: int, salt: int, faults: tuple[Fault, ...]) -> Script:
    """A share of the keys meets faults at its first attempts, and is answered then."""

    def script(seen: Seen) -> Fault | None:
        drawn = int(seen.key[:12], 16) + salt * 7919
        if drawn % 100 >= percent or seen.attempt > attempts:
            return None
        return faults[(drawn // 100 + seen.attempt) % len(faults)]

    return script


def by_chance(percent: int, attempts: int, salt: int, fault: Fault) -> Script:
    """Each of a key's first attempts meets the fault by chance, whatever came of those before."""

    def script(seen: Seen) -> Fault | None:
        drawn = random.Random(f"{salt} {seen.key} {seen.attempt}").random()
        return fault if seen.attempt <= attempts and drawn < percent / 100 else None

    return script


def chance(turn: Turn) -> None:
    """30% of the attempts are refused with 429 by chance, without a word on how long: no rest grows over it."""
    with turn.lab(rows=60, calls=1200, faults=by_chance(30, 5, turn.number, refuse(429))) as here:
        here.check(here.run(), code=0, same=True)


def storm(turn: Turn) -> None:
    """30% of the keys are refused with 429 at first, with every form of Retry-After."""
    with turn.lab(rows=60, calls=1200, faults=share(30, 1, turn.number, SOON)) as here:
        here.check(here.run(), code=0, same=True)


def mixture(turn: Turn) -> None:
    """30% of the keys fail twice, each time in another way, and the run is killed once."""
    with turn.lab(rows=60, calls=1200, faults=share(30, 2, turn.number, MIXED)) as here:
        child = here.start()
        child.asks(turn.chance.randint(20, 200))
        child.kill()
        turn.injected()
        here.check(here.run(), code=0, same=True)


CASES = (
    Case(name="429 for 30% of the calls, every form of Retry-After", turn=storm, turns=6),
    Case(name="429 for 30% of the attempts, and no word on how long", turn=chance, turns=6),
    Case(name="12 kinds of fault for 30% of the calls, and a kill", turn=mixture, turns=12),
)
