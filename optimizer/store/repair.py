"""What happens when a run is opened again: damage is found before anything rests on it, lost calls are marked."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from optimizer.store import schema
from optimizer.store.commits import decoded, execute
from optimizer.store.faults import damaged, fault
from optimizer.store.rows import LOST, SENT
from optimizer.store.schema import Cell, Table


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


def repair(db: sqlite3.Connection, path: Path) -> Repaired:
    """Check every row; drop damaged results and completions, after a copy of the file was kept.

    Raises StoreError where the file, or a row that nothing can replace, is damaged.
    """
    try:
        told = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if told != "ok":
            raise sqlite3.DatabaseError(told)
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
        return Repaired(dropped=sum(map(len, bad.values())), of=checked, copy=copy, lost=_mark_lost(db))
    except (sqlite3.Error, OSError) as error:
        raise fault(path, error) from error


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
