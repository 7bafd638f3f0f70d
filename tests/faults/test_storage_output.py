"""Nobody reads, nobody listens, or the terminal speaks ASCII alone: every command ends as it should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_case import PACKAGE, cli, inside

ODD = "Grüße 🥐\u2028‮ naïve "
POOR = {
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
    "COLUMNS": "20",
    "TERM": "dumb",
}
"""As under cron on an old machine."""
READING = ("show w", "failures w", "case note-01 w", "export json w", "log example")
RUN = "run evals/example.yaml --run-id"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    with inside(folder):
        assert cli("init").code == 0
        for path, place in (("evals/example.jsonl", '"note": "'), ("prompts/example/v1.yaml", "      You")):
            text = Path(path).read_text("utf-8")
            Path(path).write_text(text.replace(place, f"{place}{ODD if 'evals' in path else ''}"), "utf-8")
        prompt = Path("prompts/example/v1.yaml")
        prompt.write_text(prompt.read_text("utf-8").replace("our bakery.", "our bäckerei 🥐."), "utf-8")
        assert cli("run", "evals/example.yaml", "--run-id", "w").code == 0
    return folder


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `optimizer` is the command; its exit code is that of the first part."""
    script = f'optimizer() {{ "{sys.executable}" -m optimizer "$@"; }}\n{line}\nexit ${{PIPESTATUS[0]}}'
    env = {**{name: value for name, value in os.environ.items() if not name.startswith("LC_")}, **POOR}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**env, "PYTHONPATH": str(PACKAGE)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def is_quiet(done: subprocess.CompletedProcess[str]) -> None:
    for words in ("Traceback", "BrokenPipe", "Exception ignored", "UnicodeEncodeError", "this is a bug"):
        assert words not in done.stdout + done.stderr, done.stdout + done.stderr


pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.mark.parametrize("command", READING)
def test_who_reads_one_line_ends_no_command_badly(made: Path, command: str) -> None:
    done = shell(f"optimizer {command} | head -1", made)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    is_quiet(done)


def test_nobody_needs_a_terminal_or_a_stream(made: Path) -> None:
    closed = shell(
        "\n".join(f"optimizer {command} >&- 2>&- || echo {command} ended with $?" for command in READING[:2]), made
    )
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, "", "")
    whole = shell("optimizer case note-01 w", made)
    assert whole.returncode == 0 and "Grüße 🥐" in whole.stdout, "letters as they are, whatever the locale says"
    assert "\u202e" not in whole.stdout and "\u2028" not in whole.stdout
    is_quiet(whole)


@pytest.mark.parametrize(
    ("name", "rest"),
    [("piped", "2>&1 | head -1"), ("deaf", ">&- 2>&-")],
)
def test_a_run_that_nobody_listens_to_is_kept(made: Path, name: str, rest: str) -> None:
    done = shell(f"optimizer {RUN} {name} {rest}", made)
    assert done.returncode == 0, done.stderr
    is_quiet(done)
    with inside(made):
        (kept,) = [run for run in cli("runs", "--json").json if run["run"] == name]
    assert kept["status"] == "complete"
