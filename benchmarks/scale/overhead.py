"""What a whole search adds to its calls: the part of a run in which no call is under way.

`run` improves the prompt of the reviews eval set, mutator included, against the testing server in a process of its
own, at 200 ms a call and 16 calls in flight. Between two calls of one kind that could go side by side nothing is
waited for; what the program does while none is under way (clusters, proposals, the sampler's asks, prices of lines,
the store's commits, starting and ending) is overhead, and a person waits for it:

    overhead = (wall time - time with at least one call under way) / wall time

Beside it stands the time that the same calls take at best: each stretch of calls without a pause between them, filled
16 at a time. What that leaves is slow start, calls that wait for others of their block, and CPU time a call. Pauses are
told by the step whose calls they come before, as the run's own log has it.

The program runs as it is installed, with its bytecode. Run it on a quiet machine: other work makes pauses longer.

    python benchmarks/scale/overhead.py
    python benchmarks/scale/overhead.py --latency 0.05 --rows 100
"""

from __future__ import annotations

import argparse
import bisect
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.scale.workspace import Ended, compiled, environment, optimizer  # noqa: E402

LATENCY = 0.2
CONCURRENCY = 16
MOST = 0.05
"""Most of a run that may be overhead at 200 ms a call."""
PAUSE = 0.004
"""Seconds without a call that end a stretch: shorter ones are the way to the server and back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Calls without a pause between them."""

    begun: float
    """When the first came, on the server's clock."""
    ended: float
    """When the last was answered."""
    calls: int
    """How many."""


@contextmanager
def meter(latency: float) -> Iterator[str]:
    """The testing server in a process of its own: its base URL."""
    command = [sys.executable, "-m", "optimizer.testing.server", "--port", "0", "--latency", str(latency)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://[\w.:]+/v1", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.kill()


def workspace(folder: Path, base_url: str, name: str) -> Path:
    """An eval set of the repository, its models at the server."""
    for kind in ("evals", "prompts"):
        (folder / kind).mkdir()
    prompt = folder / "prompts" / name / "v1.yaml"
    prompt.parent.mkdir()
    prompt.write_text((ROOT / "prompts" / name / "v1.yaml").read_text())
    for found in (ROOT / "evals").glob(f"{name}.*"):
        (folder / "evals" / found.name).write_text(found.read_text())
    eval_file = folder / "evals" / f"{name}.yaml"
    model = f"{{name: openai/offline, base_url: '{base_url}', price: {{input: 1, output: 1}}}}"
    text = re.sub(r"^(model|mutator): .*$", rf"\1: {model}", eval_file.read_text(), flags=re.MULTILINE)
    eval_file.write_text(re.sub(r"^concurrency: .*$", f"concurrency: {CONCURRENCY}", text, flags=re.MULTILINE))
    return eval_file


def stretches(log: Sequence[dict[str, Any]]) -> list[Stretch]:
    """The server's log as stretches of calls."""
    found: list[Stretch] = []
    for seen in sorted(log, key=lambda seen: seen["at"]):
        begun, ended = seen["at"], seen["ended"] or seen["at"]
        if found and begun <= found[-1].ended + PAUSE:
            last = found[-1]
            found[-1] = Stretch(begun=last.begun, ended=max(last.ended, ended), calls=last.calls + 1)
        else:
            found.append(Stretch(begun=begun, ended=ended, calls=1))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """Time without a call, between two stretches."""

    step: str
    """What the calls after it are for."""
    seconds: float
    """How long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Where the time of a run went, in seconds."""

    calls: int
    """Requests."""
    wall: float
    """From the start of the process to its end."""
    busy: float
    """With at least one call under way."""
    best: float
    """What the calls take at best."""
    start: float
    """From the start of the process to the first call."""
    pauses: tuple[Pause, ...]
    """Without a call, between the first and the last: longest first."""
    cpu: float
    """CPU of the process."""

    @property
    def overhead(self) -> float:
        """Part of the run without a call."""
        return (self.wall - self.busy) / self.wall

    @property
    def paused(self) -> float:
        """Sum of the pauses."""
        return sum(pause.seconds for pause in self.pauses)

    @property
    def end(self) -> float:
        """From the last answer to the end of the process."""
        return self.wall - self.busy - self.start - self.paused


def figures(log: Sequence[dict[str, Any]], run: Ended, latency: float, steps: Steps) -> Figures:
    """What the server's log, the run's own and the clock tell."""
    found = stretches(log)
    pauses = (
        Pause(step=steps.before(after.begun), seconds=after.begun - before.ended)
        for before, after in zip(found, found[1:], strict=False)
    )
    return Figures(
        calls=len(log),
        wall=run.wall,
        busy=sum(one.ended - one.begun for one in found),
        best=sum(math.ceil(one.calls / CONCURRENCY) * latency for one in found),
        start=found[0].begun - (run.began - steps.offset),
        pauses=tuple(sorted(pauses, key=lambda pause: -pause.seconds)),
        cpu=run.cpu,
    )


class Steps:
    """What the calls of a run were for, from its log."""

    def __init__(self, lines: Sequence[str], offset: float) -> None:
        """Read the log.

        Args:
            lines: one event each.
            offset: Unix time at zero of the server's clock.
        """
        self.offset = offset
        self._times: list[float] = []
        self._names: list[str] = []
        candidate = "baseline"
        for told in map(json.loads, lines):
            if told["event"] == "candidate":
                candidate = re.sub(r" \d+$", "", told["origin"])
            elif told["event"] == "call sent":
                self._times.append(datetime.fromisoformat(told["at"]).timestamp() - offset)
                self._names.append(_step(told, candidate))

    def before(self, at: float) -> str:
        """What the call is for that came to the server then: it was on record just before."""
        index = bisect.bisect_right(self._times, at) - 1
        return self._names[index] if index >= 0 else "baseline"


def _step(sent: dict[str, Any], candidate: str) -> str:
    if sent["role"] == "mutator":
        return "proposals"
    return {"test": "test", "attribution": "prices"}.get(sent["phase"], candidate)


def by_step(pauses: Sequence[Pause]) -> list[str]:
    """Each step's pauses in a line, the longest in sum first."""
    steps: dict[str, list[float]] = {}
    for pause in pauses:
        steps.setdefault(pause.step, []).append(pause.seconds)
    return [
        f"{sum(known):.2f} s in {len(known)} before {step}, the longest {max(known):.2f} s"
        for step, known in sorted(steps.items(), key=lambda item: -sum(item[1]))
    ]


def measured(eval_set: str, latency: float) -> tuple[Figures | None, str]:
    """One run from an empty cache; None with what it said where it fails."""
    compiled()
    with meter(latency) as base_url, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        eval_file = workspace(folder, base_url, eval_set)
        run = optimizer(folder, "run", str(eval_file), "--json")
        if run.code != 0:
            return None, run.err
        lines = next(folder.glob("runs/*/log.jsonl")).read_text(encoding="utf-8").splitlines()
        with urllib.request.urlopen(f"{base_url.removesuffix('/v1')}/_log") as answered:
            steps = Steps(lines, time.time() - time.monotonic())
            return figures(json.load(answered), run, latency, steps), ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether overhead is small."""
    parser = argparse.ArgumentParser(description="What a whole search adds to its calls.")
    parser.add_argument("--latency", type=float, default=LATENCY, help=f"seconds a call ({LATENCY})")
    parser.add_argument("--eval", default="reviews", help="eval set of the repository (reviews)")
    options = parser.parse_args(arguments)
    found, fault = measured(options.eval, options.latency)
    if found is None:
        print(fault)
        return 1
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    print(
        f"{options.eval}: {found.calls} calls at {1000 * options.latency:.0f} ms, {CONCURRENCY} in flight, load {load}"
    )
    print(f"  wall {found.wall:.1f} s, a call under way {found.busy:.1f} s, at best {found.best:.1f} s")
    print(f"  no call {found.wall - found.busy:.2f} s = {found.overhead:.1%} of the run (limit {MOST:.0%})")
    print(f"  of that {found.start:.2f} s to start, {found.end:.2f} s to end, {found.paused:.2f} s in", end=" ")
    longest = ", ".join(f"{pause.seconds:.2f}" for pause in found.pauses[:8])
    print(f"{len(found.pauses)} pauses, the longest {longest} s; CPU {found.cpu:.1f} s")
    print("".join(f"    {line}\n" for line in by_step(found.pauses)), end="")
    return 1 if found.overhead > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
