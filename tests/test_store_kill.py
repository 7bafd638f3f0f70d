"""A writer that is killed at any moment keeps everything that it acknowledged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.store import RunReader, RunStatus, list_runs
from tests.sample_run import RUN, begin

CHILD = """
import asyncio, os, sys
from pathlib import Path
from optimizer.dataset import Split
from optimizer.events import CallEnded, CallSent, ResultKnown
from optimizer.outcome import Phase, Role
from tests.sample_run import SEED, begin, completion, evalset, result
from optimizer.dataset import Example

async def one(writer, number):
    known = ""
    for step in range(10_000):
        name = f"{number}-{step}"
        await writer.record(CallSent(call=name, key=name, role=Role.TASK, phase=Phase.SEARCH))
        os.write(1, f"sent {name}\\n{known}".encode())
        await writer.record(CallEnded(call=name, key=name, completion=completion(name)))
        os.write(1, f"ended {name}\\n".encode())
        found = result(SEED, Example(id=name, inputs={}, expected="x"), True)
        await writer.record(ResultKnown(result=found, split=Split.VAL, phase=Phase.SEARCH, round=0))
        known = f"known {name}\\n"  # With the next call that is sent, and not at once.

async def main():
    writer = begin(Path(sys.argv[1]), resume=True)
    os.write(1, b"open\\n")
    await asyncio.gather(*(one(writer, f"{sys.argv[2]}-{number}") for number in range(16)))

asyncio.run(main())
"""


def killed_after(root: Path, lines: int, mark: str) -> list[str]:
    """Acknowledgements that a child gave before it was killed, after about that many."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(root), mark], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    told += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    # A last line without its end was never an acknowledgement.
    return [line.decode().strip() for line in told if line.endswith(b"\n")]


def test_every_acknowledged_event_survives_a_kill(tmp_path):
    acknowledged: set[str] = set()
    lost = 0
    for number, lines in enumerate((2, 40, 333)):
        acknowledged |= set(killed_after(tmp_path, lines, str(number)))
        with RunReader(tmp_path, RUN) as reader:
            assert reader.status is RunStatus.INTERRUPTED
            calls = {call.call: call for call in reader.calls()}
            known = {found.result.example for found in reader.results()}
            assert reader.dropped == 0
        names = {
            kind: {line[len(kind) + 1 :] for line in acknowledged if line.startswith(kind)}
            for kind in ("sent", "ended", "known")
        }
        assert names["sent"] <= calls.keys()
        assert names["ended"] <= {name for name, call in calls.items() if call.completion is not None}
        assert names["known"] <= known
        writer = begin(tmp_path, resume=True)
        lost += writer.repaired.lost
        spent = writer.spent()
        assert names["ended"] <= writer.known_completions().keys()
        writer.close()
        assert spent.calls == len(calls) and spent.lost == lost <= 16 * (number + 1)
    assert any(line.startswith("known") for line in acknowledged)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX signals")
def test_a_killed_run_is_listed_as_interrupted(tmp_path):
    killed_after(tmp_path, 20, "0")
    (info,) = list_runs(tmp_path)
    assert info.status is RunStatus.INTERRUPTED and info.calls > 0 and info.verdict is None
