from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import ConfigError, ErrorKind, ModelError
from optimizer.metrics.json.field import look_up, same
from tests.metric_cases import built, scored

FENCED = '```json\n{"a": 1}\n```'
KINDS = [
    ("I think it is mixed, see [1].", "prose"),
    (" \n", "blank"),
    (FENCED, "JSON wrapped in a code fence"),
    ('```\n{"a": 1}```', "JSON wrapped in a code fence"),
    ('Here you are: {"a": 1}', "JSON with text around it"),
    ('{"a": 1} I hope this helps.', "JSON with text around it"),
    (f"Sure!\n{FENCED}\nBye", "JSON with text around it"),
    ("[1, 2] as asked", "JSON with text around it"),
    ('{"a": 1}\n{"a": 2}', "several JSON values"),
    ('{"a": [1, 2', "cut-off JSON"),
    ('{"a": "unfinish', "cut-off JSON"),
    ('```json\n{"a": ', "cut-off JSON in a code fence"),
    ("```\nhi\n```", "a code fence without JSON in it"),
    ("{'a': 1}", "JSON-like text with single quotes"),
    ('{"a": 1,}', "JSON with a trailing comma"),
    ("[1, 2,]", "JSON with a trailing comma"),
    ('{"a": NaN}', "JSON with NaN or Infinity in it"),
    ('{"a": -Infinity}', "JSON with NaN or Infinity in it"),
    ('{"a": 1 // one\n}', "broken JSON, perhaps with comments"),
    ('{"a": 1 "b": 2}', "broken JSON"),
    ("[" * 150 + "]" * 150, "JSON nested deeper than 100 levels"),
    ("[" * 100_000, "JSON nested deeper than 100 levels"),
    ('{"a": ' + "9" * 5000 + "}", "JSON with a number that is too long"),
]


@pytest.mark.parametrize(("output", "kind"), KINDS)
def test_what_is_not_json_is_told_in_words(output, kind):
    score = scored(built("json"), output)
    alone = " alone" if kind in ("JSON wrapped in a code fence", "JSON with text around it") else ""
    assert not score.passed
    assert score.reason == f"the output is not JSON{alone}: it is {kind}"
    assert (score.place, score.wanted, score.got) == ("format", None, kind)


@pytest.mark.parametrize(("output", "kind"), KINDS)
def test_the_same_output_is_the_same_cause_for_a_field(output, kind):
    whole, field = scored(built("json"), output), scored(built("json-field", "a"), output, {"a": 1})
    assert (whole.reason, whole.place, whole.got) == (field.reason, field.place, field.got)


@pytest.mark.parametrize("output", ['{"a": 1}', " [1, 2] ", "42", '"text"', "null", "[" * 90 + "]" * 90, "[{}]" * 1])
def test_one_json_value_passes(output):
    assert scored(built("json"), output).passed


def test_many_flat_brackets_are_not_deep():
    assert scored(built("json"), json.dumps([[] for _ in range(500)])).passed


@pytest.mark.parametrize(("output", "passes"), [(FENCED, True), (f"Sure: {FENCED}", False), ("prose", False)])
def test_lenient_takes_one_fenced_block(output, passes):
    assert scored(built("json", lenient=True), output).passed is passes
    assert scored(built("json-field", "a", lenient=True), output, {"a": 1}).passed is passes


@pytest.mark.parametrize(
    ("field", "output", "expected", "passes"),
    [
        ("s", {"s": "mixed"}, {"s": "mixed"}, True),
        ("s", {"s": "mixed"}, {"s": "neutral"}, False),
        ("n", {"n": 1.0}, {"n": 1}, True),
        ("n", {"n": True}, {"n": 1}, False),
        ("n", {"n": "1"}, {"n": 1}, False),
        ("n", {"n": None}, {"n": None}, True),
        ("a.b", {"a": {"b": 2}}, {"a": {"b": 2}}, True),
        ("a.b", {"a.b": 2}, {"a": {"b": 2}}, True),
        ("a.1.p", {"a": [0, {"p": 3}]}, {"a": [0, {"p": 3}]}, True),
        ("$.s", {"s": "x"}, {"s": "x"}, True),
        ("l", {"l": [1, {"x": 2, "y": 3}]}, {"l": [1.0, {"y": 3, "x": 2}]}, True),
        ("l", {"l": [1, 2]}, {"l": [2, 1]}, False),
        ("s", {"s": "caf\u00e9"}, {"s": "cafe\u0301"}, True),
    ],
)
def test_json_field_compares(field, output, expected, passes):
    assert scored(built("json-field", field), json.dumps(output), expected).passed is passes


def test_json_field_takes_a_value_and_may_ignore_case():
    metric = built("json-field", "s", equals="mixed", ignore_case=True)
    assert scored(metric, '{"s": "MIXED"}').passed
    listed = built("json-field", "l", equals=["a", None])
    assert scored(listed, '{"l": ["a", null]}').passed and not scored(listed, '{"l": ["a"]}').passed


@pytest.mark.parametrize(
    ("output", "reason", "wanted", "got"),
    [
        ('{"s": "neutral"}', 'field "s" is "neutral", expected "mixed"', "mixed", "neutral"),
        ('{"s": "Mixed"}', 'field "s" is "Mixed", expected "mixed": only the case differs', "mixed", "Mixed"),
        ('{"s": 3}', 'field "s" is the number "3", expected the text "mixed"', "mixed", "3"),
        ('{"s": null}', 'field "s" is null, expected the text "mixed"', "mixed", "null"),
        ('{"t": 1, "u": 2}', 'field "s" is missing (fields there are: "t, u")', None, None),
        ("[1]", 'field "s" is missing (it would stand in a list)', None, None),
    ],
)
def test_json_field_says_why(output, reason, wanted, got):
    score = scored(built("json-field", "s"), output, {"s": "mixed"})
    assert (score.reason, score.place, score.wanted, score.got) == (reason, "$.s", wanted, got)


def test_a_negated_field_says_which_value_must_not_be():
    score = scored(built("not-json-field", "s", equals="x"), '{"s": "x"}')
    assert (score.reason, score.place) == ('field "s" is "x", which it must not be', "$.s")
    assert (score.wanted, score.got) == (None, "x")


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["s", "n"],
    "additionalProperties": False,
    "patternProperties": {"^x_": {"type": "string"}},
    "properties": {
        "s": {"enum": ["a", "b"]},
        "n": {"type": "integer", "minimum": 3},
        "c": {"const": "k"},
        "w": {"pattern": "^x"},
        "t": {"type": "string", "maxLength": 2},
        "items": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/item"}},
    },
    "$defs": {"item": {"type": "object", "properties": {"p": {"type": ["number", "null"]}}}},
}


@pytest.mark.parametrize(
    ("more", "reason", "place", "wanted", "got"),
    [
        ({"s": "c"}, 'field "s" is "c", expected one of "a, b"', "$.s", "a, b", "c"),
        ({"n": 2}, 'field "n" is "2", expected at least 3', "$.n", "at least 3", "2"),
        ({"n": "4"}, 'field "n" is text, expected a whole number', "$.n", "a whole number", "text"),
        ({"c": "K"}, 'field "c" is "K", expected "k": only the case differs', "$.c", "k", "K"),
        ({"w": "y"}, 'field "w" is "y", expected a match of the pattern "^x"', "$.w", "^x", "y"),
        ({"z": 1}, 'field "z" is not one that the schema allows', "$.z", None, "z"),
        ({"x_1": 1}, 'field "x_1" is a number, expected text', "$.x_1", "text", "a number"),
        (
            {"t": "long"},
            'field "t" has 4 characters, expected at most 2 characters',
            "$.t",
            "at most 2 characters",
            "4 characters",
        ),
        (
            {"items": [{}, {"p": "x"}]},
            'field "items.1.p" is text, expected a number or null',
            "$.items[].p",
            "a number or null",
            "text",
        ),
    ],
)
def test_schema_faults_are_told_in_words(more, reason, place, wanted, got):
    score = scored(built("json", schema=SCHEMA), json.dumps({"s": "a", "n": 3, **more}))
    assert (score.reason, score.place, score.wanted, score.got) == (reason, place, wanted, got)


def test_a_field_that_the_schema_requires_speaks_as_json_field_does():
    score = scored(built("json", schema=SCHEMA), '{"s": "a"}')
    other = scored(built("json-field", "n"), '{"s": "a"}', {"n": 3})
    assert score.reason == 'field "n" is missing (fields there are: "s")'
    assert (score.reason, score.place, score.got) == (other.reason, other.place, other.got)


@pytest.mark.parametrize("more", [{}, {"x_1": "t"}, {"items": [{"p": 1.5}, {"p": None}]}])
def test_output_that_keeps_the_schema_passes(more):
    assert scored(built("json", schema=SCHEMA), json.dumps({"s": "a", "n": 3, **more})).passed


def test_output_that_is_no_object_is_told_at_the_root():
    score = scored(built("json", schema=SCHEMA), "[]")
    assert (score.reason, score.place) == ("the output is a list, expected an object", "$")


def test_a_schema_is_read_from_a_file_beside_the_eval_file(tmp_path):
    (tmp_path / "order.json").write_text(json.dumps({"type": "array"}), encoding="utf-8")
    metric = built("json", "order.json", root=tmp_path)
    assert scored(metric, "[]").passed and not scored(metric, "{}").passed


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "txet"}, "is not valid under any of the given schemas"),
        ({"$ref": "https://example.com/s.json"}, "leads out of the schema; nothing is fetched"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"pattern": "("}, "pattern: '\\(' is not a 'regex'"),
        ({"patternProperties": {"(": True}}, "is not a 'regex'"),
        ("nowhere.json", "cannot be read"),
    ],
)
def test_a_schema_that_cannot_be_used_is_found_before_the_run(schema, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        built("json", schema=schema, root=tmp_path)


def test_a_pattern_of_a_schema_that_overruns_is_an_error_not_a_zero():
    metric = built("json", schema={"pattern": "^(a|aa)+$"})
    with pytest.raises(ModelError) as caught:
        scored(metric, json.dumps("a" * 200 + "!"))
    assert caught.value.kind is ErrorKind.METRIC


def test_a_missing_expected_object_is_an_error_not_a_zero():
    with pytest.raises(ModelError, match="needs an expected object"):
        scored(built("json-field", "s"), '{"s": 1}', "text")


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(value=values)
def test_every_value_that_json_writes_passes_and_equals_itself(value):
    text = json.dumps(value)
    assert scored(built("json"), text).passed
    assert same(json.loads(text), value)


@given(value=st.dictionaries(st.text(), leaves, min_size=1))
def test_every_field_is_found_by_its_name(value):
    for name, wanted in value.items():
        if not name.startswith("$."):
            assert look_up(value, name) is wanted


@given(value=st.dictionaries(st.text(min_size=1), leaves, min_size=1), cut=st.integers(min_value=1))
def test_a_prefix_of_an_object_never_passes_and_never_raises(value, cut):
    text = json.dumps(value)
    score = scored(built("json"), text[: 1 + cut % (len(text) - 1)])
    assert not score.passed and score.place == "format"
