"""Providers that go away and come back, fall silent, keep a limit of their own, or outlive a budget."""

from __future__ import annotations

from collections import Counter

from benchmarks.soak.case import Case, Turn
from benchmarks.soak.cases.storms import MIXED, share
from optimizer.testing.faults import Fault, Script, Seen, parse_fault, refuse

DOWN = tuple(map(parse_fault, ("503", "502", "reset", "html", "cut")))
SILENT = tuple(map(parse_fault, ("hang", "half-open", "trickle/every=0.2")))


def away(begin: int, seconds: float, fault: Fault) -> Script:
    """Fails from one request on, for so long."""
    began: list[float] = []

    def script(seen: Seen) -> Fault | None:
        if seen.index < begin:
            return None
        began.append(seen.at)
        return fault if seen.at - began[0] < seconds else None

    return script


def a_limit(most: int, seconds: float) -> Script:
    """Refuses what is more than so many requests in each window, and does not say for how long."""
    windows: Counter[int] = Counter()

    def script(seen: Seen) -> Fault | None:
        window = int(seen.at // seconds)
        windows[window] += 1
        return refuse(429) if windows[window] > most else None

    return script


def outage(turn: Turn) -> None:
    """Up to six seconds without service in the middle of a run: no row is lost, few requests are wasted."""
    begin, seconds = turn.chance.randint(20, 200), turn.chance.uniform(0.2, 6.0)
    fault = DOWN[turn.number % len(DOWN)]
    with turn.lab(rows=60, faults=away(begin, seconds, fault)) as here:
        here.check(here.run(), code=0, same=True)
        wasted = sum(seen.fault is not None for seen in here.meter.log)
        assert wasted <= here.concurrency + 5, f"{wasted} requests to a provider that is down"


def silence(turn: Turn) -> None:
    """One key in twenty is met by silence at first."""
    with turn.lab(rows=60, more="timeout: 3\n", faults=share(5, 1, turn.number, SILENT)) as here:
        here.check(here.run(), code=0, same=True)
        begun: dict[str, Seen] = {}
        for seen in sorted(here.meter.log, key=lambda one: one.at):
            before = begun.get(seen.key)
            assert before is None or seen.at - before.at > 2.9, "sent again while the first was alive"
            begun[seen.key] = seen


def limited(turn: Turn) -> None:
    """An account with a limit that it does not tell of: its refusals cost no row."""
    with turn.lab(rows=60, calls=1200, faults=a_limit(turn.chance.randint(10, 60), 2.0)) as here:
        here.check(here.run(), code=0, same=True)


def budget(turn: Turn) -> None:
    """Any budget, with faults: never passed, and a larger one goes on with what was paid."""
    calls = turn.chance.randint(93, 300)
    with turn.lab(rows=60, calls=calls, faults=share(15, 1, turn.number, MIXED)) as here:
        done = here.run()
        assert len(here.meter.log) <= calls
        here.check(done, code=done.code)
        assert done.code in (0, 5), done.err
        if done.code == 5:
            text = here.eval_file.read_text("utf-8")
            here.eval_file.write_text(text.replace(f"calls: {calls}", "calls: 1200"), "utf-8")
            here.check(here.run(), code=0)


CASES = (
    Case(name="no service for up to six seconds", turn=outage, turns=10),
    Case(name="silence: no answer, half an answer, a byte at a time", turn=silence, turns=4),
    Case(name="a limit of requests that is not told of", turn=limited, turns=6),
    Case(name="budgets that end a run anywhere, with faults", turn=budget, turns=15),
)
