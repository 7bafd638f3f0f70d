"""A hundred thousand calls with faults: memory, descriptors and threads stay flat, nothing is lost."""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks.scale import steady
from benchmarks.soak.case import Case, Turn


def many_calls(turn: Turn) -> None:
    """One run of `benchmarks/scale/steady.py`, a small one with `--quick`."""
    scale = "0.1" if turn.quick else "1"
    done = subprocess.run(
        [sys.executable, steady.__file__, "--scale", scale], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(re.findall(r"(?m)^  (calls|faults|lost|answered twice) +(.+)$", done.stdout))
    turn.injected(sum(map(int, re.findall(r": (\d+)", told["faults"]))))
    turn.counts["commands"] += 1
    turn.counts["requests"] += int(told["calls"])
    turn.counts["lost"] += int(told["lost"])
    turn.counts["twice"] += int(told["answered twice"])


CASES = (Case(name="100,000 calls in one command, 2% faulty", turn=many_calls, turns=1),)
