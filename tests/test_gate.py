"""Checks of a gate: what passes, what fails, and where rows without a score decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer import baseline
from optimizer.dataset import Split
from optimizer.errors import GainNotShown, GateError
from optimizer.gate import Answer, Check, Evidence, Limits, Row, Status, judge
from optimizer.gate.checks import ERROR_SHARE
from optimizer.outcome import Verdict
from optimizer.store.figures import PerCall
from tests import sample_run

RIGHT = Answer(score=1.0, passed=True)
WRONG = Answer(score=0.0, passed=False, reasons=("exact: expected 'a'",))
LOST = Answer(score=None, passed=False, error="timeout", message="no answer in 60 s")
SIGNS = {"r": RIGHT, "w": WRONG, "e": LOST, ".": None}


def rows(after: str, before: str = "") -> tuple[Row, ...]:
    """One row a sign: right, wrong, error, or `.` for one that was not asked."""
    old = before or "." * len(after)
    pairs = zip(old, after, strict=True)
    return tuple(
        Row(id=f"row-{number}", split=Split.TEST, before=SIGNS[first], after=SIGNS[last])
        for number, (first, last) in enumerate(pairs)
    )


def evidence(after: str = "rrrr", before: str = "", verdict: Verdict | None = Verdict.GAIN_SHOWN) -> Evidence:
    return Evidence(
        subject="run-1",
        prompt="triage@v2",
        old="triage@v1",
        model="openai/gpt-4o-mini",
        on="test",
        rows=rows(after, before),
        run=True,
        status="complete" if verdict else "interrupted",
        verdict=verdict,
        reason="as the rows say",
        compared=sample_run.compared("test", 1) if verdict else None,
    )


def check(found: Evidence, name: str, limits: Limits) -> Check:
    gate = judge(found, replace(limits, max_errors=limits.max_errors or 100))
    return next(one for one in gate.checks if one.name == name)


@pytest.mark.parametrize(
    ("after", "least", "status", "bounds"),
    [
        ("rrrw", 0.75, Status.PASSED, (0.75, 0.75)),
        ("rrrw", 0.76, Status.FAILED, (0.75, 0.75)),
        ("rrre", 0.75, Status.PASSED, (0.75, 1.0)),
        ("rrre", 0.76, Status.CANNOT_SAY, (0.75, 1.0)),
        # The mean over rows with a score is 1, and says nothing of the four others.
        ("rreeee", 1.0, Status.CANNOT_SAY, (2 / 6, 1.0)),
        # Even if every error had been right, it would be too little.
        ("wwwe", 0.5, Status.FAILED, (0.0, 0.25)),
        ("rww.", 0.5, Status.CANNOT_SAY, (0.25, 0.5)),
        ("eeee", 0.1, Status.CANNOT_SAY, None),
        ("eeee", 0.0, Status.CANNOT_SAY, None),
        ("wwww", 0.0, Status.PASSED, (0.0, 0.0)),
    ],
)
def test_the_mean_score_passes_where_no_error_could_change_that(after, least, status, bounds):
    found = check(evidence(after), "min-score", Limits(min_score=least))
    assert found.status is status
    assert found.bounds == (None if bounds is None else pytest.approx(bounds))
    assert ("without a score" in found.text) == ("e" in after or "." in after) or bounds is None


def test_the_interval_is_told_and_warns_where_it_reaches_below():
    found = check(evidence("r" * 18 + "ww"), "min-score", Limits(min_score=0.85))
    assert found.status is Status.PASSED and found.figure == 0.9
    assert found.ci == pytest.approx((0.699, 0.972), abs=0.001)
    assert "69.9% to 97.2%" in found.text and "other rows might fail it" in found.text
    safe = check(evidence("r" * 400), "min-score", Limits(min_score=0.9))
    assert "might fail" not in safe.text


def test_rows_of_one_group_widen_the_interval():
    alone = evidence("rrrrrrwwww")
    grouped = replace(alone, rows=tuple(replace(r, group=f"g{n // 2}") for n, r in enumerate(alone.rows)))
    narrow, wide = (check(found, "min-score", Limits(min_score=0.1)).ci for found in (alone, grouped))
    assert narrow is not None and wide is not None
    assert wide[0] < narrow[0] and wide[1] > narrow[1]


@pytest.mark.parametrize(
    ("before", "after", "most", "status", "bounds"),
    [
        ("rrww", "rrrr", 0, Status.PASSED, (0, 0)),
        ("rrrr", "rrrw", 0, Status.FAILED, (1, 1)),
        ("rrrr", "rrrw", 1, Status.PASSED, (1, 1)),
        # An error where the old prompt passed may be a regression; where it failed, it cannot be.
        ("rrrr", "rrre", 0, Status.CANNOT_SAY, (0, 1)),
        ("rrrw", "rrre", 0, Status.PASSED, (0, 0)),
        ("rrre", "rrrw", 0, Status.CANNOT_SAY, (0, 1)),
        ("rrre", "rrrr", 0, Status.PASSED, (0, 0)),
        ("rrre", "rrre", 0, Status.CANNOT_SAY, (0, 1)),
        ("rrre", "wrre", 0, Status.FAILED, (1, 2)),
        ("rrre", "wrre", 2, Status.PASSED, (1, 2)),
        ("rrr.", "rrrw", 0, Status.CANNOT_SAY, (0, 1)),
    ],
)
def test_regressions_are_counted_and_bounded(before, after, most, status, bounds):
    found = check(evidence(after, before), "max-regressions", Limits(max_regressions=most))
    assert (found.status, found.bounds) == (status, bounds)


def test_a_prompt_that_did_not_change_breaks_nothing():
    found = replace(evidence("rwee", "rwee"), changed=False)
    assert check(found, "max-regressions", Limits(max_regressions=0)).status is Status.PASSED


@pytest.mark.parametrize(
    ("old", "new", "most", "status", "unit", "rise"),
    [
        ((0.01, 100.0), (0.011, 300.0), 10.0, Status.PASSED, "usd", 10.0),
        ((0.01, 100.0), (0.012, 100.0), 10.0, Status.FAILED, "usd", 20.0),
        ((0.01, 100.0), (0.008, 100.0), -10.0, Status.PASSED, "usd", -20.0),
        ((None, 100.0), (0.01, 130.0), 25.0, Status.FAILED, "tokens", 28.57),
        ((None, 100.0), (None, 101.0), 25.0, Status.PASSED, "tokens", 0.95),
        ((0.0, 100.0), (0.0, 150.0), 10.0, Status.FAILED, "tokens", 47.62),
        ((None, None), (None, None), 10.0, Status.CANNOT_SAY, "", None),
    ],
)
def test_cost_goes_by_dollars_else_by_tokens_and_says_which(old, new, most, status, unit, rise):
    costs = [
        PerCall(calls=4, usd=usd, input_tokens=tokens, output_tokens=None if tokens is None else 5.0)
        for usd, tokens in (old, new)
    ]
    found = check(replace(evidence(), costs=(costs[0], costs[1])), "max-cost-increase", Limits(max_cost_increase=most))
    assert (found.status, found.unit) == (status, unit)
    assert found.figure == (None if rise is None else pytest.approx(rise, abs=0.01))
    assert "$" not in found.text
    assert ("tokens" if unit != "usd" else "dollars") in found.text


@pytest.mark.parametrize(
    ("verdict", "required", "code"),
    [
        (Verdict.GAIN_SHOWN, True, 0),
        (Verdict.GAIN_SHOWN, False, 0),
        (Verdict.NOT_SHOWN, True, 4),
        (Verdict.NOT_SHOWN, False, 0),
        (Verdict.TOO_SMALL, True, 4),
        (Verdict.TOO_SMALL, False, 0),
        (Verdict.WORSE, True, 4),
        (Verdict.WORSE, False, 4),
        (Verdict.BLOCKED, True, 3),
        (Verdict.BLOCKED, False, 3),
        (None, True, 3),
        (None, False, 3),
    ],
)
def test_the_verdict_decides_the_exit_code(verdict, required, code):
    gate = judge(evidence(verdict=verdict), Limits(require_gain=required))
    assert gate.exit_code == code
    if code:
        with pytest.raises(GainNotShown if code == 4 else GateError, match="gate failed"):
            gate.require()
    else:
        gate.require()


def test_a_missing_gain_beside_another_failure_is_a_failed_gate():
    gate = judge(evidence("wwww", verdict=Verdict.NOT_SHOWN), Limits(require_gain=True, min_score=0.5))
    assert gate.exit_code == 3 and {one.name for one in gate.failed} == {"gain", "min-score"}


@pytest.mark.parametrize(
    ("after", "most", "passed"),
    [("rrrre", None, True), ("rrree", None, False), ("rrr.e", None, False), ("rrree", 2, True), ("rrrre", 0, False)],
)
def test_errors_above_the_limit_never_pass(after, most, passed):
    assert judge(evidence(after), Limits(max_errors=most)).passed is passed


def test_no_rows_never_pass():
    assert not judge(replace(evidence(), rows=()), Limits()).passed


def test_the_limit_of_errors_is_that_of_a_run():
    assert ERROR_SHARE == baseline.MOST_ERRORS


def test_a_prompt_that_was_edited_since_never_passes():
    gate = judge(replace(evidence(), edited=True), Limits())
    assert gate.exit_code == 3 and [one.name for one in gate.failed] == ["measured"]


def test_val_is_told_to_be_optimistic():
    found = replace(evidence(), on="val")
    assert "optimistic" in check(found, "min-score", Limits(min_score=0.5)).text
    unchanged = replace(found, changed=False)
    assert "optimistic" not in check(unchanged, "min-score", Limits(min_score=0.5)).text
