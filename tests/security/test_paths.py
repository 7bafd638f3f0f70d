"""No name leads out of the workspace, and no file of somebody else's is read or written for one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizer.errors import UserError
from optimizer.readers.versions import find_prompt
from optimizer.store import find_run, new_run_id, run_folder
from tests.cli_case import Done, cli, make_workspace

NAMES = [
    "../x",
    "..",
    ".",
    "",
    "a/b",
    "%2e%2e%2fx",
    "..\\x",
    "a\\b",
    "/etc/passwd",
    "C:\\x",
    "x\0y",
    "x\ny",
    "x" * 300,
    "\u2024\u2024/x",
    "\uff0e\uff0e/x",
    "..\u2215x",
    "x\u202ey",
    "-x",
    "~/x",
    "$HOME",
    "latest",
    "a:b",
    "*",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "inner"
    folder.mkdir()
    return make_workspace(folder)


@pytest.fixture
def workspace(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace with a run; nothing of it and nothing beside it may change."""
    monkeypatch.chdir(made)
    before = tree(made.parent)
    yield made
    assert tree(made.parent) == before


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but those that reading a database touches."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refused(done: Done) -> bool:
    return done.code == 2 and done.err.count("error: ") == 1 and "Traceback" not in done.err


@pytest.mark.parametrize("name", NAMES)
def test_no_run_has_such_an_id(workspace: Path, name: str) -> None:
    with pytest.raises(UserError):
        run_folder(workspace, name)
    if name != "latest":
        with pytest.raises(UserError):
            find_run(workspace, name)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "x" * 300, "x\ny"])
def test_no_command_takes_it_for_a_run(workspace: Path, name: str) -> None:
    for command in (
        ["run", "evals/example.yaml", "--run-id", name],
        ["show", name],
        ["gate", name],
        ["failures", name],
    ):
        assert refused(cli(*command)), command


@pytest.mark.parametrize("name", NAMES)
def test_a_new_id_made_of_it_stays_inside(workspace: Path, name: str) -> None:
    folder = run_folder(workspace, new_run_id(workspace, name)).path
    assert folder.parent == workspace / "runs" and len(folder.name) <= 80


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("latest", "/etc/passwd", "")])
def test_no_prompt_has_such_a_name(workspace: Path, name: str) -> None:
    for ref in (name, f"{name}@v1"):
        with pytest.raises(UserError):
            find_prompt(ref, workspace / "prompts")


@pytest.mark.parametrize("name", ["../x", "..", "%2e%2e%2fx", "x" * 300])
def test_no_command_takes_it_for_a_prompt(workspace: Path, name: str) -> None:
    assert refused(cli("log", name))
    assert refused(cli("export", "json", f"{name}@v1"))


@pytest.mark.parametrize("target", ["runs", "prompts"])
def test_a_link_that_leads_out_is_not_followed(workspace: Path, tmp_path: Path, target: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "v1.yaml").write_text("messages:\n  - role: user\n    content: secret of somebody\n", "utf-8")
    (outside / "run.sqlite").write_bytes((workspace / "runs/first/run.sqlite").read_bytes())
    link = workspace / target / "linked"
    link.symlink_to(outside)
    try:
        commands = [["show", "linked"], ["failures", "linked"], ["run", "evals/example.yaml", "--run-id", "linked"]]
        if target == "prompts":
            commands = [["export", "json", "linked@v1"], ["log", "linked"], ["diff", "linked@v1", "example@v1"]]
        for command in commands:
            done = cli(*command)
            assert refused(done) and "secret of somebody" not in done.out + done.err, command
    finally:
        link.unlink()


def test_a_version_that_is_a_link_out_is_not_followed(workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "v9.yaml"
    outside.write_text("messages:\n  - role: user\n    content: secret of somebody\n", "utf-8")
    link = workspace / "prompts/example/v9.yaml"
    link.symlink_to(outside)
    try:
        done = cli("export", "json", "example@v9")
        assert refused(done) and "secret of somebody" not in done.out + done.err
    finally:
        link.unlink()


HOSTILE_IDS = [name[:200] for name in NAMES if name and name.isprintable()] + ["CON", "nul.txt", "=1+1", "<b>"]


def test_ids_and_clusters_of_rows_name_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose ids are paths: every command that writes files writes those that it would write for any row."""
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert cli("init").code == 0
    rows = [
        {"id": key, "note": f"note {number}", "expected": "positive", "tags": [key], "group": key}
        for number, key in enumerate(HOSTILE_IDS)
    ]
    Path("evals/example.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    done = cli("run", "evals/example.yaml", "--run-id", "hostile")
    assert done.code == 0, done.err
    for command in ("eval evals/example.yaml --junit j.xml --comment c.md --min-score 0", "gate --junit g.xml"):
        assert cli(*command.split()).code in (0, 3)
    assert cli("export", "promptfoo", "hostile", "--with-rows", "--out", "suite.yaml").code in (0, 2)
    for key in HOSTILE_IDS[:6]:
        if "\0" not in key and not key.startswith("-"):
            assert cli("case", key).code in (0, 2)
            assert cli("mark", key, "fine").code in (0, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]
    known = {"evals", "prompts", "runs", ".optimizer", ".gitignore", "j.xml", "c.md", "g.xml", "suite.yaml"}
    assert {path.name for path in inner.iterdir()} <= known
    assert {path.name for path in (inner / "runs").iterdir()} == {"hostile"}
    inside = {path.name for path in (inner / "runs/hostile").iterdir()}
    assert inside <= {"config.yaml", "run.sqlite", "run.sqlite-wal", "run.sqlite-shm", "log.jsonl", "lock"}
    assert not [path for path in (inner / "evals").iterdir() if not path.name.startswith("example.")]


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1/x.jsonl", "x\0y.jsonl", "data.jsonl.gz", "data.zip", ".", "/dev/zero"]
)
def test_data_is_a_file_of_text(workspace: Path, tmp_path: Path, name: str) -> None:
    for ending in (".gz", ".zip"):
        if name.endswith(ending):
            name = str(tmp_path / name)
            Path(name).write_bytes(b"\x1f\x8b" + b"\0" * 100)
    path = workspace / "evals/odd.yaml"
    text = (workspace / "evals/example.yaml").read_text("utf-8")
    path.write_text(text.replace("data: example.jsonl", f"data: {json.dumps(name)}"), "utf-8")
    try:
        assert refused(cli("eval", path))
    finally:
        path.unlink()


def test_an_export_goes_where_the_user_says_and_nowhere_else(workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    assert cli("export", "json", "first", "--out", folder / "prompt.json").code == 0
    assert [path.name for path in folder.iterdir()] == ["prompt.json"]
    assert refused(cli("export", "json", "first", "--out", folder)), "a folder is no file"
    os.mkfifo(folder / "pipe")
    for name in ("pipe", "/dev/null"):
        assert refused(cli("export", "json", "first", "--out", folder / name)), (
            "what is no file would be replaced by one"
        )
        assert not (folder / name).is_file()
