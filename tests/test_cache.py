from __future__ import annotations

import asyncio
import io
import logging
import os
import pickle
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.budget import Budget
from optimizer.config import BudgetSpec, Price
from optimizer.errors import ErrorKind, ModelError, StoreError
from optimizer.events import CallSaved, Recording
from optimizer.models.base import Request
from optimizer.models.budgeted import Budgeted
from optimizer.models.cache import Cached, CompletionCache, Kept
from optimizer.models.cache.codec import decode, encode
from optimizer.models.single_flight import SingleFlight
from optimizer.prompt import Message
from optimizer.results import Completion, Usage
from optimizer.testing.models import Answer, FunctionModel

ROOT = Path(__file__).parent.parent
ROMEO = Completion(
    text="Romeo, ü€ \U0001f339\n\u2028\ud800\x00",
    usage=Usage(input_tokens=11, output_tokens=2),
    cost=0.00125,
    latency=0.75,
    finish_reason="stop",
)
PRICES = {"m": Price(input=100.0, output=75.0)}
"""By which ROMEO costs what it says."""
KEY = "k" * 64
FILES = {"cache.db", "cache.db-wal", "cache.db-shm", "claims", "newest"}


def store(folder: Path, entries: dict[str, Completion]) -> None:
    async def main() -> None:
        with CompletionCache(folder) as cache:
            await asyncio.gather(*(cache.put(key, value) for key, value in entries.items()))

    asyncio.run(main())


def filled(folder: Path, count: int = 200) -> dict[str, Completion]:
    entries = {f"{number:064x}": replace(ROMEO, text=f"answer {number} " + "x" * number) for number in range(count)}
    store(folder, entries)
    return entries


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        yield connection
        connection.commit()


def ask(answer: Callable[[Request], Answer | Awaitable[Answer]], folder: Path | None, **known: Completion):
    """A Cached over a function that is paid for, as a gate has it: (cached, model, sink, cache)."""
    model, sink = FunctionModel(answer), Recording()
    cache = CompletionCache(folder) if folder else None
    beside = Recording()
    paid = Budgeted(model, budget=Budget(BudgetSpec()), sink=Kept(cache, beside) if cache else beside, prices=PRICES)
    return Cached(SingleFlight(paid, sink), cache, sink, known), model, sink, cache


REQUEST = Request(provider="openai", model="m", messages=(Message(role="user", content="Who?"),))


# What it keeps


def test_a_completion_comes_back_as_it_was(tmp_path):
    store(tmp_path, {KEY: ROMEO})
    with CompletionCache(tmp_path) as cache:
        assert cache.get(KEY) == ROMEO
        assert cache.get("other") is None


def test_put_returns_once_it_is_durable(tmp_path):
    async def main() -> None:
        with CompletionCache(tmp_path) as cache:
            await cache.put(KEY, ROMEO)
            with database(tmp_path) as connection:
                assert connection.execute("SELECT count(*) FROM Cache").fetchone() == (1,)

    asyncio.run(main())


def test_it_commits_to_the_disk_itself_and_never_evicts(tmp_path):
    with CompletionCache(tmp_path) as cache:
        assert cache._table._sql("PRAGMA synchronous").fetchone() == (2,)
        assert cache._table._sql("PRAGMA journal_mode").fetchone() == ("wal",)
        assert (cache._table.eviction_policy, cache._table.cull_limit) == ("none", 0)


def test_folder_and_files_are_private(tmp_path):
    folder = tmp_path / "deep" / "cache"
    folder.mkdir(parents=True, mode=0o755)
    store(folder, {KEY: ROMEO})
    with CompletionCache(folder) as cache:
        asyncio.run(cache.put("l" * 64, ROMEO))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert modes == dict.fromkeys(modes, 0o600) and set(modes) == FILES


def test_stats_and_prune(tmp_path):
    entries = filled(tmp_path, 10)
    with database(tmp_path) as connection:
        old = list(entries)[:4]
        connection.execute(f"UPDATE Cache SET store_time = 1000.0 WHERE key IN ({','.join('?' * 4)})", old)
    with CompletionCache(tmp_path) as cache:
        stats = cache.stats()
        assert stats.entries == 10 and stats.oldest == 1000.0 and stats.bytes > 4096
        assert stats.newest is not None and stats.newest > 1e9
        assert cache.prune(3600.0) == 4
        assert cache.stats().entries == 6
        assert all(cache.get(key) is None for key in old)
        assert cache.get(list(entries)[9]) == entries[list(entries)[9]]


def test_an_empty_cache_has_no_age(tmp_path):
    with CompletionCache(tmp_path) as cache:
        stats = cache.stats()
    assert (stats.entries, stats.oldest, stats.newest) == (0, None, None)


def test_a_jump_of_the_clock_loses_nothing(tmp_path, monkeypatch):
    store(tmp_path, {KEY: ROMEO})
    real = __import__("time").time
    for jump in (-2 * 86400, 2 * 86400):
        monkeypatch.setattr("time.time", lambda jump=jump: real() + jump)
        with CompletionCache(tmp_path) as cache:
            assert cache.get(KEY) == ROMEO


def test_two_processes_may_share_it(tmp_path):
    async def main() -> None:
        with CompletionCache(tmp_path) as one, CompletionCache(tmp_path) as two:
            for number in range(20):
                await asyncio.gather(one.put(f"a{number}", ROMEO), two.put(f"b{number}", ROMEO))
            assert one.get("b19") == two.get("a19") == ROMEO

    asyncio.run(main())


# What it refuses


class Planted:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def tamper(folder: Path, change: str, values: tuple[object, ...]) -> None:
    with database(folder) as connection:
        connection.execute(f"UPDATE Cache SET {change}", values)


def vectors(mark: Path, victim: Path) -> dict[str, tuple[str, tuple[object, ...]]]:
    code = pickle.dumps(Planted(mark))
    outside = os.path.relpath(victim, victim.parent / "cache")
    return {
        "pickled value": ("mode = 4, value = ?", (code,)),
        "pickled file": ("mode = 4, value = NULL, filename = ?", (outside,)),
        "pickled key": ("raw = 0, key = ?", (code,)),
        "binary file outside": ("mode = 2, value = NULL, filename = ?", (outside,)),
        "text file outside": ("mode = 3, value = NULL, filename = ?", (str(victim),)),
        "file beside the value": ("filename = ?", (str(victim),)),
        "bytes for text": ("value = ?", (b"\xff\xfe",)),
        "number for text": ("value = 7", ()),
        "null": ("value = NULL", ()),
        "another answer": ("value = replace(value, 'Romeo', 'Bob')", ()),
        "a shorter row": ("value = substr(value, 1, 40)", ()),
        "no mode": ("mode = NULL", ()),
    }


@pytest.mark.parametrize("name", vectors(Path("m"), Path("/x/v")))
def test_a_tampered_row_runs_nothing_reads_nothing_and_deletes_nothing(name, tmp_path, caplog):
    folder, mark, victim = tmp_path / "cache", tmp_path / "ran", tmp_path / "precious.txt"
    victim.write_bytes(pickle.dumps(Planted(mark)))
    store(folder, {KEY: ROMEO})
    tamper(folder, *vectors(mark, victim)[name])
    with CompletionCache(folder) as cache, caplog.at_level(logging.WARNING):
        assert cache.get(KEY) is None
        assert cache.dropped == (0 if name == "pickled key" else 1)
        assert len(caplog.records) == cache.dropped
        for _ in range(2):  # writing over it must not follow its file name either
            asyncio.run(cache.put(KEY, ROMEO))
        assert cache.get(KEY) == ROMEO
        cache.prune(-10.0)
    assert not mark.exists()
    assert victim.exists()


def test_a_row_moved_to_another_key_is_refused(tmp_path):
    store(tmp_path, {KEY: ROMEO, "l" * 64: replace(ROMEO, text="Mercutio")})
    with database(tmp_path) as connection:
        rows = connection.execute("SELECT rowid, value FROM Cache").fetchall()
        for (rowid, _), (_, value) in zip(rows, reversed(rows), strict=True):
            connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (value, rowid))
    with CompletionCache(tmp_path) as cache:
        assert cache.get(KEY) is None and cache.get("l" * 64) is None


def test_settings_in_the_file_are_not_believed(tmp_path):
    store(tmp_path, {KEY: ROMEO})
    with database(tmp_path) as connection:
        for setting in (
            ("eviction_policy", "least-recently-used"),
            ("cull_limit", 10),
            ("size_limit", 1),
            ("sqlite_synchronous", 0),
            ("sqlite_journal_mode", "delete"),
            ("disk_min_file_size", 0),
            ("disk_pickle_protocol", 5),
            ("get", "nonsense"),
            ("_disk", "nonsense"),
            ("sqlite_query_only", 1),
        ):
            connection.execute("INSERT OR REPLACE INTO Settings VALUES (?, ?)", setting)
    with CompletionCache(tmp_path) as cache:
        assert cache.get(KEY) == ROMEO
        assert cache._table._sql("PRAGMA synchronous").fetchone() == (2,)
        asyncio.run(cache.put("new", ROMEO))
        assert cache.get("new") == ROMEO


def test_the_disk_takes_text_alone():
    from optimizer.models.cache.codec import TamperedRow
    from optimizer.models.cache.text import TextDisk

    disk = TextDisk("/nowhere", min_file_size=0)
    for key in (1, b"x", ("a",), None):
        with pytest.raises(TypeError):
            disk.put(key)
    for value in (1, b"x", {"a": 1}, io.BytesIO(b"x")):
        with pytest.raises(TypeError):
            disk.store(value, False)
    with pytest.raises(TypeError):
        disk.store(io.BytesIO(b"x"), True)
    with pytest.raises(TamperedRow):
        disk.get(b"x", True)
    with pytest.raises(TamperedRow):
        disk.get("x", False)
    with pytest.raises(TamperedRow):
        disk.filename()


def test_a_row_s_checksum_covers_key_and_content():
    row = encode(KEY, ROMEO)
    assert row.isascii() and decode(KEY, row) == ROMEO
    assert decode("other", row) is None
    for place in random.Random(0).sample(range(len(row)), 40):
        changed = row[:place] + ("0" if row[place] != "0" else "1") + row[place + 1 :]
        assert decode(KEY, changed) is None


# Damage


def damage(path: Path, how: str) -> None:
    raw = path.read_bytes()
    if how == "zero length":
        path.write_bytes(b"")
    elif how == "garbage":
        path.write_bytes(b"no database at all " * 1000)
    elif how == "half":
        path.write_bytes(raw[: len(raw) // 2])
    elif how == "header":
        path.write_bytes(b"\x00" * 100 + raw[100:])


@pytest.mark.parametrize(
    ("how", "least", "most"), [("zero length", 0, 0), ("garbage", 0, 0), ("half", 50, 190), ("header", 0, 0)]
)
def test_a_damaged_file_is_moved_aside_and_says_so_once(how, least, most, tmp_path, caplog):
    entries = filled(tmp_path)
    damage(tmp_path / "cache.db", how)
    found = (tmp_path / "cache.db").read_bytes()
    with caplog.at_level(logging.WARNING), CompletionCache(tmp_path) as cache:
        kept = sum(cache.get(key) == entries[key] for key in entries)
        asyncio.run(cache.put("new", ROMEO))
        assert cache.stats().entries == kept + 1
        assert least <= kept <= most
    (record,) = caplog.records
    assert f"{kept} entries could be read" in record.getMessage() and "damaged-1" in record.getMessage()
    assert (tmp_path / "damaged-1" / "cache.db").read_bytes() == found, "the original is kept as it was"


def test_damage_found_on_the_way_is_mended_at_the_next_start(tmp_path, caplog):
    entries = filled(tmp_path, 400)
    raw = bytearray((tmp_path / "cache.db").read_bytes())
    pages = len(raw) // 4096
    for page in range(pages // 2, pages // 2 + 8):  # nothing that opening looks at
        raw[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    (tmp_path / "cache.db").write_bytes(raw)
    with CompletionCache(tmp_path) as cache, pytest.raises(StoreError, match="is damaged .*resume") as caught:
        for key, value in entries.items():
            assert cache.get(key) in (None, value)
    assert "\n" not in str(caught.value)
    with CompletionCache(tmp_path) as cache:
        kept = sum(cache.get(key) == value for key, value in entries.items())
    assert 300 < kept < 400
    assert (tmp_path / "damaged-1").is_dir() and len(caplog.records) == 1


def test_flipped_bytes_never_give_a_wrong_answer(tmp_path):
    entries = filled(tmp_path / "sound", 60)
    sound = (tmp_path / "sound" / "cache.db").read_bytes()
    dice = random.Random(1)
    for number in range(60):
        folder = tmp_path / str(number)
        folder.mkdir()
        raw = bytearray(sound)
        for _ in range(8):
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        (folder / "cache.db").write_bytes(raw)
        try:
            with CompletionCache(folder) as cache:
                for key, value in entries.items():
                    assert cache.get(key) in (None, value)
        except StoreError as error:
            assert "\n" not in str(error)


def test_a_log_without_its_file_is_kept_and_told(tmp_path, caplog):
    filled(tmp_path)
    (tmp_path / "cache.db").rename(tmp_path / "cache.db-wal")
    with CompletionCache(tmp_path) as cache:
        assert cache.stats().entries == 0
    assert len(caplog.records) == 1
    assert (tmp_path / "damaged-1" / "cache.db-wal").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot open the cache in") as caught:
        CompletionCache(tmp_path / "file" / "cache")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 7


def test_a_write_that_fails_reaches_everyone_who_waits(tmp_path):
    async def main() -> list[object]:
        with CompletionCache(tmp_path) as cache, database(tmp_path) as connection:
            connection.execute("DROP TABLE Cache")
            return list(await asyncio.gather(*(cache.put(f"{n}", ROMEO) for n in range(5)), return_exceptions=True))

    ends = asyncio.run(main())
    assert all(isinstance(end, StoreError) and "is damaged" in str(end) for end in ends)


def test_a_busy_database_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("optimizer.locked.PATIENCE", 0.05)

    async def main() -> None:
        with CompletionCache(tmp_path) as cache, closing(sqlite3.connect(tmp_path / "cache.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="another process has held it"):
                await cache.put(KEY, ROMEO)
            assert cache.get(KEY) is None, "reading goes on meanwhile"
            other.rollback()
            await cache.put(KEY, ROMEO)
            assert cache.get(KEY) == ROMEO

    asyncio.run(main())


WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from optimizer.models.cache import CompletionCache
    from optimizer.results import Completion

    async def main():
        cache = CompletionCache(Path(sys.argv[1]))
        numbers = iter(range(10**9))

        async def worker():
            for number in numbers:
                await cache.put(f"{number:064d}", Completion(text=f"answer {number} " + "x" * (number % 5000)))
                print(number, flush=True)

        await asyncio.gather(*(worker() for _ in range(32)))

    asyncio.run(main())
    """
)


def test_a_killed_writer_keeps_all_that_it_acknowledged(tmp_path):
    acknowledged: set[int] = set()
    for round_ in range(3):
        folder = tmp_path / str(round_)
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        assert child.stdout is not None
        acknowledged = {int(child.stdout.readline()) for _ in range(100 + 150 * round_)}
        child.send_signal(signal.SIGKILL)
        acknowledged |= {int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")}
        child.wait()
        child.stdout.close()
        with CompletionCache(folder) as cache:
            for number in acknowledged:
                found = cache.get(f"{number:064d}")
                assert found is not None and found.text.startswith(f"answer {number} ")
        with database(folder) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


FULL_DISK = textwrap.dedent(
    """
    import asyncio, resource, signal, sys
    from pathlib import Path
    from optimizer.errors import StoreError
    from optimizer.models.cache import CompletionCache
    from optimizer.results import Completion

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    async def main():
        cache = CompletionCache(Path(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        for number in range(1000):
            try:
                await cache.put(f"{number:064d}", Completion(text="x" * 1000))
            except StoreError as error:
                print(number, error)
                return

    asyncio.run(main())
    """
)


def test_a_full_disk_stops_with_one_line_and_loses_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    count, _, told = done.stdout.strip().partition(" ")
    assert told.startswith(f"cannot write the cache in {tmp_path}: ") and "\n" not in told
    assert int(count) > 5
    with CompletionCache(tmp_path) as cache:
        assert all(cache.get(f"{number:064d}") is not None for number in range(int(count)))
        asyncio.run(cache.put(KEY, ROMEO))
        assert cache.get(KEY) == ROMEO


# The layer


def test_the_second_time_is_not_sent(tmp_path):
    async def main() -> None:
        cached, model, sink, cache = ask(lambda request: ROMEO, tmp_path)
        first = await cached.complete(REQUEST)
        second = await cached.complete(REQUEST)
        cache.close()
        assert first == ROMEO and second == replace(ROMEO, cached=True)
        assert second.cost == ROMEO.cost, "what it would have cost"
        assert len(model.requests) == 1
        (event,) = sink.events
        assert isinstance(event, CallSaved) and event.completion.text == ROMEO.text and event.key == REQUEST.key

    asyncio.run(main())


@pytest.mark.parametrize(
    "bad",
    [
        replace(ROMEO, finish_reason="length"),
        replace(ROMEO, finish_reason="content_filter"),
        replace(ROMEO, text=" \n"),
        ModelError(ErrorKind.EMPTY, "empty"),
    ],
)
def test_what_is_not_good_is_not_kept(bad, tmp_path):
    async def main() -> int:
        cached, model, _, cache = ask(lambda request: bad, tmp_path)
        for _ in range(2):
            try:
                await cached.complete(REQUEST)
            except ModelError:
                continue
        entries: int = cache.stats().entries
        cache.close()
        assert len(model.requests) == 2
        return entries

    assert asyncio.run(main()) == 0


@pytest.mark.parametrize(("known", "sent"), [(ROMEO, 0), (replace(ROMEO, finish_reason="length"), 1)])
def test_the_run_that_is_resumed_is_asked_first(known, sent):
    async def main() -> None:
        cached, model, sink, _ = ask(lambda request: "from the provider", None, **{REQUEST.key: known})
        answer = await cached.complete(REQUEST)
        assert len(model.requests) == sent and answer.cached is (sent == 0)
        assert len(sink.events) == 1 - sent

    asyncio.run(main())


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "litellm"},
        {"base_url": "http://127.0.0.1:1/v1"},
        {"model": "n"},
        {"params": {"temperature": 0.0}},
        {"params": {"seed": 1}},
        {"params": {"max_tokens": 5}},
        {"messages": (Message(role="system", content="Who?"),)},
        {"messages": (Message(role="user", content="Who? "),)},
        {"sample": 1},
    ],
)
def test_everything_that_a_model_could_notice_is_in_the_key(change):
    assert replace(REQUEST, **change).key != REQUEST.key


def test_the_order_of_parameters_is_not_in_the_key():
    one = replace(REQUEST, params={"seed": 1, "temperature": 0.5, "tools": [{"a": 1, "b": 2}]})
    other = replace(REQUEST, params={"tools": [{"b": 2, "a": 1}], "temperature": 0.5, "seed": 1})
    assert one.key == other.key


def test_between_an_answer_and_its_commit_nobody_asks_again(tmp_path):
    async def main() -> int:
        cached, model, _, cache = ask(lambda request: ROMEO, tmp_path)
        with closing(sqlite3.connect(tmp_path / "cache.db")) as other:
            other.execute("BEGIN IMMEDIATE")  # holds the commit of the first
            calls = [asyncio.create_task(cached.complete(REQUEST)) for _ in range(4)]
            while not model.requests:
                await asyncio.sleep(0)
            for _ in range(20):
                await asyncio.sleep(0)
            assert not any(call.done() for call in calls), "no answer is used before it is durable"
            other.rollback()
        await asyncio.gather(*calls)
        cache.close()
        return len(model.requests)

    assert asyncio.run(main()) == 1


def test_a_caller_that_is_cancelled_does_not_take_its_row_back(tmp_path):
    async def main() -> None:
        with CompletionCache(tmp_path) as cache:
            put = asyncio.create_task(cache.put(KEY, ROMEO))
            await asyncio.sleep(0)
            put.cancel()
            await asyncio.gather(put, return_exceptions=True)
            await cache.settled(KEY)
            assert cache.get(KEY) == ROMEO

    asyncio.run(main())


def test_a_loop_that_is_gone_does_not_stop_the_writer(tmp_path):
    with CompletionCache(tmp_path) as cache:

        async def leave() -> None:
            asyncio.ensure_future(cache.put(KEY, ROMEO))
            await asyncio.sleep(0)

        with closing(sqlite3.connect(tmp_path / "cache.db")) as other:
            other.execute("BEGIN IMMEDIATE")  # holds the commit until the loop is closed
            asyncio.run(leave())
            other.rollback()
        asyncio.run(cache.put("other", ROMEO))
        assert cache.get(KEY) == cache.get("other") == ROMEO


def test_a_damaged_page_is_told_by_what_counts_and_mended_by_the_next_start(tmp_path, caplog):
    filled(tmp_path)
    with database(tmp_path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with (tmp_path / "cache.db").open("r+b") as file:
        whole = file.read()
        leaves = [start for start in range(size, len(whole), size) if whole[start : start + 1] == b"\x0d"]
        # Neither the first nor the last: those are read when it is opened.
        file.seek(leaves[len(leaves) // 2])
        file.write(b"\x63" * 64)
    with CompletionCache(tmp_path) as cache:
        for look in (cache.stats, cache.surplus, cache.prune):
            with pytest.raises(StoreError, match="damaged"):
                look()
    with CompletionCache(tmp_path) as cache:
        assert "cache damaged" in caplog.text
        assert 0 < cache.stats().entries < 200


@pytest.mark.parametrize("moment", ["soon", -5.0, float("inf"), 1e300, b"\xff"])
def test_a_time_that_is_none_is_not_told(tmp_path, moment):
    filled(tmp_path, 1)
    with database(tmp_path) as connection:
        connection.execute("UPDATE Cache SET store_time = ?", (moment,))
        connection.commit()
    with CompletionCache(tmp_path) as cache:
        assert (cache.stats().oldest, cache.stats().newest, cache.surplus(keep_bytes=0).newest) == (None, None, None)


# Reading ahead


def asked(folder: Path, order: list[str]) -> tuple[list[Completion | None], int]:
    """What a fresh cache finds, and how many statements that took."""

    async def main() -> tuple[list[Completion | None], int]:
        statements: list[str] = []
        async with CompletionCache(folder) as cache:
            cache._reading._db.set_trace_callback(statements.append)
            return [await cache.find(key) for key in order], len(statements)

    return asyncio.run(main())


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_that_were_stored_in_a_row_are_read_together(tmp_path, shuffle):
    entries = filled(tmp_path, 300)
    order = list(entries)
    if shuffle:
        random.Random(3).shuffle(order)
    found, statements = asked(tmp_path, order)
    assert found == list(entries[key] for key in order)
    assert statements < 30 if not shuffle else statements < 700


def test_what_is_read_ahead_is_believed_no_more_than_the_rest(tmp_path):
    entries = filled(tmp_path, 100)
    keys = list(entries)
    with database(tmp_path) as db:
        db.execute("UPDATE Cache SET value = replace(value, 'answer', 'forged') WHERE key = ?", (keys[20],))
        db.execute("UPDATE Cache SET filename = '/etc/passwd' WHERE key = ?", (keys[30],))
        db.execute("UPDATE Cache SET value = CAST(x'ff' AS TEXT) WHERE key = ?", (keys[40],))
        db.execute("UPDATE Cache SET value = x'00' WHERE key = ?", (keys[50],))
    found, _ = asked(tmp_path, keys)
    bad = {keys[20], keys[30], keys[40], keys[50]}
    assert found == [None if key in bad else entries[key] for key in keys]


def test_a_damaged_row_that_was_read_ahead_and_then_mended_is_found(tmp_path):
    entries = filled(tmp_path, 20)
    keys = list(entries)
    with database(tmp_path) as db:
        db.execute("UPDATE Cache SET value = replace(value, 'answer', 'forged') WHERE key = ?", (keys[9],))

    async def main() -> None:
        async with CompletionCache(tmp_path) as cache:
            assert await cache.find(keys[9]) is None
            assert [await cache.find(key) for key in keys[:2]] == [entries[key] for key in keys[:2]]
            await cache.put(keys[9], entries[keys[9]])
            assert await cache.find(keys[9]) == entries[keys[9]]

    asyncio.run(main())
