"""A connection that reads a run, whatever state its file is in."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from optimizer.errors import StoreError
from optimizer.store import migrations
from optimizer.store.faults import fault

CHECKED = 32 * 2**20
"""Bytes of a file whose indexes are held against its rows before it is read: some 2 ms a megabyte."""


def open_to_read(path: Path) -> sqlite3.Connection:
    """A read-only connection; an older format, or a damaged index, is read from a mended copy in memory."""
    db = _connect(path)
    try:
        done = migrations.version(db)
        if 0 < done < len(migrations.MIGRATIONS):
            copy = sqlite3.connect(":memory:", isolation_level=None)
            db.backup(copy)
            db.close()
            db = copy
        if done:
            migrations.migrate(db, path)
            return _with_sound_indexes(db, path)
    except sqlite3.Error as error:
        db.close()
        raise fault(path, error) from error
    except StoreError:
        db.close()
        raise
    db.close()
    raise StoreError(f"{path}: empty or damaged (restore it from a copy, or start a new run)")


def _with_sound_indexes(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """The same, or a copy whose indexes are built anew from the rows, which have a checksum each.

    Sums are read through indexes: a damaged one would leave rows out unsaid. A file whose rows cannot be read in full
    is given back as it is, for its readers to tell what is damaged.
    """
    if path.stat().st_size > CHECKED or db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",):
        return db
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        db.backup(copy)
        copy.execute("REINDEX")
        sound = copy.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
    except sqlite3.Error:
        sound = False
    (db if sound else copy).close()
    return copy if sound else db


def _connect(path: Path) -> sqlite3.Connection:
    """Open for reading. In a folder that nobody may write to, a finished run is opened as unchanging."""
    where = path.resolve().as_uri()
    failed: sqlite3.Error | None = None
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        db = sqlite3.connect(f"{where}?{mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            db.close()
            failed = error
            wal = path.with_name(path.name + "-wal")
            if not isinstance(error, sqlite3.OperationalError) or (wal.exists() and wal.stat().st_size):
                break
            continue
        return db
    assert failed is not None
    raise fault(path, failed)
