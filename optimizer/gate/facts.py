"""A gate as plain values: what `--json` prints."""

from __future__ import annotations

from typing import Any

from optimizer.gate.checks import Check, Gate
from optimizer.gate.evidence import Evidence, failing, regressed, unscored

MOST_ERRORS = 1000
"""Rows without a score that are listed."""


def facts(gate: Gate) -> dict[str, Any]:
    """The gate as JSON values; figures that are not known are None."""
    evidence = gate.evidence
    return {
        "passed": gate.passed,
        "exit_code": gate.exit_code,
        "run": evidence.subject if evidence.run else None,
        "eval": None if evidence.run else evidence.subject,
        "status": evidence.status if evidence.run else None,
        "prompt": evidence.prompt,
        "old": evidence.old or None,
        "model": evidence.model,
        "stand_in": evidence.stand_in,
        "verdict": None if evidence.verdict is None else evidence.verdict.value,
        "reason": evidence.reason,
        "checks": [_check(check) for check in gate.checks],
        "on": evidence.on,
        "optimistic": evidence.optimistic,
        "score": score(evidence),
        "gain": gain(evidence),
        "rows": {
            "total": len(evidence.rows),
            "failed": len(failing(evidence.rows)),
            "unscored": len(unscored(evidence.rows)),
        },
        "regressions": [row.id for row in regressed(evidence.rows)],
        "errors": [
            {
                "row": row.id,
                "kind": row.after.error if row.after else "not asked",
                "message": row.after.message if row.after else "",
            }
            for row in unscored(evidence.rows)[:MOST_ERRORS]
        ],
    }


def score(evidence: Evidence) -> float | None:
    """Mean score of the prompt over rows that have one, in [0, 1]; None where none has."""
    scores = [row.after.score for row in evidence.rows if row.after is not None and row.after.score is not None]
    return sum(scores) / len(scores) if scores else None


def gain(evidence: Evidence) -> dict[str, Any] | None:
    """Old and new score on the rows that both have, with the interval of the difference; None where none is known."""
    found = evidence.compared
    if found is None:
        return None
    return {
        "n": found.n,
        "old": found.baseline,
        "new": found.winner,
        "gain": found.gain,
        "ci": list(found.ci),
        "p": found.p,
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "status": check.status.value,
        "figure": check.figure,
        "limit": check.limit,
        "bounds": None if check.bounds is None else list(check.bounds),
        "ci": None if check.ci is None else list(check.ci),
        "unit": check.unit or None,
        "text": check.told,
    }
