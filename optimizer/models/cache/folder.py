"""The cache's folder: made private, inspected, and mended where its file is damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from optimizer.models.cache.codec import decode

DATABASE = "cache.db"
_COMPANIONS = ("-wal", "-shm")
_MARK = "damaged"
_LEAST_ROW = 100
"""Bytes that the shortest possible row takes: bounds the row ids that are tried in a damaged file."""


def prepare(folder: Path) -> Path | None:
    """Make the folder fit to be opened; the folder that a damaged file was moved to, or None.

    Raises OSError where it cannot be read or written, sqlite3.Error where it is busy.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    database = folder / DATABASE
    moved = _move_aside(folder) if _damaged(folder) else None
    if not database.exists():
        _create(database)
    for path in _paths(folder):
        with suppress(FileNotFoundError):
            path.chmod(0o600)
    return moved


@contextmanager
def connect(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection of its own to the file, for counting and pruning."""
    with closing(sqlite3.connect(folder / DATABASE, timeout=60.0)) as connection:
        yield connection


def size(folder: Path) -> int:
    """Bytes of the file and its log."""
    return sum(path.stat().st_size for path in _paths(folder) if path.exists())


def mark(folder: Path) -> None:
    """Note that the file was found damaged, so that the next start mends it."""
    (folder / _MARK).touch(mode=0o600)


def code_of(error: sqlite3.Error) -> int | None:
    """SQLite's own code of an error; None where Python's module raised it."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """True where the file is not a sound database, rather than busy, full or out of reach."""
    # Our statements are right, so a plain error means that a table or a column is gone.
    return code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def salvage(folder: Path) -> Iterator[tuple[str, str]]:
    """Rows of a damaged file whose checksum holds, as (key, text). The file itself stays as it was found."""
    with tempfile.TemporaryDirectory(dir=folder) as copied:
        for path in _paths(folder):
            # The index of the log belongs to a running process; SQLite makes it anew.
            if path.exists() and not path.name.endswith("-shm"):
                shutil.copy(path, copied)
        with connect(Path(copied)) as connection:
            # Lets SQLite read what there is of a file that is shorter than it should be.
            connection.execute("PRAGMA writable_schema = ON")
            for row in range(1, _last_row(connection, size(folder)) + 1):
                yield from _row(connection, row)


def _last_row(connection: sqlite3.Connection, most_bytes: int) -> int:
    most = most_bytes // _LEAST_ROW
    try:
        (last,) = connection.execute("SELECT max(rowid) FROM Cache").fetchone()
    except sqlite3.DatabaseError:
        return most
    return min(last or 0, most)


def _row(connection: sqlite3.Connection, rowid: int) -> Iterator[tuple[str, str]]:
    try:
        found = connection.execute(
            "SELECT key, value FROM Cache WHERE rowid = ? AND typeof(key) = 'text' AND typeof(value) = 'text'",
            (rowid,),
        ).fetchone()
    except sqlite3.DatabaseError:
        return
    if found is not None and decode(*found) is not None:
        yield found


def _paths(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / f"{DATABASE}{ending}" for ending in ("", *_COMPANIONS))


def _damaged(folder: Path) -> bool:
    database, log, _ = _paths(folder)
    if not database.exists():
        # A log alone is what is left of a file that someone deleted.
        return log.exists()
    if database.stat().st_size == 0:
        # A sound file is never empty: it is made elsewhere and renamed.
        return True
    # A clean end removes the log. A look at every page costs time, so it is kept for the other ends.
    suspect = log.exists() or (folder / _MARK).exists()
    try:
        with connect(folder) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            _distrust_settings(connection)
            return suspect and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
    except UnicodeDecodeError:
        # What SQLite tells of a damaged schema quotes it.
        return True
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return True
        raise


def _distrust_settings(connection: sqlite3.Connection) -> None:
    """Remove what diskcache would turn into PRAGMAs and attributes: ours are given anew at each start."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'Settings'").fetchone() is not None:
        connection.execute("DELETE FROM Settings")
        connection.commit()


def _move_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder / f"damaged-{number}").exists():
        number += 1
    aside.mkdir(mode=0o700)
    for path in _paths(folder):
        with suppress(FileNotFoundError):
            path.rename(aside / path.name)
    with suppress(FileNotFoundError):
        (folder / _MARK).unlink()
    return aside


def _create(database: Path) -> None:
    """Make an empty file, private from its first byte, whole at the moment it gets its name."""
    handle, made = tempfile.mkstemp(dir=database.parent, prefix="new-")
    os.close(handle)
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA journal_mode = wal").fetchone()
    with suppress(FileExistsError):
        # Where another process was quicker, its file is the one.
        os.link(made, database)
    os.unlink(made)
