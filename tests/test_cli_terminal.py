"""What holds at a terminal: the pager, colour, and what the shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_case import PACKAGE, all_of, cli, make_workspace

pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
KEEP = "import pathlib, sys\npathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


def at_terminal(workspace: Path, *arguments: str, lines: int = 10, **environ: str) -> str:
    """What a terminal of that height shows."""
    ours, theirs = pty.openpty()
    size = {"LINES": str(lines), "COLUMNS": "80", "TERM": "xterm"}
    started = subprocess.Popen(
        [sys.executable, "-m", "optimizer", *arguments],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **size, **environ},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = all_of(ours)
    assert started.wait(timeout=60) == 0, shown
    return shown.decode()


@pytest.fixture
def pager(tmp_path: Path) -> tuple[str, Path]:
    """A pager that keeps what it is given."""
    script = tmp_path / "keep.py"
    script.write_text(KEEP, encoding="utf-8")
    kept = tmp_path / "kept"
    return f"{sys.executable} {script} {kept}", kept


def test_a_long_page_goes_through_the_pager_with_its_colours(workspace: Path, pager: tuple[str, Path]) -> None:
    command, kept = pager
    assert at_terminal(workspace, "show", PAGER=command) == ""
    text = kept.read_text(encoding="utf-8")
    assert "GAIN SHOWN" in text and "\x1b[" in text


@pytest.mark.parametrize(
    ("before", "lines", "environ"),
    [
        (["--no-pager"], 10, {}),
        ([], 500, {}),
        ([], 10, {"PAGER": "no-such-pager-here"}),
    ],
)
def test_otherwise_the_page_is_simply_there(
    workspace: Path, pager: tuple[str, Path], before: list[str], lines: int, environ: dict[str, str]
) -> None:
    command, kept = pager
    shown = at_terminal(workspace, *before, "show", lines=lines, **{"PAGER": command, **environ})
    assert "GAIN SHOWN" in shown and not kept.exists()


def test_no_color_holds_in_the_pager_too(workspace: Path, pager: tuple[str, Path]) -> None:
    command, kept = pager
    at_terminal(workspace, "show", PAGER=command, NO_COLOR="1")
    assert "\x1b[" not in kept.read_text(encoding="utf-8")


def complete(workspace: Path, words: str) -> list[str]:
    """What bash is offered after these words."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "optimizer"],
        cwd=workspace,
        env={
            **os.environ,
            "PYTHONPATH": str(PACKAGE),
            "_OPTIMIZER_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"sqlite3", "yaml", "asyncio", "litellm", "optuna", "diskcache"}
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("optimizer comp", ["compare"]),
        ("optimizer cache ex", ["explain"]),
        ("optimizer show f", ["first"]),
        ("optimizer diff example@v", ["example@v1", "example@v2"]),
        ("optimizer log ex", ["example"]),
        ("optimizer compare --split v", ["val"]),
        ("optimizer mark note-02 wr", ["wrong-label"]),
    ],
)
def test_the_shell_completes_names(workspace: Path, words: str, offered: list[str]) -> None:
    assert complete(workspace, words) == offered


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shwo"], "Did you mean 'show'"),
        (["cache", "prnue"], "Did you mean 'prune'"),
        (["show", "--jsn"], "--json"),
        (["export", "jsno"], "did you mean 'json'"),
        (["case", "note-0x"], "did you mean 'note-0"),
    ],
)
def test_every_wrong_name_is_met_with_a_near_one(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(workspace)
    done = cli(*arguments)
    assert done.code == 2 and told in done.err, done.err


COMMANDS = [
    "show",
    "failures",
    "diff",
    "compare",
    "log",
    "blame",
    "marks",
    "cache stats",
    "cache explain note-02",
    "runs",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [60, 200])
def test_no_page_is_wider_than_its_terminal(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, command: str, width: int
) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("COLUMNS", str(width))
    done = cli(*command.split())
    assert done.code == 0, done.err
    wide = [line for line in done.out.splitlines() if len(line) > width and not line.startswith("  optimizer ")]
    assert wide == []
