"""A cache that somebody else wrote: no command runs code of it, opens a file for it or deletes one."""

from __future__ import annotations

import os
import pickle
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli_case import cli, make_workspace

CACHE = Path(".optimizer/cache")


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


Vector = Callable[[Path, Path], tuple[str, tuple[object, ...]]]

VECTORS: dict[str, Vector] = {
    "value": lambda mark, victim: ("mode = 4, value = ?", (pickle.dumps(Planted(mark)),)),
    "key": lambda mark, victim: ("raw = 0, key = CAST(? || rowid AS BLOB)", (pickle.dumps(Planted(mark)),)),
    "file name": lambda mark, victim: ("mode = 4, value = NULL, filename = ?", (os.path.relpath(victim, CACHE),)),
    "file name beside a value": lambda mark, victim: ("filename = ?", (str(victim),)),
    "mode": lambda mark, victim: ("mode = 3, filename = ?", (str(victim),)),
    "mode and raw": lambda mark, victim: ("mode = 4, raw = 0, value = ?", (pickle.dumps(Planted(mark)),)),
    "tag and times": lambda mark, victim: (
        "tag = ?, expire_time = 0, access_time = -1, access_count = 'x', size = -9e18",
        (pickle.dumps(Planted(mark)),),
    ),
}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "precious.txt"
    path.write_bytes(pickle.dumps(Planted(tmp_path / "ran")))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("name", VECTORS)
def test_no_command_obeys_a_tampered_row(
    name: str, made: Path, victim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    workspace = tmp_path / "workspace"
    shutil.copytree(made, workspace)
    monkeypatch.chdir(workspace)
    change, values = VECTORS[name](tmp_path / "ran", victim)
    with closing(sqlite3.connect(CACHE / "cache.db")) as connection:
        assert connection.execute(f"UPDATE Cache SET {change}", values).rowcount > 20
        connection.commit()
    again = cli("eval", "evals/example.yaml", "--json")
    assert again.code == 0, again.err
    if name not in ("tag and times", "key", "mode and raw"):  # These are found under no key, or are read as they were.
        assert "warning: cache" in again.err and "dropped" in again.err, "a row that is dropped is told"
    for command in ("cache stats --json", "cache explain note-02 --json", "cache prune --older-than 0s --yes"):
        done = cli(*command.split())
        assert done.code in (0, 2) and "Traceback" not in done.err, (command, done.err)
    assert not (tmp_path / "ran").exists(), "code of a row was run"
    assert victim.exists(), "a file was deleted for a row"


def test_a_trigger_or_a_view_in_the_file_reaches_no_file(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own code in a schema: it can change the cache, and nothing else."""
    import shutil

    workspace = tmp_path / "workspace"
    shutil.copytree(made, workspace)
    monkeypatch.chdir(workspace)
    with closing(sqlite3.connect(CACHE / "cache.db")) as connection:
        connection.executescript(
            """
            CREATE TRIGGER evil AFTER INSERT ON Cache BEGIN
                UPDATE Cache SET value = replace(value, 'positive', 'negative');
                DELETE FROM Settings;
            END;
            """
        )
    before = cli("eval", "evals/example.yaml", "--json", "--param", "seed=7")
    after = cli("eval", "evals/example.yaml", "--json", "--param", "seed=7")
    assert before.code == after.code == 0, (before.err, after.err)
    assert after.json["splits"] == before.json["splits"], "a changed answer was believed"


def test_folders_of_the_workspace_are_private(made: Path) -> None:
    for folder in (made / ".optimizer/cache", made / "runs/first"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    for path in (made / ".optimizer/cache").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
