"""The disk takes no more: new calls stop at once, what was there stays, and after some room is made the run goes on."""

from __future__ import annotations

import errno
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.errors import StoreError
from optimizer.readers import atomic
from optimizer.store.log import Log
from tests import sample_run
from tests.cli_case import cli, make_workspace
from tests.faults.lab import CANARY, HOME, RUN, Lab, lab

LOOKS = importlib.import_module("optimizer.store.looks")
MOUNT = ("unshare", "--mount", "--map-root-user")

PLAIN = """
import ctypes, os, sys
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Gives up root's right to write everywhere (CAP_DAC_OVERRIDE and its twin leave the bounding set), and goes on."""


def may_mount() -> bool:
    try:
        tried = subprocess.run([*MOUNT, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    except OSError:
        return False
    return tried.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="needs Linux, and the right to mount a disk in a namespace of its own")
def test_a_full_disk_pauses_the_run_and_room_lets_it_go_on(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.faults.full_disk", str(tmp_path), "workspace=300"]
    done = subprocess.run([*MOUNT, *program], cwd=HOME, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def without_privilege(here: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that may write only where the modes of the folders allow it, for root too."""
    return subprocess.run(
        [sys.executable, "-c", PLAIN, "-m", "optimizer", *arguments],
        cwd=here.folder,
        env={**os.environ, "PYTHONPATH": str(HOME), "OPENAI_API_KEY": CANARY},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("closed", "told"),
    [
        ("runs", "runs/r: not writable; check the permissions"),
        (".optimizer", ".optimizer/cache: Permission denied (check the rights of the folder)"),
    ],
)
def test_a_folder_that_may_only_be_read_is_named_and_nothing_is_sent(tmp_path: Path, closed: str, told: str) -> None:
    with lab(tmp_path, rows=12, calls=120) as here:
        folder = here.folder / closed
        folder.mkdir(parents=True)
        folder.chmod(0o555)
        done = without_privilege(here, "run", "evals/rows.yaml", "--run-id", RUN)
        folder.chmod(0o755)
        assert done.returncode == 7, done.stderr
        assert told in done.stderr and "Traceback" not in done.stderr
        assert not here.meter.log


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "json", "--out", "app.yaml"],
        ["apply", "--file", "app.yaml", "--key", "llm.system"],
        ["gate", "--junit", "app.yaml"],
        ["init", "new"],
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_a_file_that_is_written_over_stays_as_it_was(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(workspace)
    Path("app.yaml").write_text("llm:\n  system: as it was\n", "utf-8")
    before = sorted(path for path in workspace.rglob("*") if path.is_file())
    monkeypatch.setattr(atomic, "_write", full)
    done = cli(*arguments)
    assert done.code == 7, done.err
    assert "cannot be written: No space left on device" in done.err
    assert done.err.count("error: ") == 1 and "Traceback" not in done.err
    assert Path("app.yaml").read_text("utf-8") == "llm:\n  system: as it was\n"
    assert sorted(path for path in workspace.rglob("*") if path.is_file()) == before, "no half file is left"


@pytest.mark.parametrize(
    ("seam", "told"),
    [
        ((atomic, "create"), "prompts/example: cannot write a version: No space left"),
        ((LOOKS, "_append"), "no space left on the disk"),
        ((Log, "write"), "log.jsonl: no space left on the disk"),
    ],
)
def test_the_end_of_a_run_that_finds_no_room_is_had_again_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seam: tuple[object, str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    if seam[0] is Log:
        monkeypatch.setattr(Log, "write", _fails_at("run ended", Log.write))
    else:
        monkeypatch.setattr(seam[0], seam[1], full)
    done = cli("run", "evals/example.yaml", "--run-id", "a")
    assert done.code == 7 and told in done.err, done.err
    assert "run paused, " in done.err and "--resume" in done.err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    sent = _sent("a")
    again = cli("run", "evals/example.yaml", "--run-id", "a", "--resume", "--json")
    assert again.code == 0, again.err
    assert again.json["verdict"] == "GAIN SHOWN" and Path("prompts/example/v2.yaml").exists()
    assert sent == (53 if seam[0] is LOOKS else 65), "the test comes after the look"
    assert _sent("a") == 65, "every answer was kept, and none is asked again"


def _fails_at(word: str, write: Callable[[Log, list[str]], None]) -> Callable[[Log, list[str]], None]:
    def fails(log: Log, lines: list[str]) -> None:
        if any(word in line for line in lines):
            full()
        write(log, lines)

    return fails


def _sent(run: str) -> int:
    from optimizer.store import RunReader, spending

    with RunReader(Path(), run) as reader:
        return spending(reader).calls


def test_the_log_is_named_where_it_is_the_log_that_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Log, "write", full)
    writer = sample_run.begin(tmp_path)
    with pytest.raises(StoreError, match=r"log\.jsonl: no space left on the disk"):
        writer.close()
    monkeypatch.undo()
    sample_run.begin(tmp_path, resume=True).close()
