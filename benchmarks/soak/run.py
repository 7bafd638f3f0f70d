"""Run every case of the soak: `python -m benchmarks.soak.run` (`make soak`), or `--quick` for a minute of it.

Counts what was injected and what came of it, and with `--write` puts the result into docs/reliability.md. Ends with
exit code 1 where anything was not as promised; the folders of those turns are kept, and named.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from benchmarks.soak import cases
from benchmarks.soak.case import Case, Turn

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- soak: begin -->", "<!-- soak: end -->"
HEAD = ("case", "turns", "commands", "requests", "faults injected", "under way at a stop")


@dataclass(kw_only=True)
class Told:
    """What a case came to."""

    of: int = 0
    """Turns that it should take."""
    turns: int = 0
    """Turns that it took."""
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def all_cases() -> list[Case]:
    """Every case of every file in `cases/`."""
    names = sorted(module.name for module in pkgutil.iter_modules(cases.__path__))
    return [case for name in names for case in importlib.import_module(f"{cases.__name__}.{name}").CASES]


def take(name: str, number: int, root: str, quick: bool = False) -> tuple[Counter[str], str]:
    """One turn, in a process of the pool: its counts, and what went wrong; empty where nothing did."""
    case = next(case for case in all_cases() if case.name == name)
    folder = Path(tempfile.mkdtemp(prefix=f"{number:03d}-", dir=root))
    turn = Turn(number=number, folder=folder, chance=random.Random(f"{name} {number}"), quick=quick)
    try:
        case.turn(turn)
    except BaseException:
        turn.counts["secrets"] += "the API key is in" in (told := traceback.format_exc())
        return turn.counts, f"{name}, turn {number}, kept in {folder}\n{told}"
    shutil.rmtree(folder)
    return turn.counts, ""


def soak(
    chosen: Sequence[Case], pool: Executor, *, quick: bool, jobs: int, root: Path, seconds: float
) -> dict[str, Told]:
    """Take all turns, `jobs` at a time, and say how far it is; after so many seconds no turn is begun any more.

    Turns of all cases are mixed, so that one that is stopped early has some of each.
    """
    found = {case.name: Told(of=len(numbers(case, quick=quick))) for case in chosen}
    turns = [(case.name, number) for case in chosen for number in numbers(case, quick=quick)]
    random.Random(0).shuffle(turns)
    until = time.monotonic() + seconds
    left = iter(turns)
    taken: dict[Future[tuple[Counter[str], str]], str] = {}
    while True:
        for name, number in islice(left, jobs - len(taken) if time.monotonic() < until else 0):
            taken[pool.submit(take, name, number, str(root), quick)] = name
        if not taken:
            return found
        for future in wait(taken, return_when=FIRST_COMPLETED).done:
            _note(found[taken.pop(future)], *future.result())
            if (done := sum(one.turns for one in found.values())) % 10 == 0:
                print(f"{done} of {len(turns)} turns", flush=True)


def _note(told: Told, counts: Counter[str], failure: str) -> None:
    told.turns += 1
    told.counts += counts
    if failure:
        told.failures.append(failure)
        print(f"\n{failure}", flush=True)


def numbers(case: Case, *, quick: bool) -> list[int]:
    """Numbers of the turns that a case takes."""
    turns = case.turns if isinstance(case.turns, int) else case.turns()
    if not quick:
        return list(range(turns))
    return random.Random(case.name).sample(range(turns), min(case.quick, turns))


def result(found: dict[str, Told]) -> str:
    """The block of the page."""
    counts = sum((told.counts for told in found.values()), Counter[str]())
    failed = sum(len(told.failures) for told in found.values())
    rows = [
        [
            name,
            told.turns if told.turns == told.of else f"{told.turns} of {told.of}",
            *(told.counts[key] for key in ("commands", "requests", "injected", "under_way")),
        ]
        for name, told in found.items()
    ]
    table = [HEAD, ["---"] * len(HEAD), *rows]
    lines = [
        "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row) + " |" for row in table
    ]
    return "\n".join(
        [
            f"Last `make soak`: {time.strftime('%Y-%m-%d', time.gmtime())}.",
            "",
            f"- faults injected: {counts['injected']:,}, of those kills at a random moment: {counts['kills']:,}",
            f"- commands run: {counts['commands']:,}; requests that the meter saw: {counts['requests']:,}",
            f"- calls lost: {counts['lost']:,} (answers that were on the disk, and were not any more)",
            f"- calls paid twice: {counts['twice']:,} (requests for an answer that was on the disk)",
            f"- secrets found: {counts['secrets']:,}",
            f"- crashes: {counts['crashes']:,}",
            f"- turns in which anything was not as promised: {failed:,}",
            "",
            *lines,
            "",
            "*Under way at a stop*: answers that the provider gave, or was about to give, when the process was killed. "
            "Nothing can keep those; they are at most the concurrency for each kill, are asked again, and stand in the "
            "bill as `lost`.",
        ]
    )


def write(block: str) -> None:
    """Put the block between the markers of the page."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{block}\n{END}{after}", "utf-8")


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few turns of each case")
    parser.add_argument("--case", action="append", default=[], help="cases whose name holds this text; repeatable")
    parser.add_argument("--jobs", type=int, default=2, help="turns at once (2)")
    parser.add_argument("--minutes", type=float, default=29.0, help="no turn is begun after so many (29)")
    parser.add_argument("--write", action="store_true", help="put the result into docs/reliability.md")
    parser.add_argument("--list", action="store_true", help="name the cases")
    chosen = parser.parse_args()
    wanted = [case for case in all_cases() if not chosen.case or any(text in case.name for text in chosen.case)]
    if chosen.list:
        print("\n".join(case.name for case in wanted))
        return 0
    os.nice(5)
    started = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="soak-"))
    with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
        found = soak(wanted, pool, quick=chosen.quick, jobs=chosen.jobs, root=root, seconds=60 * chosen.minutes)
    block = result(found)
    print(f"{block}\n\n{(time.monotonic() - started) / 60:.0f} minutes")
    failed = any(told.failures for told in found.values())
    if chosen.write and not chosen.case and not chosen.quick:
        write(block)
    if failed:
        print(f"\nkept: {root}")
        return 1
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
