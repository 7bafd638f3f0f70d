"""A gate as Markdown, for the summary of a CI step and the comment on a pull request.

Whatever rows, prompts and models say stands in code spans: there no Markdown, HTML, mention, link or reference to an
issue is read. All other words are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from optimizer.gate.checks import Gate, Status
from optimizer.gate.evidence import Evidence, Row, failing, regressed, unscored
from optimizer.gate.facts import score
from optimizer.outcome import LineWorth
from optimizer.report.sheet import STAND_IN
from optimizer.report.wording import change, counted, interval, percent, points
from optimizer.terminal import clean

MARK = "<!-- optimizer gate -->"
"""First line, so that a script finds its comment again."""
MOST_ROWS = 20
"""Rows or lines that are named of one kind."""
MOST_TEXT = 300
"""Characters of one text."""
MOST_REASONS = 3
"""Reasons of one row."""
_SIGNS = {Status.PASSED: "passed", Status.FAILED: "**failed**", Status.CANNOT_SAY: "**cannot say**"}
_CHANGES = {"added": "+", "replaced": "~", "removed": "-"}


def markdown(gate: Gate) -> str:
    """The whole text; under 65,536 characters, the most that GitHub takes for a comment."""
    return "\n".join([MARK, *_lines(gate)]) + "\n"


def _lines(gate: Gate) -> Iterator[str]:
    evidence = gate.evidence
    yield f"### Prompt gate: {'passed' if gate.passed else 'failed'}"
    yield ""
    yield " ".join(_about(evidence))
    yield ""
    yield from _score(evidence)
    yield ""
    for check in gate.checks:
        quoted = f": {code(check.quoted)}" if check.quoted else ""
        mark = evidence.mark if check.figure is not None else ""
        yield f"- {_SIGNS[check.status]} {check.name}: {check.text}{quoted}{mark}"
    yield from _priced(evidence)
    fell = regressed(evidence.rows)
    yield from _listed("Broken rows: they passed with the old prompt", [_failed(row) for row in fell])
    known = {row.id for row in fell}
    others = [row for row in failing(evidence.rows) if row.id not in known]
    yield from _listed("Other rows that fail", [_failed(row) for row in others])
    yield from _listed("Errors: these rows have no score", [_lost(row) for row in unscored(evidence.rows)])


def _about(evidence: Evidence) -> Iterator[str]:
    if evidence.verdict is not None:
        yield f"**{evidence.verdict.value}**"
    yield change(code(evidence.old or evidence.prompt), code(evidence.prompt)) + ","
    yield f"{'run' if evidence.run else 'eval'} {code(evidence.subject)}, model {code(evidence.model)}"
    if evidence.stand_in:
        yield f"({STAND_IN}, no real model)"


def _score(evidence: Evidence) -> Iterator[str]:
    found = evidence.compared
    rows = f"on {counted(len(evidence.rows), f'{evidence.on} row')}"
    if found is None or not evidence.changed:
        yield f"Score {rows}: **{percent(score(evidence))}**{evidence.mark}"
        return
    caution = ", optimistic since these rows chose the prompt" if evidence.optimistic else ""
    rows = f"on {counted(found.n, f'{evidence.on} row')}"
    yield (
        f"Score {rows}: {percent(found.baseline)} -> **{percent(found.winner)}**, {points(found.gain)} points, "
        f"95% interval {interval(found.ci)}{caution}{evidence.mark}"
    )


def _priced(evidence: Evidence) -> Iterator[str]:
    lines = [_line(line) + evidence.mark for line in evidence.lines]
    yield from _listed("Changed lines: score with each, minus score without it, on train and val (optimistic)", lines)


def _line(line: LineWorth) -> str:
    price = "worth not measured"
    if line.worth is not None:
        price = f"{points(line.worth)} points {interval(line.ci)}, {line.label}"
    if line.with_line:
        price += f" with {code(line.with_line)}"
    rows = f"fixed {counted(len(line.fixed), 'row')}, broke {len(line.broken):,}"
    cause = f"; for {code(line.cluster)}" if line.cluster else ""
    text = code(f"{_CHANGES.get(line.change, '?')} {line.text}")
    return f"{text}: {price}; {rows}{cause}"


def _failed(row: Row) -> str:
    reasons = row.after.reasons[:MOST_REASONS] if row.after else ()
    return ": ".join([code(row.id), *(["; ".join(map(code, reasons))] if reasons else [])])


def _lost(row: Row) -> str:
    if row.after is None:
        return f"{code(row.id)}: was not asked"
    return f"{code(row.id)}: {code(f'{row.after.error}: {row.after.message}')}"


def _listed(heading: str, items: Sequence[str]) -> Iterator[str]:
    if not items:
        return
    yield ""
    yield f"#### {heading}"
    yield ""
    yield from (f"- {item}" for item in items[:MOST_ROWS])
    if len(items) > MOST_ROWS:
        yield f"- ... and {len(items) - MOST_ROWS:,} more"


def code(text: str) -> str:
    """Hostile text as a code span: on one line, cut where it is long, behind a fence that it cannot close.

    Spaces inside the fence keep a text that begins or ends in a backtick apart from it; renderers take one off each
    side.
    """
    shown = " ".join(clean(text).split()) or "(empty)"
    cut = shown if len(shown) <= MOST_TEXT else f"{shown[:MOST_TEXT]}..."
    longest = max((len(run) for run in re.findall("`+", cut)), default=0)
    fence = "`" * (longest + 1)
    space = " " if "`" in (cut[0], cut[-1]) else ""
    return f"{fence}{space}{cut}{space}{fence}"
