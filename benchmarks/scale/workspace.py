"""A workspace with as many rows as are wanted, and the optimizer run in it as a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.server import label

ROOT = Path(__file__).resolve().parent.parent.parent
FILLER = "the customer writes at length, in plain words, and does not say at once what the matter is; "
CHARACTERS = 300
"""Of each row's text."""


def make(folder: Path, rows: int, base_url: str, *, concurrency: int = 64, more: str = "") -> Path:
    """Write rows, a prompt and an eval file; returns the eval file.

    Args:
        folder: the workspace.
        rows: how many.
        base_url: of the server.
        concurrency: calls in flight.
        more: further lines of the eval file.
    """
    (folder / "evals").mkdir(parents=True, exist_ok=True)
    with (folder / "evals" / "tickets.jsonl").open("w") as file:
        for number in range(rows):
            text = f"ticket {number}: {FILLER * 4}"[:CHARACTERS]
            file.write(json.dumps({"text": text, "expected": label(number)}) + "\n")
    (folder / "evals" / "tickets.md").write_text("Name the department.\n\n{{ text }}\n")
    eval_file = folder / "evals" / "tickets.yaml"
    eval_file.write_text(
        "prompt: tickets.md\n"
        "data: tickets.jsonl\n"
        f"model: {{name: openai/m, base_url: {base_url}, price: {{input: 1, output: 1}}}}\n"
        "mutator: none\n"
        "metrics: [exact]\n"
        f"concurrency: {concurrency}\n{more}"
    )
    return eval_file


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A command that ended."""

    code: int
    """Exit code."""
    out: str
    """Standard output."""
    err: str
    """Standard error."""
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of CPU, of all its threads."""
    peak: float
    """Largest resident set in MB."""
    began: float
    """Wall-clock time at which it was started."""


def environment() -> dict[str, str]:
    """The variables of a child: a key, and this checkout first on the path. Bytecode is kept, as by default."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return plain | {"OPENAI_API_KEY": "none", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def compiled() -> None:
    """Make the bytecode of the package, which an installation has too: no figure is to count that."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "optimizer")], check=True, env=environment())


def optimizer(folder: Path, *arguments: str) -> Ended:
    """Run a command of the optimizer in a workspace, to its end."""
    return ended([sys.executable, "-m", "optimizer", *arguments], folder)


def ended(command: Sequence[str], folder: Path) -> Ended:
    """Run a command in a folder, to its end."""
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as to, err.open("wb") as errors:
        began = time.time()
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=to, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Ended(
        code=process.returncode,
        out=out.read_text(),
        err=err.read_text(),
        wall=wall,
        cpu=used.ru_utime + used.ru_stime,
        peak=used.ru_maxrss / unit,
        began=began,
    )
