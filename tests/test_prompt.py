"""Prompts: lines, rendering in one pass, fingerprints."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.dataset import Example
from optimizer.errors import UserError
from optimizer.prompt import (
    Demo,
    Line,
    Message,
    Prompt,
    PromptMessage,
    build,
    fill,
    next_demo_number,
    next_line_number,
    numbered,
    prepare,
)


def example(**inputs: object) -> Example:
    return Example(id="x", inputs=inputs)


def render(text: str, *, variables: list[str] | None = None, **inputs: object) -> str:
    (message,) = prepare(build("p", [("user", text)], variables=variables), example(**inputs))
    return message.content


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ a }}", "A"),
        ("{{a}} {{  a\t}}", "A A"),
        ("{{ a }}{{ a }}", "AA"),
        ('{"k": "{{ a }}"}', '{"k": "A"}'),
        ("{a} {} {{}} {{ }} }} {{", "{a} {} {{}} {{ }} }} {{"),
        ("{{ a.b }} {{ a!r }} {{ a:>9 }} {{ a[0] }} {{ 1 }}", "{{ a.b }} {{ a!r }} {{ a:>9 }} {{ a[0] }} {{ 1 }}"),
        ("{% if a %} {# a #} ${a} %(a)s $a", "{% if a %} {# a #} ${a} %(a)s $a"),
        ("{{{ a }}}", "{A}"),
        ("{{\na }}", "{{\na }}"),
        ("{{ b }}", "{{ b }}"),
        ("\\{{ a }}", "\\A"),
    ],
)
def test_only_declared_variables_are_substituted(text: str, rendered: str) -> None:
    assert render(text, variables=["a"], a="A") == rendered


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("{{ a }} {{ b }} {c}", "{{ a }} {{ b }} {c}"),
        ("\\1 \\g<0> \\n", "\\1 \\g<0> \\n"),
        ("<!-- keep -->", "<!-- keep -->"),
        ("", ""),
        ("e\u0301 é \u2028\r\n🧑‍🚀", "e\u0301 é \u2028\r\n🧑‍🚀"),
        ("012", "012"),
        (12, "12"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ({"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
        (["x", 2], '["x", 2]'),
    ],
)
def test_values_are_inserted_as_they_are_and_never_expanded(value: object, shown: str) -> None:
    assert render("<{{ a }}|{{ b }}>", a=value, b="B") == f"<{shown}|B>"


@given(st.text(), st.text())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_value_changes_what_stands_around_it(one: str, two: str) -> None:
    assert render("a {{ x }} b {{ y }} c", x=one, y=two) == f"a {one} b {two} c"


@given(st.text(st.sampled_from("{}} ab\n\t.!:")))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_text_without_declared_variables_is_literal(text: str) -> None:
    assert fill(text, frozenset(), {}) == text


def test_an_input_that_the_row_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(UserError, match=r"variable 'a' of the prompt is not among the row's inputs \(they are: b, c\)"):
        render("{{ a }}", b=1, c=2)
    with pytest.raises(UserError, match="they are: none"):
        render("{{ a }}")


@pytest.mark.parametrize(
    ("line", "content"),
    [
        ("Be brief. <!-- keep -->", "Be brief."),
        ("Be brief.<!-- keep --> \t", "Be brief."),
        ("Be brief. <!-- keep -->\r", "Be brief.\r"),
        ("<!-- keep -->", ""),
    ],
)
def test_a_keep_mark_locks_its_line_and_is_not_sent(line: str, content: str) -> None:
    assert Line(id="L1", text=line).locked
    assert Line(id="L1", text=line).content == content
    assert render(f"a\n{line}\nb") == f"a\n{content}\nb"


@pytest.mark.parametrize("line", ["a <!-- keep --> b", "<!--keep-->", "keep", "<!-- KEEP -->"])
def test_what_is_no_keep_mark_is_text(line: str) -> None:
    assert not Line(id="L1", text=line).locked
    assert render(line) == line


def test_build_cuts_messages_into_numbered_lines() -> None:
    prompt = build("p", [("system", "a\n\nb\r\nc\u2028d"), ("user", "{{ q }} {{ r }}")])
    assert [(line.id, line.text) for line in prompt.lines] == [
        ("L1", "a"),
        ("L2", ""),
        ("L3", "b\r"),
        ("L4", "c\u2028d"),
        ("L5", "{{ q }} {{ r }}"),
    ]
    assert prompt.variables == {"q", "r"}
    assert prompt.text == "a\n\nb\r\nc\u2028d\n{{ q }} {{ r }}"
    assert (prompt.ref, replace(prompt, version=3).ref) == ("p", "p@v3")


@pytest.mark.parametrize(
    ("ids", "taken"),
    [
        (["L7", "L2"], ["L7", "L2"]),
        (["L7"], ["L1", "L2"]),
        (["L7", "L7"], ["L1", "L2"]),
        (["L7", "L8", "L9"], ["L1", "L2"]),
        (None, ["L1", "L2"]),
    ],
)
def test_ids_are_kept_where_they_fit(ids: list[str] | None, taken: list[str]) -> None:
    assert [line.id for line in build("p", [("user", "a\nb")], line_ids=ids).lines] == taken


def test_a_line_is_found_by_its_id() -> None:
    prompt = build("p", [("user", "a\nb")])
    assert prompt.line("L2").text == "b"
    with pytest.raises(UserError, match=r"prompt p: no line L9 \(it has L1, L2\)"):
        prompt.line("L9")
    with pytest.raises(UserError, match=r"no line L1 \(it has none\)"):
        Prompt(name="p", messages=(PromptMessage(role="user", lines=()),), variables=frozenset()).line("L1")


@pytest.mark.parametrize("ids", [["L3", "L9"], ["L9", "triage/L70"], ["L9", "L²"]])
def test_the_next_number_is_above_every_number(ids: list[str]) -> None:
    assert next_line_number(build("p", [("user", "a\nb")], line_ids=ids)) == 10
    assert next_line_number(replace(build("p", [("user", "a\nb")], line_ids=ids), last_line=30)) == 31


def test_demos_stand_before_the_last_user_message() -> None:
    demos: list[dict[str, Any]] = [
        {"inputs": {"q": "{{ q }}"}, "output": "one"},
        {"inputs": {"q": 2}, "output": {"k": 1}},
    ]
    prompt = build("p", [("system", "s"), ("user", "Q: {{ q }}")], demos=demos)
    assert prepare(prompt, example(q="now")) == (
        Message(role="system", content="s"),
        Message(role="user", content="Q: {{ q }}"),
        Message(role="assistant", content="one"),
        Message(role="user", content="Q: 2"),
        Message(role="assistant", content='{"k": 1}'),
        Message(role="user", content="Q: now"),
    )


def test_demos_are_numbered_and_keep_the_ids_they_have() -> None:
    again = [Demo(id="D7", inputs={}, output=output) for output in (2, 3)]
    given: list[Demo | dict[str, Any]] = [{"inputs": {}, "output": 1}, *again]
    prompt = build("p", [("user", "a")], demos=given)
    assert [(demo.id, demo.output) for demo in prompt.demos] == [("D8", 1), ("D7", 2), ("D9", 3)]
    assert [demo.id for demo in numbered([Demo(inputs={}, output=1)], 4)] == ["D5"]
    assert next_demo_number(prompt) == 10
    assert next_demo_number(replace(prompt, last_demo=20)) == 21
    assert next_demo_number(build("p", [("user", "a")])) == 1


def test_a_message_without_lines_is_not_sent_and_does_not_count() -> None:
    prompt = build("p", [("system", "s"), ("user", "{{ q }}")])
    empty = replace(prompt, messages=(replace(prompt.messages[0], lines=()), prompt.messages[1]))
    assert prepare(empty, example(q="x")) == (Message(role="user", content="x"),)
    assert empty.text == "{{ q }}"
    assert empty.fingerprint == build("p", [("user", "{{ q }}")]).fingerprint
    assert empty.fingerprint != build("p", [("system", ""), ("user", "{{ q }}")]).fingerprint


BASE = build("p", [("system", "a\nb"), ("user", "{{ q }}")], params={"temperature": 0})


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, name="other"),
        replace(BASE, version=4),
        replace(BASE, last_line=99),
        build("p", [("system", "a\nb"), ("user", "{{ q }}")], line_ids=["L3", "L2", "L1"], params={"temperature": 0}),
        build("p", [("system", "a\nb <!-- keep -->"), ("user", "{{ q }}")], params={"temperature": 0}),
        replace(BASE, last_demo=3),
    ],
)
def test_what_no_model_can_notice_leaves_the_fingerprint(other: Prompt) -> None:
    assert other.fingerprint == BASE.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        build("p", [("system", "a\nb "), ("user", "{{ q }}")], params={"temperature": 0}),
        build("p", [("system", "a"), ("user", "b\n{{ q }}")], params={"temperature": 0}),
        build("p", [("user", "a\nb"), ("user", "{{ q }}")], params={"temperature": 0}),
        build("p", [("system", "a\nb"), ("user", "{{ q }}")], params={"temperature": 1}),
        build("p", [("system", "a\nb"), ("user", "{{ q }}")], variables=[], params={"temperature": 0}),
        replace(BASE, demos=(Demo(id="D1", inputs={"q": "x"}, output="y"),)),
    ],
)
def test_what_a_model_can_notice_changes_the_fingerprint(other: Prompt) -> None:
    assert other.fingerprint != BASE.fingerprint


def test_of_a_demo_the_answer_and_the_values_that_are_asked_with_count() -> None:
    def shown(**more: Any) -> str:
        return replace(BASE, demos=(Demo(**{"inputs": {"q": "x"}, "output": "y", "id": "D1", **more}),)).fingerprint

    assert shown() == shown(id="D4", row="r1", inputs={"q": "x", "note": "not sent"})
    assert len({shown(), shown(inputs={"q": "z"}), shown(output="z"), BASE.fingerprint}) == 4


def test_the_canonical_text_is_json_with_the_keys_in_order() -> None:
    two = replace(BASE, params={"b": 1, "a": 2})
    assert json.loads(two.canonical())[2] == {"a": 2, "b": 1}
    assert two.fingerprint == replace(BASE, params={"a": 2, "b": 1}).fingerprint
