"""Rows that were marked since a run, as the reader then sees them: other versions, other scores, or not at all.

The file of the run is never changed. Temporary tables and views of the reader's own connection stand in front of the
stored ones, so that every figure is made of the marked rows by the same queries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.dataset import Example
from optimizer.outcome import Outcome
from optimizer.results import Result
from optimizer.store import schema
from optimizer.store.codec import dumps
from optimizer.store.meta import content_hash
from optimizer.store.records import SCORES, StoredResult
from optimizer.store.rows import real
from optimizer.store.schema import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlay:
    """What a reader sees in place of what is stored."""

    rows: Mapping[str, Example | None]
    """Row id -> its version after the marks; None where it is set aside."""
    results: Sequence[StoredResult]
    """Results of those versions, scored anew."""


def lay_over(db: sqlite3.Connection, overlay: Overlay) -> None:
    """Put marked rows in front of the stored ones, on this connection alone."""
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("CREATE TEMP TABLE marked_rows (id TEXT PRIMARY KEY)")
    db.executemany("INSERT INTO temp.marked_rows VALUES (?)", [(row,) for row in overlay.rows])
    db.execute("CREATE TEMP TABLE gone_rows (id TEXT PRIMARY KEY)")
    gone = [(row,) for row, version in overlay.rows.items() if version is None]
    db.executemany("INSERT INTO temp.gone_rows VALUES (?)", gone)
    for name in ("results", "examples"):
        db.execute(f"CREATE TEMP TABLE marked_{name} AS SELECT * FROM main.{name} WHERE 0")
    _add(db, schema.RESULTS, "results", "candidate = ? AND example = ?", map(_result, overlay.results))
    versions = [row for row in overlay.rows.values() if row is not None]
    _add(db, schema.EXAMPLES, "examples", "id = ?", map(_example, versions))
    for name, key, without in (
        ("results", "example", "marked_rows"),
        ("examples", "id", "marked_rows"),
        ("members", "example", "gone_rows"),
    ):
        more = f" UNION ALL SELECT * FROM temp.marked_{name}" if name != "members" else ""
        db.execute(
            f"CREATE TEMP VIEW {name} AS SELECT * FROM main.{name} "
            f"WHERE {key} NOT IN (SELECT id FROM temp.{without}){more}"
        )


def tell_outcome(db: sqlite3.Connection, outcome: Outcome, at: float) -> None:
    """Put an outcome with other comparisons in front of the stored one."""
    cells = (1, outcome.verdict.value, outcome.reason, dumps(Outcome, outcome), at)
    db.execute("CREATE TEMP TABLE outcome AS SELECT * FROM main.outcome WHERE 0")
    columns = ", ".join((*schema.OUTCOME.columns, "crc"))
    db.execute(f"INSERT INTO temp.outcome ({columns}) VALUES (?, ?, ?, ?, ?, ?)", (*cells, schema.checksum(cells)))


def _add(
    db: sqlite3.Connection,
    table: Table,
    name: str,
    where: str,
    made: Iterable[tuple[tuple[Any, ...], dict[str, Any]]],
) -> None:
    """Copies of stored rows with some columns changed, and a checksum of their own."""
    for keys, changed in made:
        db.execute(f"INSERT INTO temp.marked_{name} SELECT * FROM main.{name} WHERE {where}", keys)
        sets = ", ".join(f"{column} = ?" for column in changed)
        db.execute(f"UPDATE temp.marked_{name} SET {sets} WHERE {where}", (*changed.values(), *keys))
        columns = ", ".join(table.columns)
        row = db.execute(f"SELECT {columns} FROM temp.marked_{name} WHERE {where}", keys).fetchone()
        if row is not None:
            db.execute(f"UPDATE temp.marked_{name} SET crc = ? WHERE {where}", (schema.checksum(row), *keys))


def _result(stored: StoredResult) -> tuple[tuple[Any, ...], dict[str, Any]]:
    result: Result = stored.result
    changed = {"passed": int(result.passed), "score": real(result.score), "scores": dumps(SCORES, result.scores)}
    return (result.candidate, result.example), changed


def _example(row: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (row.id,), {"hash": content_hash(row), "body": dumps(Example, row)}
