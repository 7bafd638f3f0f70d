"""What makes two broken expectations one cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from optimizer.causes import CONFUSED, OUTSIDE, WORDED, Break, by_cause, known_labels
from optimizer.dataset import Example
from optimizer.failures import Failure
from optimizer.metrics import METRICS
from optimizer.results import Completion, Evaluation, Result, Score

Pair = tuple[str, str]
"""(wanted, got)."""


def label(wanted: str, got: str | None, *, metric: str = "label", reason: str | None = None) -> Score:
    told = f'the label is "{got}", expected "{wanted}"' if reason is None else reason
    passed = wanted == got
    return Score(metric=metric, value=passed, passed=passed, place="label", wanted=wanted, got=got, reason=told)


def signed(scores: Sequence[Score]) -> dict[tuple[str, ...], list[Pair]]:
    """Signature -> (wanted, got) of its breaks, one score a row."""
    results = {
        f"r{n}": Result(example=f"r{n}", candidate="p", completion=Completion(text="out"), scores=(score,))
        for n, score in enumerate(scores)
    }
    failures = [Failure(example=Example(id=key, inputs={}), result=r) for key, r in results.items() if not r.passed]
    breaks = [Break(failure=found, score=found.failed[0], lost=1.0) for found in failures]
    grouped = by_cause(breaks, known_labels(Evaluation(candidate="p", results=results)))
    return {key: [(b.score.wanted or "", b.score.got or "") for b in found] for key, found in grouped.items()}


def rows(counts: Mapping[Pair, int]) -> list[Score]:
    return [label(wanted, got) for (wanted, got), count in counts.items() for _ in range(count)]


RIGHT = {("mixed", "mixed"): 5, ("good", "good"): 5, ("bad", "bad"): 5}


def test_metrics_whose_wording_is_ours_are_known():
    assert METRICS.keys() - {"python"} == WORDED


def test_two_confusions_of_one_label_are_two_causes_where_both_make_a_pattern():
    found = signed(rows({**RIGHT, ("mixed", "good"): 4, ("mixed", "bad"): 3}))
    assert {key[2:] for key in found} == {("mixed", "good"), ("mixed", "bad")}


def test_a_row_or_two_joins_the_pattern_of_the_label_that_is_wanted():
    found = signed(rows({**RIGHT, ("mixed", "good"): 4, ("mixed", "bad"): 2, ("bad", "good"): 1}))
    sizes = {key: len(pairs) for key, pairs in found.items()}
    assert sizes == {("label", CONFUSED, "mixed", "good"): 6, ("label", CONFUSED, "bad", "good"): 1}


def test_a_cause_keeps_its_signature_while_it_shrinks():
    many = signed(rows({**RIGHT, ("mixed", "good"): 6, ("mixed", "bad"): 1, ("bad", "good"): 4}))
    few = signed(rows({**RIGHT, ("mixed", "good"): 1, ("mixed", "bad"): 1, ("bad", "good"): 4}))
    assert many.keys() == few.keys()


def test_a_value_that_comes_instead_of_several_labels_is_no_other_word_for_one():
    found = signed(rows({**RIGHT, ("good", "none"): 5, ("bad", "none"): 4, ("mixed", "none"): 1}))
    assert sorted(key[1:] for key in found) == [(CONFUSED, want, "none") for want in ("bad", "good", "mixed")]


def test_other_words_for_the_labels_are_one_cause():
    found = signed(rows({**RIGHT, ("good", "fine"): 5, ("bad", "awful"): 4, ("mixed", "so-so"): 3}))
    assert [key[2] for key in found] == [OUTSIDE]


def test_free_words_beside_a_label_do_not_part_it():
    scores = [label("mixed", "good", metric="python: f.py:check", reason=f"I see {word}") for word in ("a cat", "rain")]
    found = signed([*scores, *rows(RIGHT), label("mixed", None, metric="python: f.py:check", reason="nothing came")])
    assert sorted(key[1:] for key in found) == [("", "mixed"), (CONFUSED, "mixed", "good")]


@pytest.mark.parametrize("metric", ["judge", "python: f.py:polite", "not-python: f.py:rude"])
def test_what_a_reason_in_free_words_tells_is_its_signature(metric):
    told = ["The tone is rude.", "A rude tone (3 times)", 'The tone of "hey" is rude', "No date is given"]
    scores = [Score(metric=metric, value=0.0, passed=False, place="text", reason=reason) for reason in told]
    found = signed(scores)
    assert sorted(map(len, found.values())) == [1, 3]


def test_a_reason_with_two_causes_shares_what_was_lost():
    told = ["The tone is rude.", "The date is missing.", "The tone is rude. The date is missing."]
    scores = [Score(metric="judge", value=0.0, passed=False, place="text", reason=reason) for reason in told]
    failures = [
        Failure(
            example=Example(id=f"r{n}", inputs={}),
            result=Result(example=f"r{n}", candidate="p", completion=Completion(text="out"), scores=(score,)),
        )
        for n, score in enumerate(scores)
    ]
    grouped = by_cause([Break(failure=f, score=f.failed[0], lost=1.0) for f in failures], {})
    assert [sorted(b.failure.example.id for b in found) for found in grouped.values()] == [["r0", "r2"], ["r1", "r2"]]
    assert sum(b.lost for found in grouped.values() for b in found) == 3.0
