from __future__ import annotations

import pytest

from optimizer.errors import ConfigError
from optimizer.metrics.length import measure_length
from tests.metric_cases import built, scored


@pytest.mark.parametrize(
    ("text", "unit", "length"),
    [
        ("one two\n three ", "words", 3),
        (" \u00e9t\u00e9 ", "chars", 3),
        ("abcd", "tokens", 1),
        ("abcde", "tokens", 2),
        ("\u65e5\u672c", "tokens", 2),
        ("\ud800", "tokens", 1),
    ],
)
def test_lengths_are_counted(text, unit, length):
    assert measure_length(text, unit) == length


@pytest.mark.parametrize(
    ("args", "reason", "wanted", "got"),
    [
        ({"max_words": 1}, "the output has 2 words, expected at most 1 word", "at most 1 word", "2 words"),
        ({"min_words": 3}, "the output has 2 words, expected at least 3 words", "at least 3 words", "2 words"),
        (
            {"max_chars": 4},
            "the output has 7 characters, expected at most 4 characters",
            "at most 4 characters",
            "7 characters",
        ),
        ({"min_tokens": 3}, "the output has 2 tokens, expected at least 3 tokens", "at least 3 tokens", "2 tokens"),
        ({"max_words": 2, "min_chars": 7, "max_tokens": 2}, "", None, None),
    ],
)
def test_length_says_the_numbers(args, reason, wanted, got):
    score = scored(built("length", **args), "one two")
    assert (score.reason, score.place, score.wanted, score.got) == (reason, "length", wanted, got)
    assert score.passed is (not reason)


def test_a_negated_length_says_which_length_came():
    score = scored(built("not-length", max_words=5), "one two")
    assert score.reason == "the output has 2 words, within limits that it must not keep"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "no limit is given"),
        ({"min_words": 5, "max_words": 4}, "min_words 5 is above max_words 4"),
        ({"max_words": 0}, "a whole number from 1 on is wanted"),
        ({"max_words": True}, "a whole number from 1 on is wanted"),
        ({"value": 50}, "takes no single value; write min_words or max_words"),
    ],
)
def test_limits_that_make_no_sense_are_refused(args, message):
    with pytest.raises(ConfigError, match=message):
        built("length", **args)
