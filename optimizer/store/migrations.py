"""Numbered migrations of `run.sqlite`: each is a function with a name, applied once and recorded.

A migration that has shipped is never changed; the next change of the tables is the next function of the list.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from optimizer import locked
from optimizer.errors import StoreError
from optimizer.store.schema import checksum

Migration = Callable[[sqlite3.Connection], None]


def create_tables(db: sqlite3.Connection) -> None:
    """All tables of the first release."""
    for statement in _FIRST.split(";"):
        if statement.strip():
            db.execute(statement)


def tell_what_judged_lines(db: sqlite3.Connection) -> None:
    """Prices of lines say how many rows judged them, what the worth was before it was shrunk, and what it is bound to.

    Checksums are taken anew where they held; a damaged row stays one.
    """
    old = "id, text, change, worth, low, high, label, cluster, tokens, fixed, broken"
    sound = [row for row in db.execute(f"SELECT {old}, crc FROM lines") if checksum(row[:-1]) == row[-1]]
    for column in ("raw REAL", "rows INTEGER NOT NULL DEFAULT 0", "with_line TEXT NOT NULL DEFAULT ''"):
        db.execute(f"ALTER TABLE lines ADD COLUMN {column}")
    for row in sound:
        db.execute("UPDATE lines SET crc = ? WHERE id = ?", (checksum((*row[:-1], None, 0, "")), row[0]))


def keep_totals(db: sqlite3.Connection) -> None:
    """What was sent is added up when a session ends: half a million calls take half a second to add up again."""
    db.execute("CREATE TABLE totals (session INTEGER PRIMARY KEY, body TEXT NOT NULL, crc INTEGER)")


MIGRATIONS: tuple[Migration, ...] = (create_tables, tell_what_judged_lines, keep_totals)
"""In order: the first one is number 1."""


def version(db: sqlite3.Connection) -> int:
    """Number of the last migration that was applied; 0 for an empty file."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def refuse_later(path: Path) -> None:
    """Raise StoreError for a file of a later release, before anything touches it. Says nothing of a damaged one."""
    if not path.exists():
        return
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=locked.STEP)
    try:
        _check_known(db, path, len(MIGRATIONS))
    except sqlite3.Error:
        # Damaged, locked or out of reach: what opens it for writing says which.
        return
    finally:
        db.close()


def _check_known(db: sqlite3.Connection, path: Path, known: int) -> None:
    done = version(db)
    if done > known:
        raise StoreError(
            f"{path}: written by {_writer(db)} (format {done}, this one knows {known}); update the package to open it"
        )


def _writer(db: sqlite3.Connection) -> str:
    """The release that wrote a file last, as far as a later format still tells it in the same place."""
    later = "a later release of this package"
    try:
        told = db.execute("SELECT version FROM sessions ORDER BY number DESC LIMIT 1").fetchone()
    except sqlite3.Error:
        return later
    name = str(told[0]) if told else ""
    return f"{later}, {name}" if re.fullmatch(r"[0-9][0-9A-Za-z.+-]{0,30}", name) else later


def keep_copy(db: sqlite3.Connection, path: Path) -> Path | None:
    """Before a file of an earlier release is rewritten: copy it to `run.sqlite.format-N` beside it, whole and durable.

    Returns the copy; None where nothing will be rewritten. Raises OSError or sqlite3.Error where there is no room.
    """
    done = version(db)
    if not 0 < done < len(MIGRATIONS):
        return None
    copy = path.with_name(f"{path.name}.format-{done}")
    if copy.exists():
        # An earlier start kept it, and ended before it was through; the copy is the older one.
        return copy
    half = copy.with_name(f".{copy.name}.half")
    half.unlink(missing_ok=True)
    target = sqlite3.connect(half, isolation_level=None)
    try:
        db.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        target.close()
        os.replace(half, copy)
    except BaseException:
        target.close()
        half.unlink(missing_ok=True)
        raise
    return copy


def migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration] | None = None) -> tuple[str, ...]:
    """Apply what is missing (of MIGRATIONS, where none are given), each in its own transaction; returns its names.

    Raises StoreError where the file was written by a later release.
    """
    migrations = MIGRATIONS if migrations is None else migrations
    _check_known(db, path, len(migrations))
    done = version(db)
    applied = []
    for number, migration in enumerate(migrations[done:], start=done + 1):
        name = getattr(migration, "__name__", str(migration))
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at REAL)")
            migration(db)
            db.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, name, time.time()))
            db.execute(f"PRAGMA user_version = {number}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        applied.append(name)
    return tuple(applied)


_FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT, crc INTEGER);
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY, pid INTEGER, version TEXT, config TEXT,
    started_at REAL, ended_at REAL, error TEXT, crc INTEGER
);
CREATE TABLE examples (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, split TEXT NOT NULL, hash TEXT NOT NULL,
    tags TEXT, body TEXT NOT NULL, crc INTEGER
);
CREATE TABLE prompts (
    seq INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, name TEXT NOT NULL, version INTEGER, round INTEGER NOT NULL,
    origin TEXT NOT NULL, parent TEXT, edits TEXT NOT NULL, body TEXT NOT NULL, at REAL, crc INTEGER,
    UNIQUE (fingerprint, round, origin)
);
CREATE TABLE results (
    seq INTEGER PRIMARY KEY, candidate TEXT NOT NULL, example TEXT NOT NULL, split TEXT NOT NULL, phase TEXT NOT NULL,
    round INTEGER NOT NULL, passed INTEGER NOT NULL, score REAL, input_tokens INTEGER, output_tokens INTEGER, cost REAL,
    latency REAL, cached INTEGER, finish_reason TEXT, output TEXT, scores TEXT NOT NULL, error TEXT,
    trace TEXT NOT NULL, crc INTEGER, UNIQUE (candidate, example)
);
CREATE INDEX results_by_candidate ON results (candidate, split, passed, score);
CREATE TABLE completions (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL, digest TEXT NOT NULL, text TEXT NOT NULL, input_tokens INTEGER,
    output_tokens INTEGER, cost REAL, latency REAL, finish_reason TEXT, reusable INTEGER, crc INTEGER,
    UNIQUE (key, digest)
);
CREATE TABLE calls (
    seq INTEGER PRIMARY KEY, session INTEGER NOT NULL, call TEXT NOT NULL, key TEXT NOT NULL, role TEXT NOT NULL,
    phase TEXT NOT NULL, state TEXT NOT NULL, sent_at REAL, seconds REAL, input_tokens INTEGER, output_tokens INTEGER,
    cost REAL, latency REAL, finish_reason TEXT, digest TEXT, cached INTEGER, error_kind TEXT, error TEXT, crc INTEGER,
    UNIQUE (session, call)
);
CREATE TABLE clusterings (round INTEGER PRIMARY KEY, candidate TEXT NOT NULL, crc INTEGER);
CREATE TABLE clusters (
    round INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, label TEXT NOT NULL, share REAL, place TEXT,
    wanted TEXT, got TEXT, terms TEXT, evidence TEXT, crc INTEGER, PRIMARY KEY (round, id)
);
CREATE TABLE members (
    round INTEGER NOT NULL, cluster TEXT NOT NULL, position INTEGER NOT NULL, example TEXT NOT NULL,
    row TEXT, result TEXT, crc INTEGER, PRIMARY KEY (round, cluster, position)
);
CREATE TABLE edits (
    seq INTEGER PRIMARY KEY, round INTEGER NOT NULL, edit TEXT NOT NULL, cluster TEXT NOT NULL, op TEXT, slot TEXT,
    source TEXT, outcome TEXT, reason TEXT, mended INTEGER, tried INTEGER, broke TEXT, body TEXT NOT NULL, crc INTEGER,
    UNIQUE (round, edit, cluster)
);
CREATE TABLE trials (
    round INTEGER NOT NULL, number INTEGER NOT NULL, candidate TEXT NOT NULL, rows INTEGER, score REAL, gain REAL,
    partial INTEGER, reason TEXT, choices TEXT NOT NULL, crc INTEGER, PRIMARY KEY (round, number)
);
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, round INTEGER NOT NULL, reason TEXT, figures TEXT NOT NULL, at REAL,
    crc INTEGER
);
CREATE TABLE lines (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT, change TEXT, worth REAL, low REAL, high REAL,
    label TEXT, cluster TEXT, tokens INTEGER, fixed TEXT, broken TEXT, crc INTEGER
);
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY CHECK (id = 1), verdict TEXT, reason TEXT, body TEXT NOT NULL, at REAL, crc INTEGER
)
"""
