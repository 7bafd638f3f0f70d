from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.dataset import Example
from optimizer.errors import ConfigError, ErrorKind
from optimizer.metrics import Label, label_figures
from optimizer.results import CallError, Completion, Result
from tests.metric_cases import built, scored

LABELS = ["positive", "negative", "mixed", "very positive"]


@pytest.mark.parametrize(
    ("output", "reason", "got"),
    [
        (" mixed\n", "", "mixed"),
        ("positive", 'the label is "positive", expected "mixed"', "positive"),
        (
            "Mixed",
            'the output is not one of the labels: it is "Mixed", near "mixed": only the case differs',
            "Mixed",
        ),
        (
            "mixed.",
            'the output is not one of the labels: it is "mixed.", near "mixed": only punctuation at the end differs',
            "mixed.",
        ),
        (
            "I would say mixed.",
            'the output is not one of the labels: it has extra words around "mixed"',
            "I would say mixed.",
        ),
        (
            "It is very positive",
            'the output is not one of the labels: it has extra words around "very positive"',
            "It is very positive",
        ),
        (
            "mixed or negative",
            'the output is not one of the labels: it names several of them, "negative, mixed"',
            "mixed or negative",
        ),
        (
            "great",
            'the output is not one of the labels: it is "great" '
            '(labels are: "positive, negative, mixed, very positive")',
            "great",
        ),
    ],
)
def test_label_says_why(output, reason, got):
    score = scored(built("label", LABELS), output, "mixed")
    assert score.passed is (not reason)
    assert (score.reason, score.place, score.wanted, score.got) == (reason, "label", "mixed", got)


def test_without_a_set_any_text_is_a_label():
    score = scored(built("label"), "Mixed", "mixed")
    assert score.reason == 'the label is "Mixed", expected "mixed": only the case differs'


def test_case_may_be_ignored():
    assert scored(built("label", LABELS, ignore_case=True), "MIXED", "Mixed").passed


def test_a_negated_label_must_not_be_the_expected_one():
    score = scored(built("not-label", LABELS), "mixed", "mixed")
    assert (score.reason, score.got) == ('the label is "mixed", which it must not be', "mixed")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a"], 'the label "a" is listed twice'),
        ([1, 2], "put each of them in quotes"),
        ([True], "put each of them in quotes"),
        ([], "labels is empty"),
    ],
)
def test_a_set_that_makes_no_sense_is_refused(labels, message):
    with pytest.raises(ConfigError, match=message):
        built("label", labels=labels)


def rows(*pairs: tuple[str | None, str | None]) -> tuple[dict[str, Example], list[Result]]:
    """(expected, output) pairs; an output of None is an error."""
    examples, results = {}, []
    for number, (expected, output) in enumerate(pairs):
        key = f"r{number}"
        examples[key] = Example(id=key, inputs={}, expected=expected)
        if output is None:
            error = CallError(kind=ErrorKind.TIMEOUT, message="late")
            results.append(Result(example=key, candidate="c", error=error))
        else:
            results.append(Result(example=key, candidate="c", completion=Completion(text=output)))
    return examples, results


def test_figures_equal_those_worked_out_by_hand():
    # a: 3 rows, 2 right, came out 3 times: precision 2/3, recall 2/3, F1 2/3.
    # b: 2 rows, 1 right, came out once:    precision 1,   recall 1/2, F1 2/3.
    # c: 1 row, none right, came out once:  precision 0,   recall 0,   F1 0.
    examples, results = rows(
        ("a", "a"), ("a", " a "), ("a", "c"), ("b", "b"), ("b", "a"), ("c", "dunno"), ("c", None), (None, "a")
    )
    figures = label_figures(Label(key="label", labels=("a", "b", "c", "unseen")), examples, results)
    assert [(f.label, f.support) for f in figures.labels] == [("a", 3), ("b", 2), ("c", 1)]
    assert [f.precision for f in figures.labels] == pytest.approx([2 / 3, 1, 0])
    assert [f.recall for f in figures.labels] == pytest.approx([2 / 3, 1 / 2, 0])
    assert [f.f1 for f in figures.labels] == pytest.approx([2 / 3, 2 / 3, 0])
    assert figures.macro_f1 == pytest.approx(4 / 9)
    assert figures.accuracy == pytest.approx(3 / 6)
    assert figures.rows == 6
    assert figures.confusion == {"a": {"a": 2, "c": 1}, "b": {"a": 1, "b": 1}, "c": {"(no label)": 1}}


def test_without_a_set_the_expected_labels_are_the_set():
    examples, results = rows(("a", "a"), ("b", "A"), ("b", "c"))
    figures = label_figures(Label(key="label", ignore_case=True), examples, results)
    assert figures.confusion == {"a": {"a": 1}, "b": {"a": 1, "(no label)": 1}}


def test_figures_of_nothing_are_zero():
    figures = label_figures(Label(key="label"), {}, [])
    assert (figures.macro_f1, figures.accuracy, figures.rows, figures.labels) == (0.0, 0.0, 0, ())


@given(pairs=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcx")), min_size=1))
def test_figures_agree_with_the_scores_of_the_rows(pairs):
    examples, results = rows(*pairs)
    metric = Label(key="label", labels=("a", "b", "c"))
    figures = label_figures(metric, examples, results)
    passed = [scored(metric, output, expected).passed for expected, output in pairs]
    assert figures.accuracy == pytest.approx(sum(passed) / len(passed))
    assert sum(sum(row.values()) for row in figures.confusion.values()) == len(pairs)
    assert 0.0 <= figures.macro_f1 <= 1.0
    assert (figures.macro_f1 == 1.0) is all(passed)
