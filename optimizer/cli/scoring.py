"""One prompt's score: per split, with causes and kinds of fault."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optimizer.cli import out
from optimizer.cli.tally import Tally
from optimizer.config import RunConfig
from optimizer.dataset import Split
from optimizer.errors import ProviderError, UserError
from optimizer.readers.base import nearest
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted, money, percent
from optimizer.results import Evaluation
from optimizer.scored import Scored

if TYPE_CHECKING:
    from rich.text import Text

    from optimizer.gate import Gate

EXAMPLES = 3
_CALLS = {"paid": "sent", "saved": "saved", "failed": "failed"}
MOST_CLUSTERS = 10
MOST_ERRORS = 5


def splits(names: Sequence[str] | None) -> tuple[Split, ...]:
    """The splits that are named, in order; train and val where none is. Raises UserError for an unknown one."""
    known = [split.value for split in Split]
    for name in names or ():
        if name not in known:
            raise UserError(f"--split {name}: no such split ({nearest(name, known)}there are: {', '.join(known)})")
    wanted = names or (Split.TRAIN.value, Split.VAL.value)
    return tuple(split for split in Split if split.value in wanted)


def facts(config: RunConfig, scored: Scored, tally: Tally, gate: Gate | None = None) -> dict[str, Any]:
    """The result as JSON values, with a gate's where one was asked for."""
    from optimizer.gate.facts import facts as gate_facts

    faults: Counter[str] = Counter()
    splits = {split.value: _split(found, faults) for split, found in scored.evaluations.items()}
    return {
        "eval": config.name,
        "model": config.model.name,
        "stand_in": config.model.stand_in,
        "prompt": {"ref": scored.prompt.ref, "fingerprint": scored.prompt.fingerprint, "text": scored.prompt.text},
        "splits": splits,
        "look": scored.look,
        "faults": dict(faults.most_common()),
        "clusters": [
            {
                "id": cluster.id,
                "label": cluster.label,
                "size": len(cluster.members),
                "share": cluster.share,
                "place": cluster.place,
                "evidence": list(cluster.evidence),
                "members": [failure.id for failure in cluster.members],
            }
            for cluster in scored.clusters
        ],
        "calls": {"paid": tally.paid, "saved": tally.saved, "failed": tally.failed},
        "usd": tally.usd,
        **({} if gate is None else {"gate": gate_facts(gate)}),
    }


def check(facts: Mapping[str, Any]) -> None:
    """Raise ProviderError where no row has a score: an eval of nothing is no result."""
    errors = [error for split in facts["splits"].values() for error in split["errors"]]
    if errors and not any(split["n"] for split in facts["splits"].values()):
        first = errors[0]
        raise ProviderError(
            f"none of {counted(len(errors), 'row')} has a score (row {first['row']}: {first['kind']}: "
            f"{first['message']}); mend the cause and ask again: what was paid is kept"
        )


def _split(found: Evaluation, faults: Counter[str]) -> dict[str, Any]:
    """One split's figures, in one pass over its results; `faults` counts the rows that failed each metric or erred."""
    scores = array("d")
    passed = 0
    failed: list[str] = []
    errors: list[dict[str, str]] = []
    for row, result in found.results.items():
        if result.error is not None:
            faults[f"error: {result.error.kind.value}"] += 1
            errors.append({"row": row, "kind": result.error.kind.value, "message": result.error.message})
            continue
        scores.append(result.score or 0.0)
        passed += result.passed
        faults.update(f"{score.metric} ({score.place or 'text'})" for score in result.scores if not score.passed)
        if not result.passed:
            failed.append(row)
    mean = sum(scores) / len(scores) if scores else None
    return {"n": len(scores), "score": mean, "passed": passed, "failed": failed, "errors": errors}


def _unanswered(sheet: Sheet, errors: Sequence[Mapping[str, str]]) -> None:
    """Rows without a score, each with why."""
    if errors:
        sheet.heading("rows that are not scored, and why")
    for error in errors[:MOST_ERRORS]:
        sheet.wrapped("  ", f"row {error['row']}: {error['message']}")
    if len(errors) > MOST_ERRORS:
        sheet.line((f" ... and {len(errors) - MOST_ERRORS} more", "dim"))


def page(facts: dict[str, Any]) -> Text:
    """The same on a page."""
    sheet = Sheet(width=out.width(), color=out.color())
    mark = " (stand-in)" if facts["stand_in"] else ""
    sheet.heading(f"{facts['prompt']['ref']} on {facts['eval']}, {facts['model']}{mark}")
    for name, split in facts["splits"].items():
        told = f"{percent(split['score'])}, {split['passed']} of {counted(split['n'], 'row')} pass"
        errors = f", {counted(len(split['errors']), 'error')} (not scored)" if split["errors"] else ""
        sheet.fact(name, told + errors + mark)
    if facts["look"] is not None:
        sheet.fact("look", f"number {facts['look']} at these test rows: with each, a claim needs more proof")
    calls, usd = facts["calls"], facts["usd"]
    cost = "price unknown" if usd is None else money(usd)
    told = ", ".join(f"{calls[key]:,} {word}" for key, word in _CALLS.items() if calls[key] or key == "paid")
    sheet.fact("calls", f"{told}; {cost}")
    if facts["faults"]:
        sheet.heading(f"kinds of fault: rows that fail each check{mark}")
        for name, rows in facts["faults"].items():
            sheet.wrapped(f" {rows:>4}  ", name, prefix_style="bold")
    _unanswered(sheet, [error for split in facts["splits"].values() for error in split["errors"]])
    if facts["clusters"]:
        sheet.heading(f"why it fails{mark}")
    for found in facts["clusters"][:MOST_CLUSTERS]:
        sheet.wrapped(f" {found['size']:>4}  ", found["label"], prefix_style="bold")
        rows = ", ".join(found["members"][:EXAMPLES])
        sheet.wrapped(" " * 7, f"{percent(found['share'])} of the lost score; rows {rows}", "dim")
    if len(facts["clusters"]) > MOST_CLUSTERS:
        sheet.line((f" ... and {len(facts['clusters']) - MOST_CLUSTERS} more", "dim"))
    return sheet.text
