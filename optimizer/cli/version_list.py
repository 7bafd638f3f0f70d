"""The versions of prompts on disk, as values and as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optimizer.cli import find
from optimizer.cli.tables import table
from optimizer.errors import UserError
from optimizer.readers.base import near
from optimizer.readers.prompts import load_version
from optimizer.readers.provenance import ScoreRecord
from optimizer.readers.versions import list_versions
from optimizer.report.wording import interval, percent, points


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
        "test": _score(test),
        "val": _score(scores.get("val")),
        "edits": len(origin.edits) if origin else 0,
        "lines": len(loaded.prompt.lines),
        "fingerprint": loaded.prompt.fingerprint,
        "edited_by_hand": loaded.edited_by_hand,
    }


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


def text(found: list[dict[str, Any]]) -> str:
    """The versions as a table."""
    rows = [("version", "parent", "verdict", "edits", "lines", "run", "test (or val, optimistic)")]
    return table([*rows, *map(_row, found)], right=(3, 4))


def _row(version: dict[str, Any]) -> tuple[str, ...]:
    ref = f"{version['ref']}{' (edited by hand)' if version['edited_by_hand'] else ''}"
    on = "test" if version["test"] else "val"
    score = version["test"] or version["val"]
    told = "-"
    if score:
        went = f"{percent(score['baseline'])} -> {percent(score['winner'])}"
        told = f"{went} on {on}, {points(score['gain'])} {interval(score['ci'])}"
    counts = (str(version["edits"]), str(version["lines"]))
    return ref, version["parent"] or "-", version["verdict"] or "-", *counts, version["run"] or "-", told
