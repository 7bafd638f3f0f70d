"""Many calls, some of them faulty: memory, descriptors and threads stay flat, nothing is lost, nothing is left open.

`eval` scores as many rows as are wanted in a process of its own against a server in another one that answers 2% of
the requests with 429, 500, a reset, a body cut short or no choices. The process is looked at twice a second:

    python benchmarks/scale/steady.py                  # 100,000 calls, about 3 minutes
    python benchmarks/scale/steady.py --scale 0.05     # 5,000 calls

Exits 1 where something grew, was lost or was left open.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.scale.server import Server, serving  # noqa: E402
from benchmarks.scale.workspace import environment, make  # noqa: E402

CALLS = 100_000
LEAST = 1_000
"""Fewer end before there is anything to compare."""
FAULTS = 0.02
WARM = 0.2
"""Part of the calls after which nothing may grow any more."""
GROWTH = 1.1
"""Most that memory may grow after that."""
LOOSE = 4
"""Descriptors and threads that come and go: a connection that is opened anew, a thread of the interpreter's pool."""
CONCURRENCY = 64
"""Connections come and go with the calls under way, and are never more than these."""
SPLITS = "splits: {train: 0.5, val: 0.499, test: 0.001}\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """The process at one moment."""

    calls: int
    """Requests that the server had seen."""
    memory: float
    """Resident MB."""
    descriptors: int
    """Open ones that are no connections."""
    connections: int
    """Open ones."""
    threads: int
    """Of the process."""


def look(process: int, server: Server) -> Look | None:
    """The process now; None where it has ended."""
    folder = Path("/proc") / str(process)
    try:
        told = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        links = [os.readlink(link) for link in (folder / "fd").iterdir()]
        connections = sum(link.startswith("socket:") for link in links)
        return Look(
            calls=server.stats()["seen"],
            memory=int(told["VmRSS"].split()[0]) / 1024,
            descriptors=len(links) - connections,
            connections=connections,
            threads=int(told["Threads"]),
        )
    except (OSError, KeyError):
        return None


def watch(folder: Path, eval_file: Path, server: Server) -> tuple[list[Look], int]:
    """Score all rows; what was seen meanwhile, and the exit code."""
    command = [sys.executable, "-W", "always::ResourceWarning", "-m", "optimizer", "eval", str(eval_file), "--json"]
    looks: list[Look] = []
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=out, stderr=err)
        while process.poll() is None:
            if (seen := look(process.pid, server)) is not None:
                looks.append(seen)
            time.sleep(0.5)
    return looks, process.returncode


def findings(looks: Sequence[Look], facts: dict[str, Any], seen: dict[str, Any], err: str) -> dict[str, Any]:
    """The figures that the run is held against."""
    last = max((one.calls for one in looks), default=0)
    asking = [one for one in looks if WARM * last <= one.calls < last]
    warm, after = asking[: max(len(asking) // 10, 1)], asking
    errors = sum(len(split["errors"]) for split in facts["splits"].values())
    scored = sum(split["n"] for split in facts["splits"].values())
    return {
        "calls": seen["seen"],
        "faults": seen["faults"],
        "scored": scored,
        "lost": seen["distinct"] - scored,
        "errors": errors,
        "answered twice": seen["paid_twice"],
        "memory when warm": max((one.memory for one in warm), default=0.0),
        "most memory after": max((one.memory for one in after), default=0.0),
        "descriptors": (max((o.descriptors for o in warm), default=0), max((o.descriptors for o in after), default=0)),
        "connections": max((one.connections for one in looks), default=0),
        "threads": (max((o.threads for o in warm), default=0), max((o.threads for o in after), default=0)),
        "unclosed": err.lower().count("unclosed"),
    }


def objections(told: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    wrong = [f"{told[name]} {name}" for name in ("lost", "errors", "answered twice", "unclosed") if told[name]]
    if told["most memory after"] > GROWTH * told["memory when warm"]:
        wrong.append(f"memory grew from {told['memory when warm']:.0f} to {told['most memory after']:.0f} MB")
    if told["connections"] > CONCURRENCY + LOOSE:
        wrong.append(f"{told['connections']} connections for {CONCURRENCY} calls under way")
    for name in ("descriptors", "threads"):
        before, after = told[name]
        if after > before + LOOSE:
            wrong.append(f"{name} grew from {before} to {after}")
    return wrong


def run(calls: int) -> tuple[dict[str, Any], list[str]]:
    """Ask for so many rows: the figures, and what is not as it should be."""
    with serving(faults=FAULTS) as server, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        eval_file = make(folder, calls, server.base_url, concurrency=CONCURRENCY, more=SPLITS)
        looks, code = watch(folder, eval_file, server)
        err = (folder / "stderr").read_text()
        if code != 0:
            return {}, [f"eval ended with {code}: {err[-500:]}"]
        told = findings(looks, json.loads((folder / "stdout").read_text()), server.stats(), err)
    return told, objections(told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether all is flat."""
    parser = argparse.ArgumentParser(description="Many calls with faults: everything stays flat, nothing is lost.")
    parser.add_argument("--scale", type=float, default=1.0, help=f"1 is {CALLS:,} calls (1)")
    calls = max(int(parser.parse_args(arguments).scale * CALLS), LEAST)
    start = time.perf_counter()
    told, wrong = run(calls)
    print(f"{calls:,} rows, {FAULTS:.0%} of requests faulty, {time.perf_counter() - start:.0f} s")
    for name, figure in told.items():
        print(f"  {name:18} {figure:,.1f}" if isinstance(figure, float) else f"  {name:18} {figure}")
    print("\n".join(f"WRONG: {one}" for one in wrong) or "  all flat, nothing lost")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
