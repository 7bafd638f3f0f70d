"""Edits: pure, ordered, and with ids that stay."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.edits import Edit, Op, Slot, added_demo, apply, changed_lines, end_message, without_line
from optimizer.errors import UserError
from optimizer.prompt import Demo, Prompt, build
from optimizer.readers.prompts import parse_prompt
from optimizer.readers.versions import dump_prompt

SEED = build("p", [("system", "one\ntwo\nthree <!-- keep -->"), ("user", "four\n{{ q }}")])
SHOWING = build(
    "p",
    [("system", "one"), ("user", "{{ q }}")],
    demos=[{"inputs": {"q": "a"}, "output": "A"}, {"inputs": {"q": "b"}, "output": {"k": "B"}}],
)


def add(text: str, after: str = "end", cluster: str = "") -> Edit:
    return Edit(op=Op.ADD_LINE, after=after, text=text, cluster=cluster)


def swap(target: str, text: str) -> Edit:
    return Edit(op=Op.REPLACE_LINE, target=target, text=text)


def drop(target: str) -> Edit:
    return Edit(op=Op.REMOVE_LINE, target=target)


def show(question: str, output: Any = "yes", cluster: str = "", row: str = "") -> Edit:
    return added_demo(Demo(inputs={"q": question}, output=output, row=row), cluster=cluster)


def hide(target: str) -> Edit:
    return Edit(op=Op.REMOVE_DEMO, target=target)


def demos(prompt: Prompt) -> list[tuple[str, str]]:
    return [(demo.id, demo.inputs["q"]) for demo in prompt.demos]


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
        (
            [add("x", "start:0"), add("y", "start:0")],
            [["x", "y", "one", "two", "three <!-- keep -->"], ["four", "{{ q }}"]],
        ),
        ([add("x", "start:1"), add("y", "L4")], [["one", "two", "three <!-- keep -->"], ["x", "four", "y", "{{ q }}"]]),
        ([drop("L1"), add("x", "start:0")], [["x", "two", "three <!-- keep -->"], ["four", "{{ q }}"]]),
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
        ([add("x", "start:2")], r"no message 2 \(it has 2\)"),
        ([add("x", "D1")], "no line D1"),
        ([hide("D1")], r"no demo D1 \(it has none\)"),
        ([hide("L1")], "no demo L1"),
        ([swap("D1", "x")], "no line D1"),
        ([Edit(op=Op.ADD_DEMO, text="a -> b")], "needs a demo"),
        ([Edit(op=Op.ADD_LINE, text="x", demo=Demo(inputs={}, output=1))], "takes no demo"),
        ([Edit(op=Op.ADD_DEMO, target="D1", demo=Demo(inputs={"q": 1}, output=1))], "takes no target"),
        ([Edit(op=Op.REMOVE_DEMO)], "needs a target"),
        ([added_demo(Demo(inputs={"r": 1}, output=1), cluster="c")], "the demo has no input 'q'"),
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


def test_edits_of_one_place_compete() -> None:
    edits = [swap("L1", "a"), drop("L1"), add("x", cluster="c1"), add("y", cluster="c1"), add("x", cluster="c2")]
    assert [edit.slot for edit in edits] == ["L1", "L1", "+c1", "+c1", "+c2"]
    assert Slot(id="L1", edits=tuple(edits[:2])).choices == ("keep", edits[0].id, edits[1].id)
    mine = add("mine")
    assert mine.slot == f"+{mine.id}"


def test_demos_are_added_at_the_end_and_removed_by_id() -> None:
    made = apply(SHOWING, [show("c", row="r7"), hide("D1"), add("new")])
    assert demos(made) == [("D2", "b"), ("D3", "c")]
    assert made.demo_rows == {"r7"}
    assert demos(SHOWING) == [("D1", "a"), ("D2", "b")]
    again = apply(apply(made, [hide("D3")]), [show("d"), show("e")])
    assert demos(again) == [("D2", "b"), ("D4", "d"), ("D5", "e")]
    assert again.version is None


def test_the_id_and_the_slot_of_a_demo_edit() -> None:
    assert show("a").id == show("a", cluster="c1", row="r1").id
    assert len({show("a").id, show("b").id, show("a", "no").id, show("a", {"k": 1}).id, hide("D1").id}) == 5
    assert show("a", cluster="c1").slot == add("x", cluster="c1").slot == "+c1"
    assert hide("D1").slot == "D1"
    assert show("a\n b", {"k": 1}).text == show("a\n b", '{"k":\n1}').text == '"a b" -> {"k": 1}'
    long = show("word " * 100, "<!-- keep -->").text or ""
    assert len(long) < 200 and "…" in long and long.endswith('"')


def test_a_demo_is_priced_like_a_line() -> None:
    winner = apply(SHOWING, [show("c"), hide("D1"), swap("L1", "1")])
    shown = [(unit, old and old.text, new and new.text) for unit, old, new in changed_lines(SHOWING, winner)]
    assert shown == [("L1", "one", "1"), ("D3", None, '"c" -> "yes"'), ("D1", '"a" -> "A"', None)]
    assert demos(without_line(SHOWING, winner, "D3")) == [("D2", "b")]
    assert demos(without_line(SHOWING, winner, "D1")) == [("D1", "a"), ("D2", "b"), ("D3", "c")]
    assert texts(without_line(SHOWING, winner, "L1")) == texts(SHOWING)
    assert demos(without_line(SHOWING, winner, "L1")) == demos(winner)
    last = apply(SHOWING, [hide("D2"), show("c")])
    assert demos(without_line(SHOWING, last, "D2")) == [("D1", "a"), ("D2", "b"), ("D3", "c")]


def test_a_demo_that_was_edited_by_hand_is_put_back() -> None:
    other = build("p", [("system", "one"), ("user", "{{ q }}")], demos=[Demo(id="D2", inputs={"q": "b"}, output="?")])
    assert [unit for unit, _, _ in changed_lines(SHOWING, other)] == ["D2", "D1"]
    assert without_line(SHOWING, other, "D2").demos == SHOWING.demos[1:]


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
LARGE = build(
    "p",
    [("system", "one\ntwo\nthree <!-- keep -->\ntwo"), ("user", "four\n{{ q }}")],
    demos=[{"inputs": {"q": "a"}, "output": "A"}, {"inputs": {"q": "b"}, "output": "B"}],
)


@st.composite
def changes(draw: Any, seed: Prompt) -> list[Edit]:
    free = [line.id for line in seed.lines if not line.locked]
    targets = draw(st.lists(st.sampled_from(free), unique=True, max_size=len(free) - 1))
    edits: list[Edit] = []
    for target in targets:
        edits.append(draw(st.just(drop(target)) | st.builds(swap, st.just(target), one_line)))
    places = st.sampled_from(["end", "start:0", "start:1", *(line.id for line in seed.lines)])
    edits += draw(st.lists(st.builds(add, one_line, places), max_size=4))
    if seed.demos:
        edits += [hide(demo.id) for demo in seed.demos if draw(st.booleans())]
    edits += draw(st.lists(st.builds(show, one_line), max_size=2))
    return list(draw(st.permutations(edits)))


@given(st.data(), st.sampled_from([SEED, LARGE]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_apply_is_pure_and_keeps_ids_order_and_locks(data: st.DataObject, seed: Prompt) -> None:
    edits = data.draw(changes(seed))
    before = copy.deepcopy(seed)
    winner = apply(seed, edits)
    assert before == seed
    assert winner == apply(seed, edits)
    ids = [*(line.id for line in winner.lines), *(demo.id for demo in winner.demos)]
    assert len(set(ids)) == len(ids)
    old = [*(line.id for line in seed.lines), *(demo.id for demo in seed.demos)]
    assert [unit for unit in ids if unit in old] == [unit for unit in old if unit in ids]
    added = [edit.text for edit in edits if edit.op is Op.ADD_LINE]
    new = sorted((line for line in winner.lines if line.id not in old), key=lambda line: int(line.id[1:]))
    assert [line.text for line in new] == added
    shown = [edit.demo.inputs for edit in edits if edit.demo]
    assert [demo.inputs for demo in winner.demos if demo.id not in old] == shown
    assert [line for line in winner.lines if line.id in old and line.locked][:1] == [seed.line("L3")]


@given(st.data(), st.sampled_from([SEED, LARGE]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_undoing_every_change_gives_the_seed_back(data: st.DataObject, seed: Prompt) -> None:
    winner = apply(seed, data.draw(changes(seed)))
    changed = [unit for unit, _, _ in changed_lines(seed, winner)]
    for unit in data.draw(st.permutations(changed)):
        less = without_line(seed, winner, unit)
        left = [other for other, _, _ in changed_lines(seed, less)]
        assert sorted(left) == sorted(other for other, _, _ in changed_lines(seed, winner) if other != unit)
        winner = less
    assert lines(winner) == lines(seed)
    assert winner.demos == seed.demos


@given(st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_leaving_an_added_line_or_demo_out_is_not_making_the_edit(data: st.DataObject) -> None:
    edits = data.draw(changes(LARGE))
    winner = apply(LARGE, [*edits, add("extra"), show("extra")])
    less = without_line(LARGE, winner, f"L{winner.last_line}")
    assert lines(less) == lines(apply(LARGE, edits))
    assert without_line(LARGE, less, f"D{winner.last_demo}").demos == apply(LARGE, edits).demos
