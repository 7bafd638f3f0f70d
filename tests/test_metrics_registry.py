from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.causes import reason_kind
from optimizer.config import MetricSpec
from optimizer.dataset import Example
from optimizer.errors import ConfigError, ErrorKind, ModelError
from optimizer.metrics import (
    METRICS,
    Negated,
    build_metric,
    build_metrics,
    check_rows,
    describe,
    metric_key,
    metrics_fingerprint,
    score_output,
)
from optimizer.metrics.base import arguments
from optimizer.testing.metrics import FunctionMetric
from optimizer.wording import quote
from tests.metric_cases import context, scored

DOCS = Path(__file__).parent.parent / "docs" / "metrics.md"
HERE = Path()


def spec(name: str, value: Any = None, **more: Any) -> MetricSpec:
    terms = {key: more.pop(key) for key in ("weight", "threshold", "required") if key in more}
    args = more if value is None else {"value": value, **more}
    return MetricSpec(name=name.removeprefix("not-"), negate=name.startswith("not-"), args=args, **terms)


SPECS = [
    (spec("contains"), "contains"),
    (spec("not-contains", "Romeo"), "not-contains: Romeo"),
    (spec("contains", "Bob", ignore_case=True), "contains: Bob, ignore_case"),
    (spec("contains", "Bob", ignore_case=False), "contains: Bob"),
    (spec("contains", any=["a", "b"], words=True), "contains: any=a|b, words"),
    (spec("exact", whitespace="keep"), "exact: whitespace=keep"),
    (spec("json"), "json"),
    (spec("json", schema={"type": "object"}), "json: #ff419e"),
    (spec("json-field", "sentiment"), "json-field: sentiment"),
    (spec("json-field", "n", equals=1.5, lenient=True), "json-field: n, equals=1.5, lenient"),
    (spec("label", ["a", "b"], weight=2), "label: a|b"),
    (spec("length", max_words=50, min_chars=3, required=False), "length: max_words=50, min_chars=3"),
    (spec("not-regex", r"^\d", deadline=2), r"not-regex: ^\d, deadline=2"),
    (spec("regex", "a\nb"), r"regex: a\nb"),
    (spec("python", "json:loads", threshold=0.9), "python: json:loads"),
]


@pytest.mark.parametrize(("written", "key"), SPECS)
def test_a_metric_has_a_key_and_describes_itself(written, key):
    metric = build_metric(written, HERE)
    told = describe(metric)
    assert told is not None
    assert metric_key(written) == metric.key == key == metric_key(told)
    assert build_metric(told, HERE) == metric
    assert (told.name, told.negate, told.weight) == (written.name, written.negate, written.weight)
    assert (told.threshold, told.required) == (written.threshold, written.required)


def test_keys_stay_short_and_apart():
    keys = {metric_key(spec("contains", "x" * 200 + end)) for end in ("a", "b")}
    assert len(keys) == 2 and all(len(key) == 80 for key in keys)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (spec("contians"), 'there is no metric "contians"; did you mean "contains"?'),
        (spec("icontains", "x"), 'there is no metric "icontains"; use contains with ignore_case: true'),
        (spec("not-equals", "x"), 'there is no metric "equals"; use exact'),
        (spec("zzz"), "there are: contains, exact, json, json-field, label, length, python, regex"),
        (spec("contains", ignorecase=True), 'unknown argument "ignorecase"; did you mean "ignore_case"?'),
        (spec("contains", zzz=1), 'unknown argument "zzz"; it takes value, any, all, ignore_case, words'),
        (spec("contains", 42), 'value is "42", a number, but text is wanted; put it in quotes'),
        (spec("contains", False), 'value is "false", a boolean, but text is wanted; put it in quotes'),
        (spec("contains", ["a"]), "but text is wanted"),
        (spec("contains", ""), "value is empty, but text is wanted"),
        (spec("contains", any=[]), "any is empty, but a list of texts is wanted"),
        (spec("contains", any=["a", ""]), "a list of texts is wanted"),
        (spec("contains", ignore_case="yes"), "true or false is wanted"),
        (spec("exact", whitespace="none"), "strip, collapse or keep is wanted"),
        (spec("regex"), 'the argument "pattern" is missing; it is text'),
        (spec("json-field"), 'the argument "field" is missing'),
        (spec("json-field", "a", field="b"), 'unknown argument "value"; "field" is given already'),
        (spec("regex", "a", deadline=0), "a number of seconds above 0, at most 600 is wanted"),
        (spec("regex", "a", deadline=float("nan")), "is wanted"),
        (spec("contains", threshold=0), "threshold is"),
        (spec("contains", threshold=1.1), "threshold is"),
        (spec("contains", weight=-1), "weight is"),
        (spec("contains", weight=float("inf")), "weight is"),
        (spec("contains", required="no"), "required is"),
    ],
)
def test_a_wrong_spec_is_refused_with_what_to_do(written, message):
    with pytest.raises(ConfigError) as caught:
        build_metrics([spec("exact"), written], HERE)
    text = str(caught.value)
    assert text.startswith("metrics, item 2 (") and message in text and "\n" not in text


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([], "none has a weight above 0"),
        ([spec("contains", weight=0)], "none has a weight above 0"),
        ([spec("contains"), spec("contains", ignore_case=False)], "item 2: contains is there twice"),
        ([spec("json-field", "a"), spec("json-field", field="a", weight=2)], "json-field: a is there twice"),
    ],
)
def test_a_set_that_makes_no_sense_is_refused(specs, message):
    with pytest.raises(ConfigError, match=message):
        build_metrics(specs, HERE)


def test_the_fingerprint_is_of_what_metrics_do():
    one, other = spec("contains"), spec("not-contains", "Romeo")
    base = metrics_fingerprint([one, other], HERE)
    assert metrics_fingerprint([other, one], HERE) == base
    assert metrics_fingerprint([spec("contains", words=False), other], HERE) == base
    for changed in (
        spec("contains", "Romeo"),
        spec("not-contains", "Juliet"),
        spec("not-contains", "Romeo", weight=2),
        spec("not-contains", "Romeo", required=False),
        spec("not-contains", "Romeo", ignore_case=True),
    ):
        assert metrics_fingerprint([one, changed], HERE) != base


def test_the_fingerprint_follows_the_schema_file_but_not_its_layout(tmp_path):
    written = [spec("json", "s.json")]
    prints = []
    for text in ('{"type": "object"}', '{\n"type":"object"}', '{"type": "array"}'):
        (tmp_path / "s.json").write_text(text, encoding="utf-8")
        prints.append(metrics_fingerprint(written, tmp_path))
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    ("written", "expected", "problem", "fix"),
    [
        (spec("contains"), None, "is missing, and contains compares with it", "add it, or give the metric a value"),
        (spec("contains"), " ", "is blank", "write the text that is wanted"),
        (spec("exact"), ["a"], "is a list, and exact needs text", "write text, or use json-field"),
        (spec("not-contains"), None, "is missing, and not-contains compares with it", "add it"),
        (spec("label", ["a", "mixed"]), "mixde", 'is "mixde", which label: a|mixed does not list', '"mixed"?'),
        (spec("label"), None, "is missing", "add it"),
        (spec("json-field", "a.b"), None, "is missing, and json-field: a.b compares with it", '{"a.b": ...}'),
        (spec("json-field", "a"), "x", "is text, and json-field: a needs an object", '{"a": ...}'),
        (
            spec("json-field", "sentiment"),
            {"sentimnt": 1},
            'has no field "sentiment" (fields there are: "sentimnt")',
            'did you mean "sentimnt"?',
        ),
    ],
)
def test_rows_that_a_metric_cannot_use_are_found_before_the_run(written, expected, problem, fix):
    example = Example(id="r", inputs={}, expected=expected, source="rows.jsonl:7")
    (found,) = check_rows(build_metrics([written], HERE), [example])
    assert (found.where, found.field) == ("rows.jsonl:7", "expected")
    assert found.problem.startswith(problem) and fix in found.fix


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (spec("contains", "x"), None),
        (spec("contains", any=["x"]), None),
        (spec("exact"), 42),
        (spec("json-field", "a", equals=1), None),
        (spec("json-field", "a"), {"a": None}),
        (spec("label", ["a"], ignore_case=True), "A"),
        (spec("json"), None),
        (spec("length", max_words=1), None),
        (spec("regex", "a"), None),
    ],
)
def test_rows_that_serve_are_no_problem(written, expected):
    assert check_rows(build_metrics([written], HERE), [Example(id="r", inputs={}, expected=expected)]) == []


def test_scores_come_in_the_order_of_the_metrics():
    metrics = build_metrics([spec("contains", "a", weight=3, required=False), spec("exact", "b")], HERE)
    first, second = asyncio.run(score_output(metrics, context("b")))
    assert (first.metric, first.weight, first.required, first.passed) == ("contains: a", 3.0, False, False)
    assert (second.metric, second.weight, second.required, second.passed) == ("exact: b", 1.0, True, True)


def test_a_foreign_metric_that_raises_is_an_error_of_its_row():
    def broken(_: Any) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ModelError, match='"FunctionMetric" raised ZeroDivisionError') as caught:
        asyncio.run(score_output([FunctionMetric(function=broken)], context("x")))
    assert caught.value.kind is ErrorKind.METRIC


def test_a_function_metric_scores_with_its_function():
    metric = FunctionMetric(function=lambda c: len(c.output) / 10, threshold=0.5, key="len", weight=2)
    low, high = scored(metric, "abc"), scored(metric, "abcdef")
    assert (low.value, low.passed, high.value, high.passed) == (0.3, False, 0.6, True)
    assert low.reason == "the function gave 0.3, expected at least 0.5"
    assert describe(metric) is None


ANY = [spec("contains", "a"), spec("exact", "a"), spec("json"), spec("json-field", "a", equals=1)]
ANY += [spec("length", max_chars=3), spec("regex", "a+b"), spec("contains"), spec("exact"), spec("label", ["a", "b"])]
ANY += [spec("json", schema={"type": "object", "required": ["a"]}), spec("contains", all=["a", "b"], words=True)]


@given(output=st.text() | st.sampled_from(['{"a": 1}', '{"a": 2}', "a b", "aab", "A"]), expected=st.text(min_size=1))
def test_every_check_keeps_the_contract_of_a_score(output, expected):
    for written in ANY:
        check = build_metric(written, HERE)
        assert not isinstance(check, Negated)
        score = scored(check, output, expected)
        negated = scored(Negated(check=check), output, expected)
        assert 0.0 <= score.value <= 1.0
        assert score.passed is (score.value >= check.threshold)
        assert negated.passed is not score.passed
        assert negated.value == float(negated.passed)
        for one in (score, negated):
            assert one.passed is (not one.reason)
            assert one.place
            assert one.reason.isprintable()


@given(value=st.text())
def test_a_quoted_value_never_shows_in_the_kind_of_a_reason(value):
    assert reason_kind(f"before {quote(value)} after") == "before … after"


def test_import_loads_nothing_heavy():
    heavy = ["regex", "jsonschema", "referencing", "pandas", "numpy", "yaml"]
    code = f"import sys, optimizer.metrics; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_page_names_every_metric_and_argument():
    text = DOCS.read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    for name, check in METRICS.items():
        assert name in rows
        for argument in arguments(check):
            assert f"`{argument}`" in rows[name], f"docs/metrics.md lacks {argument} of {name}"
