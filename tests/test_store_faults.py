"""Faults of the disk are one line that names the file and what to do; what was acknowledged stays."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer import locked
from optimizer.errors import StoreError, UserError
from optimizer.events import CallSent, ClustersFound, Decided, RunEnded
from optimizer.outcome import Phase, Role
from optimizer.store import RunReader, find_run, list_runs, migrations, schema
from optimizer.store.faults import fault
from optimizer.store.figures import flips
from tests.sample_run import RUN, SEED, WINNER, begin, emit, events, until, write


def database(root: Path) -> Path:
    return root / "runs" / RUN / "run.sqlite"


LIMITED = """
import asyncio, resource, signal, sys
from pathlib import Path
from optimizer.errors import StoreError
from optimizer.events import CallSent
from optimizer.outcome import Phase, Role
from tests.sample_run import begin

def sent(name):
    return CallSent(call=name, key="x" * 4000, role=Role.TASK, phase=Phase.SEARCH)

async def main():
    writer = begin(Path(sys.argv[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    kept = 0
    try:
        while True:
            await writer.record(sent(str(kept)))
            kept += 1
    except StoreError as error:
        print(kept)
        print(error)
    try:
        await writer.record(sent("after"))
    except StoreError as error:
        print(error)
    try:
        writer.close()
    except StoreError as error:
        print("closed:", error)

asyncio.run(main())
"""


def test_a_disk_that_takes_no_more_stops_the_run_and_keeps_what_was_kept(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, cwd=Path.cwd(), check=True
    )
    kept, first, second, closed = ended.stdout.splitlines()
    assert int(kept) > 3
    assert str(tmp_path) in first and ("limit" in first or "no space" in first)
    assert second == first and closed == f"closed: {first}"
    with RunReader(tmp_path, RUN) as reader:
        assert len(list(reader.calls())) >= int(kept)
    writer = begin(tmp_path, resume=True)
    asyncio.run(emit(writer, [Decided(kind="stop", round=0, reason="goes on")]))
    writer.close()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SQLITE_FULL", "no space left"),
        ("SQLITE_BUSY", "locked by another program"),
        ("SQLITE_READONLY_DIRECTORY", "not writable"),
        ("SQLITE_CORRUPT", "damaged"),
        ("SQLITE_IOERR_WRITE", "disk gave an error"),
        ("SQLITE_ERROR", "some words"),
    ],
)
def test_each_fault_of_sqlite_is_one_line(name, told):
    error = sqlite3.OperationalError("some\nwords")
    error.sqlite_errorname = name
    message = str(fault(Path("runs/x/run.sqlite"), error))
    assert message.startswith("runs/x/run.sqlite: ") and told in message and "\n" not in message


def test_a_full_disk_and_a_folder_without_permission_are_named():
    assert "no space left" in str(fault(Path("a"), OSError(28, "No space left on device", "b")))
    assert str(fault(Path("a"), PermissionError(13, "Permission denied", "b"))).startswith("b: not writable")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError, match="runs"):
        begin(tmp_path)


def test_a_locked_file_stops_the_run_after_a_while_and_not_the_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(locked, "PATIENCE", 0.05)
    writer = begin(tmp_path)
    other = sqlite3.connect(database(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    turns = 0

    async def record() -> None:
        nonlocal turns
        task = asyncio.create_task(writer.record(CallSent(call="a", key="k", role=Role.TASK, phase=Phase.SEARCH)))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        await task

    with pytest.raises(StoreError, match="locked by another program"):
        asyncio.run(record())
    other.execute("ROLLBACK")
    other.close()
    assert turns > 10
    with pytest.raises(StoreError):
        writer.close()
    begin(tmp_path, resume=True).close()


def test_a_damaged_result_is_dropped_and_had_again_and_the_file_kept_aside(tmp_path):
    write(tmp_path, until(RunEnded, events()))
    db = sqlite3.connect(database(tmp_path))
    db.execute("UPDATE results SET score = 1.0, passed = 1 WHERE example IN ('r0', 'r3') AND round = 0")
    db.execute("UPDATE completions SET text = 'forged' WHERE key = 'key-a1'")
    db.commit()
    db.close()
    with RunReader(tmp_path, RUN) as reader:
        assert len(list(reader.results())) == 22 and reader.dropped == 2
    writer = begin(tmp_path, resume=True)
    assert writer.repaired.dropped == 3
    assert writer.repaired.copy is not None and writer.repaired.copy.name == "run.sqlite.damaged-1"
    known = writer.known_results()
    assert len(known) == 22 and "key-a1" not in writer.known_completions()
    asyncio.run(emit(writer, until(ClustersFound, events())))
    writer.close()
    with RunReader(tmp_path, RUN) as reader:
        assert len(list(reader.results())) == 24 and reader.dropped == 0


@pytest.mark.parametrize("table", ["calls", "decisions", "trials", "prompts", "sessions", "members"])
def test_a_damaged_row_that_nothing_can_replace_stops_a_resume(tmp_path, table):
    write(tmp_path, until(RunEnded, events()))
    db = sqlite3.connect(database(tmp_path))
    db.execute(f"UPDATE {table} SET crc = crc + 1 WHERE rowid = (SELECT MAX(rowid) FROM {table})")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match=f"damaged.*table {table}"):
        begin(tmp_path, resume=True)


def test_a_file_cut_or_overwritten_at_any_place_is_never_taken_for_a_good_one(tmp_path):
    write(tmp_path / "whole", events())
    whole = database(tmp_path / "whole").read_bytes()
    with RunReader(tmp_path / "whole", RUN) as reader:
        good = {(found.result.candidate, found.result.example): found.result for found in reader.results()}
    refused = 0
    for number, offset in enumerate(range(0, len(whole), 5003)):
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", root)
        data = whole[:offset] if number % 2 else whole[:offset] + b"\xff" * 64 + whole[offset + 64 :]
        database(root).write_bytes(data)
        try:
            writer = begin(root, resume=True)
        except (StoreError, UserError) as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        known = writer.known_results()
        writer.close()
        assert all(result == good[key] for key, result in known.items())
    assert refused > 5


def test_an_emptied_file_is_damage_and_not_a_fresh_run(tmp_path):
    write(tmp_path, events())
    database(tmp_path).write_bytes(b"")
    with pytest.raises(StoreError, match="empty, though log.jsonl tells of events"):
        begin(tmp_path, resume=True)
    with pytest.raises(StoreError, match="damaged"):
        RunReader(tmp_path, RUN)
    (info,) = list_runs(tmp_path)
    assert info.status is None and "damaged" in info.problem
    assert find_run(tmp_path) == RUN


def test_a_log_that_a_kill_cut_short_goes_on_with_a_line_of_its_own(tmp_path):
    write(tmp_path, [])
    log = tmp_path / "runs" / RUN / "log.jsonl"
    with log.open("a", encoding="utf-8") as file:
        file.write('{"at": "2026')
    writer = begin(tmp_path, resume=True)
    writer.close()
    lines = log.read_text(encoding="utf-8").splitlines()
    assert lines[3] == '{"at": "2026' and '"session":2' in lines[4]


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from tests.sample_run import begin\n"
        "begin(Path(sys.argv[1])); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path.cwd())
    assert '"pid"' in (tmp_path / "runs" / RUN / "lock").read_text(encoding="utf-8")
    begin(tmp_path, resume=True).close()


def test_a_run_of_a_later_release_is_refused_with_its_number(tmp_path):
    write(tmp_path, events())
    db = sqlite3.connect(database(tmp_path))
    db.execute(f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    db.close()
    for attempt in (lambda: RunReader(tmp_path, RUN), lambda: begin(tmp_path, resume=True)):
        with pytest.raises(StoreError, match="later release"):
            attempt()


def test_migrations_are_applied_once_in_order_and_recorded(tmp_path):
    def add_note(db):
        db.execute("ALTER TABLE meta ADD COLUMN note TEXT")

    def fail(db):
        db.execute("CREATE TABLE half (a)")
        raise sqlite3.OperationalError("on purpose")

    path = tmp_path / "x.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    first = migrations.MIGRATIONS
    assert migrations.migrate(db, path) == ("create_tables", "tell_what_judged_lines", "keep_totals")
    assert migrations.migrate(db, path) == ()
    assert migrations.migrate(db, path, (*first, add_note)) == ("add_note",)
    with pytest.raises(sqlite3.OperationalError):
        migrations.migrate(db, path, (*first, add_note, fail))
    assert migrations.version(db) == len(first) + 1
    assert [row[0] for row in db.execute("SELECT name FROM migrations")] == [
        "create_tables",
        "tell_what_judged_lines",
        "keep_totals",
        "add_note",
    ]
    assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchone()
    db.close()


def test_prices_of_the_first_format_are_read_and_damaged_ones_stay_damaged(tmp_path):
    db = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    migrations.migrate(db, tmp_path, migrations.MIGRATIONS[:1])
    columns = ("id", "text", "change", "worth", "low", "high", "label", "cluster", "tokens", "fixed", "broken")
    cells = ("L4", "Be brief.", "added", 0.2, 0.1, 0.3, "earns", "too long", 4, "[]", "[]")
    names, places = ", ".join((*columns, "crc")), ", ".join("?" * 12)
    add = f"INSERT INTO lines ({names}) VALUES ({places})"
    db.execute(add, (*cells, schema.checksum(cells)))
    db.execute(add, ("L5", *cells[1:], schema.checksum(cells)))
    assert migrations.migrate(db, tmp_path) == ("tell_what_judged_lines", "keep_totals")
    sound, damaged = db.execute(schema.LINES.select("ORDER BY id")).fetchall()
    assert sound[:-1] == (*cells, None, 0, "") and schema.checksum(sound[:-1]) == sound[-1]
    assert schema.checksum(damaged[:-1]) != damaged[-1]
    db.close()


def test_a_reader_reads_an_older_format_from_a_copy(tmp_path, monkeypatch):
    write(tmp_path, events())
    before = database(tmp_path).read_bytes()

    def add_note(db):
        db.execute("ALTER TABLE meta ADD COLUMN note TEXT")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, add_note))
    with RunReader(tmp_path, RUN) as reader:
        assert reader.query("SELECT note FROM meta") == [(None,)]
    assert database(tmp_path).read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "runs").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="not writable"):
        begin(tmp_path)


def test_a_run_can_be_read_where_nothing_may_be_written(tmp_path):
    write(tmp_path, events())
    folder = database(tmp_path).parent
    for path in folder.iterdir():
        path.chmod(0o400)
    folder.chmod(0o500)
    try:
        with RunReader(tmp_path, RUN) as reader:
            assert reader.outcome() is not None
    finally:
        folder.chmod(0o700)


def test_calls_stop_at_once_when_the_disk_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr(locked, "PATIENCE", 0.02)
    writer = begin(tmp_path)
    other = sqlite3.connect(database(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sent = 0

    async def one(number: int) -> None:
        nonlocal sent
        for step in range(50):
            name = f"{number}-{step}"
            await writer.record(CallSent(call=name, key=name, role=Role.TASK, phase=Phase.SEARCH))
            sent += 1

    async def many() -> list[BaseException | None]:
        return await asyncio.gather(*(one(number) for number in range(8)), return_exceptions=True)

    ended = asyncio.run(many())
    other.execute("ROLLBACK")
    other.close()
    assert sent == 0 and all(isinstance(error, StoreError) for error in ended)
    with pytest.raises(StoreError):
        writer.close()


def test_a_damaged_index_leaves_no_row_out(tmp_path):
    write(tmp_path, events())
    path = tmp_path / "runs" / RUN / "run.sqlite"
    with RunReader(tmp_path, RUN) as reader:
        whole = flips(reader, SEED.fingerprint, WINNER.fingerprint)
    db = sqlite3.connect(path)
    indexes = "SELECT name, rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'results'"
    pages = [page for _, page in db.execute(indexes)]
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with path.open("r+b") as file:
        for page in pages:
            # A page of an index that holds no entries.
            file.seek((page - 1) * size)
            kind = file.read(1)
            assert kind == b"\x0a", "a leaf of an index"
            file.seek((page - 1) * size)
            file.write(kind + b"\0\0" + b"\0\0" + size.to_bytes(2, "big") + b"\0")
    with RunReader(tmp_path, RUN) as reader:
        assert flips(reader, SEED.fingerprint, WINNER.fingerprint) == whole
        assert whole
