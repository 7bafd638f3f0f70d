"""What a run ends with: comparisons, the worth of lines, trials, the verdict. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """What a call is made for; counted apart everywhere."""

    SEARCH = "search"
    """Baseline on train and val, mutator, screens, trials."""
    TEST = "test"
    """Baseline and winner on the sealed rows, once."""
    ATTRIBUTION = "attribution"
    """Leave one line out, and the check of what was dropped."""


class Role(StrEnum):
    """Who makes a call."""

    TASK = "task"
    """The model whose prompt is improved."""
    MUTATOR = "mutator"
    """The model that proposes edits."""
    JUDGE = "judge"
    """A model that scores."""


class Verdict(StrEnum):
    """The claim, in fixed words, in order of precedence."""

    BLOCKED = "BLOCKED"
    """A protected row or tag broke."""
    WORSE = "WORSE"
    """The mirror image of GAIN SHOWN."""
    GAIN_SHOWN = "GAIN SHOWN"
    """95% interval above zero, one-sided mid-p small enough for this look, at least 6 discordant rows."""
    TOO_SMALL = "TOO SMALL"
    """Not shown, and the test split could not have shown 10 points."""
    NOT_SHOWN = "NOT SHOWN"
    """Not shown, though 10 points could have been."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two candidates on the same rows, paired by row. Rows with an error on either side are left out."""

    n: int
    """Rows compared."""
    baseline: float
    """Mean score of the first candidate, in [0, 1]."""
    winner: float
    """Mean score of the second, in [0, 1]."""
    gain: float
    """winner - baseline, in [-1, 1]."""
    ci: tuple[float, float]
    """95% interval of the gain; its method and caveats stand in `intervals`."""
    p: float
    """One-sided exact mid-p of the sign test on discordant rows, or on groups of them, against 'no gain'."""
    discordant: int
    """Rows whose score differs."""
    fixed: tuple[str, ...] = ()
    """Ids of rows that failed and pass now."""
    broken: tuple[str, ...] = ()
    """Ids of rows that passed and fail now."""
    look: int | None = None
    """How many times this test split has been looked at, this time included; None off the test split."""
    lost: int = 0
    """Rows left out that had a score under the first candidate and ended in an error under the second alone."""
    p_lost: float | None = None
    """`p` if every such row had fallen: a claim of a gain has to stand even then. None where there is none."""
    groups: int | None = None
    """Groups that the rows fall into, which are the independent units; None where each row stands alone."""
    moved: int | None = None
    """Groups with more rows up than down, or more down than up; None where each row stands alone."""
    effective: float | None = None
    """Independent rows that would tell as much as these; None where each row stands alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LineWorth:
    """What one changed line is worth: the winner against the winner without it.

    Rows of val, and rows of train that its proposer was not shown, judge it.
    """

    id: str
    """Line id."""
    text: str
    """The line; for a removed one, what was removed."""
    change: str
    """`added`, `replaced` or `removed`."""
    worth: float | None
    """Score with the line minus score without it, in [-1, 1], shrunk; None where the reserve did not reach it."""
    ci: tuple[float, float] | None
    """95% interval of the worth; its method and caveats stand in `attribute.posterior`."""
    label: str
    """`earns`, `hurts` or `not measurable`."""
    cluster: str
    """Label of the cluster that it aims at; empty for a line of the user's own."""
    tokens: int
    """Rough size: words and signs."""
    fixed: tuple[str, ...] = ()
    """Rows that pass only with the line."""
    broken: tuple[str, ...] = ()
    """Rows that pass only without it."""
    raw: float | None = None
    """The worth before it was shrunk: noisier. None where too few rows were asked."""
    rows: int = 0
    """Rows that judged it."""
    with_line: str = ""
    """Id of the line that it only works together with: their worth is one worth, and counts once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One choice per slot, scored on blocks of val rows; mirrors an Optuna trial."""

    round: int
    """1 for the first."""
    number: int
    """1 for the first of its round; choices that were scored before make no trial."""
    choices: Mapping[str, str]
    """Slot id -> `keep` or an edit id."""
    candidate: str
    """Fingerprint of the prompt."""
    rows: int
    """Val rows scored."""
    score: float | None
    """Mean on those rows."""
    gain: float | None
    """Mean paired difference on those rows to the best candidate so far, at first the champion."""
    partial: bool
    """Dropped before the last block."""
    reason: str
    """Why it stopped, or what it showed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The end of a run."""

    verdict: Verdict
    """The claim."""
    reason: str
    """Why this verdict, and what to do about it."""
    test: Comparison | None
    """Baseline and winner on test; None where the winner is the seed."""
    val: Comparison | None
    """The same on val: optimistic, since val chose."""
    lines: tuple[LineWorth, ...] = ()
    """One a changed line."""
    seed: str = ""
    """Fingerprint of the prompt that the run began with."""
    winner: str = ""
    """Fingerprint of the prompt that it ends with."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Extra figures by name: minimum detectable gain and the like."""
    protected: int = 0
    """Protected rows that passed with the seed, as far as they were asked."""
    broken: tuple[str, ...] = ()
    """Those that do not pass with the winner: the verdict is BLOCKED then."""
