"""Reads a run, also while it is being written. Never writes."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from optimizer.dataset import Example, Split
from optimizer.errors import StoreError, UserError
from optimizer.events import CandidateMade, ClustersFound, EditJudged
from optimizer.failures import Cluster, Failure
from optimizer.outcome import LineWorth, Outcome, Trial
from optimizer.prompt import Prompt
from optimizer.results import Completion, Evaluation, Result
from optimizer.store import lock, records, schema
from optimizer.store.codec import loads
from optimizer.store.commits import decoded
from optimizer.store.connection import open_to_read
from optimizer.store.faults import damaged, fault
from optimizer.store.folders import RunFolder, run_folder
from optimizer.store.meta import RunMeta
from optimizer.store.overlay import Overlay, lay_over, tell_outcome
from optimizer.store.records import STRINGS, Call, Decision, StoredExample, StoredResult
from optimizer.store.schema import Cell, Table

log = logging.getLogger(__name__)
T = TypeVar("T")


class RunStatus(StrEnum):
    """Where a run is."""

    RUNNING = "running"
    """A living process writes it."""
    INTERRUPTED = "interrupted"
    """It was killed or stopped, and can be resumed."""
    COMPLETE = "complete"
    """It has its outcome."""
    FAILED = "failed"
    """It ended with an error, and can be resumed once the cause is mended."""


class RunReader:
    """Typed access to one run. Use it from one thread at a time, and close it; it is a context manager.

    Rows whose checksum is wrong raise StoreError, but for results and completions: those are left out and counted in
    `dropped`, since they can be had again.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        """Open a run of the workspace `root`. Raises UserError where there is none, StoreError where it is damaged."""
        self.folder: RunFolder = run_folder(root, run_id)
        self.marks: dict[str, Any] | None = None
        """What people have marked since, where the reader sees it; None where it sees the run as it ended."""
        self.dropped = 0
        """Results and completions that were left out because they are damaged."""
        self._told = False
        if not self.folder.database.is_file():
            raise UserError(f"no run {run_id} under {self.folder.path.parent} (`optimizer runs` lists them)")
        self._db = open_to_read(self.folder.database)
        try:
            self.meta: RunMeta = self._meta()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> RunReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. What was left out is told then: a figure that rests on fewer rows must not look whole."""
        self._db.close()
        if self.dropped and not self._told:
            self._told = True
            log.warning(
                "%s damaged: %d results or answers in it are left out (--resume has those of an unfinished run again)",
                self.folder.database,
                self.dropped,
            )

    def lay_over(self, overlay: Overlay) -> None:
        """See marked rows in place of the stored ones; the file stays as it is."""
        lay_over(self._db, overlay)

    def tell_outcome(self, outcome: Outcome) -> None:
        """Give another outcome than the stored one; the file stays as it is."""
        tell_outcome(self._db, outcome, self.started)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.folder.id

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside see one moment of a run that is being written."""
        self.query("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    @property
    def status(self) -> RunStatus:
        """Where the run is."""
        if self.query("SELECT 1 FROM outcome"):
            return RunStatus.COMPLETE
        if lock.held(self.folder.lock):
            return RunStatus.RUNNING
        return RunStatus.FAILED if self.failure else RunStatus.INTERRUPTED

    @property
    def failure(self) -> str:
        """The error that the last session ended with; empty where it ended otherwise."""
        rows = self.query("SELECT error FROM sessions ORDER BY number DESC LIMIT 1")
        return str(rows[0][0] or "") if rows else ""

    @property
    def started(self) -> float:
        """Unix time at which the run began."""
        rows = self.query("SELECT started_at FROM sessions ORDER BY number LIMIT 1")
        return float(rows[0][0]) if rows else 0.0

    @property
    def seconds(self) -> float:
        """Time spent in it: the sum over its sessions, as far as they are known to have ended or to have done."""
        rows = self.query(
            "SELECT started_at, COALESCE(ended_at, (SELECT MAX(sent_at) FROM calls WHERE session = number)) "
            "FROM sessions"
        )
        return sum(max(float(end) - float(start), 0.0) for start, end in rows if end is not None)

    @property
    def config_text(self) -> str:
        """What was asked, resolved: the text of `config.yaml` at the last session."""
        rows = self.query("SELECT config FROM sessions ORDER BY number DESC LIMIT 1")
        return str(rows[0][0]) if rows else ""

    def outcome(self) -> Outcome | None:
        """How the run ended; None while it has not."""
        return next(self._values(schema.OUTCOME, records.outcome), None)

    def candidates(self) -> Iterator[CandidateMade]:
        """Every candidate, in the order in which they were made."""
        return self._values(schema.PROMPTS, records.candidate, "ORDER BY seq")

    def prompt(self, fingerprint: str) -> Prompt | None:
        """The prompt with that fingerprint, as it was made last: with the ids of its lines."""
        where = "WHERE fingerprint = ? ORDER BY seq DESC LIMIT 1"
        made = next(self._values(schema.PROMPTS, records.candidate, where, fingerprint), None)
        return None if made is None else made.prompt

    def seed(self) -> Prompt | None:
        """The prompt that the run began with; None before it was recorded."""
        return self.prompt(self.meta.seed_prompt) or self._by_origin("seed")

    def best(self) -> Prompt | None:
        """The winner; for a run that has not ended, its champion so far."""
        ended = self.outcome()
        if ended is not None and ended.winner:
            return self.prompt(ended.winner)
        for decision in reversed(self.decisions()):
            fingerprint = decision.decided.figures.get(
                "without" if decision.decided.kind == "drop line" else "candidate"
            )
            if decision.decided.kind in {"accept", "drop line", "missed"} and isinstance(fingerprint, str):
                return self.prompt(fingerprint)
        return self.seed()

    def examples(self, split: Split | None = None) -> Iterator[StoredExample]:
        """Rows of the eval set as they were when the run began, in file order."""
        where, cells = ("", ()) if split is None else ("WHERE split = ?", (split.value,))
        return self._values(schema.EXAMPLES, records.example, f"{where} ORDER BY position", *cells)

    def example(self, row: str) -> StoredExample | None:
        """One row of the eval set."""
        return next(self._values(schema.EXAMPLES, records.example, "WHERE id = ?", row), None)

    def results(self, candidate: str | None = None, split: Split | None = None) -> Iterator[StoredResult]:
        """Results, of one candidate or all, in the order in which they came; one by one, so any number fits."""
        wanted = {"candidate": candidate, "split": None if split is None else split.value}
        filters = [f"{name} = ?" for name, value in wanted.items() if value is not None]
        where = f"WHERE {' AND '.join(filters)}" if filters else ""
        cells = [value for value in wanted.values() if value is not None]
        return self._values(schema.RESULTS, records.stored_result, f"{where} ORDER BY seq", *cells)

    def result(self, candidate: str, example: str) -> StoredResult | None:
        """One row under one candidate."""
        where = "WHERE candidate = ? AND example = ?"
        return next(self._values(schema.RESULTS, records.stored_result, where, candidate, example), None)

    def evaluation(self, candidate: str, split: Split) -> Evaluation:
        """All that is known of one candidate on one split."""
        found = {stored.result.example: stored.result for stored in self.results(candidate, split)}
        return Evaluation(candidate=candidate, results=found)

    def completion(self, key: str) -> Completion | None:
        """The first answer to a request."""
        where = "WHERE key = ? ORDER BY seq LIMIT 1"
        return next(self._values(schema.COMPLETIONS, records.completion, where, key), None)

    def completions(self) -> dict[str, Completion]:
        """Request key -> its first answer that can be used again: whole, and no secret taken out of it."""
        found: dict[str, Completion] = {}
        where = "WHERE reusable = 1 ORDER BY seq"
        for key, answer in self._values(schema.COMPLETIONS, lambda row: (row[0], records.completion(row)), where):
            found.setdefault(key, answer)
        return found

    def calls(self) -> Iterator[Call]:
        """Every attempt, and every request that was answered without one, in order."""
        texts = "LEFT JOIN completions a ON a.key = calls.key AND a.digest = calls.digest"
        columns = ", ".join(f"calls.{column}" for column in schema.CALLS.columns)
        sql = f"SELECT a.text, {columns}, calls.crc FROM calls {texts} ORDER BY calls.seq"
        for cells in self._cells(sql):
            yield records.call(self._sound(schema.CALLS, cells[1:]), None if cells[0] is None else str(cells[0]))

    def clusters(self, round: int | None = None) -> tuple[ClustersFound, ...]:
        """What was found in one round or all, with all members."""
        where, cells = ("", ()) if round is None else ("WHERE round = ?", (round,))
        rounds = list(self._values(schema.CLUSTERINGS, tuple, f"{where} ORDER BY round", *cells))
        return tuple(self._clustering(number, candidate) for number, candidate in rounds)

    def edits(self) -> tuple[EditJudged, ...]:
        """What became of every proposed edit, in order."""
        return tuple(self._values(schema.EDITS, records.edit, "ORDER BY seq"))

    def trials(self) -> tuple[Trial, ...]:
        """Every trial that ended, by round and number."""
        return tuple(self._values(schema.TRIALS, records.trial, "ORDER BY round, number"))

    def decisions(self, kind: str | None = None) -> tuple[Decision, ...]:
        """What was decided, of one kind or all, in order."""
        where, cells = ("", ()) if kind is None else ("WHERE kind = ?", (kind,))
        columns = ", ".join((*schema.DECISIONS.columns, "crc"))
        rows = self._cells(f"SELECT seq, {columns} FROM decisions {where} ORDER BY seq", *cells)
        return tuple(records.decision(self._sound(schema.DECISIONS, row[1:]), int(str(row[0]))) for row in rows)

    def lines(self) -> tuple[LineWorth, ...]:
        """Worth of the changed lines: the outcome's, or as far as they are priced."""
        ended = self.outcome()
        if ended is not None:
            return ended.lines
        return tuple(self._values(schema.LINES, records.line, "ORDER BY seq"))

    def query(self, sql: str, *cells: Cell) -> list[tuple[Any, ...]]:
        """Rows of any `SELECT`: for figures that SQL adds up better than Python does."""
        return list(self._cells(sql, *cells))

    def _by_origin(self, origin: str) -> Prompt | None:
        where = "WHERE origin = ? ORDER BY seq LIMIT 1"
        made = next(self._values(schema.PROMPTS, records.candidate, where, origin), None)
        return None if made is None else made.prompt

    def _clustering(self, number: int, candidate: str) -> ClustersFound:
        members: dict[str, list[Failure]] = {}
        for cells in self._cells(schema.MEMBERS.select("WHERE round = ? ORDER BY cluster, position"), number):
            _, cluster, _, example, row, result = self._sound(schema.MEMBERS, cells)
            failure = self._failure(candidate, str(example), row, result)
            if failure is not None:
                members.setdefault(str(cluster), []).append(failure)
        where = "WHERE round = ? ORDER BY position"
        found = [
            Cluster(
                id=name,
                label=label,
                members=tuple(members.get(name, ())),
                share=share,
                place=place,
                wanted=loads(STRINGS, wanted),
                got=loads(STRINGS, got),
                terms=loads(STRINGS, terms),
                evidence=loads(STRINGS, evidence),
            )
            for _, _, name, label, share, place, wanted, got, terms, evidence in self._values(
                schema.CLUSTERS, tuple, where, number
            )
        ]
        return ClustersFound(round=number, candidate=candidate, clusters=tuple(found))

    def _failure(self, candidate: str, example: str, row: Cell, result: Cell) -> Failure | None:
        if row is None:
            stored = self.example(example)
            known = None if stored is None else stored.example
        else:
            known = loads(Example, str(row))
        if result is None:
            kept = self.result(candidate, example)
            found = None if kept is None else kept.result
        else:
            found = loads(Result, str(result))
        return None if known is None or found is None else Failure(example=known, result=found)

    def _meta(self) -> RunMeta:
        rows = list(self._values(schema.META, tuple, "WHERE key = 'run'"))
        if not rows:
            raise StoreError(f"{self.folder.database}: empty or damaged (restore it from a copy, or start a new run)")
        meta: RunMeta = loads(RunMeta, rows[0][1])
        return meta

    def _values(self, table: Table, make: Callable[[Sequence[Any]], T], rest: str = "", *cells: Cell) -> Iterator[T]:
        replaceable = table in (schema.RESULTS, schema.COMPLETIONS)
        for row in self._cells(table.select(rest), *cells):
            found = row[:-1]
            if schema.checksum(found) == row[-1]:
                yield make(found)
            elif replaceable:
                self.dropped += 1
            else:
                raise damaged(self.folder.database, table.name, row[0])

    def _sound(self, table: Table, row: tuple[Cell, ...]) -> tuple[Cell, ...]:
        if schema.checksum(row[:-1]) != row[-1]:
            raise damaged(self.folder.database, table.name, row[0])
        return row[:-1]

    def _cells(self, sql: str, *cells: Cell) -> Iterator[tuple[Cell, ...]]:
        try:
            for row in self._db.execute(sql, cells):
                yield decoded(row)
        except sqlite3.Error as error:
            raise fault(self.folder.database, error) from error
