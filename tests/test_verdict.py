"""From a comparison on test to the claim and its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.errors import ErrorKind
from optimizer.outcome import Comparison, Verdict
from optimizer.results import CallError, Evaluation, Result, Score
from optimizer.verdict import NAMED, harmed, verdict

GAIN = Comparison(n=40, baseline=0.5, winner=0.9, gain=0.4, ci=(0.2, 0.5), p=0.0001, discordant=16, look=1)
LOSS = replace(GAIN, gain=-0.4, ci=(-0.5, -0.2), p=0.9999)


@pytest.mark.parametrize("tested", [GAIN, LOSS, None])
def test_blocked_comes_before_all_other_claims(tested: Comparison | None) -> None:
    claim, reason = verdict(tested, rows=40, broken=("row-17",))
    assert claim is Verdict.BLOCKED
    assert reason.startswith("1 protected row passed with the seed and does not pass with the winner: row-17; the seed")
    assert ("the test rows stay sealed" in reason) is (tested is None)


def test_a_reason_names_ten_rows_and_counts_the_others() -> None:
    _, reason = verdict(GAIN, rows=40, broken=[f"r{number}" for number in range(NAMED + 3)])
    assert reason.startswith(f"{NAMED + 3} protected rows passed with the seed and do not pass with the winner: r0, ")
    assert f"r{NAMED - 1}, ... and 3 more; the seed stays" in reason


def test_what_was_refused_is_told_where_the_seed_stays() -> None:
    _, reason = verdict(None, rows=400, stopped="no train row fails", refused="the best prompt has about 90 tokens")
    assert reason.startswith("the best prompt has about 90 tokens, so the seed stays and the test rows stay sealed; ")


def test_a_gain_with_a_metric_that_breaks_says_so() -> None:
    claim, reason = verdict(GAIN, rows=40, harms={"not-contains: Romeo": (12, 1), "json": (4, 0)})
    assert claim is Verdict.GAIN_SHOWN
    told = "; but not-contains: Romeo breaks 12 of them and mends 1, json breaks 4 of them and mends 0: look at these "
    assert told in reason
    assert verdict(GAIN, rows=40)[1] == "on 40 rows that the search never saw"


def rows(*passed: bool | None, required: bool = True, weight: float = 1.0) -> Evaluation:
    """A row a value: whether metric `b` passes beside `a`, which always does; None for an error."""
    results = {}
    for number, value in enumerate(passed):
        row = f"r{number}"
        if value is None:
            results[row] = Result(example=row, candidate="c", error=CallError(kind=ErrorKind.TIMEOUT, message="late"))
            continue
        b = Score(metric="b", value=float(value), passed=value, required=required, weight=weight)
        results[row] = Result(
            example=row, candidate="c", scores=(Score(metric="a", value=1.0, passed=True, weight=9.0), b)
        )
    return Evaluation(candidate="c", results=results)


@pytest.mark.parametrize(
    ("before", "after", "want"),
    [
        ((True,) * 4, (False,) * 4, {"b": (4, 0)}),
        ((True,) * 3, (False,) * 3, {}),  # Three rows may be chance: posterior 0.94.
        ((True,) * 8 + (False,) * 4, (False,) * 8 + (True,) * 4, {}),
        ((True,) * 12 + (False,) * 2, (False,) * 12 + (True,) * 2, {"b": (12, 2)}),
        ((False,) * 4, (True,) * 4, {}),
        ((True,) * 4 + (None,), (None,) + (False,) * 3 + (True,), {}),
    ],
)
def test_a_metric_is_harmed_where_it_breaks_more_than_it_mends(
    before: tuple[bool | None, ...], after: tuple[bool | None, ...], want: dict[str, tuple[int, int]]
) -> None:
    assert harmed(rows(*before), rows(*after)) == want


@pytest.mark.parametrize("spare", [{"required": False}, {"weight": 0.0}])
def test_only_metrics_that_rows_need_to_pass_count(spare: dict[str, float]) -> None:
    assert harmed(rows(*(True,) * 9, **spare), rows(*(False,) * 9, **spare)) == {}  # type: ignore[arg-type]
