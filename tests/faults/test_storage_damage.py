"""Files are flipped, cut, zeroed, emptied, deleted: never a wrong value, never a traceback, never silence."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from optimizer.errors import StoreError
from optimizer.models.cache import CompletionCache
from optimizer.results import Completion
from optimizer.store import RunReader, count_look, looks, spending
from optimizer.store.looks import ledger, look_at
from tests.cli_case import cli, inside
from tests.faults.damage import KINDS, RUN, WAYS, Tally, Workspace, interrupted, known, one_case

HURT = ("key-3", "key-7", "key-9")
GO_ON = ("run", "evals/example.yaml", "--run-id", RUN, "--resume")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a run that came to its end."""
    folder = tmp_path_factory.mktemp("done")
    with inside(folder):
        assert cli("init").code == 0
        assert cli("run", "evals/example.yaml", "--run-id", RUN).code == 0
    return known(folder)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a run that was killed: the logs of both databases still hold what was paid for."""
    folder = tmp_path_factory.mktemp("stopped")
    with inside(folder):
        assert cli("init").code == 0
    interrupted(folder, 30)
    return known(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_told_or_does_no_harm(tmp_path: Path, done: Workspace, stopped: Workspace, kind: str) -> None:
    dice = random.Random(kind)
    whole = stopped if kind.endswith(" log") else done
    tally = Tally()
    way = dice.choice(WAYS)
    one_case(whole, tmp_path / "case", kind, way, f"{kind} {way}", tally)
    assert tally.cases == 1
    assert not tally.problems, "\n".join(tally.problems)


def copy(whole: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(whole.folder, folder / "copy")
    monkeypatch.chdir(folder / "copy")
    return folder / "copy"


def test_a_run_whose_log_of_changes_was_deleted_says_what_it_lost_and_keeps_the_bill(
    tmp_path: Path, stopped: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = copy(stopped, tmp_path, monkeypatch)
    with RunReader(here, RUN) as reader:
        sent = spending(reader).calls
    # Half of it is in the file, the rest in its log alone.
    with contextlib.closing(sqlite3.connect(KINDS["run"])) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("DELETE FROM calls WHERE seq > (SELECT max(seq) / 2 FROM calls)")
        db.execute("DELETE FROM completions WHERE seq > (SELECT max(seq) / 2 FROM completions)")
        db.commit()
    ended = cli(*GO_ON, "--json")
    assert ended.code == 0, ended.err
    assert f"runs/{RUN}/run.sqlite damaged: it has lost its end, with " in ended.err
    assert "calls that log.jsonl tells of (was its -wal file deleted?); they stay billed" in ended.err
    assert ended.json["calls"]["lost"] > 0 and ended.json["calls"]["total"] >= sent
    assert "lost its end" not in cli(*GO_ON).err, "it is told once"


def test_a_cache_whose_log_of_changes_was_deleted_says_so(
    tmp_path: Path, stopped: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(stopped, tmp_path, monkeypatch)
    Path(KINDS["cache log"]).unlink()
    told = cli("cache", "stats").err
    assert "cache damaged: the newest " in told and "(was it deleted, or its -wal file?); they are asked again" in told
    assert cli("cache", "stats").err == "", "it is told once"


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("emptied", "entries could be read and are kept, the rest is lost, copy at .optimizer/cache/damaged-1"),
        ("deleted", "cache damaged: the newest 65 entries are gone from .optimizer/cache/cache.db"),
        ("one page", "of 65 entries dropped, copy at .optimizer/cache/damaged-1"),
    ],
)
def test_a_cache_is_never_silently_smaller(
    tmp_path: Path, done: Workspace, monkeypatch: pytest.MonkeyPatch, way: str, told: str
) -> None:
    copy(done, tmp_path, monkeypatch)
    path = Path(KINDS["cache"])
    before = path.read_bytes()
    if way == "emptied":
        path.write_bytes(b"")
    elif way == "deleted":
        path.unlink()
    else:
        raw = bytearray(before)
        page = next(at for at in range(4096 * 3, len(raw), 4096) if raw[at] == 13 and raw.count(b"answer", at) >= 0)
        raw[page : page + 64] = b"\xff" * 64
        path.write_bytes(raw)
        path.with_name("damaged").touch()
    said = cli("cache", "stats").err
    assert told in said, said
    if way == "one page":
        assert Path(".optimizer/cache/damaged-1/cache.db").read_bytes() == bytes(raw), "the original is kept"
    again = cli(*GO_ON, "--json")
    assert again.code == 0 and again.json == done.screen, "the run needs no cache"


def test_a_damaged_entry_is_told_once_kept_aside_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fill() -> None:
        async with CompletionCache(tmp_path) as cache:
            await asyncio.gather(*(cache.put(f"key-{n}", Completion(text=f"answer {n}")) for n in range(20)))

    asyncio.run(fill())
    with contextlib.closing(sqlite3.connect(tmp_path / "cache.db")) as db:
        db.execute("UPDATE Cache SET value = replace(value, 'answer', 'Answer') WHERE key IN (?, ?, ?)", HURT)
        db.commit()
    with caplog.at_level(logging.WARNING), CompletionCache(tmp_path) as cache:
        found = [cache.get(f"key-{n}") for n in range(20)]
        assert sum(answer is not None for answer in found) == 17
    first, last = caplog.messages
    aside = tmp_path / "damaged.jsonl"
    assert first == f"cache damaged: entry key-3 dropped, it is asked anew, copy at {aside}"
    assert last == f"cache damaged: 3 of 20 entries dropped, copy at {aside}"
    kept = [json.loads(line) for line in aside.read_text("utf-8").splitlines()]
    assert [row["key"] for row in kept] == list(HURT) and "Answer 3" in kept[0]["row"]


def test_a_damaged_result_is_told_by_what_shows_the_run_and_by_what_goes_on_with_it(
    tmp_path: Path, stopped: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = copy(stopped, tmp_path, monkeypatch)
    with contextlib.closing(sqlite3.connect(KINDS["run"])) as db:
        db.execute("UPDATE results SET score = 1.0, passed = 1 WHERE seq <= 3")
        db.commit()
    with RunReader(here, RUN) as reader:
        assert len(list(reader.results())) == len(stopped.results) - 3
    ended = cli(*GO_ON)
    assert ended.code == 0, ended.err
    (line,) = [line for line in ended.err.splitlines() if "damaged: " in line]
    assert line.startswith(f"warning: runs/{RUN}/run.sqlite damaged: 3 of ")
    assert line.endswith(f"rows dropped and had again, copy at runs/{RUN}/run.sqlite.damaged-1")
    assert Path(f"runs/{RUN}/run.sqlite.damaged-1").exists()


@pytest.mark.parametrize("way", ["deleted", "emptied", "cut"])
def test_looks_that_the_ledger_lost_are_counted_again(
    tmp_path: Path, done: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    here = copy(done, tmp_path, monkeypatch)
    path = ledger(here)
    raw = path.read_bytes()
    path.unlink() if way == "deleted" else path.write_bytes(raw[: len(raw) // 2 if way == "cut" else 0])
    with RunReader(here, RUN) as reader:
        split = reader.meta.splits["test"]
        look = look_at(reader.meta, "one", "another")
    assert count_look(here, look) == 2, "the run has looked before"
    (told,) = caplog.messages
    assert "looks.jsonl damaged: 1 of 1 looks at these rows were missing; the runs tell of them" in told
    assert count_look(here, look) == 2 and len(looks(here, split)) == 2


def test_a_look_with_one_letter_changed_is_noticed(
    tmp_path: Path, done: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = copy(done, tmp_path, monkeypatch)
    path = ledger(here)
    with RunReader(here, RUN) as reader:
        split = reader.meta.splits["test"]
    path.write_text(path.read_text("utf-8").replace(split[:6], "000000"), "utf-8")
    with pytest.raises(StoreError, match=r"looks.jsonl:1: damaged, not a look"):
        looks(here, split)
