"""Rows a second, ours beside the peers', against one server on loopback.

    python benchmarks/speed/run.py --peers .venv-bench/bin/python --promptfoo promptfoo
    python benchmarks/speed/run.py --write      # keep the page in benchmarks/results/speed.md

DSPy and GEPA come with `make .venv-bench/.peers` (the extra `bench`, locked in requirements-bench.lock), promptfoo with
`npm install -g promptfoo`; one that is not there is left out, and the page says so. Every figure is from a process of
its own; contestants take turns, so a busy moment of the machine touches all alike. Compare ratios, not rates.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.speed import commands  # noqa: E402
from benchmarks.speed.report import page  # noqa: E402
from benchmarks.speed.task import Cell, Found, Took  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "speed.md"
IN_FLIGHT = 128
LONGER = 3
"""Times as many rows where we are held against bare aiohttp: at the start we send few calls, it sends all at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is measured, and with what."""

    url: str
    """The server."""
    rows: int
    """Rows of an evaluation."""
    peers: str
    """Python of the peers' environment."""
    promptfoo: tuple[str, ...]
    """Its command."""


@contextmanager
def server() -> Iterator[str]:
    """The server in a process of its own: its address."""
    command = [sys.executable, "-m", "benchmarks.speed.server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def told(url: str, path: str) -> dict[str, Any]:
    """What the server says."""
    with build_opener(ProxyHandler({})).open(f"{url}/{path}", timeout=10) as reply:
        facts: dict[str, Any] = json.loads(reply.read())
    return facts


def turn(asked: Asked, latency: float, work: Callable[[], Took]) -> Cell:
    """One turn of one contestant, with what the server counted."""
    told(asked.url, f"latency/{latency}")
    took = work()
    counted = told(asked.url, "stats")
    if took.score < 1:
        raise SystemExit(f"a wrong answer: mean score {took.score}")
    return Cell(took=took, requests=counted["requests"], peak=counted["peak"], server=counted["cpu"])


def process(python: str, module: str, *arguments: object) -> Took:
    """A contestant in a process of its own; its last line is JSON."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    environment.pop("OPENAI_API_KEY", None)
    command = [python, "-m", f"benchmarks.speed.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return Took(**json.loads(done.stdout.splitlines()[-1]))


def here(asked: Asked, kind: str, *, rows: int | None = None, folder: Path | None = None) -> Took:
    """Ours, or bare aiohttp."""
    with tempfile.TemporaryDirectory() as fresh:
        return process(sys.executable, "ours", kind, asked.url, rows or asked.rows, IN_FLIGHT, folder or fresh)


def peer(asked: Asked, kind: str, *folder: Path) -> Took:
    """A peer in its own environment."""
    return process(asked.peers, "peer", kind, asked.url, asked.rows, IN_FLIGHT, *folder)


def contestants(asked: Asked) -> dict[str, tuple[float, Callable[[], Took]]]:
    """Name -> latency in seconds, and its turn. The reruns are in `reruns`."""
    rows, url = asked.rows, asked.url
    return {
        "ours": (0.02, lambda: here(asked, "run")),
        "bare": (0.02, lambda: here(asked, "bare")),
        "dspy": (0.02, lambda: peer(asked, "dspy")),
        "gepa": (0.02, lambda: peer(asked, "gepa")),
        "command": (0.02, lambda: commands.net(commands.ours, commands.OURS, url, rows, IN_FLIGHT)),
        "promptfoo": (0.02, lambda: commands.net(commands.promptfoo, asked.promptfoo, url, rows, IN_FLIGHT)),
        "ours-50": (0.05, lambda: here(asked, "run", rows=LONGER * rows)),
        "bare-50": (0.05, lambda: here(asked, "bare", rows=LONGER * rows)),
    }


def reruns(asked: Asked, folder: Path) -> dict[str, tuple[float, Callable[[], Took]]]:
    """The same for evaluations that are filled into a cache and then run again; filling is called `fill-...`."""
    ours, theirs = folder / "ours", folder / "dspy"
    return {
        "fill-ours": (0.0, lambda: here(asked, "run", folder=ours)),
        "rerun-eval": (0.0, lambda: here(asked, "eval", folder=ours)),
        "rerun-run": (0.0, lambda: here(asked, "run", folder=ours)),
        "fill-dspy": (0.0, lambda: peer(asked, "dspy-cached", theirs)),
        "rerun-dspy": (0.0, lambda: peer(asked, "dspy-cached", theirs)),
    }


NEEDS = {"dspy": "dspy", "gepa": "gepa", "fill-dspy": "dspy", "rerun-dspy": "dspy", "promptfoo": "promptfoo"}
"""Contestant -> what must be installed."""


def installed(asked: Asked) -> Mapping[str, str]:
    """Peer -> its version, for those that are there."""
    found = {}
    for name in ("dspy", "gepa"):
        ask = f"import importlib.metadata as m; print(m.version({name!r}))"
        if shutil.which(asked.peers) and (said := _said([asked.peers, "-c", ask])):
            found[name] = said
    if asked.promptfoo and (said := _said([*asked.promptfoo, "--version"])):
        found["promptfoo"] = said
    return found


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, env={**os.environ, **commands.QUIET}, capture_output=True, text=True, check=False, timeout=60
        )
    except OSError:
        return ""
    return done.stdout.strip().splitlines()[-1] if done.returncode == 0 and done.stdout.strip() else ""


def measure(asked: Asked, repeats: int, peers: Mapping[str, str]) -> Found:
    """Everyone in turn, so often."""
    found = Found(missing=[name for name in ("dspy", "gepa", "promptfoo") if name not in peers])
    for number in range(1, repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            for name, (latency, work) in (contestants(asked) | reruns(asked, Path(folder))).items():
                if NEEDS.get(name) in found.missing:
                    continue
                cell = turn(asked, latency, work)
                found.cells.setdefault(name, []).append(cell)
                took = cell.took
                print(
                    f"{number} {name:10} {took.rows / took.wall:8,.0f} rows/s {1000 * took.cpu / took.rows:6.2f} ms "
                    f"CPU a row, {cell.requests} requests, {cell.peak} at once",
                    file=sys.stderr,
                    flush=True,
                )
    return found


def main() -> None:
    """Measure and print; with `--write` keep the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--rows", type=int, default=2000, help="rows of an evaluation (2,000)")
    parser.add_argument("--peers", default=".venv-bench/bin/python", help="Python of the peers' environment")
    parser.add_argument("--promptfoo", default=os.environ.get("PROMPTFOO", "promptfoo"), help="promptfoo's command")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/speed.md")
    chosen = parser.parse_args()
    with server() as url:
        command = tuple(shlex.split(chosen.promptfoo))
        asked = Asked(url=url, rows=chosen.rows, peers=chosen.peers, promptfoo=command)
        peers = installed(asked)
        found = measure(asked, chosen.repeats, peers)
    versions = {name: version(name) for name in ("aiohttp", "diskcache")} | dict(peers)
    text = page(found, rows=chosen.rows, longer=LONGER, in_flight=IN_FLIGHT, repeats=chosen.repeats)
    machine = (
        f"Python {platform.python_version()}, {', '.join(f'{name} {told}' for name, told in versions.items())}; "
        f"{os.cpu_count()} cores, shared with the server and others, load "
        f"{', '.join(f'{figure:.1f}' for figure in os.getloadavg())} at the end."
    )
    text = f"{text}\n\n{machine} `python benchmarks/speed/run.py` makes the tables anew."
    print(text)
    if chosen.write:
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
