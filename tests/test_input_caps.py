"""Files that are made to fill the memory or the day: refused at a named cap, in little time and little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_case import PACKAGE

MOST_SECONDS = 10.0
"""Of processor time, for each file: five on a quiet machine, and then some."""
MOST_MEGABYTES = 300.0

MEASURE = """
import json, re, sys, time
from pathlib import Path
from optimizer.config import DataSpec
from optimizer.errors import UserError
from optimizer.readers.rows import load_examples
for name in sys.argv[1:]:
    began = time.process_time()
    try:
        told = f"{len(load_examples(DataSpec(path=Path(name)))[0])} rows"
    except UserError as error:
        told = str(error)
    peak = int(re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps({"told": told, "seconds": time.process_time() - began, "megabytes": peak}))
"""
MADE: dict[str, tuple[int | list[tuple[bytes, int]], str]] = {
    "sparse.jsonl": (1 << 30, "1,073,741,824 bytes, more than the cap of 268,435,456 (use a smaller file)"),
    "sparse.csv": (1 << 30, "1,073,741,824 bytes, more than the cap of 268,435,456 (use a smaller file)"),
    "sparse.json": (1 << 30, "1,073,741,824 bytes, more than the cap of 33,554,432 (use a smaller file)"),
    "line.jsonl": (200 << 20, "line.jsonl:1: a line of more than 4,194,304 bytes (shorten it)"),
    "line.csv": (200 << 20, "line.csv:1: a line of more than 4,194,304 bytes (shorten it)"),
    "rows.csv": ([(b"q,e\n", 1), (b"1,2\n" * 1000, 10_000)], "rows.csv:100002: more than 100,000 rows (use a sample"),
    "rows.json": ([(b"[", 1), (b"{}," * 1000, 10_000), (b"{}]", 1)], "rows.json:1: the row has no input (give it a"),
    "deep.jsonl": ([(b"[", 100_000)], "deep.jsonl:1: nested deeper than 64 (flatten it)"),
    "deep.json": ([(b'[{"q":', 100_000)], "deep.json:1: nested deeper than 64 (flatten it)"),
    "lists.jsonl": (
        [(b'{"q": [' + b"[]," * 1_300_000 + b"[]]}\n", 20)],
        "lists.jsonl:1: q[99998]...: more than 100,000 values (leave some of them out)",
    ),
    "lists.json": (
        [(b'[{"q": [', 1), (b"[]," * 1000, 10_000), (b"[]]}]", 1)],
        "lists.json:1: a row of more than 4,194,304 characters (shorten it)",
    ),
    "columns.csv": ([(b"a,", 200_000), (b"a\n", 1)], "columns.csv:1: more than 100,000 columns (leave some of them"),
    "emoji.json": (
        [('[{"q": "\U0001f600"},'.encode(), 1), (b"7," * 1000, 15_000), (b"7]", 1)],
        "emoji.json:1: the row is a number, not an object",
    ),
    "digits.jsonl": (
        [(b'{"q": ', 1), (b"9" * 1000, 4000), (b"}", 1)],
        "digits.jsonl:1: q: not a finite number: 4000000 characters long (write it as text, in quotes)",
    ),
}
"""File -> what is in it (pieces, and how often each comes), or its size where it is sparse; what is said of it."""


def make(path: Path, content: int | list[tuple[bytes, int]]) -> None:
    with path.open("wb") as file:
        if isinstance(content, int):
            file.truncate(content)
            return
        for piece, times in content:
            file.writelines(piece for _ in range(times))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is counted in kilobytes on Linux alone")
def test_hostile_files_cost_little(tmp_path: Path) -> None:
    for name, (content, _) in MADE.items():
        make(tmp_path / name, content)
    environ = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-c", MEASURE, *MADE]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=110, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for (name, (_, told)), one in zip(MADE.items(), found, strict=True):
        assert told in one["told"], name
        assert one["seconds"] < MOST_SECONDS and one["megabytes"] < MOST_MEGABYTES, (name, one)
    assert not done.stderr
