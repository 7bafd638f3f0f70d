from __future__ import annotations

import pytest

from optimizer.errors import ConfigError, ErrorKind, ModelError
from tests.metric_cases import built, scored


@pytest.mark.parametrize(
    ("pattern", "args", "output", "passes"),
    [
        (r"\d+", {}, "in 1999", True),
        (r"^\d+$", {}, "in 1999", False),
        (r"\d+", {"full": True}, " 1999\n", True),
        (r"\d+", {"full": True}, "in 1999", False),
        ("bob", {}, "Bob", False),
        ("bob", {"ignore_case": True}, "Bob", True),
        (r"(?im)^bob$", {}, "x\nBOB\ny", True),
        (r"\p{Lu}\p{Ll}+", {}, "\u00c9t\u00e9", True),
    ],
)
def test_regex_matches(pattern, args, output, passes):
    assert scored(built("regex", pattern, **args), output).passed is passes


@pytest.mark.parametrize(
    ("metric", "output", "reason", "wanted", "got"),
    [
        (built("regex", r"^\d+$"), "x", r'the output does not match the pattern "^\d+$"', r"^\d+$", None),
        (
            built("regex", "a", full=True),
            "ab",
            'the output does not match, as a whole, the pattern "a"',
            "a",
            None,
        ),
        (
            built("not-regex", "(?i)romeo"),
            "O Romeo",
            'the output matches the pattern "(?i)romeo", which it must not: "Romeo"',
            None,
            "Romeo",
        ),
    ],
)
def test_regex_says_why(metric, output, reason, wanted, got):
    score = scored(metric, output)
    assert (score.reason, score.place, score.wanted, score.got) == (reason, "text", wanted, got)


@pytest.mark.parametrize("prefix", ["", "not-"])
def test_a_pattern_that_overruns_its_deadline_is_an_error_not_a_zero(prefix):
    metric = built(f"{prefix}regex", r"^(a|aa)+$", deadline=0.05)
    with pytest.raises(ModelError, match=r"did not end within 0\.05 s") as caught:
        scored(metric, "a" * 200 + "!")
    assert caught.value.kind is ErrorKind.METRIC


def test_nested_repeats_end_in_a_score_or_an_error_within_the_deadline():
    try:
        score = scored(built("regex", r"^(a+)+$", deadline=0.2), "a" * 40 + "!")
    except ModelError as error:
        assert error.kind is ErrorKind.METRIC
    else:
        assert not score.passed


def test_a_search_that_needs_a_thread_still_gives_a_score():
    # Half a million ways to split 28 letters: more than the loop waits for, less than the deadline.
    score = scored(built("regex", r"^(a|aa)+$", deadline=60), "a" * 28 + "!")
    assert not score.passed


def test_a_pattern_that_does_not_compile_is_found_before_the_run():
    with pytest.raises(ConfigError, match="does not compile: missing"):
        built("regex", "(")
