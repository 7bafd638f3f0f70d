"""Edits: pure, ordered, and with ids that stay."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.edits import Edit, Op, Slot, apply, changed_lines, end_message, slots, without_line
from optimizer.errors import UserError
from optimizer.prompt import Prompt, build
from optimizer.readers.prompts import parse_prompt
from optimizer.readers.versions import dump_prompt

SEED = build("p", [("system", "one\ntwo\nthree <!-- keep -->"), ("user", "four\n{{ q }}")])


def add(text: str, after: str = "end", cluster: str = "") -> Edit:
    return Edit(op=Op.ADD_LINE, after=after, text=text, cluster=cluster)


def swap(target: str, text: str) -> Edit:
    return Edit(op=Op.REPLACE_LINE, target=target, text=text)


def drop(target: str) -> Edit:
    return Edit(op=Op.REMOVE_LINE, target=target)


def lines(prompt: Prompt) -> list[list[tuple[str, str]]]:
    return [[(line.id, line.text) for line in message.lines] for message in prompt.messages]


def texts(prompt: Prompt) -> list[list[str]]:
    return [[line.text for line in message.lines] for message in prompt.messages]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], [["one", "two", "three <!-- keep -->"], ["four", "{{ q }}"]]),
        ([add("new")], [["one", "two", "three <!-- keep -->", "new"], ["four", "{{ q }}"]]),
        ([add("new", "L1")], [["one", "new", "two", "three <!-- keep -->"], ["four", "{{ q }}"]]),
        ([add("new", "L3")], [["one", "two", "three <!-- keep -->", "new"], ["four", "{{ q }}"]]),
        ([add("new", "L4")], [["one", "two", "three <!-- keep -->"], ["four", "new", "{{ q }}"]]),
        ([add("x", "L1"), add("y", "L1")], [["one", "x", "y", "two", "three <!-- keep -->"], ["four", "{{ q }}"]]),
        ([add("x"), add("y")], [["one", "two", "three <!-- keep -->", "x", "y"], ["four", "{{ q }}"]]),
        ([swap("L2", "2")], [["one", "2", "three <!-- keep -->"], ["four", "{{ q }}"]]),
        ([drop("L2")], [["one", "three <!-- keep -->"], ["four", "{{ q }}"]]),
        ([drop("L1"), add("x", "L1")], [["x", "two", "three <!-- keep -->"], ["four", "{{ q }}"]]),
        ([drop("L4"), drop("L5")], [["one", "two", "three <!-- keep -->"], []]),
    ],
)
def test_apply(edits: list[Edit], expected: list[list[str]]) -> None:
    assert texts(apply(SEED, edits)) == expected


def test_the_end_is_that_of_the_first_system_message_or_of_the_first_message() -> None:
    assert end_message(SEED) == 0
    assert end_message(build("p", [("user", "a"), ("system", "b"), ("system", "c")])) == 1
    assert end_message(build("p", [("user", "a"), ("assistant", "b")])) == 0


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([drop("L9")], "no line L9"),
        ([swap("L9", "x")], "no line L9"),
        ([add("x", "L9")], "no line L9"),
        ([swap("L3", "x")], "line L3 is locked"),
        ([drop("L3")], "line L3 is locked"),
        ([swap("L1", "x"), drop("L1")], "two edits change the same line"),
        ([add("a\nb")], "must be one line"),
        ([swap("L1", "a\nb")], "must be one line"),
        ([Edit(op=Op.ADD_LINE, after="end")], "must be one line"),
        ([Edit(op=Op.REPLACE_LINE, target="L1")], "must be one line"),
        ([Edit(op=Op.REMOVE_LINE)], "needs a target line"),
        ([Edit(op=Op.REPLACE_LINE, text="x")], "needs a target line"),
        ([Edit(op=Op.ADD_LINE, target="L1", text="x")], "takes no target line"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(edits: list[Edit], said: str) -> None:
    with pytest.raises(UserError, match=said):
        apply(SEED, edits)


def test_a_prompt_keeps_at_least_one_line() -> None:
    one = build("p", [("user", "a")])
    with pytest.raises(UserError, match="remove every line"):
        apply(one, [drop("L1")])
    assert texts(apply(one, [drop("L1"), add("b")])) == [["b"]]


def test_an_id_is_never_given_twice() -> None:
    prompt = apply(SEED, [drop("L5"), add("{{ q }}", "L4")])
    assert [line.id for line in prompt.lines] == ["L1", "L2", "L3", "L4", "L6"]
    prompt = apply(prompt, [drop("L6")])
    prompt = apply(prompt, [add("{{ q }}", "L4")])
    assert [line.id for line in prompt.lines] == ["L1", "L2", "L3", "L4", "L7"]
    changed = {line_id: (old and old.text, new and new.text) for line_id, old, new in changed_lines(SEED, prompt)}
    assert changed == {"L5": ("{{ q }}", None), "L7": (None, "{{ q }}")}


def test_the_id_of_an_edit_is_its_content() -> None:
    assert add("x").id == add("x", cluster="c1").id
    assert len({add("x").id, add("y").id, add("x", "L1").id, swap("L1", "x").id, drop("L1").id}) == 5
    assert add("x").id.startswith("e")
    assert len(add("x").id) == 9


def test_slots_group_what_competes() -> None:
    edits = [swap("L1", "a"), add("x", cluster="c1"), drop("L1"), add("y", cluster="c1"), add("x", cluster="c2")]
    one, two, three = slots([*edits, add("x", cluster="c1")])
    assert one == Slot(id="L1", edits=(edits[0], edits[2]))
    assert two == Slot(id="+c1", edits=(edits[1], edits[3]))
    assert three.id == "+c2"
    assert one.choices == ("keep", edits[0].id, edits[2].id)
    mine = add("mine")
    assert slots([mine])[0].id == f"+{mine.id}"


def test_changed_lines_names_each_change_once() -> None:
    winner = apply(SEED, [drop("L1"), swap("L2", "2"), add("new", "L4")])
    shown = [(line_id, old and old.text, new and new.text) for line_id, old, new in changed_lines(SEED, winner)]
    assert shown == [("L2", "two", "2"), ("L6", None, "new"), ("L1", "one", None)]
    assert changed_lines(SEED, SEED) == ()


def test_a_keep_mark_alone_is_no_change() -> None:
    marked = build("p", [("system", "one <!-- keep -->\ntwo\nthree"), ("user", "four\n{{ q }}")])
    assert changed_lines(SEED, marked) == ()


def test_without_line_undoes_one_change() -> None:
    winner = apply(SEED, [drop("L1"), swap("L2", "2"), add("new", "L4")])
    assert lines(without_line(SEED, winner, "L6")) == lines(apply(SEED, [drop("L1"), swap("L2", "2")]))
    assert texts(without_line(SEED, winner, "L2"))[0] == ["two", "three <!-- keep -->"]
    assert texts(without_line(SEED, winner, "L1"))[0] == ["one", "2", "three <!-- keep -->"]


def test_without_line_brings_back_a_message_that_a_file_no_longer_shows() -> None:
    seed = build("p", [("system", "one"), ("user", "{{ q }}"), ("assistant", "a"), ("user", "b")])
    winner = apply(seed, [drop("L1"), drop("L3"), add("new", "L2")])
    read = parse_prompt(dump_prompt(winner), Path("p.yaml")).prompt
    assert [message.role for message in read.messages] == ["user", "user"]
    assert texts(without_line(seed, read, "L1")) == [["one"], ["{{ q }}", "new"], [], ["b"]]
    assert texts(without_line(seed, read, "L3")) == [[], ["{{ q }}", "new"], ["a"], ["b"]]


one_line = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)


@st.composite
def changes(draw: Any, seed: Prompt) -> list[Edit]:
    free = [line.id for line in seed.lines if not line.locked]
    targets = draw(st.lists(st.sampled_from(free), unique=True, max_size=len(free) - 1))
    edits: list[Edit] = []
    for target in targets:
        edits.append(draw(st.just(drop(target)) | st.builds(swap, st.just(target), one_line)))
    places = st.sampled_from(["end", *(line.id for line in seed.lines)])
    edits += draw(st.lists(st.builds(add, one_line, places), max_size=4))
    return list(draw(st.permutations(edits)))


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_apply_is_pure_and_keeps_ids_and_order(data: st.DataObject) -> None:
    edits = data.draw(changes(SEED))
    before = copy.deepcopy(SEED)
    winner = apply(SEED, edits)
    assert before == SEED
    assert winner == apply(SEED, edits)
    ids = [line.id for line in winner.lines]
    assert len(set(ids)) == len(ids)
    old = [line.id for line in SEED.lines]
    assert [line_id for line_id in ids if line_id in old] == [line_id for line_id in old if line_id in ids]
    added = [edit.text for edit in edits if edit.op is Op.ADD_LINE]
    new = sorted((line for line in winner.lines if line.id not in old), key=lambda line: int(line.id[1:]))
    assert [line.text for line in new] == added
    assert SEED.line("L3") in winner.lines


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_undoing_every_change_gives_the_seed_back(data: st.DataObject) -> None:
    winner = apply(SEED, data.draw(changes(SEED)))
    changed = [line_id for line_id, _, _ in changed_lines(SEED, winner)]
    for line_id in data.draw(st.permutations(changed)):
        less = without_line(SEED, winner, line_id)
        left = [other for other, _, _ in changed_lines(SEED, less)]
        assert left == [other for other, _, _ in changed_lines(SEED, winner) if other != line_id]
        winner = less
    assert lines(winner) == lines(SEED)


@given(st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_leaving_an_added_line_out_is_not_making_the_edit(data: st.DataObject) -> None:
    edits = data.draw(changes(SEED))
    winner = apply(SEED, [*edits, add("extra")])
    extra = f"L{winner.last_line}"
    assert lines(without_line(SEED, winner, extra)) == lines(apply(SEED, edits))
