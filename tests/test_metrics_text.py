from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import ConfigError, ErrorKind, ModelError
from tests.metric_cases import built, scored

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("args", "output", "expected", "passes"),
    [
        ({}, "Bob", "Bob", True),
        ({}, "  Bob\n", "Bob", True),
        ({}, "bob", "Bob", False),
        ({"ignore_case": True}, "bob", "Bob", True),
        ({}, "a  b", "a b", False),
        ({"whitespace": "collapse"}, " a \n b ", "a b", True),
        ({"whitespace": "keep"}, "Bob\n", "Bob", False),
        ({"whitespace": "keep"}, "Bob", "Bob", True),
        ({}, NFC, NFD, True),
        ({}, "42", 42, True),
        ({}, "true", True, True),
        ({"value": "Alice"}, "Alice", "Bob", True),
    ],
)
def test_exact_compares(args, output, expected, passes):
    assert scored(built("exact", **args), output, expected).passed is passes


@pytest.mark.parametrize(
    ("output", "suffix"),
    [
        ("bob marley", ": only the case differs"),
        ("Bob  Marley", ": only whitespace differs"),
        ("Bob Marley.", ": only punctuation at the end differs"),
        ("**Bob Marley**", ": only quotes or markup around it differ"),
        ('"bob  marley".', ": only case, whitespace, punctuation or markup differ"),
        ("The answer is Bob Marley, of course", ": it has extra words around the right answer"),
        ("Bob Marleyson", ""),
        ("Alice", ""),
    ],
)
def test_exact_says_how_it_differs(output, suffix):
    score = scored(built("exact"), output, "Bob Marley")
    shown = output.replace('"', "'")
    assert score.reason == f'the output is "{shown}", expected "Bob Marley"{suffix}'
    assert (score.place, score.wanted, score.got) == ("text", "Bob Marley", output)


@pytest.mark.parametrize(
    ("args", "output", "passes"),
    [
        ({}, "I saw Bob.", True),
        ({}, "I saw bob.", False),
        ({}, "Bobby", True),
        ({"words": True}, "Bobby", False),
        ({"words": True}, "Bobby and Bob", True),
        ({"words": True}, "_Bob", False),
        ({"words": True}, "Bob's", True),
        ({"ignore_case": True}, "BOB", True),
        ({"ignore_case": True, "words": True}, "BOBBY, BOB", True),
        ({"any": ["Ann", "Cid"]}, "Cid", True),
        ({"any": ["Ann", "Cid"]}, "Bob", False),
        ({"all": ["Ann", "Cid"]}, "Cid and Ann", True),
        ({"all": ["Ann", "Cid"]}, "Ann", False),
    ],
)
def test_contains_finds(args, output, passes):
    assert scored(built("contains", **args), output, "Bob").passed is passes


def test_contains_is_blind_to_the_spelling_of_one_character():
    assert scored(built("contains", NFC), f"in the {NFD}").passed


@pytest.mark.parametrize(
    ("metric", "output", "reason", "wanted", "got"),
    [
        (built("contains", "Bob"), "Alice", 'the output does not contain "Bob"', "Bob", None),
        (
            built("contains", "Bob"),
            "so bob did",
            'the output contains "bob" instead of "Bob": only the case differs',
            "Bob",
            "bob",
        ),
        (
            built("contains", "Bob", words=True),
            "so Bobby did",
            'the output contains "Bobby" instead of "Bob": it stands inside a longer word only',
            "Bob",
            "Bobby",
        ),
        (built("contains", any=["a", "b"]), "x", 'the output contains none of "a, b"', "a", None),
        (
            built("contains", all=["a", "q", "z"]),
            "a",
            'the output does not contain "q" (2 of 3 texts missing)',
            "q",
            None,
        ),
        (built("not-contains", "Romeo"), "O Romeo", 'the output contains "Romeo", which it must not', None, "Romeo"),
        (built("not-contains", any=["Ann", "Bob"]), "Bob", 'the output contains "Bob", which it must not', None, "Bob"),
        (
            built("not-contains", all=["a", "b"]),
            "ab",
            'the output contains "a" together with all others of the list, which it must not',
            None,
            "a",
        ),
        (built("not-exact", "no"), " no", 'the output is " no", which it must not be', None, " no"),
    ],
)
def test_text_checks_say_why(metric, output, reason, wanted, got):
    score = scored(metric, output)
    assert not score.passed
    assert (score.reason, score.place, score.wanted, score.got) == (reason, "text", wanted, got)


def test_a_score_that_passes_has_no_reason_but_tells_what_is_usual():
    score = scored(built("contains"), "Bob", "Bob")
    assert (score.value, score.passed, score.reason) == (1.0, True, "")
    assert (score.place, score.wanted) == ("text", "Bob")


def test_reasons_show_hostile_values_escaped_and_cut():
    score = scored(built("exact"), "a\x1b]52;c\x07\u202e\u200b\n" + "x" * 600, "Bob")
    assert "\\x1b]52;c\\x07\\u202e\\u200b\\n" in score.reason
    assert score.reason.isprintable()
    assert len(score.reason) < 200
    assert score.got is not None and len(score.got) == 500


def test_values_that_exclude_each_other_are_refused():
    with pytest.raises(ConfigError, match="any and all exclude each other"):
        built("contains", any=["a"], all=["b"])


def test_a_row_without_a_text_is_an_error_not_a_zero():
    with pytest.raises(ModelError) as caught:
        scored(built("contains"), "x", None)
    assert caught.value.kind is ErrorKind.METRIC
    assert 'row "row-1"' in caught.value.message


@given(output=st.text(min_size=1), wanted=st.text(min_size=1))
def test_text_checks_agree_with_their_definition(output, wanted):
    contains, negated = scored(built("contains", wanted), output), scored(built("not-contains", wanted), output)
    assert contains.passed is not negated.passed
    if wanted in output and output.isascii():
        assert contains.passed
    if scored(built("contains", wanted, words=True), output).passed:
        assert contains.passed
    if scored(built("exact", wanted), output).passed:
        assert scored(built("exact", wanted, whitespace="collapse", ignore_case=True), output).passed
