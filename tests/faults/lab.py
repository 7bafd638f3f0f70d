"""A workspace, a meter and the commands that are run there. The package's docstring says how to use it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optimizer.testing.faults import Script
from optimizer.testing.server import Answer, FakeServer, offline_answer, running_server
from tests.faults import invariants, kept

HOME = Path(__file__).parents[2]
CANARY = "sk-canary-Jabberwock-4711-do-not-show"
"""The API key of every child; it may be in no file and no output."""
PATIENCE = 120.0
"""Seconds after which a child that does not end is a failure."""
RUN = "r"
"""Id of the run that `Lab.run` begins and goes on with."""

CONFIG = """\
prompt: ../prompts/reviews/v1.yaml
data: rows.jsonl
model: {{name: openai/offline, base_url: "{url}", price: {{input: 1.0, output: 2.0}}}}
metrics:
  - json:
      schema:
        type: object
        required: [sentiment, business_type]
        properties:
          sentiment: {{type: string}}
          business_type: {{type: string}}
  - json-field: sentiment
  - json-field: business_type
splits: {{train: 0.4, val: 0.3, test: 0.3}}
budget: {{calls: {calls}}}
concurrency: {concurrency}
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that ended."""

    code: int
    """Exit code; negative for the signal that killed it."""
    out: str
    err: str
    first: int
    """Requests that the meter had seen when it began."""
    seen: int
    """Requests that the meter had seen when it ended."""
    kept: frozenset[str]
    """Keys of requests whose answer was on the disk when it ended."""

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(kw_only=True)
class Child:
    """A command that runs."""

    lab: Lab
    process: subprocess.Popen[bytes]
    name: str
    first: int
    ended: Ended | None = None

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def asks(self, requests: int) -> None:
        """Wait until the meter has seen so many requests, of all children."""
        self.lab.wait(lambda: len(self.lab.meter.log) >= requests, self)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.send(signal.SIGINT)

    def kill(self) -> Ended:
        """Kill it, as `kill -9` does."""
        self.process.kill()
        return self.end()

    def end(self, timeout: float = PATIENCE) -> Ended:
        """Wait for its end."""
        if self.ended is None:
            code = self.process.wait(timeout)
            out, err = (self.lab.output(self.name, stream).read_text("utf-8", "replace") for stream in ("out", "err"))
            stored = kept.acknowledged(self.lab.folder, self.lab.keys())
            self.ended = Ended(code=code, out=out, err=err, first=self.first, seen=len(self.lab.meter.log), kept=stored)
            self.lab.ended.append(self.ended)
        return self.ended


@dataclass(kw_only=True)
class Lab:
    """A workspace with an eval set of reviews, and a meter that its model calls go to. Made by `lab`."""

    folder: Path
    """The workspace."""
    aside: Path
    """What children print lies here, outside the workspace."""
    meter: FakeServer
    concurrency: int
    rows: int
    calls: int
    more: str
    """More lines of the eval file."""
    answer: Answer = offline_answer
    """What the model says."""
    damaged: int = 0
    """Answers that a test took off the disk on purpose, at most: they may be asked again."""
    children: list[Child] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    """Commands in the order of their ends."""

    @property
    def eval_file(self) -> Path:
        return self.folder / "evals" / "rows.yaml"

    def start(
        self,
        *flags: object,
        command: str = "run",
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "optimizer"),
    ) -> Child:
        """Start a command: `run` begins the run `r` or goes on with it, unless `flags` name another."""
        arguments = [*program, command, *self._eval_file(command), *map(str, flags)]
        if command == "run" and "--run-id" not in flags:
            arguments += ["--run-id", RUN]
        if command == "run" and "--resume" not in flags:
            arguments += ["--resume"]
        name = f"{len(self.children):03d}"
        with self.output(name, "out").open("wb") as out, self.output(name, "err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(HOME), "OPENAI_API_KEY": CANARY, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        child = Child(lab=self, process=process, name=name, first=len(self.meter.log))
        self.children.append(child)
        return child

    def run(self, *flags: object, env: Mapping[str, str] | None = None) -> Ended:
        """`optimizer run` to its end; the same command again goes on with the run."""
        return self.start(*flags, env=env).end()

    def eval(self, *flags: object, env: Mapping[str, str] | None = None) -> Ended:
        """`optimizer eval --json` to its end."""
        return self.start("--json", *flags, command="eval", env=env).end()

    def command(self, command: str, *flags: object, env: Mapping[str, str] | None = None) -> Ended:
        """Any other command to its end."""
        return self.start(*flags, command=command, env=env).end()

    def wait(self, ready: Callable[[], object], child: Child | None = None) -> None:
        """Wait for something to be true; the child may not end before."""
        end = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < end, "it never came to that"
            if child is not None and child.process.poll() is not None:
                raise AssertionError(f"it ended before, with code {child.process.returncode}: {child.end().err}")
            time.sleep(0.002)

    def keys(self) -> dict[str, tuple[str, ...]]:
        """Key of a request on the meter -> keys of the cache and the run store, one a sample."""
        return kept.request_keys(self.meter)

    def output(self, name: str, stream: str) -> Path:
        return self.aside / f"{name}.{stream}"

    def check(
        self, done: Ended, *, code: int = 0, says: str | Sequence[str] = (), same: bool = False, run: str = RUN
    ) -> None:
        """Hold every invariant against everything that ran here; A, B and D wait until nothing runs any more.

        Args:
            done: the command that is looked at.
            code: its exit code.
            says: words that it must have told the user.
            same: the run is complete, and must equal a run without faults.
            run: which run that is.
        """
        told = done.out + done.err
        assert done.code == code, told
        for words in (says,) if isinstance(says, str) else says:
            assert words in told, told
        for one in self.ended:
            invariants.plain_words(one)
        invariants.nobody_left([child.process.pid for child in self.children if child.ended])
        if all(child.ended for child in self.children):
            invariants.paid_once(self)
            invariants.bill_is_right(self)
        invariants.no_secret(CANARY, self.folder, self.aside)
        if same:
            invariants.same_as_without_faults(self, run)

    def _eval_file(self, command: str) -> list[str]:
        return ["evals/rows.yaml"] if command in ("run", "eval") else []


@contextlib.contextmanager
def lab(
    folder: Path,
    *,
    faults: Script | None = None,
    latency: float = 0.0,
    concurrency: int = 16,
    rows: int = 60,
    calls: int = 400,
    more: str = "",
    answer: Answer = offline_answer,
) -> Iterator[Lab]:
    """A workspace with an eval set, and a meter.

    Args:
        folder: an empty folder.
        faults: what the meter's requests meet.
        latency: seconds before each answer.
        concurrency: calls in flight, at most.
        rows: rows of the eval set, at most 216.
        calls: the budget.
        more: more lines for the eval file, such as `repeats: 2`.
        answer: from the body of a request to the text of its answer.
    """
    workspace, aside = folder / "workspace", folder / "aside"
    for path in (aside, workspace / "evals", workspace / "prompts" / "reviews"):
        path.mkdir(parents=True)
    lines = (HOME / "evals" / "reviews.jsonl").read_text("utf-8").splitlines()[:rows]
    (workspace / "evals" / "rows.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    prompt = (HOME / "prompts" / "reviews" / "v1.yaml").read_text("utf-8")
    (workspace / "prompts" / "reviews" / "v1.yaml").write_text(prompt, "utf-8")
    with running_server(answer=answer, faults=faults, latency=latency, key=CANARY) as meter:
        settings: dict[str, Any] = {"concurrency": concurrency, "rows": rows, "calls": calls, "more": more}
        here = Lab(folder=workspace, aside=aside, meter=meter, answer=answer, **settings)
        text = CONFIG.format(url=meter.base_url, calls=calls, concurrency=concurrency) + more
        here.eval_file.write_text(text, "utf-8")
        try:
            yield here
        finally:
            for child in here.children:
                if child.process.poll() is None:
                    child.process.kill()
                    child.process.wait(PATIENCE)
