"""Contestants that are whole commands: promptfoo and our `optimizer eval`, each net of what it takes with one row.

A command's start is a figure of its own; what is compared here is the rows. So each is run with all rows and with one.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.speed.task import EXPECTED, INSTRUCTION, Took, reviews

ROOT = Path(__file__).parent.parent.parent
QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_DISABLE_SHARING": "1",
    "NO_COLOR": "1",
}
Prepare = Callable[[Path, str, int, int], Sequence[str]]
"""Writes what a command needs into a folder, from (folder, URL, rows, in flight); its arguments."""


def net(prepare: Prepare, command: Sequence[str], url: str, rows: int, in_flight: int) -> Took:
    """A command on all rows, less the same on one row."""
    one = _whole(prepare, command, url, 1, in_flight)
    all_of_them = _whole(prepare, command, url, rows, in_flight)
    return Took(rows=rows - 1, wall=all_of_them.wall - one.wall, cpu=all_of_them.cpu - one.cpu, score=1.0)


def _whole(prepare: Prepare, command: Sequence[str], url: str, rows: int, in_flight: int) -> Took:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = prepare(folder, url, rows, in_flight)
        environment: Mapping[str, str] = {
            **os.environ,
            **QUIET,
            "PROMPTFOO_CONFIG_DIR": str(folder / "home"),
            "PYTHONPATH": str(ROOT),
        }
        before, began = _children(), time.perf_counter()
        done = subprocess.run(
            [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        wall = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Took(rows=rows, wall=wall, cpu=_children() - before, score=1.0)


def promptfoo(folder: Path, url: str, rows: int, in_flight: int) -> Sequence[str]:
    """Its own config: the same messages, the same check. Cache and database are off, which spares it work."""
    messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": "{{review}}"}]
    (folder / "prompt.json").write_text(json.dumps(messages), encoding="utf-8")
    check = [{"type": "contains", "value": EXPECTED}]
    settings = {"apiBaseUrl": f"{url}/v1", "apiKey": "none", "temperature": 0}
    config = {
        "prompts": ["file://prompt.json"],
        "providers": [{"id": "openai:chat:gpt-4o-mini", "config": settings}],
        "tests": [{"vars": {"review": text}, "assert": check} for text in reviews(rows)],
    }
    # JSON is YAML.
    (folder / "promptfooconfig.yaml").write_text(json.dumps(config), encoding="utf-8")
    switches = ("--no-cache", "--no-table", "--no-progress-bar", "--no-write", "--no-share")
    return ("eval", "-c", "promptfooconfig.yaml", "--max-concurrency", str(in_flight), *switches)


def ours(folder: Path, url: str, rows: int, in_flight: int) -> Sequence[str]:
    """`optimizer eval`, its cache on."""
    from benchmarks.speed.ours import workspace

    file = workspace(folder, url, rows, in_flight)
    return ("eval", str(file.relative_to(folder)), "--split", "val")


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


OURS = (sys.executable, "-m", "optimizer")
