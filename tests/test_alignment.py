"""Which line is which, and the edits between two versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.alignment import MOST_COMPARED, aligned, edits_between
from optimizer.edits import Edit, Op, apply
from optimizer.errors import UserError
from optimizer.prompt import Demo, Line, Prompt, PromptMessage, build

OLD = build(
    "p",
    [("system", "Be brief.\nUse ISO dates.\nNever guess. <!-- keep -->"), ("user", "Q: {{ q }}")],
    demos=[{"inputs": {"q": text}, "output": text} for text in "abc"],
)


def written(*texts: str, demos: tuple[Demo, ...] = OLD.demos) -> Prompt:
    """A prompt as a proposer writes it: texts a message, no ids known."""
    messages = tuple(
        PromptMessage(role=message.role, lines=tuple(Line(id="", text=line) for line in text.split("\n")))
        for message, text in zip(OLD.messages, texts, strict=True)
    )
    return replace(OLD, messages=messages, demos=demos)


def told(edits: tuple[Edit, ...]) -> list[tuple[str, str | None, str | None]]:
    return [(edit.op.value, edit.target or edit.after, edit.text) for edit in edits]


SYSTEM = "Be brief.\nUse ISO dates.\nNever guess."


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (written(SYSTEM, "Q: {{ q }}"), []),
        (written(f"First.\n{SYSTEM}", "Q: {{ q }}"), [("add_line", "start:0", "First.")]),
        (written(f"{SYSTEM}\n1\n2", "Q: {{ q }}"), [("add_line", "L3", "1"), ("add_line", "L3", "2")]),
        (written("Be brief.\nNever guess.", "Q: {{ q }}"), [("remove_line", "L2", None)]),
        (
            written("Be quite brief.\nUse ISO dates.\nNever guess.", "Q: {{ q }}"),
            [("replace_line", "L1", "Be quite brief.")],
        ),
        (
            written("Use ISO dates.\nNever guess.\nBe brief.", "Q: {{ q }}"),
            [("remove_line", "L1", None), ("add_line", "L3", "Be brief.")],
        ),
        (written(SYSTEM, "Hello.\nQ: {{ q }}"), [("add_line", "start:1", "Hello.")]),
        (written("Be brief.\nUse ISO dates.", "Q: {{ q }}"), [("remove_line", "L3", None)]),
        (written(SYSTEM, "Q: {{ q }}", demos=OLD.demos[:2]), [("remove_demo", "D3", None)]),
        (written(SYSTEM, "Q: {{ q }}", demos=OLD.demos[1:]), [("remove_demo", "D1", None)]),
        (
            written(SYSTEM, "Q: {{ q }}", demos=(OLD.demos[1], OLD.demos[0])),
            [("remove_demo", "D1", None), ("remove_demo", "D3", None), ("add_demo", None, '"a" -> "a"')],
        ),
    ],
)
def test_edits_between_two_versions(new: Prompt, expected: list[Any]) -> None:
    assert told(edits_between(OLD, new)) == expected


def test_edits_carry_what_they_are_for() -> None:
    (edit,) = edits_between(OLD, written(f"{SYSTEM}\nx", "Q: {{ q }}"), cluster="c1", why="w")
    assert (edit.cluster, edit.why, edit.source) == ("c1", "w", "rewrite")


def test_other_messages_are_refused() -> None:
    with pytest.raises(UserError, match="its messages are system, user, the other's user"):
        edits_between(OLD, build("p", [("user", "Q: {{ q }}")]))


def numbered(side: str, lines: str) -> list[Line]:
    return [Line(id=f"{side}{number}", text=text) for number, text in enumerate(lines.split("|"))]


def pairs(old: str, new: str) -> list[tuple[str | None, str | None]]:
    found = aligned(numbered("a", old), numbered("b", new))
    return [(one.text if one else None, two.text if two else None) for one, two in found]


def test_lines_are_paired_so_that_they_are_most_alike_together() -> None:
    assert pairs(
        "Answer in JSON with the key x.|Be kind.", "Answer in German.|Answer in JSON with the key y.|Be kind."
    ) == [
        (None, "Answer in German."),
        ("Answer in JSON with the key x.", "Answer in JSON with the key y."),
        ("Be kind.", "Be kind."),
    ]
    assert pairs("Say Bob.", "Quote the source") == [(None, "Quote the source"), ("Say Bob.", None)]


def test_a_common_id_outweighs_every_likeness() -> None:
    old = [Line(id="L1", text="Be kind to all."), Line(id="L2", text="x")]
    new = [Line(id="L2", text="Be kind to most."), Line(id="L3", text="Be kind to some.")]
    assert [(one and one.id, two and two.id) for one, two in aligned(old, new)] == [
        ("L1", None),
        ("L2", "L2"),
        (None, "L3"),
    ]


def test_in_large_stretches_ids_alone_tell() -> None:
    size = int(MOST_COMPARED**0.5) + 1
    old = [Line(id=f"L{n}", text=f"line {n} of the old text") for n in range(size)]
    new = [Line(id="L5", text="line 5 of the new text"), *(Line(id="", text=f"line {n} of it") for n in range(size))]
    found = [(one.id, two.text) for one, two in aligned(old, new) if one and two]
    assert found == [("L5", "line 5 of the new text")]


words = st.text(st.sampled_from("ab {}q\r\u2028🙂"), max_size=6)
texts = st.lists(words, min_size=1, max_size=6).map("\n".join)
shown = st.lists(st.builds(lambda q, row: Demo(inputs={"q": q}, output=q, row=row), words, st.just("r")), max_size=4)
prompts = st.builds(
    lambda system, user, demos: build("p", [("system", system), ("user", user)], variables=["q"], demos=demos),
    texts,
    texts,
    shown,
)


@given(prompts, prompts)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_edits_between_any_two_prompts_make_one_of_the_other(old: Prompt, new: Prompt) -> None:
    asked = "{{ q }}"
    new = replace(new, variables=old.variables)
    assert asked not in old.text
    made = apply(old, edits_between(old, new))
    assert made.fingerprint == new.fingerprint
    assert edits_between(made, new) == ()
    assert edits_between(old, old) == ()


@given(prompts, st.data())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_what_edits_made_is_found_between_the_versions(old: Prompt, data: st.DataObject) -> None:
    drop = data.draw(st.sets(st.sampled_from([line.id for line in old.lines]), max_size=len(old.lines) - 1))
    edits = [Edit(op=Op.REMOVE_LINE, target=target) for target in sorted(drop)]
    for text in data.draw(st.lists(words, max_size=3)):
        place = data.draw(st.sampled_from(["end", "start:1", *(line.id for line in old.lines)]))
        edits.append(Edit(op=Op.ADD_LINE, after=place, text=text))
    new = apply(old, edits)
    made = apply(old, edits_between(old, new))
    assert made.fingerprint == new.fingerprint
