"""100,000 calls in one command: memory, descriptors and threads stay flat, and nothing is left open."""

from __future__ import annotations

from benchmarks.scale.steady import CALLS, run
from benchmarks.soak.case import Case, Turn


def steady(turn: Turn) -> None:
    """Every row is scored though 2% of the requests meet a fault."""
    told, wrong = run(CALLS)
    turn.counts["commands"] += 1
    turn.counts["requests"] += told.get("calls", 0)
    turn.counts["lost"] += told.get("lost", 0)
    turn.counts["twice"] += told.get("answered twice", 0)
    turn.injected(sum(told.get("faults", {}).values()))
    assert not wrong, wrong


CASES = (Case(name="100,000 calls, 2% of them faulty", turn=steady, turns=1, quick=0),)
