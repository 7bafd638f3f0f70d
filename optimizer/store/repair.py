"""What happens when a run is opened again: damage is found before anything rests on it, lost calls are marked."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from optimizer.outcome import Phase, Role
from optimizer.store import schema
from optimizer.store.commits import decoded, execute
from optimizer.store.faults import damaged, fault
from optimizer.store.rows import LOST, SAVED, SENT
from optimizer.store.schema import Cell, Table

SENT_LINE = b'"event":"call sent"'
"""What the log holds once a call, near the start of its line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repaired:
    """What was mended."""

    dropped: int = 0
    """Results and completions that were damaged and are had again."""
    of: int = 0
    """Rows that were checked."""
    copy: Path | None = None
    """The file as it was."""
    lost: int = 0
    """Calls that were sent and never ended: they stay billed."""
    gone: int = 0
    """Calls that the log tells of and the file had forgotten: they stay billed too."""


def repair(db: sqlite3.Connection, path: Path, told: Path | None = None) -> Repaired:
    """Check every row; drop damaged results and completions, after a copy of the file was kept.

    Args:
        db: the open file.
        path: where it lies.
        told: the log beside it, whose lines are written after each commit; None has nothing compared with it.

    Raises StoreError where the file, or a row that nothing can replace, is damaged.
    """
    try:
        sound = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        bad: dict[Table, list[int]] = {}
        checked = 0
        for table in schema.TABLES:
            found, rows = _damaged_rows(db, table)
            checked += rows
            if found and table not in (schema.RESULTS, schema.COMPLETIONS):
                raise damaged(path, table.name, found[0])
            if found:
                bad[table] = found
        copy = _drop(db, path, bad) if bad else None
        dropped = sum(map(len, bad.values()))
        return Repaired(dropped=dropped, of=checked, copy=copy, lost=_mark_lost(db), gone=_gone(db, told))
    except (sqlite3.Error, OSError) as error:
        raise fault(path, error) from error


def _gone(db: sqlite3.Connection, told: Path | None) -> int:
    """Calls that left, as the log says, and that the file has forgotten: it lost its end, with the log of its changes.

    They are put down as lost, so that they stay billed. Returns how many there were.
    """
    if told is None or not told.exists():
        return 0
    (kept,) = db.execute("SELECT count(*) FROM calls WHERE state != ?", (SAVED,)).fetchone()
    if sum(1 for _ in _sent(told)) <= kept:
        return 0
    known = {str(call) for (call,) in db.execute("SELECT call FROM calls")}
    (session,) = db.execute("SELECT 1 + COALESCE(MAX(number), 0) FROM sessions").fetchone()
    found = {call: rest for call, *rest in filter(None, map(_call_in, _sent(told))) if call not in known}
    db.execute("BEGIN IMMEDIATE")
    for call, rest in found.items():
        execute(db, *schema.CALLS.insert(session, call, *rest, LOST, *[None] * 8, 0, None, None))
    db.execute("COMMIT")
    return len(found)


def _sent(told: Path) -> Iterator[bytes]:
    with told.open("rb") as lines:
        yield from (line for line in lines if SENT_LINE in line[:80])


def _call_in(line: bytes) -> tuple[str, str, str, str] | None:
    """Id, key, role and phase of a call, of its line in the log; None for a line that is damaged."""
    try:
        told = json.loads(line)
        return str(told["call"]), str(told["key"]), Role(told["role"]).value, Phase(told["phase"]).value
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _damaged_rows(db: sqlite3.Connection, table: Table) -> tuple[list[int], int]:
    columns = ", ".join((*table.columns, "crc"))
    bad: list[int] = []
    rows = 0
    for place, *raw in db.execute(f"SELECT rowid, {columns} FROM {table.name}"):
        cells = decoded(raw)
        rows += 1
        if schema.checksum(cells[:-1]) != cells[-1]:
            bad.append(int(place))
    return bad, rows


def _drop(db: sqlite3.Connection, path: Path, bad: dict[Table, list[int]]) -> Path:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = next(
        found for number in range(1, 10_000) if not (found := path.with_name(f"{path.name}.damaged-{number}")).exists()
    )
    shutil.copy2(path, copy)
    db.execute("BEGIN IMMEDIATE")
    # A damaged key stands otherwise in the index than in its row: only a fresh index can forget it.
    db.execute("REINDEX")
    for table, places in bad.items():
        db.executemany(f"DELETE FROM {table.name} WHERE rowid = ?", [(place,) for place in places])
    db.execute("COMMIT")
    return copy


def _mark_lost(db: sqlite3.Connection) -> int:
    columns = ", ".join(schema.CALLS.columns)
    state = schema.CALLS.columns.index("state")
    rows: list[list[Cell]] = [list(row) for row in db.execute(f"SELECT {columns} FROM calls WHERE state = ?", (SENT,))]
    db.execute("BEGIN IMMEDIATE")
    for row in rows:
        row[state] = LOST
        execute(db, *schema.CALLS.insert(*row))
    db.execute("COMMIT")
    return len(rows)
