"""What the tests of the command line share: a command run in this process, and a workspace with a run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.cli.entry import run

PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def cli(*arguments: object) -> Done:
    """Run a command in this process, in the working folder."""
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = run([str(argument) for argument in arguments])
    texts = [stream.buffer.getvalue().decode() for stream in (stdout, stderr)]
    return Done(code=code, out=texts[0], err=texts[1])


def process(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "optimizer", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(started: subprocess.Popen[bytes]) -> Done:
    """Wait for a process."""
    out, err = started.communicate(timeout=120)
    return Done(code=started.returncode, out=out.decode(), err=err.decode())


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[Path]:
    """Work in a folder, and come back."""
    with contextlib.chdir(folder):
        yield folder


def make_workspace(folder: Path) -> Path:
    """A workspace as `init` makes it, with one run called `first`."""
    with inside(folder):
        assert cli("init").code == 0
        done = cli("run", "evals/example.yaml", "--run-id", "first")
        assert done.code == 0, done.err
    return folder


def all_of(terminal: int) -> bytes:
    """What is written to the other side of a pseudo-terminal until everybody has closed it; closes this side."""
    shown = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:
            break
        if not more:
            break
        shown += more
    os.close(terminal)
    return shown
