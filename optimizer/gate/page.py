"""A gate on a page of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optimizer.gate.checks import Gate, Status
from optimizer.gate.evidence import regressed, unscored
from optimizer.report.sheet import Sheet
from optimizer.report.wording import change, interval, percent, points

if TYPE_CHECKING:
    from rich.text import Text

MOST_ROWS = 5
"""Rows that are named of one kind."""
_STYLES = {Status.PASSED: "green", Status.FAILED: "bold red", Status.CANNOT_SAY: "bold yellow"}


def page(gate: Gate, width: int = 80, color: bool = False) -> Text:
    """The gate on a page: the outcome first, then every check with its figure."""
    sheet = Sheet(width=width, color=color)
    evidence = gate.evidence
    outcome, style = ("GATE PASSED", "bold green") if gate.passed else ("GATE FAILED", "bold red")
    versions = change(evidence.old or evidence.prompt, evidence.prompt)
    sheet.wrapped(f"{outcome}  ", f"{evidence.subject}  {versions}", prefix_style=style)
    compared = evidence.compared
    if compared is not None and evidence.changed:
        caution = ", optimistic" if evidence.optimistic else ""
        scores = f"{percent(compared.baseline)} -> {percent(compared.winner)}"
        told = (
            f"{scores}  {points(compared.gain)} points {interval(compared.ci)} on {evidence.on}{caution}{evidence.mark}"
        )
        sheet.wrapped("             ", told)
    sheet.blank()
    wide = max(len(check.name) for check in gate.checks)
    for check in gate.checks:
        start = f" {check.status:<10}  {check.name:<{wide}}  "
        sheet.wrapped(start, gate.marked(check), prefix_style=_STYLES[check.status])
    _named(sheet, "broken", [row.id for row in regressed(evidence.rows)])
    lost = [f"{row.id} ({row.after.error if row.after else 'not asked'})" for row in unscored(evidence.rows)]
    _named(sheet, "errors", lost)
    return sheet.text


def _named(sheet: Sheet, label: str, rows: Sequence[str]) -> None:
    if rows:
        more = f", ... and {len(rows) - MOST_ROWS:,} more" if len(rows) > MOST_ROWS else ""
        sheet.blank()
        sheet.fact(label, ", ".join(rows[:MOST_ROWS]) + more)
