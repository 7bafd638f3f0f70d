"""Which rows are protected, and which of them broke."""

from __future__ import annotations

import pytest

from optimizer.dataset import Example
from optimizer.errors import DataError, ErrorKind
from optimizer.protect import broken, protected
from optimizer.results import CallError, Evaluation, Result, Score

ROWS = (
    Example(id="row-17", inputs={}, tags=("vip",)),
    Example(id="row-18", inputs={}, tags=("vip", "long")),
    Example(id="row-19", inputs={}),
    Example(id="tag:odd", inputs={}),
)


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ([], set()),
        (["row-19"], {"row-19"}),
        (["tag:vip"], {"row-17", "row-18"}),
        (["row-17", "tag:long", "row-17"], {"row-17", "row-18"}),
        (["tag:odd"], {"tag:odd"}),
    ],
)
def test_rows_are_named_by_id_or_tag(spec: list[str], want: set[str]) -> None:
    assert protected(ROWS, spec) == want


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rwo-17", "evals/e.yaml: protect[1]: no row 'rwo-17' (did you mean 'row-17'? write a row's id, or tag:NAME)"),
        ("tag:vpi", "evals/e.yaml: protect[1]: no row has the tag 'vpi' (did you mean 'vip'? tags: long, vip)"),
        ("vip", "evals/e.yaml: protect[1]: no row 'vip' (there is a tag of that name: write tag:vip)"),
        ("zzz", "evals/e.yaml: protect[1]: no row 'zzz' (write a row's id, or tag:NAME)"),
    ],
)
def test_a_name_that_nothing_has_is_met_with_the_nearest(name: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        protected(ROWS, ["row-17", name], "evals/e.yaml")
    assert str(caught.value) == told


def test_every_unknown_name_is_told_at_once() -> None:
    with pytest.raises(DataError) as caught:
        protected(ROWS, [f"none-{number}" for number in range(9)])
    assert len(caught.value.problems) == 9


def evaluation(candidate: str, **passes: bool | None) -> Evaluation:
    """Row -> passed, failed, or None for an error."""
    results = {}
    for row, passed in passes.items():
        scores = () if passed is None else (Score(metric="m", value=float(passed), passed=passed),)
        error = CallError(kind=ErrorKind.TIMEOUT, message="late") if passed is None else None
        results[row] = Result(example=row, candidate=candidate, scores=scores, error=error)
    return Evaluation(candidate=candidate, results=results)


def test_a_row_breaks_where_it_passed_and_does_not_any_more() -> None:
    before = evaluation("a", fell=True, lost=True, kept=True, bad=False, ill=None, gone=True, free=True)
    after = evaluation("b", fell=False, lost=None, kept=True, bad=False, ill=False, new=False, free=False)
    ids = frozenset({"fell", "lost", "kept", "bad", "ill", "gone", "new"})
    assert broken(before, after, ids) == ("fell", "lost")
    assert broken(before, before, ids) == broken(before, after, ()) == ()
