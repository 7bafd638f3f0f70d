"""The store of paid answers from the command line: why a call hits or misses, and what pruning deletes."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from optimizer.cli.cache_prune import age, size
from optimizer.errors import UserError
from tests import sample_run
from tests.cli_case import cli, make_workspace

CACHE = Path(".optimizer/cache/cache.db")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    workspace = make_workspace(tmp_path)
    monkeypatch.chdir(workspace)
    return workspace


def differing(*arguments: object) -> dict[str, tuple[object, object]]:
    facts = cli("cache", "explain", *arguments, "--json").json
    return {part["part"]: (part["now"], part["stored"]) for part in facts["nearest"]["parts"] if not part["same"]}


def test_a_call_that_was_made_hits(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    facts = cli("cache", "explain", "note-02", "--json").json
    assert (facts["hit"], facts["prompt"], facts["nearest"]["in_cache"]) == (True, "example@v1", True)
    assert facts["key"] == facts["nearest"]["key"] == cli("case", "note-02", "--json").json["seed"]["calls"][0]["key"]
    assert differing("note-02") == {}
    page = cli("cache", "explain", "note-02").out
    assert "HIT: answered from the cache" in page and "messages  same" in page
    assert cli("cache", "explain", "note-02", "--prompt", "example@v2", "--json").json["hit"] is True


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--model", "offline:perfect"], {"model": ("offline:perfect", "offline")}),
        (["--param", "temperature=0"], {"params": ({"temperature": 0}, {})}),
        (
            ["--base-url", "http://127.0.0.1:9/v1"],
            {"base_url": ("http://127.0.0.1:9/v1", None), "provider": ("openai", "offline")},
        ),
    ],
)
def test_a_miss_names_the_part_that_differs(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], parts: dict[str, tuple[object, object]]
) -> None:
    monkeypatch.chdir(workspace)
    assert cli("cache", "explain", "note-02", *flags, "--json").json["hit"] is False
    assert differing("note-02", *flags) == parts
    page = cli("cache", "explain", "note-02", *flags).out
    assert "MISS: a call would be sent" in page and all(f"{part:<9} differs" in page for part in parts)


def test_a_row_that_was_edited_shows_the_line(own: Path) -> None:
    data = own / "evals" / "example.jsonl"
    text = data.read_text(encoding="utf-8")
    data.write_text(text.replace("Stale croissants", "Fresh croissants"), encoding="utf-8")
    (now, stored) = differing("note-02")["messages"]
    assert now != stored
    page = cli("cache", "explain", "note-02").out
    assert "user stored Stale croissants" in page and "user now    Fresh croissants" in page


def test_a_key_tells_which_runs_used_it(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    key = cli("cache", "explain", "note-02", "--json").json["key"]
    facts = cli("cache", "explain", key[:12], "--json").json
    assert facts["key"] == key and facts["hit"]
    assert [(call["run"], call["state"]) for call in facts["calls"]] == [("first", "answered")]
    assert cli("cache", "explain", "0" * 16).code == 2
    done = cli("cache", "explain", "nota-02")
    assert done.code == 2 and "did you mean 'note-02'" in done.err


def test_pruning_tells_first_and_deletes_when_asked(own: Path) -> None:
    entries = cli("cache", "stats", "--json").json["entries"]
    with sqlite3.connect(CACHE) as connection:
        connection.execute("UPDATE Cache SET store_time = ? WHERE rowid <= 3", (time.time() - 40 * 86400,))
    facts = cli("cache", "prune", "--older-than", "30d", "--json").json
    assert (facts["entries"], facts["left"], facts["deleted"]) == (3, entries - 3, False)
    assert "--yes deletes" in cli("cache", "prune", "--older-than", "30d").out
    assert cli("cache", "stats", "--json").json["entries"] == entries
    facts = cli("cache", "prune", "--older-than", "30d", "--yes", "--json").json
    assert (facts["entries"], facts["deleted"]) == (3, True)
    assert cli("cache", "stats", "--json").json["entries"] == entries - 3
    row = cli("cache", "explain", "note-02", "--prompt", "example@v2", "--json").json
    assert row["hit"]
    assert cli("cache", "prune", "--keep", "0KB", "--yes").code == 0
    assert cli("cache", "stats", "--json").json["entries"] == 0
    told = cli("cache", "explain", "note-02").out
    assert "The same request was answered, and its answer is not kept" in " ".join(told.split())


def test_the_newest_of_a_size_stay(own: Path) -> None:
    with sqlite3.connect(CACHE) as connection:
        sizes = [
            size
            for (size,) in connection.execute(
                "SELECT length(key) + length(value) FROM Cache ORDER BY store_time DESC, rowid DESC"
            )
        ]
    facts = cli("cache", "prune", "--keep", str(sizes[0] + sizes[1]), "--json").json
    assert (facts["left"], facts["bytes"]) == (2, sum(sizes[2:]))


def test_nothing_is_pruned_while_a_run_writes(own: Path) -> None:
    writer = sample_run.begin(own)
    try:
        assert cli("cache", "prune", "--older-than", "1m").code == 0
        done = cli("cache", "prune", "--older-than", "1m", "--yes")
        assert done.code == 2 and f"run {sample_run.RUN} is writing" in done.err
    finally:
        writer.close()


def test_no_cache_is_nothing_to_prune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("cache", "prune", "--older-than", "1d", "--yes", "--json").json["entries"] == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400.0), ("12h", 43200.0), ("30d", 2592000.0), ("2 w", 1209600.0)]
)
def test_ages(text: str, seconds: float) -> None:
    assert age(text) == seconds


@pytest.mark.parametrize(
    ("text", "amount"), [("500MB", 500_000_000), ("1.5 GB", 1_500_000_000), ("7k", 7000), ("9", 9)]
)
def test_sizes(text: str, amount: int) -> None:
    assert size(text) == amount


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30x", "1e3d"])
def test_what_is_no_age_is_told(text: str) -> None:
    with pytest.raises(UserError, match="not an age"):
        age(text)
