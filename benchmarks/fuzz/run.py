"""The long form of the fuzz tests: every target for its share of the time, with other cases each time.

    python -m benchmarks.fuzz.run                        # about ten minutes
    python -m benchmarks.fuzz.run --seconds 5            # of each target
    python -m benchmarks.fuzz.run --only rows --seed 7
    python -m benchmarks.fuzz.run --write                # and put the result into docs/reliability.md

What breaks a promise is printed as small as it can be made; it then belongs into `found` of its target, where `make
test` tries it first. Ends with exit code 1 where anything was broken.
"""

from __future__ import annotations

import argparse
import platform
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.fuzz.material import Target
from benchmarks.fuzz.targets import TARGETS, attempt_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
MARKS = ("<!-- fuzz: begin -->", "<!-- fuzz: end -->")
BATCH = 500
"""Cases drawn with one seed."""
SHORT = 50
"""Cases that `make test` draws for each target."""
OTHERS = {
    "apply, config files of fifteen shapes": ("benchmarks/fuzz_configs.py", r"files, ([\d,]+) cases, ([\d,]+) wrong"),
    "export, every format": ("benchmarks/fuzz_exports.py", r"([\d,]+) equal +([\d,]+) refused .*?([\d,]+) changed"),
}
"""Drivers of their own -> script, and where in its output the counts stand: cases first, what was broken last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What became of one target."""

    name: str
    """The target."""
    promise: str
    """What was held."""
    cases: int
    """Cases tried."""
    broken: int
    """Promises broken, each as its smallest case."""
    kept: int
    """Cases that are tried first each time."""


def tried(name: str, target: Target, *, seconds: float, start: int) -> Tried:
    """Try one target for so many seconds of processor time."""
    counted = 0

    def check(value: Any) -> None:
        nonlocal counted
        counted += 1
        target.check(value)

    until = time.process_time() + seconds
    while time.process_time() < until:
        try:
            attempt_of(replace(target, check=check), BATCH, start)()
        except Exception as error:  # whatever is raised breaks the promise
            print(f"BROKEN {name} (seed {start}): {type(error).__name__}: {error}")
            print("\n".join(getattr(error, "__notes__", ())), flush=True)
            return Tried(name=name, promise=target.promise, cases=counted, broken=1, kept=len(target.found))
        start += 1
    return Tried(name=name, promise=target.promise, cases=counted, broken=0, kept=len(target.found))


def of_others() -> Iterator[Tried]:
    """The drivers that hold what is written for other programs."""
    for name, (script, pattern) in OTHERS.items():
        done = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True, check=False)
        found = [[int(number.replace(",", "")) for number in one] for one in re.findall(pattern, done.stdout)]
        wrong = sum(one[-1] for one in found) + (done.returncode not in (0, 1) or not found)
        cases = sum(one[0] if len(one) == 2 else sum(one) for one in found)
        if wrong or done.returncode:
            print(f"BROKEN {name}\n{done.stdout[-3000:]}{done.stderr[-3000:]}", flush=True)
        yield Tried(name=name, promise="says the same, or is refused", cases=cases, broken=wrong, kept=0)


def table(found: Sequence[Tried], start: int, minutes: float) -> str:
    """The result as Markdown."""
    cases, broken, kept = (sum(getattr(one, name) for one in found) for name in ("cases", "broken", "kept"))
    machine = f"Python {platform.python_version()}, {platform.system()}"
    lines = [
        f"{cases:,} cases of {len(found)} targets, {broken} promises broken, {kept} cases kept from before; "
        f"seed {start}, {minutes:.0f} minutes, {machine}.",
        "",
        "| target | what is held | cases | broken | kept |",
        "|---|---|---:|---:|---:|",
        *(f"| {one.name} | {one.promise} | {one.cases:,} | {one.broken} | {one.kept} |" for one in found),
    ]
    return "\n".join(lines)


def write(result: str) -> None:
    """Put the result between its marks in the page."""
    begin, end = MARKS
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{PAGE}: no {begin} ... {end}")
    PAGE.write_text(f"{before}{begin}\n{result}\n{end}{after}", encoding="utf-8")


def main() -> int:
    """0 where every promise was held."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=12.0, help="processor time of each target (12)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6) * 1000, help="seed of the first cases")
    parser.add_argument("--only", default="", help="targets whose name holds this")
    parser.add_argument("--write", action="store_true", help="put the result into docs/reliability.md")
    asked = parser.parse_args()
    began = time.monotonic()
    found: list[Tried] = []
    for name, target in TARGETS.items():
        if asked.only in name:
            one = tried(name, target, seconds=asked.seconds, start=asked.seed)
            found.append(one)
            print(f"{one.name:32} {one.cases:9,} cases  {one.broken} broken", flush=True)
    for one in of_others() if not asked.only else ():
        found.append(one)
        print(f"{one.name:38} {one.cases:9,} cases  {one.broken} broken", flush=True)
    result = table(found, asked.seed, (time.monotonic() - began) / 60)
    print(result.split("\n", 1)[0])
    if asked.write:
        write(result)
    return 1 if any(one.broken for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
