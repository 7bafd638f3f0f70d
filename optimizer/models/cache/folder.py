"""The cache's folder: made private, inspected, and mended where its file is damaged."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from optimizer import locked
from optimizer.models.cache.codec import decode
from optimizer.models.cache.newest import noted
from optimizer.readers import atomic

DATABASE = "cache.db"
CLAIMS = "claims"
NEWEST = "newest"
"""Holds the number of the newest row, so that the loss of the end of the file shows."""
_COMPANIONS = ("-wal", "-shm")
_MARK = "damaged"
_LEAST_ROW = 100
"""Bytes that the shortest possible row takes: bounds the row ids that are tried in a damaged file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Salvaged:
    """What could be read of a damaged file."""

    rows: tuple[tuple[str, str], ...]
    """(key, text) of rows whose checksum holds."""
    dropped: int | None
    """Rows that are lost; None where the file no longer tells how many it had."""


def prepare(folder: Path) -> Path | None:
    """Make the folder fit to be opened; the folder that a damaged file was moved to, or None.

    Waits while another process writes the file. Raises OSError where it cannot be read or written, sqlite3.Error
    where it stays busy.
    """
    atomic.make_folder(folder, 0o700)
    folder.chmod(0o700)
    database = folder / DATABASE
    _wait(database)
    moved = _move_aside(folder) if _damaged(folder) else None
    if not database.exists():
        _create(database)
    for path in _paths(folder):
        with suppress(FileNotFoundError):
            path.chmod(0o600)
    return moved


def lost(folder: Path) -> int:
    """How many of the newest rows are there no more, as far as their numbers tell. Raises sqlite3.Error."""
    known = noted(folder / NEWEST)
    if not known:
        return 0
    with connect(folder) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'Cache'").fetchone() is None:
            return known
        (last,) = connection.execute("SELECT max(rowid) FROM Cache").fetchone()
    return max(known - int(last or 0), 0)


def _wait(database: Path) -> None:
    """Wait until nobody writes the file; what else is wrong with it is for others to find."""
    if not database.exists():
        return
    try:
        locked.wait_until_free(database)
    except sqlite3.DatabaseError as error:
        if locked.is_locked(error):
            raise


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


def is_full(error: BaseException | None) -> bool:
    """True where the disk, a quota or a limit on file sizes leaves no room."""
    if isinstance(error, sqlite3.Error):
        return code_of(error) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_damage(error: sqlite3.Error) -> bool:
    """True where the file is not a sound database, rather than busy, full or out of reach."""
    # Our statements are right, so a plain error means that a table or a column is gone.
    return code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def salvage(folder: Path) -> Salvaged:
    """What can be read of a damaged file. The file itself stays as it was found."""
    with tempfile.TemporaryDirectory(dir=folder) as copied:
        for path in _paths(folder):
            # The index of the log belongs to a running process; SQLite makes it anew.
            if path.exists() and not path.name.endswith("-shm"):
                shutil.copy(path, copied)
        with connect(Path(copied)) as connection:
            # Lets SQLite read what there is of a file that is shorter than it should be.
            connection.execute("PRAGMA writable_schema = ON")
            return _salvaged(connection, size(folder) // _LEAST_ROW)


def _salvaged(connection: sqlite3.Connection, most: int) -> Salvaged:
    last = _last_row(connection)
    rows: list[tuple[str, str]] = []
    dropped = 0
    for row in range(1, min(most if last is None else last, most) + 1):
        found = _row(connection, row)
        if found is None:
            continue
        key, text = found
        if isinstance(key, str) and isinstance(text, str) and decode(key, text) is not None:
            rows.append((key, text))
        else:
            dropped += 1
    return Salvaged(rows=tuple(rows), dropped=None if last is None else dropped)


def _last_row(connection: sqlite3.Connection) -> int | None:
    try:
        (last,) = connection.execute("SELECT max(rowid) FROM Cache").fetchone()
    except sqlite3.DatabaseError:
        return None
    return int(last or 0)


def _row(connection: sqlite3.Connection, rowid: int) -> tuple[object, object] | None:
    """Key and value of a row; None for both where it cannot be read, and None where there is none."""
    try:
        found: tuple[object, object] | None = connection.execute(
            "SELECT key, value FROM Cache WHERE rowid = ?", (rowid,)
        ).fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return None, None
    return found


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
            if suspect and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                return True
            _distrust_settings(connection)
            return False
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
