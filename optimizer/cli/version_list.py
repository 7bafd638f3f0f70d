"""The versions of prompts on disk, as values and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli import find, out
from optimizer.errors import StoreError, UserError
from optimizer.readers.base import near
from optimizer.readers.prompts import load_version
from optimizer.readers.provenance import ScoreRecord
from optimizer.readers.versions import list_versions
from optimizer.report.sheet import Sheet
from optimizer.report.wording import counted, interval, percent, points
from optimizer.store import RunReader

if TYPE_CHECKING:
    from rich.text import Text


def versions(name: str | None) -> list[dict[str, Any]]:
    """Every version of one prompt or of all, oldest first. Raises UserError for an unknown name, with the nearest."""
    names = sorted(path.name for path in find.PROMPTS.iterdir() if path.is_dir()) if find.PROMPTS.is_dir() else []
    if name is None:
        return [_version(path) for known in names for path in list_versions(find.PROMPTS / known)]
    wanted = name.partition("@")[0]
    if wanted not in names:
        match = near(wanted, names)
        hint = f"did you mean {match!r}? " if match else ""
        raise UserError(f"no prompt {wanted[:80]!r} under prompts ({hint}there are: {', '.join(names[:20]) or 'none'})")
    return [_version(path) for path in list_versions(find.PROMPTS / wanted)]


def _version(path: Path) -> dict[str, Any]:
    loaded = load_version(path)
    origin = loaded.provenance
    scores = origin.scores if origin else {}
    test = scores.get("test")
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
        "stand_in": _is_stand_in(origin.run) if origin and origin.run else None,
    }


def _is_stand_in(run: str) -> bool | None:
    """Whether the run's figures come from the offline stand-in; None where the run is gone."""
    try:
        with RunReader(find.ROOT, run) as reader:
            return reader.meta.stand_in
    except (UserError, StoreError):
        # Gone, damaged or of another workspace: the version says all that is known.
        return None


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
    """The versions on a page."""
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
    sheet.wrapped("", f"{version['ref']}  {verdict}{mark}{changed}", "bold")
    made = f"{counted(version['edits'], 'edit')} to {version['parent']}, " if version["parent"] else ""
    run = f", run {version['run']}" if version["run"] else ""
    sheet.wrapped("    ", f"{made}{counted(version['lines'], 'line')}{run}", "dim")
    for name, caution in (("test", ""), ("val", ", optimistic")):
        score = version[name]
        if score is not None:
            went = f"{percent(score['baseline'])} -> {percent(score['winner'])}"
            gain = (
                f"{points(score['gain'])} points {interval(score['ci'])}, {counted(score['n'], 'row')}{caution}{mark}"
            )
            sheet.wrapped(f"    {name:<5} ", f"{went}  {gain}")
