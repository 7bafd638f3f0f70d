"""Runs of earlier releases open, and go on; those of later ones are refused; nothing is rewritten without a copy.

`tests/data/format-N.tar.gz` holds the workspace of a release that wrote format N of `run.sqlite`: a run `ended`, a run
`stopped` that was killed after some answers, and what `show ended --json` said then. They were recorded with the last
commit of each format, on the eval set of `optimizer init`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest

from optimizer.store import migrations
from tests.cli_case import cli

DATA = Path(__file__).parents[1] / "data"
FORMATS = range(1, len(migrations.MIGRATIONS))
"""Formats of earlier releases; this one writes the next number."""
FIGURES = ("verdict", "test", "val", "calls", "tokens", "usd", "fixed", "broken", "errors")


@pytest.fixture(params=FORMATS)
def number(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Unpack the workspace of one format, and work there."""
    found: int = request.param
    with tarfile.open(DATA / f"format-{found}.tar.gz") as recorded:
        recorded.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return found


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        return migrations.version(db)


def test_every_earlier_format_is_recorded() -> None:
    assert sorted(path.name for path in DATA.glob("format-*.tar.gz")) == [f"format-{n}.tar.gz" for n in FORMATS]


def test_an_old_run_is_read_and_not_a_byte_of_it_is_changed(number: int) -> None:
    database = Path("runs/ended/run.sqlite")
    before = database.read_bytes()
    assert version(database) == number
    then: dict[str, Any] = json.loads(Path("ended.json").read_text("utf-8"))
    shown = cli("show", "ended", "--json")
    assert shown.code == 0, shown.err
    for figure in FIGURES:
        now = shown.json[figure]
        if isinstance(now, dict) and isinstance(then[figure], dict):
            # Later releases tell more; what the old one told is told again.
            now = {name: now[name] for name in then[figure]}
        assert now == then[figure], figure
    for command in (("failures", "ended"), ("case", "note-01", "ended"), ("runs",), ("export", "json", "ended")):
        done = cli(*command)
        assert done.code == 0, done.err
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.glob("run.sqlite*")] == ["run.sqlite"]


def test_an_old_run_goes_on_and_the_file_as_it_was_is_kept(number: int) -> None:
    folder = Path("runs/stopped")
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as db:
        asked = db.execute("SELECT count(*) FROM calls WHERE state != 'saved'").fetchone()[0]
        answered = set(db.execute("SELECT key, text FROM completions"))
    done = cli("run", "evals/example.yaml", "--run-id", "stopped", "--resume", "--mutator", "none", "--json")
    copy = folder / f"run.sqlite.format-{number}"
    assert done.code == 0, done.err
    assert (
        f"runs/stopped/run.sqlite: brought up to date; the file as an earlier release wrote it is kept at {copy}"
        in (done.err)
    )
    assert version(copy) == number and version(folder / "run.sqlite") == len(migrations.MIGRATIONS)
    for path in (copy, folder / "run.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert answered <= set(db.execute("SELECT key, text FROM completions"))
    then: dict[str, Any] = json.loads(Path("ended.json").read_text("utf-8"))
    assert done.json["verdict"] == then["verdict"]
    assert done.json["calls"]["total"] >= asked


def test_no_copy_no_rewriting(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "run.sqlite.half")

    monkeypatch.setattr("os.replace", full)
    before = Path("runs/stopped/run.sqlite").read_bytes()
    done = cli("run", "evals/example.yaml", "--run-id", "stopped", "--resume", "--mutator", "none")
    assert done.code == 7 and "no space left" in done.err, done.err
    assert version(Path("runs/stopped/run.sqlite")) == number and before
    assert not list(Path("runs/stopped").glob("*format*")) and not list(Path("runs/stopped").glob(".*half"))


def test_a_run_of_a_later_release_is_refused_and_not_touched(number: int) -> None:
    database = Path("runs/ended/run.sqlite")
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute(f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 3}")
        db.execute("UPDATE sessions SET version = '99.2.0'")
        db.commit()
    before = {path: path.read_bytes() for path in database.parent.iterdir()}
    told = (
        f"error: runs/ended/run.sqlite: written by a later release of this package, 99.2.0 (format "
        f"{len(migrations.MIGRATIONS) + 3}, this one knows {len(migrations.MIGRATIONS)}); update the package to open it"
    )
    for command in (
        ("show", "ended"),
        ("run", "evals/example.yaml", "--run-id", "ended", "--resume", "--mutator", "none"),
        ("export", "json", "ended"),
    ):
        done = cli(*command)
        assert done.code == 7 and told in done.err.splitlines(), done.err
    listed = cli("runs")
    assert listed.code == 0 and "ended" in listed.out
    assert {path: path.read_bytes() for path in database.parent.iterdir()} == before
