"""Why rows failed: clusters of a run, and the rows of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optimizer.cli import out
from optimizer.dataset import display
from optimizer.errors import UserError
from optimizer.readers.base import near
from optimizer.report.sheet import Sheet
from optimizer.report.summary import rounds_of
from optimizer.report.wording import counted, percent
from optimizer.store.figures import ClusterChange, cluster_changes

if TYPE_CHECKING:
    from rich.text import Text

    from optimizer.failures import Cluster
    from optimizer.store import RunReader

EXAMPLES = 3
"""Rows that stand for a cluster."""
MOST_TEXT = 600
"""Characters of a value that are shown; `case` shows all of it."""


def facts(reader: RunReader) -> dict[str, Any]:
    """All clusters with the rows that fail, are fixed, or are not known."""
    known = _clusters(reader)
    changes = cluster_changes(reader, *_pair(reader))
    return {
        "run": reader.id,
        "status": reader.status.value,
        "stand_in": reader.meta.stand_in,
        "clusters": [_cluster(change, known[change.id]) for change in changes],
    }


def cluster_facts(reader: RunReader, wanted: str) -> dict[str, Any]:
    """One cluster with all its rows. Raises UserError for an unknown one, with the nearest."""
    known = _clusters(reader)
    changes = cluster_changes(reader, *_pair(reader))
    change = _chosen(changes, wanted)
    seed, winner = _pair(reader)
    rows = [_row(reader, row.example, seed, winner) for row in change.rows]
    about = {"run": reader.id, "status": reader.status.value, "stand_in": reader.meta.stand_in}
    return {**about, **_cluster(change, known[change.id]), "members": rows}


def page(facts: dict[str, Any]) -> Text:
    """All clusters on a page."""
    sheet = Sheet(width=out.width(), color=out.color())
    mark = " (stand-in)" if facts["stand_in"] else ""
    clusters = facts["clusters"]
    heading = f"{facts['run']}: {counted(len(clusters), 'cause')} of failure on train, seed -> winner{mark}"
    sheet.heading(heading)
    for found in clusters:
        sheet.blank()
        after = "?" if found["after"] is None else str(found["after"])
        sheet.wrapped(f"{found['before']:>4} -> {after:<4} ", found["label"], prefix_style="bold")
        kind = f"{found['place'] or 'text'}, {percent(found['share'])} of the lost score in round {found['round']}"
        sheet.wrapped(" " * 13, f"{found['id']}: {kind}", "dim")
        sheet.wrapped(" " * 13, _life(found), "dim")
        for reason in found["evidence"][:2]:
            sheet.wrapped(" " * 13, f"reason: {_short(reason)}")
        for name in ("open", "fixed", "unknown"):
            if found[name]:
                sheet.wrapped(" " * 13, f"{name} {_ids(found[name])}", "green" if name == "fixed" else "")
    if clusters:
        sheet.heading("next")
        sheet.line((f"  optimizer failures {facts['run']} --cluster {clusters[0]['id']}", ""))
    return sheet.text


def cluster_page(facts: dict[str, Any]) -> Text:
    """One cluster with its rows."""
    sheet = Sheet(width=out.width(), color=out.color())
    mark = " (stand-in)" if facts["stand_in"] else ""
    sheet.heading(f"{facts['label']}{mark}")
    after = "?" if facts["after"] is None else facts["after"]
    sheet.wrapped("", f"{facts['id']}, {facts['run']}: {facts['before']} -> {after} rows fail, seed -> winner", "dim")
    sheet.wrapped("", _life(facts), "dim")
    for row in facts["members"]:
        sheet.heading(f"{row['id']}  {_passed(row['seed'])} -> {_passed(row['winner'])}")
        sheet.fact("input", _short(" | ".join(f"{name}: {display(value)}" for name, value in row["inputs"].items())))
        if row["expected"] is not None:
            sheet.fact("wanted", _short(display(row["expected"])))
        for who in ("seed", "winner"):
            _answer(sheet, who, row[who])
    return sheet.text


def _answer(sheet: Sheet, who: str, answer: dict[str, Any] | None) -> None:
    if answer is None:
        sheet.fact(who, "was not run on this row", "dim")
        return
    sheet.fact(who, _short(answer["output"]) or f"no output: {answer['error']}")
    if answer["reasons"]:
        sheet.fact("", f"reason: {_short('; '.join(answer['reasons']))}", "dim")


def _life(found: dict[str, Any]) -> str:
    """`cause shrunk: 12, 5 rows in rounds 1 to 2`."""
    rounds = found["rounds"]
    sizes = ", ".join(str(one["rows"]) for one in rounds)
    first, last = rounds[0]["round"], rounds[-1]["round"]
    where = f"round {first}" if first == last else f"rounds {first} to {last}"
    return f"cause {found['stage']}: {sizes} {'row' if sizes == '1' else 'rows'} in {where}"


def _passed(answer: dict[str, Any] | None) -> str:
    if answer is None:
        return "not run"
    if answer["error"]:
        return "error"
    return "passes" if answer["passed"] else "fails"


def _clusters(reader: RunReader) -> dict[str, Cluster]:
    """Cluster id -> as it was found first."""
    known: dict[str, Cluster] = {}
    for found in reader.clusters():
        for cluster in found.clusters:
            known.setdefault(cluster.id, cluster)
    return known


def _pair(reader: RunReader) -> tuple[str, str]:
    seed, best = reader.seed(), reader.best()
    first = seed.fingerprint if seed else reader.meta.seed_prompt
    return first, best.fingerprint if best else first


def _cluster(change: ClusterChange, found: Cluster) -> dict[str, Any]:
    return {
        "id": change.id,
        "label": change.label,
        "before": change.before,
        "after": change.after,
        "stage": change.stage.value,
        "rounds": rounds_of(change),
        "ids": list(change.ids),
        "share": change.share,
        "round": change.round,
        "place": found.place,
        "wanted": list(found.wanted),
        "got": list(found.got),
        "terms": list(found.terms),
        "evidence": list(found.evidence),
        "open": [row.example for row in change.rows if row.after is False],
        "fixed": [row.example for row in change.rows if row.after is True and row.before is False],
        "unknown": [row.example for row in change.rows if row.after is None],
    }


def _row(reader: RunReader, example: str, seed: str, winner: str) -> dict[str, Any]:
    stored = reader.example(example)
    return {
        "id": example,
        "inputs": dict(stored.example.inputs) if stored else {},
        "expected": stored.example.expected if stored else None,
        "seed": _result(reader, seed, example),
        "winner": _result(reader, winner, example),
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
        "reasons": [score.reason for score in result.scores if not score.passed],
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


def _ids(ids: Sequence[str]) -> str:
    more = f", and {len(ids) - EXAMPLES} more" if len(ids) > EXAMPLES else ""
    return f"{len(ids)}: {', '.join(ids[:EXAMPLES])}{more}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_TEXT else f"{line[:MOST_TEXT]}..."
