"""Commands in real processes, several to a process, with an environment that a test decides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cli_case import PACKAGE, Done

_EACH = """
import json, sys
{before}
from optimizer.cli.entry import run
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.stdout.write(f"\\n$ {{' '.join(arguments[:1])}}\\n")
    sys.stdout.flush()
    codes.append(run(arguments))
sys.stderr.write("\\ncodes " + json.dumps(codes) + "\\n")
"""


def bare(**more: str) -> dict[str, str]:
    """An environment with nothing of the machine's in it but what a process needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1", **more}


def start(
    commands: Sequence[Sequence[str]], cwd: Path, env: Mapping[str, str], *, before: str = ""
) -> subprocess.Popen[bytes]:
    """Start a process that runs the commands one after the other, after some lines of Python."""
    return subprocess.Popen(
        [sys.executable, "-c", _EACH.format(before=before), json.dumps([list(map(str, one)) for one in commands])],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait(started: subprocess.Popen[bytes]) -> Done:
    """Its end; the code is the process's own."""
    out, err = started.communicate(timeout=120)
    return Done(code=started.returncode, out=out.decode(), err=err.decode())


def commands(
    commands: Sequence[Sequence[str]], cwd: Path, env: Mapping[str, str], *, before: str = ""
) -> tuple[list[int], Done]:
    """Run commands in one process: their exit codes, and what they printed."""
    done = wait(start(commands, cwd, env, before=before))
    assert done.code == 0, done.err
    told, _, rest = done.err.rpartition("\ncodes ")
    codes, _, after = rest.partition("\n")
    return json.loads(codes), Done(code=0, out=done.out, err=told + after)
