"""Exit codes and the words that go with them; what happens at the edges of a process."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optimizer.cli import entry, launch
from optimizer.cli.entry import told
from optimizer.cli.interrupt import Interrupted
from optimizer.errors import (
    BudgetExceeded,
    DataError,
    GainNotShown,
    GateError,
    OptimizerError,
    Problem,
    ProviderError,
    StoreError,
    UserError,
)
from optimizer.outcome import Verdict
from optimizer.store import RunReader, spending
from optimizer.testing.faults import parse_fault
from optimizer.testing.server import running_server
from tests import sample_run
from tests.cli_case import cli, ended, make_workspace, process


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    return tmp_path


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2),
        (GateError("x"), 3),
        (GainNotShown("x"), 4),
        (BudgetExceeded("x"), 5),
        (ProviderError("x"), 6),
        (StoreError("x"), 7),
        (Interrupted("x"), 130),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
        (ExceptionGroup("tasks", [StoreError("x")]), 7),
    ],
)
def test_every_fault_has_its_code_and_one_line(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(error, []) == code
    assert "Traceback" not in capsys.readouterr().err


def test_several_problems_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(where="x.jsonl:1", field="a", problem="missing", fix="add it")
    told(DataError([problem, problem]), [])
    assert capsys.readouterr().err == "error: x.jsonl:1: a: missing (add it)\n       x.jsonl:1: a: missing (add it)\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nope"], 2, "No such command"),
        (["run"], 2, "which eval file?"),
        (["run", "nope.yaml"], 2, "nope.yaml: no such file"),
        (["run", "evals/example.yaml", "--budget-calls", "5"], 5, "set budget.calls to"),
        (["run", "evals/example.yaml", "--budget-calls", "0"], 2, "--budget-calls"),
        (["run", "evals/example.yaml", "--param", "x"], 2, "not KEY=VALUE"),
        (["run", "evals/example.yaml", "--param", "api_key=1"], 2, "looks like a secret"),
        (["run", "evals/example.yaml", "--mutator-base-url", "http://x"], 2, "goes with --mutator"),
        (["run", "evals/example.yaml", "nope"], 2, "goes with --resume"),
        (["run", "evals/example.yaml", "--run-id", ""], 2, "run id '': not usable"),
        (["run", "evals/example.yaml", "--run-id", "-x"], 2, "the first no dot or dash"),
        (["run", "evals/example.yaml", "nope", "--resume"], 2, "no runs"),
        (["run", "--resume"], 2, "no unfinished run"),
        (["run", "evals/example.yaml", "--model", "openai/x"], 2, "OPENAI_API_KEY"),
        (["eval", "evals/example.yaml", "--split", "tset"], 2, "did you mean 'test'"),
        (["show"], 2, "no runs"),
        (["export", "json", "example@v7"], 2, "no version v7"),
        (["apply", "example@v1", "--file", "nope.yaml", "--key", "a"], 2, "no such file"),
        (["apply", "--key", "a"], 2, "--file"),
    ],
)
def test_wrong_use_is_told_in_one_line(workspace: Path, arguments: list[str], code: int, words: str) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (code, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert words in line


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"not a database at all"])
def test_a_run_that_never_began_is_begun_and_a_damaged_one_is_told(workspace: Path, content: bytes) -> None:
    folder = Path("runs/torn")
    folder.mkdir(parents=True)
    (folder / "run.sqlite").write_bytes(content)
    if content.startswith(b"SQLite"):
        (folder / "run.sqlite").unlink()
        with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db:
            db.execute("PRAGMA journal_mode = WAL")
    done = cli("run", "evals/example.yaml", "--run-id", "torn", "--resume")
    if content.startswith(b"not"):
        assert done.code == 7 and "damaged" in done.err
    else:
        assert done.code == 0, done.err


def test_splits_are_drawn_once_nothing_else_is_wrong(workspace: Path) -> None:
    path = Path("evals/example.yaml")
    right = path.read_text("utf-8")
    path.write_text(right.replace("[positive, negative]", "[good, bad]"), "utf-8")
    assert cli("eval", path).code == 2
    assert not Path("evals/example.splits.json").exists(), "rows that are mended would be placed as late ones"
    path.write_text(right, "utf-8")
    assert cli("eval", path).code == 0
    assert Path("evals/example.splits.json").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model", "openai/x"], "OPENAI_API_KEY is not set"),
        (["--model", "openai/x", "--base-url", "http://127.0.0.1:9/v1", "--usd", "1"], "budget.usd needs a price"),
    ],
)
def test_what_is_known_to_be_missing_makes_no_run(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], words: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = cli("run", "evals/example.yaml", *flags)
    assert done.code == 2 and words in done.err
    assert done.err.startswith("error: ") and not Path("runs").exists()


def test_a_provider_that_is_down_is_code_6_and_the_run_can_go_on(workspace: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    done = cli("run", "evals/example.yaml", "--model", "openai/x", "--base-url", url, "--run-id", "down")
    assert done.code == 6
    assert "run paused, 0 answers kept; go on with: optimizer run evals/example.yaml" in done.err
    assert "--resume" in done.err and "Traceback" not in done.err
    assert f"task model openai/x: {url[7:-3]}" in done.err.splitlines()[0], "the host comes before the first call"


def test_an_eval_without_one_score_is_code_6_with_the_first_fault(workspace: Path) -> None:
    with running_server(faults=lambda _: parse_fault("length")) as server:
        done = cli("eval", "evals/example.yaml", "--model", "openai/offline", "--base-url", server.base_url)
    assert done.code == 6 and "none of" in done.err and "has a score" in done.err and "cut_off" in done.err
    assert "rows that are not scored, and why" in done.out


def test_a_disk_that_refuses_is_code_7(workspace: Path) -> None:
    Path("runs").write_text("in the way", encoding="utf-8")
    done = cli("run", "evals/example.yaml")
    assert done.code == 7, done.err
    assert "Traceback" not in done.err


def test_a_gain_that_is_required_and_not_there_is_code_4(workspace: Path) -> None:
    assert cli("run", "evals/example.yaml").code == 0
    done = cli("run", "evals/example.yaml", "--prompt", "example@v2", "--require-gain")
    assert done.code == 4
    assert "--require-gain: the verdict is" in done.err
    assert cli("run", "evals/example.yaml", "--prompt", "example@v2").code == 0


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("required", [False, True])
def test_the_verdict_decides_the_code(verdict: Verdict, required: bool) -> None:
    code = 0
    try:
        launch.check(sample_run.outcome(verdict), require_gain=required)
    except OptimizerError as error:
        code = error.exit_code
    missed = 4 if required and verdict is not Verdict.GAIN_SHOWN else 0
    assert code == (3 if verdict is Verdict.BLOCKED else missed)


def test_a_bug_is_called_one_and_its_report_holds_no_secret(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-4711-canary")
    Path(".optimizer").mkdir()

    def broken() -> object:
        local = "a local canary"
        raise KeyError(f"bearer canary-4711-canary{local[:0]}")

    monkeypatch.setattr(entry, "command", broken)
    done = cli("run", "--param", "x=canary-4711-canary")
    assert done.code == 1
    assert "this is a bug of the optimizer" in done.err and "KeyError" in done.err and done.err.count("\n") == 1
    (report,) = Path(".optimizer").glob("crash-*.txt")
    text = report.read_text("utf-8")
    assert str(report) in done.err and "broken" in text and "optimizer run" in text
    assert "canary-4711" not in text + done.err
    assert "a local canary" not in text
    assert report.stat().st_mode & 0o077 == 0


def test_help_is_there_for_every_command() -> None:
    text = cli("--help").out
    for command in "init run eval runs show failures case diff log export apply cache".split():
        assert f"  {command} " in text
        assert cli(command, "--help").code == 0
    assert cli("--version").out.startswith("prompt-refinement-optimizer ")
    nothing = cli()
    assert nothing.code == 2 and "Usage: optimizer" in nothing.err


def test_help_loads_no_more_than_typer_does() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "optimizer", "run", "--help"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        check=True,
    )
    loaded = {line.rpartition(b"|")[2].strip().split(b".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {b"rich", b"yaml", b"sqlite3", b"asyncio"}


def test_there_is_one_way_out() -> None:
    """The streams are named where all text is cleaned or none is written, and nowhere else."""
    named: dict[str, set[str]] = {}
    for path in Path(entry.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in {"stdout", "stderr", "__stderr__", "echo", "secho"}:
                named.setdefault(path.name, set()).add(node.attr)
            assert not (isinstance(node, ast.Name) and node.id == "print"), path.name
    allowed = {"out.py", "progress.py", "entry.py", "interrupt.py"}
    assert set(named) <= allowed and not {"echo", "secho"} & set().union(*named.values())


@pytest.fixture(scope="module")
def with_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("with-run"))


def test_a_poor_locale_gets_utf8_all_the_same(with_run: Path) -> None:
    env = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (with_run / "greeting.txt").write_text("Grüße, {{ note }} 🙂\n", encoding="utf-8")
    done = ended(process("export", "text", "greeting.txt", cwd=with_run, env=env))
    assert (done.code, done.out) == (0, "Grüße, {{ note }} 🙂")
    assert ended(process("show", cwd=with_run, env=env)).code == 0
    assert ended(process("show", "é🙂", cwd=with_run, env=env)).code == 2


def test_a_reader_that_leaves_is_no_fault(with_run: Path) -> None:
    started = process("show", "--json", cwd=with_run)
    assert started.stdout is not None and started.stderr is not None
    started.stdout.close()
    err = started.stderr.read()
    started.stderr.close()
    assert (started.wait(60), err) == (0, b"")


def test_a_run_goes_on_without_readers(with_run: Path) -> None:
    started = process("run", "evals/example.yaml", "--run-id", "alone", "--require-gain", cwd=with_run)
    assert started.stdout is not None and started.stderr is not None
    started.stdout.close()
    started.stderr.close()
    assert started.wait(60) in (0, 4), "the exit code still tells the verdict"
    with RunReader(with_run, "alone") as reader:
        assert reader.outcome() is not None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("command", ["show", "show --json", "export json", "runs"])
def test_a_full_disk_behind_the_output_is_code_7(with_run: Path, command: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    line = f'"{sys.executable}" -m optimizer {command} > /dev/full'
    done = subprocess.run(line, shell=True, cwd=with_run, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 7
    assert done.stderr.startswith("error: the standard output cannot be written: No space left")
    assert done.stderr.count("\n") == 1


def test_closed_streams_are_no_fault(with_run: Path) -> None:
    command = f'"{sys.executable}" -m optimizer show >&- 2>&-'
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    assert subprocess.run(command, shell=True, cwd=with_run, env=env, check=False).returncode == 0


def test_ctrl_c_drains_and_the_line_that_is_printed_goes_on(workspace: Path) -> None:
    with running_server(latency=0.15) as server:
        flags = ["--model", "openai/offline:perfect", "--base-url", server.base_url, "--concurrency", "2"]
        started = process("run", "evals/example.yaml", *flags, cwd=workspace)
        while not server.log:
            assert started.poll() is None, "it ended before the first request"
            time.sleep(0.01)
        started.send_signal(signal.SIGINT)
        stopped = ended(started)
        seen = server.stats()
        assert stopped.code == 130, stopped.err
        assert "stopping, " in stopped.err and "press again to quit now" in stopped.err
        assert seen["seen"] == seen["answered"], "what was under way was waited for"
        (line,) = [line for line in stopped.err.splitlines() if "go on with: " in line]
        go_on = line.partition("go on with: optimizer ")[2].split()
        server.latency = 0.0
        done = cli(*go_on)
        assert done.code == 0, done.err
        assert server.stats()["seen"] == server.stats()["distinct"], "nothing was paid for twice"
    (run,) = cli("runs", "--json").json
    assert run["status"] == "complete"
    with RunReader(Path(), run["run"]) as reader:
        assert spending(reader).calls == server.stats()["seen"]
