"""Where a version of a prompt comes from: its parent, its edits and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import BaseModel, ConfigDict

from optimizer.outcome import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class EditRecord:
    """One edit that a version kept."""

    op: str
    """`add_line`, `replace_line`, `remove_line`, `add_demo` or `remove_demo`."""
    line: str
    """Id of the line or demo that was added or changed."""
    text: str | None = None
    """The new text; None for a removal. Of a demo, what people are shown of it."""
    cluster: str = ""
    """Label of the cluster that it aims at."""
    why: str = ""
    """The proposer's reason."""
    worth: float | None = None
    """Score with the line minus score without it, in [-1, 1]; None where it was not measured."""
    ci: tuple[float, float] | None = None
    """95% interval of the worth."""
    label: str = ""
    """What the worth comes to: `earns`, `hurts`...; empty where it was not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRecord:
    """How a version compares with its parent on one split."""

    n: int
    """Rows compared."""
    baseline: float
    """Mean score of the parent, in [0, 1]."""
    winner: float
    """Mean score of this version, in [0, 1]."""
    gain: float
    """winner - baseline."""
    ci: tuple[float, float]
    """95% interval of the gain."""
    verdict: str | None = None
    """The claim; on test alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """The `provenance` block of a prompt file."""

    parent: str = ""
    """Ref of the version before: `romeo-bob@v1`."""
    run: str = ""
    """Id of the run that made it."""
    stand_in: bool = False
    """True where the offline stand-in measured it: its figures say nothing of a real model."""
    edits: tuple[EditRecord, ...] = ()
    """Edits that made it from its parent."""
    scores: Mapping[str, ScoreRecord] = field(default_factory=dict)
    """Split -> comparison with the seed of the run."""
    sha256: str = ""
    """Fingerprint of the prompt when it was written: it differs once someone edits the file."""
    lines: tuple[str, ...] = ()
    """Line ids in order, through all messages."""
    last_line: int = 0
    """Highest line number ever given, so that the id of a removed line is not given again."""
    last_demo: int = 0
    """The same for demos."""
    model: str = ""
    """The task model of its run; for exports, in no prompt file. Empty where it is not known."""

    @property
    def proven(self) -> bool | None:
        """Whether its run showed the gain on test; None where no run made it."""
        test = self.scores.get("test")
        return (test is not None and test.verdict == Verdict.GAIN_SHOWN) if self.run else None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Edit(_Strict):
    op: str
    line: str
    text: str | None = None
    cluster: str = ""
    why: str = ""
    worth: float | None = None
    ci: list[float] | None = None
    label: str = ""


class _Score(_Strict):
    n: int
    baseline: float
    winner: float
    gain: float
    ci: list[float]
    verdict: str | None = None


class ProvenanceBlock(_Strict):
    """The block as it stands in a file."""

    parent: str = ""
    run: str = ""
    stand_in: bool = False
    edits: list[_Edit] = []
    scores: dict[str, _Score] = {}
    sha256: str = ""
    lines: list[str] = []
    last_line: int = 0
    last_demo: int = 0

    def value(self) -> Provenance:
        """The same as a value. Raises ValueError where an interval is not a pair."""
        edits = tuple(EditRecord(**{**dict(edit), "ci": _pair(edit.ci)}) for edit in self.edits)
        scores = {split: ScoreRecord(**{**dict(score), "ci": _pair(score.ci)}) for split, score in self.scores.items()}
        return Provenance(
            parent=self.parent,
            run=self.run,
            stand_in=self.stand_in,
            edits=edits,
            scores=scores,
            sha256=self.sha256,
            lines=tuple(self.lines),
            last_line=self.last_line,
            last_demo=self.last_demo,
        )


def _pair(ci: list[float] | None) -> Any:
    if ci is not None and len(ci) != 2:
        raise ValueError("ci must have two numbers, low and high")
    return None if ci is None else (ci[0], ci[1])


def block(provenance: Provenance) -> dict[str, Any]:
    """The values of the block, in the order in which they are written; what was left empty is left out."""
    return {
        "parent": provenance.parent or None,
        "run": provenance.run or None,
        "stand_in": provenance.stand_in or None,
        "edits": [_filled(edit) for edit in provenance.edits] or None,
        "scores": {split: _filled(score) for split, score in provenance.scores.items()} or None,
        "sha256": provenance.sha256 or None,
        "lines": list(provenance.lines) or None,
        "last_line": provenance.last_line or None,
        "last_demo": provenance.last_demo or None,
    }


def _filled(record: EditRecord | ScoreRecord) -> dict[str, Any]:
    """The record's fields, without those that hold their default."""
    values = {one.name: (getattr(record, one.name), one.default) for one in fields(record)}
    kept = {name: value for name, (value, default) in values.items() if value != default}
    return {name: _rounded(value) for name, value in kept.items()}


def _rounded(value: Any) -> Any:
    """Figures to six places: what lies below is noise, and a person reads this."""
    if isinstance(value, float):
        return round(value, 6)
    return [_rounded(inner) for inner in value] if isinstance(value, tuple) else value
