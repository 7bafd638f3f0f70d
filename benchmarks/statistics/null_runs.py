"""How often a whole run claims a gain where every prompt is equally good.

    python benchmarks/statistics/null_runs.py                # the tables, printed
    python benchmarks/statistics/null_runs.py --write        # and kept in benchmarks/results/statistics-null-runs.md
    python benchmarks/statistics/null_runs.py --runs 30 --series 5      # a look

The loop runs as it is: baseline, clusters, proposals, screen, search, prices, test. The task model answers by a hash
of prompt and row, so that each new text draws outcomes anew and none is better. The proposer brings lines that say
nothing. Whatever the search finds is luck.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from optimizer.dataset import Example  # noqa: E402
from optimizer.events import Decided  # noqa: E402
from optimizer.intervals import wilson  # noqa: E402
from optimizer.loop import Ends, run  # noqa: E402
from optimizer.mutate.propose import Proposers  # noqa: E402
from optimizer.outcome import Outcome, Verdict  # noqa: E402
from optimizer.prompt import Prompt  # noqa: E402
from optimizer.store.looks import Look, count_look  # noqa: E402
from tests.worlds import Chatter, bench_of, seed_prompt  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "statistics-null-runs.md"
MOST = 0.04
"""Runs that may claim a gain."""
MOST_EVER = 0.05
"""Series of ten runs on one split that may ever claim."""
IN_SERIES = 10

Answer = Callable[[str, Example], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """A task that no prompt does better than another."""

    name: str
    """In words."""
    size: int
    """Rows of each split."""
    calls: int
    """Budget of a run."""
    unsure: float
    """Part of the rows whose outcome each prompt draws anew, right one time in two."""
    right: float
    """Part of the other rows that is right under every prompt."""

    def answer(self, seed: int) -> Answer:
        """The task model: a pure function of prompt and row. A row's kind depends on the row alone."""

        def said(text: str, example: Example) -> str:
            kind, steady = _chances(f"{self.name}\n{example.id}", 2)
            if kind < self.unsure:
                right = _chances(f"{seed}\n{example.id}\n{text}", 1)[0] < 0.5
            else:
                right = steady < self.right
            return str(example.expected) if right else "wrong"

        return said


WORLDS = (
    World(name="every row is drawn anew", size=40, calls=900, unsure=1.0, right=1.0),
    World(name="three rows in ten are drawn anew", size=80, calls=1500, unsure=0.3, right=0.7),
    World(name="one row in five is drawn anew", size=160, calls=3000, unsure=0.2, right=0.6),
)


def _chances(text: str, count: int) -> list[float]:
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[8 * number : 8 * number + 8], "big") / 2**64 for number in range(count)]


def _row(number: int) -> tuple[str, str]:
    return f"who is it {number}", "Juliet" if number % 3 == 0 else "Bob"


def ended(world: World, seed: int, look: Callable[[Prompt, Prompt], int], *, proposer: Chatter) -> Outcome:
    """One whole run."""
    bench, _, _ = bench_of(world.answer(seed), _row, size=world.size, calls=world.calls, seed=seed)
    ends = Ends(look=look, ship=lambda winner, outcome: Decided(kind="written", round=0, reason="kept in memory"))
    proposers = Proposers(mutators=(proposer,), asks_model=True)
    return asyncio.run(run(bench, seed_prompt(), proposers, ends)).outcome


@dataclass(slots=True)
class Count:
    """What became of some runs."""

    runs: int = 0
    """Runs."""
    changed: int = 0
    """Runs whose winner is not the seed, and so was tested."""
    gains: int = 0
    """Runs that said GAIN SHOWN."""
    losses: int = 0
    """Runs that said WORSE."""
    optimism: float = 0.0
    """Sum of the gains on val, where there was a test."""
    truth: float = 0.0
    """Sum of the gains on test."""

    def take(self, outcome: Outcome) -> None:
        """Count one run."""
        self.runs += 1
        self.gains += outcome.verdict is Verdict.GAIN_SHOWN
        self.losses += outcome.verdict is Verdict.WORSE
        if outcome.test is not None and outcome.val is not None:
            self.changed += 1
            self.optimism += outcome.val.gain
            self.truth += outcome.test.gain

    def add(self, other: Count) -> None:
        """Count the runs of another."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def told(self, name: str) -> str:
        """A row of the table."""
        tested = max(self.changed, 1)
        return (
            f"| {name} | {self.runs} | {self.changed} | {self.gains} | {100 * self.gains / self.runs:.1f}% | "
            f"{100 * self.gains / tested:.1f}% | {self.losses} | {100 * self.optimism / tested:+.1f} | "
            f"{100 * self.truth / tested:+.1f} |"
        )


def single(runs: int) -> str:
    """The table of runs that each have test rows of their own, never looked at before."""
    lines = [
        "| world | runs | winner is not the seed | GAIN SHOWN | of all runs | of those with another winner | WORSE | "
        "mean gain on val, points | on test |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    whole = Count()
    for number, world in enumerate(WORLDS):
        count = Count()
        for seed in range(runs):
            count.take(ended(world, 1000 * number + seed, lambda seed, winner: 1, proposer=Chatter()))
        lines.append(count.told(f"{world.name}, {world.size} rows a split"))
        print(lines[-1], flush=True)
        whole.add(count)
    lines.append(whole.told("all"))
    met = "met" if whole.gains <= MOST * whole.runs else "NOT met"
    strict = "also" if whole.gains <= MOST * whole.changed else "NOT"
    lines += [
        "",
        f"Target, GAIN SHOWN in at most 4% of the runs: {met} ({_rate(whole.gains, whole.runs)}), {strict} of those "
        f"with another winner ({_rate(whole.gains, whole.changed)}).",
    ]
    return "\n".join(lines)


def series(times: int) -> str:
    """The table of ten runs one after the other on one test split."""
    lines = ["| world | series | tests made | ever claimed | share |", "|---|---:|---:|---:|---:|"]
    claimed = 0
    for number, world in enumerate(WORLDS):
        tests, ever = 0, 0
        for time_ in range(times):
            outcomes = ten_runs(world, 100_000 * (number + 1) + 100 * time_)
            tests += sum(outcome.test is not None for outcome in outcomes)
            ever += any(outcome.verdict is Verdict.GAIN_SHOWN for outcome in outcomes)
        claimed += ever
        lines.append(f"| {world.name} | {times} | {tests} | {ever} | {100 * ever / times:.1f}% |")
        print(lines[-1], flush=True)
    total = times * len(WORLDS)
    met = "met" if claimed <= MOST_EVER * total else "NOT met"
    lines += ["", f"Target, at most 5% ever claim: {met} ({_rate(claimed, total)})."]
    return "\n".join(lines)


def _rate(hits: int, n: int) -> str:
    low, high = wilson(hits, max(n, 1))
    return f"{hits} of {n}, {100 * hits / max(n, 1):.1f}%, 95% interval {100 * low:.1f} to {100 * high:.1f}"


def ten_runs(world: World, seed: int) -> list[Outcome]:
    """Ten runs from one seed prompt on the same rows; looks are counted in a ledger on disk.

    The model is the same in all of them, so the seed's outcomes are too. The proposer goes on numbering its lines:
    each run ends with a prompt of its own.
    """
    proposer = Chatter()
    with tempfile.TemporaryDirectory() as folder:

        def look(first: Prompt, winner: Prompt) -> int:
            pair = Look(split="rows", baseline=first.fingerprint, winner=winner.fingerprint, model="m", metrics="says")
            return count_look(Path(folder), pair)

        return [ended(world, seed, look, proposer=proposer) for _ in range(IN_SERIES)]


def page(runs: int, times: int) -> str:
    """All tables with what they mean."""
    began = time.monotonic()
    parts: Sequence[str] = [
        "# Whole runs where nothing is better",
        "Runs of the loop in worlds where every prompt has the same true score: the task model answers by a hash of "
        "prompt and row, and the proposer brings lines that say nothing. What the search finds is luck, and the "
        "verdict has to say so.",
        "## One run on fresh test rows",
        single(runs),
        "The gain on val is what choosing among many candidates makes of luck; on test it is gone.",
        "## Ten runs in sequence on one test split",
        series(times),
        f"`python benchmarks/statistics/null_runs.py --runs {runs} --series {times} --write`, Python "
        f"{platform.python_version()}, seeds fixed, {time.monotonic() - began:,.0f} s.\n",
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Claims of whole runs where nothing is better.")
    parser.add_argument("--runs", type=int, default=300, help="runs a world")
    parser.add_argument("--series", type=int, default=100, help="series of ten runs a world")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    chosen = parser.parse_args()
    told = page(chosen.runs, chosen.series)
    print(told)
    if chosen.write:
        RESULTS.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
