"""Metrics with outputs on both sides of their line, to hold promptfoo's assertions against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optimizer.config import MetricSpec


@dataclass(frozen=True, kw_only=True)
class Case:
    """A metric, what the row expects, and outputs that it passes and fails."""

    spec: MetricSpec
    outputs: tuple[str, ...]
    expected: Any = None


def case(spec: MetricSpec, *outputs: str, expected: Any = None) -> Case:
    return Case(spec=spec, outputs=outputs, expected=expected)


def metric(name: str, /, *, negate: bool = False, **args: Any) -> MetricSpec:
    return MetricSpec(name=name, negate=negate, args=args)


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"$ref": "#/$defs/word"}, "d": {"type": "string", "format": "date"}},
    "$defs": {"word": {"type": "string", "title": "a word", "minLength": 2}},
    "additionalProperties": False,
}
EQUAL = (" Bob\n", "bob", "Bob", "Bob.", "a Bob", "", " ")
NESTED = {"order": {"items": [{"price": 2}, {"price": 3}]}, "a.b": "whole"}
CHECKS = (
    case(metric("contains"), "an x", "none", expected="x"),
    case(metric("contains", value="{{ x }} {% if"), "{{ x }} {% if y", "x"),
    case(metric("contains", value="file://etc"), "see file://etc", "see file"),
    case(metric("contains", negate=True, value="Romeo"), "Romeo", "Bob", "romeo"),
    case(metric("contains", value="BOB", ignore_case=True), "bob", "Bobby", "rob"),
    case(metric("contains", any=["red", "{{ blue }}"]), "red", "{{ blue }}", "blue", "green"),
    case(metric("contains", all=["red", "blue"], ignore_case=True), "red Blue", "red"),
    case(metric("contains", negate=True, all=["red", "blue"]), "red blue", "red"),
    case(metric("contains", value="Bob", words=True), "Bob", "Bobby", "a Bob.", "äBob", "Bob_1", "Bob\nx"),
    case(metric("contains", all=["Bob", "Ann"], words=True), "Ann, Bob", "Ann Bobby", "Bob\nAnn"),
    case(metric("contains", any=["+1", "Bob"], words=True), "x+1", "x+12", "Bobby"),
    case(metric("exact", value="Bob"), *EQUAL),
    case(metric("exact", value="Bob", negate=True), *EQUAL),
    case(metric("exact", value="Bob", ignore_case=True), *EQUAL),
    case(metric("exact", value="Bob", whitespace="keep"), *EQUAL),
    case(
        metric("exact", value="a (b) [c]* {d}$", whitespace="collapse"),
        "a  (b)\n[c]* {d}$",
        "a (b) [c]",
        "a(b) [c]* {d}$",
    ),
    case(metric("exact"), "7", "7.0", expected=7),
    case(metric("label", labels=["very good", "bad"]), "very good\n", "good", "Very good", expected="very good"),
    case(metric("label", ignore_case=True), "BAD", "bad ", "sad", expected="bad"),
    case(metric("regex", pattern=r"^\d{2}\.$"), "12.", "12.\n", "12. ", "a12."),
    case(metric("regex", pattern=r"(?P<w>\w)(?P=w)\Z"), "aa", "xaa", "ab", "aa\n"),
    case(metric("regex", pattern="a.b", full=True), " a-b ", "a\nb", "a-b c", "a\rb"),
    case(metric("regex", pattern="(yes|no){1}", ignore_case=True), "YES", "nO", "maybe"),
    case(metric("regex", pattern="[^{}]{{x}}"), "a{{x}}", "{{x}}", "a{x}"),
    case(metric("regex", pattern="no", negate=True), "no", "yes"),
    case(metric("json"), "{}", '{"a": 1', "[1]", "NaN", "```json\n{}\n```"),
    case(metric("json", negate=True), "{}", "prose"),
    case(
        metric("json", schema=SCHEMA),
        '{"a": "xy"}',
        '{"a": "x"}',
        '{"a": "xy", "b": 1}',
        '{"a": "xy", "d": "no date"}',
        "x",
    ),
    case(metric("json", negate=True, schema=SCHEMA), '{"a": "xy"}', '{"a": "x"}', "x"),
    case(
        metric("json-field", field="label"),
        '{"label": "x{{y}}"}',
        '{"label": "X{{y}}"}',
        "{}",
        "[]",
        "x",
        expected={"label": "x{{y}}"},
    ),
    case(metric("json-field", field="n"), '{"n": 1.0}', '{"n": true}', '{"n": "1"}', expected={"n": 1}),
    case(metric("json-field", field="l", ignore_case=True), '{"l": "A/b"}', '{"l": "a/B."}', expected={"l": "a/b"}),
    case(
        metric("json-field", field="order.items.1.price"),
        '{"order": {"items": [1, {"price": 3}]}}',
        '{"order": {"items": [{"price": 3}]}}',
        '{"order": {"items": {"1": {"price": 3}}}}',
        expected=NESTED,
    ),
    case(
        metric("json-field", field="a.b"),
        '{"a.b": "whole"}',
        '{"a": {"b": "whole"}}',
        '{"a.b": "x", "a": {"b": "whole"}}',
        expected=NESTED,
    ),
    case(metric("json-field", field="v", negate=True, equals=["a", None]), '{"v": ["a", null]}', '{"v": []}', "x"),
    case(metric("length", max_words=2), "a b", "a b c", " a  b \n"),
    case(metric("length", min_words=2, max_words=3), "a", "a b", "a b c d"),
    case(metric("length", min_words=2, negate=True), "a", "a b"),
    case(metric("length", min_chars=2, max_chars=3), " ab ", "a", "abcd", "🙂🙂", "🙂", "a b", "\n"),
    case(metric("length", max_chars=2), "", "  ", " a ", "abc", "🙂🙂"),
)
