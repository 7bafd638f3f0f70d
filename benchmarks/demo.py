"""How long the demo takes, as a whole process from an empty cache, beside what it cannot be faster than.

    python benchmarks/demo.py            # 7 runs of each, interleaved
    python benchmarks/demo.py --write    # and keep the table in benchmarks/results/demo.md

Every run of `optimizer run evals/romeo-bob.yaml` gets a workspace of its own. `import optuna` is the search library
that every run needs, alone in an interpreter; `pass` is the interpreter alone. CPU is that of the process and its
children, user and system together. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "demo.md"
TARGET = 4.0
"""Seconds that the demo may take on two cores."""
DEAREST = 5
"""Packages that are named with their import time."""

DEMO = "optimizer run evals/romeo-bob.yaml"
COMMANDS = {
    DEMO: ("-m", "optimizer", "run", "evals/romeo-bob.yaml"),
    "import optuna": ("-c", "import optuna"),
    "pass": ("-c", "pass"),
}
"""What is measured -> the interpreter's arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Took:
    """One process."""

    wall: float
    """Seconds from start to end."""
    cpu: float
    """Seconds of user and system time."""


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder with the demo's files and nothing else."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "evals", folder / "evals")
        (folder / "prompts" / "romeo-bob").mkdir(parents=True)
        shutil.copy(ROOT / "prompts/romeo-bob/v1.yaml", folder / "prompts/romeo-bob/v1.yaml")
        yield folder


def start(arguments: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an interpreter in a folder to its end, with its bytecode as by default; raises where it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )


def measure(arguments: tuple[str, ...]) -> Took:
    """Time one process in a workspace of its own."""
    with workspace() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        done = start(arguments, folder)
        wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if "optimizer" in arguments and "GAIN SHOWN" not in done.stdout:
        raise SystemExit(f"the demo did not show its gain:\n{done.stdout}\n{done.stderr}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Took(wall=wall, cpu=cpu)


def dearest() -> list[tuple[str, float]]:
    """(top-level package, seconds) of the demo's dearest imports; each module counts without what it imports."""
    with workspace() as folder:
        done = start(("-X", "importtime", *COMMANDS[DEMO]), folder)
    spent: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        if line.startswith("import time:") and "self [us]" not in line:
            own, _, name = line.removeprefix("import time:").split("|")
            spent[name.strip().split(".")[0]] += int(own)
    return [(name, microseconds / 1e6) for name, microseconds in spent.most_common(DEAREST)]


def table(times: dict[str, list[Took]]) -> str:
    """One row a command: median and range of wall and CPU, and the ratio of the medians to the bare interpreter."""
    bare = times["pass"]
    rows = [
        "| process | wall ms, median (min to max) | times `pass` | CPU ms, median (min to max) | times `pass` |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, took in times.items():
        wall, cpu = [one.wall for one in took], [one.cpu for one in took]
        ratios = [
            statistics.median(ours) / statistics.median(theirs)
            for ours, theirs in ((wall, [one.wall for one in bare]), (cpu, [one.cpu for one in bare]))
        ]
        rows.append(f"| `{name}` | {spread(wall)} | {ratios[0]:.1f} | {spread(cpu)} | {ratios[1]:.1f} |")
    return "\n".join(rows)


def spread(seconds: list[float]) -> str:
    """Milliseconds: `1,230 (1,200 to 1,310)`."""
    middle, least, most = (value * 1000 for value in (statistics.median(seconds), min(seconds), max(seconds)))
    return f"{middle:,.0f} ({least:,.0f} to {most:,.0f})"


def report(times: dict[str, list[Took]], imports: list[tuple[str, float]], repeats: int) -> str:
    """The page that goes into the repository."""
    median = statistics.median(took.wall for took in times[DEMO])
    optuna = statistics.median(took.wall for took in times["import optuna"])
    packages = ", ".join(f"{name} {version(name)}" for name in ("optuna", "typer", "pydantic", "rich"))
    named = ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in imports)
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    return "\n\n".join(
        [
            "# The demo, from start to end",
            f"`{DEMO}` as a whole process, each time in a fresh workspace with an empty cache, beside what it cannot "
            f"be faster than. {repeats} runs of each, interleaved, after one that warms the disk and the bytecode.",
            table(times),
            f"Target: {TARGET:g} s or less on two cores: {'met' if median <= TARGET else 'missed'} with a median of "
            f"{median:.2f} s, which is {median / optuna:.1f} times `import optuna`, a part of it.",
            "The dearest imports, in milliseconds of the modules' own code summed over a package, in one run under "
            f"`-X importtime`, which slows them down: {named}.",
            f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, shared, load {load}. Compare "
            "ratios, not seconds: `python benchmarks/demo.py` makes the table anew.",
        ]
    )


def main() -> None:
    """Measure and print; with `--write` keep the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each (7)")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/demo.md")
    chosen = parser.parse_args()
    if chosen.repeats < 1:
        parser.error("--repeats needs at least 1")
    imports = dearest()
    for arguments in COMMANDS.values():
        measure(arguments)
    # Interleaved: a busy moment of the machine then touches every row alike.
    times: dict[str, list[Took]] = {name: [] for name in COMMANDS}
    for _ in range(chosen.repeats):
        for name, arguments in COMMANDS.items():
            times[name].append(measure(arguments))
    page = report(times, imports, chosen.repeats)
    print(page)
    if chosen.write:
        RESULTS.write_text(page + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
