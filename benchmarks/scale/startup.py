"""How long one waits for the program itself: for help, for the first request, for a look at a run.

Help is compared with that of a bare typer app of as many commands in the same interpreter, interleaved, by CPU seconds:
a busy machine changes those least. The time to the first request is taken at the server, from the moment at which the
command was started. Each figure is the smallest of several, since whatever else the machine does only adds to it:

    python benchmarks/scale/startup.py --repeats 5
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.scale.server import serving  # noqa: E402
from benchmarks.scale.workspace import compiled, ended, environment, make, optimizer  # noqa: E402

BARE = """
import typer
app = typer.Typer(rich_markup_mode={markup!r}, add_completion=False)
def plain(name: str, number: int = 3, flag: bool = False):
    "Say a name."
for number in range({commands}):
    app.command(name=f"command{{number}}", help="Say a name, as often as is wanted.")(plain)
app()
"""
HELP_LIMIT = 1.3
FIRST_LIMIT = 1.5
"""Seconds; held against the CPU time, which is what an idle machine takes."""
ROWS = 200


def commands() -> tuple[list[str], str | None]:
    """Names of the commands, and what typer makes of the help's text."""
    from typer.core import TyperGroup

    from optimizer.cli.app import command

    group = command()
    assert isinstance(group, TyperGroup)
    return sorted(group.commands), group.rich_markup_mode


def helps(folder: Path, names: Sequence[str], markup: str | None, repeats: int) -> dict[str, float]:
    """What is asked for -> CPU seconds of its help; `bare` and `bare command` are the bare app's."""
    script = folder / "bare.py"
    script.write_text(BARE.format(markup=markup, commands=len(names)))
    ours = [sys.executable, "-m", "optimizer"]
    rows = {
        "bare": [sys.executable, str(script), "--help"],
        "bare command": [sys.executable, str(script), "command0", "--help"],
        "optimizer": [*ours, "--help"],
        **{name: [*ours, name, "--help"] for name in names},
    }
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(repeats):
        for name, command in rows.items():
            times[name].append(ended(command, folder).cpu)
    return {name: min(found) for name, found in times.items()}


def first_request(command: str, rows: int) -> tuple[float, float]:
    """(wall, CPU) seconds from the start of the command to the arrival of its first request; nothing is cached."""
    with serving(latency=5.0) as server, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        eval_file = make(folder, rows, server.base_url, concurrency=1, more="budget: {calls: 2000}\n")
        began = time.time()
        arguments = [sys.executable, "-m", "optimizer", command, str(eval_file)]
        nowhere = subprocess.DEVNULL
        with subprocess.Popen(arguments, cwd=folder, env=environment(), stdout=nowhere, stderr=nowhere) as process:
            while not (first := server.stats()["first"]) and process.poll() is None:
                time.sleep(0.02)
            if process.poll() is not None:
                raise SystemExit(f"{command} ended with {process.returncode} before it asked for anything")
            told = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
            user, system = told.rpartition(")")[2].split()[11:13]
            process.kill()
        return first - began, (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def show(repeats: int) -> float:
    """Seconds of `show` of a run that ended."""
    with serving() as server, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        eval_file = make(folder, ROWS, server.base_url, more="budget: {calls: 2000}\n")
        optimizer(folder, "run", str(eval_file))
        return min(optimizer(folder, "show").wall for _ in range(repeats))


def table(rows: Iterable[tuple[str, float, float, float]]) -> list[str]:
    """Rows of (what, ms, beside, limit) as Markdown."""
    lines = ["| command | CPU ms | ratio | limit |", "|---|---:|---:|---:|"]
    return lines + [f"| `{what}` | {1000 * took:,.0f} | {ratio:.2f} | {limit} |" for what, took, ratio, limit in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description="Time help, the first request and show.")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each (5)")
    repeats = max(parser.parse_args(arguments).repeats, 1)
    compiled()
    names, markup = commands()
    with tempfile.TemporaryDirectory() as made:
        took = helps(Path(made), names, markup, repeats)
    bare, bare_command = took.pop("bare"), took.pop("bare command")
    rows = [("optimizer --help", took["optimizer"], took.pop("optimizer") / bare, HELP_LIMIT)]
    rows += [(f"optimizer {name} --help", t, t / bare_command, HELP_LIMIT) for name, t in took.items()]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, smallest of {repeats}")
    print(f"CPU of a bare typer app of {len(names)} commands: --help {1000 * bare:.0f} ms, ", end="")
    print(f"help of a command {1000 * bare_command:.0f} ms\n")
    print("\n".join(table(sorted(rows, key=lambda row: -row[2]))), "\n")
    late = []
    for name, size in (("eval", ROWS), ("run", ROWS), ("eval", 2000)):
        found = [first_request(name, size) for _ in range(repeats)]
        wall, cpu = min(wall for wall, _ in found), min(cpu for _, cpu in found)
        print(f"first request of {name}, {size:,} rows: {wall:.2f} s after the start, {cpu:.2f} s of CPU")
        late += [f"the first request of {name}, {size:,} rows,"] if cpu > FIRST_LIMIT else []
    print(f"show: {show(repeats):.2f} s")
    slow = [name for name, _, ratio, limit in rows if ratio > limit]
    print("\n".join(f"WRONG: {name} takes too long" for name in (*slow, *late)) or "all within their limits")
    return 1 if slow or late else 0


if __name__ == "__main__":
    sys.exit(main())
