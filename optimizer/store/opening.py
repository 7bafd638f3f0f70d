"""Opens a run for writing: a new one, or one to go on with."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from optimizer import locked
from optimizer.dataset import EvalSet
from optimizer.errors import StoreError, UserError
from optimizer.readers import atomic
from optimizer.redaction import Scrubber
from optimizer.store import lock, migrations, schema
from optimizer.store.codec import dumps, loads
from optimizer.store.commits import execute
from optimizer.store.faults import fault
from optimizer.store.folders import RunFolder, run_folder
from optimizer.store.meta import RunMeta, check_same
from optimizer.store.reader import RunReader
from optimizer.store.repair import Repaired, repair
from optimizer.store.rows import Rows
from optimizer.store.schema import Statement
from optimizer.store.writer import RunWriter, Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What `open_run` was asked for."""

    root: Path
    """The workspace."""
    folder: RunFolder
    """Where the run lies."""
    config_text: str
    """What was asked, resolved."""
    meta: RunMeta
    """What the run is about."""
    evalset: EvalSet | None
    """Its rows."""
    now: Callable[[], float]
    """The clock."""


def open_run(
    root: Path,
    run_id: str,
    config_text: str,
    *,
    meta: RunMeta,
    evalset: EvalSet | None = None,
    resume: bool = False,
    now: Callable[[], float] = time.time,
) -> RunWriter:
    """Begin a run, or go on with one.

    Args:
        root: the workspace; the run lies in `runs/<id>` there.
        run_id: 1 to 80 letters, digits, dots, dashes and underscores.
        config_text: what was asked, resolved, as YAML. Secrets are taken out.
        meta: what the run is about; a resume with something else is refused.
        evalset: its rows; kept, so that the run can be read without the eval file.
        resume: go on where a run of that id is; begin it where there is none.
        now: Unix time.

    Raises UserError for a bad id, a run that is there (without `resume`), in use or about something else; StoreError
    where the disk refuses or the run is damaged.
    """
    folder = run_folder(root, run_id)
    _make(folder, resume=resume)
    held = lock.acquire(folder.lock, f"run {run_id}", now())
    asked = Asked(root=root, folder=folder, config_text=config_text, meta=meta, evalset=evalset, now=now)
    try:
        return _open(asked, held)
    except (sqlite3.Error, OSError) as error:
        held.release()
        raise fault(folder.database, error) from error
    except BaseException:
        held.release()
        raise


async def open_run_aside(
    root: Path, run_id: str, config_text: str, *, meta: RunMeta, evalset: EvalSet | None = None, resume: bool = False
) -> RunWriter:
    """`open_run` on a thread: the event loop goes on while every row is checked, or another program holds the file."""
    given_up = threading.Event()

    def work() -> RunWriter:
        writer = open_run(root, run_id, config_text, meta=meta, evalset=evalset, resume=resume)
        if given_up.is_set():
            writer.close()
        return writer

    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        given_up.set()
        raise


def _open(asked: Asked, held: lock.Lock) -> RunWriter:
    scrubber = Scrubber()
    migrations.refuse_later(asked.folder.database)
    db = _connect(asked.folder.database)
    try:
        goes_on = _check(db, asked)
        repaired = repair(db, asked.folder.database, asked.folder.log) if goes_on else Repaired()
        _tell(asked.folder, repaired)
        session = Session(
            root=asked.root,
            folder=asked.folder,
            number=1 + int(db.execute("SELECT COALESCE(MAX(number), 0) FROM sessions").fetchone()[0]),
            config_text=scrubber.text(asked.config_text),
            started=asked.now(),
            scrubber=scrubber,
            repaired=repaired,
        )
        _begin(db, [session.row(), *(() if goes_on else _about(asked, scrubber))])
        atomic.replace(asked.folder.config, session.config_text.encode("utf-8", "backslashreplace").decode())
        return RunWriter(session, held, db)
    except BaseException:
        db.close()
        raise


def _make(folder: RunFolder, *, resume: bool) -> None:
    try:
        atomic.make_folder(folder.path.parent)
        try:
            # Answers and rows are the user's own, as they are in the cache.
            folder.path.mkdir(mode=0o700)
            atomic.sync_folder(folder.path.parent)
        except FileExistsError:
            if not resume:
                raise UserError(
                    f"run {folder.id} is there already (go on with --resume, or choose another --run-id)"
                ) from None
    except OSError as error:
        raise fault(folder.path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=locked.STEP, cached_statements=256
    )
    try:
        locked.patiently(path, lambda: db.execute("PRAGMA journal_mode = WAL"))
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 67108864")
        locked.patiently(path, lambda: db.execute("BEGIN IMMEDIATE"))
        db.execute("ROLLBACK")
        db.execute(f"PRAGMA busy_timeout = {1000 * locked.PATIENCE:.0f}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _tell(folder: RunFolder, repaired: Repaired) -> None:
    """Say what was damaged or is missing, before anything rests on it."""
    if repaired.dropped:
        log.warning(
            "%s damaged: %d of %d rows dropped and had again, copy at %s",
            folder.database,
            repaired.dropped,
            repaired.of,
            repaired.copy,
        )
    if repaired.gone:
        log.warning(
            "%s damaged: it has lost its end, with %d calls that %s tells of (was its -wal file deleted?); they stay "
            "billed, and what the cache has not kept of their answers is asked again",
            folder.database,
            repaired.gone,
            folder.log.name,
        )


def _check(db: sqlite3.Connection, asked: Asked) -> bool:
    """True where there is a run to go on with. Refuses to go on with something else."""
    path, folder = asked.folder.database, asked.folder
    if copy := migrations.keep_copy(db, path):
        log.warning("%s: brought up to date; the file as an earlier release wrote it is kept at %s", path, copy)
    migrations.migrate(db, path)
    if not db.execute("SELECT 1 FROM meta").fetchone():
        if folder.log.exists() and folder.log.stat().st_size:
            raise StoreError(
                f"{path}: empty, though {folder.log.name} tells of events (restore it, or start a new run)"
            )
        return False
    with RunReader(asked.root, folder.id) as reader:
        refuse_other(reader, asked.meta)
    return True


def refuse_other(reader: RunReader, meta: RunMeta) -> None:
    """Raise UserError where a run is about something else than what is asked for, with everything that changed."""
    stored = reader.query("SELECT id, split, hash FROM examples")
    before = replace(reader.meta, rows={row: f"{split} {hashed}" for row, split, hashed in stored})
    # What the run holds has lost its secrets: what is asked for must lose them too, or nothing with one could go on.
    now = replace(loads(RunMeta, Scrubber().json(dumps(RunMeta, meta))), rows=meta.rows)
    if changed := check_same(before, now):
        raise UserError(f"run {reader.id} cannot go on: {'; '.join(changed)} (put it back, or start a new run)")


def _about(asked: Asked, scrubber: Scrubber) -> list[Statement]:
    rows = Rows(scrubber=scrubber, session=1)
    about = schema.META.insert("run", rows.json(RunMeta, replace(asked.meta, rows={})))
    return [about, *(rows.examples(asked.evalset) if asked.evalset is not None else ())]


def _begin(db: sqlite3.Connection, statements: list[Statement]) -> None:
    db.execute("BEGIN IMMEDIATE")
    for sql, cells in statements:
        execute(db, sql, cells)
    db.execute("COMMIT")
