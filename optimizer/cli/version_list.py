"""The versions of prompts on disk, as values and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli import find, out
from optimizer.errors import StoreError, UserError
from optimizer.outcome import Verdict
from optimizer.readers.base import near
from optimizer.readers.prompts import contained, load_version
from optimizer.readers.provenance import Provenance, ScoreRecord
from optimizer.readers.versions import list_versions
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted, interval, percent, points
from optimizer.store import RunReader, list_runs

if TYPE_CHECKING:
    from rich.text import Text


MOST_LOSERS = 20
"""Trials of a run that are listed as values."""
_KEPT_BACK = (Verdict.WORSE, Verdict.BLOCKED)
"""Verdicts with which a prompt stays in its run."""
LOSERS_SHOWN = 3
"""Trials that are shown on a page."""
INDENT = "  "


def versions(name: str | None) -> list[dict[str, Any]]:
    """Every version of one prompt or of all, as a tree in rows: a parent comes before what was made of it.

    Raises UserError for an unknown name, with the nearest.
    """
    names = sorted(path.name for path in find.PROMPTS.iterdir() if path.is_dir()) if find.PROMPTS.is_dir() else []
    if name is None:
        return [version for known in names for version in _tree(known)]
    wanted = name.partition("@")[0]
    if wanted not in names:
        match = near(wanted, names)
        hint = f"did you mean {match!r}? " if match else ""
        raise UserError(f"no prompt {wanted[:80]!r} under prompts ({hint}there are: {', '.join(names[:20]) or 'none'})")
    return _tree(wanted)


def _tree(name: str) -> list[dict[str, Any]]:
    """Versions of one prompt, each with its depth and the runs that wrote none.

    Those are the runs that came to it again, and the ones that began with it and came to nothing.
    """
    home = contained(find.PROMPTS / name, find.PROMPTS)
    found = [_version(contained(path, find.PROMPTS)) for path in list_versions(home)]
    refs = {version["ref"] for version in found}
    wrote = {version["run"] for version in found}
    ended = {version["fingerprint"]: version["ref"] for version in found}
    begun, came = _runs_by_seed(ended)
    rows: list[dict[str, Any]] = []
    queue = [(version, 0) for version in reversed(found) if version["parent"] not in refs]
    seen: set[str] = set()
    while queue:
        version, depth = queue.pop()
        if version["ref"] in seen:
            continue
        seen.add(version["ref"])
        without = [run for run in begun.get(version["fingerprint"], ()) if run["run"] not in wrote]
        again = [run for run in came.get(version["ref"], ()) if run["run"] not in wrote]
        rows.append({**version, "depth": depth, "runs_without_version": without, "runs_again": again})
        queue += [(child, depth + 1) for child in reversed(found) if child["parent"] == version["ref"]]
    # Versions that name each other as parents hang on no root.
    return rows + [
        {**version, "depth": 0, "runs_without_version": [], "runs_again": []}
        for version in found
        if version["ref"] not in seen
    ]


_Runs = dict[str, list[dict[str, Any]]]


def _runs_by_seed(versions: Mapping[str, str]) -> tuple[_Runs, _Runs]:
    """Fingerprint of a prompt -> runs that began with it and came to no version; version -> runs that came to it.

    A winner that reads like a version is not written again (`ship.py`).
    """
    without: _Runs = {}
    came: _Runs = {}
    for info in list_runs(find.ROOT):
        if info.status is None:
            continue
        told: dict[str, Any] = {
            "run": info.id,
            "status": info.status.value,
            "verdict": info.verdict and info.verdict.value,
        }
        told["stand_in"] = info.stand_in
        ref = None if info.verdict in _KEPT_BACK else versions.get(info.best)
        (without.setdefault(info.seed, []) if ref is None else came.setdefault(ref, [])).append(told)
    return without, came


def _version(path: Path) -> dict[str, Any]:
    loaded = load_version(path)
    origin = loaded.provenance
    scores = origin.scores if origin else {}
    test = scores.get("test")
    stand_in, losers = _of_run(origin, loaded.prompt.fingerprint) if origin and origin.run else (None, [])
    return {
        "ref": loaded.prompt.ref,
        "path": str(path),
        "parent": origin.parent if origin and origin.parent else None,
        "run": origin.run if origin and origin.run else None,
        "verdict": test.verdict if test else None,
        "proven": origin.proven if origin else None,
        "test": _score(test),
        "val": _score(scores.get("val")),
        "edits": len(origin.edits) if origin else 0,
        "lines": len(loaded.prompt.lines),
        "fingerprint": loaded.prompt.fingerprint,
        "edited_by_hand": loaded.edited_by_hand,
        "stand_in": stand_in,
        "losers": losers,
    }


def _of_run(origin: Provenance, winner: str) -> tuple[bool, list[dict[str, Any]]]:
    """Whether a run's figures come from the stand-in, and its best trials that lost; none where it is gone."""
    try:
        with RunReader(find.ROOT, origin.run) as reader:
            rows = reader.query(_LOSERS, winner, reader.meta.seed_prompt, MOST_LOSERS)
            names = ("round", "trial", "fingerprint", "rows", "val", "partial", "reason")
            losers = [dict(zip(names, row, strict=True)) for row in rows]
            return reader.meta.stand_in, [{**loser, "partial": bool(loser["partial"])} for loser in losers]
    except (UserError, StoreError):
        # Gone, damaged or of another workspace: the version says all that is known.
        return origin.stand_in, []


_LOSERS = """
SELECT round, number, candidate, rows, score, partial, reason FROM trials
WHERE candidate NOT IN (?, ?) AND score IS NOT NULL ORDER BY partial, score DESC, round, number LIMIT ?
"""


def _score(score: ScoreRecord | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return {
        "n": score.n,
        "baseline": score.baseline,
        "winner": score.winner,
        "gain": score.gain,
        "ci": list(score.ci),
    }


def page(found: list[dict[str, Any]]) -> Text:
    """The versions on a page, children further in than their parent."""
    sheet = Sheet(width=out.width(), color=out.color())
    for version in found:
        sheet.blank()
        _told(sheet, version)
    return sheet.text


def _told(sheet: Sheet, version: dict[str, Any]) -> None:
    mark = " (stand-in)" if version["stand_in"] else ""
    changed = "  edited by hand since it was measured" if version["edited_by_hand"] else ""
    verdict = version["verdict"] or ("not tested" if version["run"] else "written by hand")
    verdict += ", unproven" if version["proven"] is False else ""
    # A deep tree stays readable on a narrow screen.
    room = INDENT * min(version["depth"], 8)
    sheet.wrapped(room, f"{version['ref']}  {verdict}{mark}{changed}", "bold")
    made = f"{counted(version['edits'], 'edit')} to {version['parent']}, " if version["parent"] else ""
    run = f", run {version['run']}" if version["run"] else ""
    sheet.wrapped(f"{room}    ", f"{made}{counted(version['lines'], 'line')}{run}", "dim")
    for name, caution in (("test", ""), ("val", ", optimistic")):
        score = version[name]
        if score is not None:
            went = f"{percent(score['baseline'])} -> {percent(score['winner'])}"
            gain = (
                f"{points(score['gain'])} points {interval(score['ci'])}, {counted(score['n'], 'row')}{caution}{mark}"
            )
            sheet.wrapped(f"{room}    {name:<5} ", f"{went}  {gain}")
    _lost(sheet, room, version, mark)


def _lost(sheet: Sheet, room: str, version: dict[str, Any], mark: str) -> None:
    """Trials of its run that lost, and runs that came to it again or made nothing of it."""
    for number, loser in enumerate(version["losers"][:LOSERS_SHOWN]):
        dropped = ", dropped" if loser["partial"] else ""
        told = f"round {loser['round']} trial {loser['trial']}: {percent(loser['val'])}"
        rows = counted(loser["rows"], "val row")
        sheet.wrapped(f"{room}    {'lost' if not number else '':<5} ", f"{told} on {rows}{dropped}{mark}", "dim")
    if len(version["losers"]) > LOSERS_SHOWN:
        sheet.wrapped(f"{room}          ", f"and {len(version['losers']) - LOSERS_SHOWN} more trials (--json)", "dim")
    for run in version["runs_again"]:
        caution = " (stand-in)" if run["stand_in"] else ""
        told = f"{run['verdict']}: run {run['run']} came to the same prompt{caution}"
        sheet.wrapped(f"{room}    again ", told, "dim")
    for run in version["runs_without_version"]:
        sheet.wrapped(f"{room}    tried ", f"{run['verdict'] or run['status']}: run {run['run']}, no version", "dim")
