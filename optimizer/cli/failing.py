"""Why rows failed, as values: clusters of a run under its winner or any version, and the rows of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.cli import find
from optimizer.errors import StoreError, UserError
from optimizer.readers.base import near
from optimizer.report.summary import rounds_of
from optimizer.store import RunReader, find_run, list_runs
from optimizer.store.codec import loads
from optimizer.store.figures import ClusterChange, cluster_changes
from optimizer.store.records import STRINGS

if TYPE_CHECKING:
    from optimizer.prompt import Prompt

EXAMPLES = 3
"""Rows that stand for a cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What `failures` looks at."""

    reader: RunReader
    """The run; the caller closes it."""
    seed: str
    """Fingerprint of the prompt that the run began with."""
    shown: str
    """Fingerprint of the prompt whose failures are told."""
    ref: str
    """`winner`, or the version by its name."""


def asked(run: str, version: str | None) -> Asked:
    """Open the run that knows a version; without one, the run itself under its winner.

    Raises UserError for an unknown run or version, and for a run that never scored the version.
    """
    if version is None:
        reader = find.marked(RunReader(find.ROOT, find_run(find.ROOT, run)))
        seed, best = reader.seed(), reader.best()
        first = seed.fingerprint if seed else reader.meta.seed_prompt
        return Asked(reader=reader, seed=first, shown=best.fingerprint if best else first, ref="winner")
    taken = find.taken(version)
    named = [find_run(find.ROOT, run)] if run != find.LATEST else []
    for run_id in named or dict.fromkeys([*filter(None, [taken.run]), *_readable()]):
        knowing = _knowing(run_id, taken.prompt)
        if knowing is not None:
            seed = knowing.seed()
            first = seed.fingerprint if seed else knowing.meta.seed_prompt
            return Asked(reader=knowing, seed=first, shown=taken.prompt.fingerprint, ref=taken.prompt.ref)
    where = f"run {named[0]}" if named else "no run"
    raise UserError(f"{where} has no scores of {taken.prompt.ref} (optimizer log says which run scored which version)")


def _readable() -> list[str]:
    return [info.id for info in list_runs(find.ROOT) if info.status]


def _knowing(run: str, prompt: Prompt) -> RunReader | None:
    try:
        reader = RunReader(find.ROOT, run)
    except (UserError, StoreError):
        # Gone or damaged: another run may know the version.
        return None
    if reader.query("SELECT 1 FROM results WHERE candidate = ? LIMIT 1", prompt.fingerprint):
        return find.marked(reader)
    reader.close()
    return None


def facts(asked: Asked) -> dict[str, Any]:
    """All clusters with what became of their rows, and three examples of each."""
    changes = cluster_changes(asked.reader, asked.seed, asked.shown)
    details = _details(asked.reader)
    clusters = [{**_cluster(change, details[change.id]), "examples": _examples(asked, change)} for change in changes]
    placed = {row for change in changes for row in (*change.for_it, *change.new)}
    rest = [row for row in _failing(asked) if row not in placed]
    return {**_about(asked), "clusters": clusters, "unexplained": rest}


def cluster_facts(asked: Asked, wanted: str, limit: int | None = None) -> dict[str, Any]:
    """One cluster with its rows, all or the first of them. Raises UserError for an unknown one, with the nearest."""
    change = _chosen(cluster_changes(asked.reader, asked.seed, asked.shown), wanted)
    told = _cluster(change, _details(asked.reader)[change.id])
    rows = [row for fate in ("new", "open", "other", "unknown", "fixed") for row in told[fate]]
    members = [_row(asked, row) for row in rows[:limit]]
    fates = {row: fate for fate in ("fixed", "unknown", "other", "open", "new") for row in told[fate]}
    return {**_about(asked), **told, "members": [{**row, "fate": fates[row["id"]]} for row in members]}


def _about(asked: Asked) -> dict[str, Any]:
    reader = asked.reader
    return {
        "run": reader.id,
        "status": reader.status.value,
        "stand_in": reader.meta.stand_in,
        "shown": asked.ref,
        "fingerprint": asked.shown,
        "marks": reader.marks,
    }


def _failing(asked: Asked) -> list[str]:
    rows = asked.reader.query(
        "SELECT example FROM results WHERE candidate = ? AND split = 'train' AND passed = 0 AND error IS NULL "
        "ORDER BY example",
        asked.shown,
    )
    return [str(row) for (row,) in rows]


def _details(reader: RunReader) -> dict[str, dict[str, Any]]:
    """Cluster id -> what is said of it, as it was found first."""
    known: dict[str, dict[str, Any]] = {}
    for name, place, wanted, got, terms, evidence in reader.query(
        "SELECT id, place, wanted, got, terms, evidence FROM clusters ORDER BY round, position"
    ):
        lists = {"wanted": wanted, "got": got, "terms": terms, "evidence": evidence}
        known.setdefault(name, {"place": place, **{key: list(loads(STRINGS, text)) for key, text in lists.items()}})
    return known


def _cluster(change: ClusterChange, details: dict[str, Any]) -> dict[str, Any]:
    for_it = frozenset(change.for_it)
    return {
        "id": change.id,
        "label": change.label,
        "found": change.found,
        "now": change.now,
        "before": change.before,
        "after": change.after,
        "stage": change.stage.value,
        "rounds": rounds_of(change),
        "ids": list(change.ids),
        "share": change.share,
        "round": change.round,
        **details,
        "new": list(change.new),
        "open": list(change.for_it),
        "other": [row.example for row in change.rows if row.after is False and row.example not in for_it],
        "fixed": [row.example for row in change.rows if row.after is True and row.before is not True],
        "unknown": [row.example for row in change.rows if row.after is None],
    }


def _examples(asked: Asked, change: ClusterChange) -> list[dict[str, Any]]:
    """Rows that stand for a cluster: those that still fail for it first."""
    rest = [row.example for row in change.rows]
    return [_row(asked, row) for row in list(dict.fromkeys([*change.new, *change.for_it, *rest]))[:EXAMPLES]]


def _row(asked: Asked, example: str) -> dict[str, Any]:
    stored = asked.reader.example(example)
    return {
        "id": example,
        "inputs": dict(stored.example.inputs) if stored else {},
        "expected": stored.example.expected if stored else None,
        "seed": _result(asked.reader, asked.seed, example),
        "winner": _result(asked.reader, asked.shown, example),
    }


def _result(reader: RunReader, candidate: str, example: str) -> dict[str, Any] | None:
    stored = reader.result(candidate, example)
    if stored is None:
        return None
    result = stored.result
    return {
        "output": result.output,
        "passed": result.passed,
        "score": result.score,
        "reasons": list(dict.fromkeys(score.reason for score in result.scores if not score.passed)),
        "error": f"{result.error.kind.value}: {result.error.message}" if result.error else "",
    }


def _chosen(changes: Sequence[ClusterChange], wanted: str) -> ClusterChange:
    """By id, the beginning of one, or words of the label."""
    if not changes:
        raise UserError("the run has no clusters (no train row failed, or it did not get that far)")
    exact = [change for change in changes if wanted in (change.id, *change.ids)]
    begun = [change for change in changes if wanted and any(i.startswith(wanted) for i in (change.id, *change.ids))]
    labelled = [change for change in changes if wanted and wanted.casefold() in change.label.casefold()]
    for found in (exact, begun, labelled):
        if len(found) == 1:
            return found[0]
    match = near(wanted, [change.id for change in changes] + [change.label for change in changes])
    hint = f"did you mean {match!r}? " if match else ""
    listed = ", ".join(change.id for change in changes[:8])
    several = f"{len(begun or labelled)} clusters fit" if begun or labelled else "no cluster is called"
    raise UserError(f"{several} {wanted[:80]!r} ({hint}there are: {listed}; optimizer failures lists them)")
