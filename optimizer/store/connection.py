"""A connection that reads a run, whatever state its file is in."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from optimizer.errors import StoreError
from optimizer.store import migrations
from optimizer.store.faults import fault


def open_to_read(path: Path) -> sqlite3.Connection:
    """A read-only connection; an older format is read from a migrated copy in memory."""
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
            return db
    except sqlite3.Error as error:
        db.close()
        raise fault(path, error) from error
    except StoreError:
        db.close()
        raise
    db.close()
    raise StoreError(f"{path}: empty or damaged (restore it from a copy, or start a new run)")


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
