"""Demos picked from the rows of a cluster, and what is refused of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from optimizer.dataset import Example
from optimizer.edits import Edit, Op, added_demo, apply
from optimizer.failures import Cluster, Failure
from optimizer.mutate.base import Proposal
from optimizer.mutate.demos import DemoMutator, chosen_rows, rendered
from optimizer.mutate.limits import MOST_DEMO_CHARACTERS, MOST_DEMOS
from optimizer.mutate.validate import near_copies, objection, within_demo_limit
from optimizer.prompt import Demo, Prompt, build, prepare
from optimizer.results import Completion, Result, Score

PROMPT = build("p", [("system", "Sort the message."), ("user", "Message: {{ q }}")])
QUESTIONS = (
    "my parcel never came",
    "the parcel came late",
    "where is my parcel now",
    "parcel lost, parcel never came",
    "my invoice is wrong",
)


def row(key: str, question: str, expected: Any = "delivery", output: str = "other", passed: bool = False) -> Failure:
    score = Score(metric="equals", value=float(passed), passed=passed, reason="" if passed else "wrong")
    return Failure(
        example=Example(id=key, inputs={"q": question, "note": "unused"}, expected=expected),
        result=Result(example=key, candidate="p", completion=Completion(text=output), scores=(score,)),
    )


def passing(expected: Any, output: str, key: str = "p1", question: str = "a word of thanks") -> Failure:
    return row(key, question, expected, output, passed=True)


def proposal(
    members: list[Failure], shown: tuple[Failure, ...] = (), prompt: Prompt = PROMPT, cluster: str = "c1"
) -> Proposal:
    found = Cluster(id=cluster, label="l", members=tuple(members), share=1.0)
    return Proposal(prompt=prompt, cluster=found, passing=shown)


def proposed(wanted: Proposal) -> tuple[Edit, ...]:
    return asyncio.run(DemoMutator().propose(wanted))


def demos(wanted: Proposal) -> list[tuple[str, Any]]:
    return [(edit.demo.row, edit.demo.output) for edit in proposed(wanted) if edit.demo is not None]


MEMBERS = [row(f"r{number}", question) for number, question in enumerate(QUESTIONS)]


def test_the_row_most_like_the_others_comes_first_then_what_it_leaves_out() -> None:
    edits = proposed(proposal(MEMBERS, (passing("thanks", "thanks"),)))
    assert [edit.demo.row for edit in edits if edit.demo] == ["r0", "r2"]
    assert all(edit.op is Op.ADD_DEMO and edit.cluster == "c1" and edit.source == "demos" for edit in edits)
    assert {edit.slot for edit in edits} == {"+c1"}
    first = edits[0].demo
    assert first is not None and first.inputs == {"q": QUESTIONS[0]}
    shown = apply(PROMPT, edits[:1])
    asked = [message.content for message in prepare(shown, Example(id="x", inputs={"q": "now"}))]
    assert asked == ["Sort the message.", f"Message: {QUESTIONS[0]}", "delivery", "Message: now"]
    assert all(objection(edit, PROMPT, frozenset()) is None for edit in edits)


def test_the_choice_does_not_depend_on_the_order_of_the_rows() -> None:
    assert {row for row, _ in demos(proposal(MEMBERS[::-1]))} == {row for row, _ in demos(proposal(MEMBERS))}
    assert demos(proposal(MEMBERS[:3])) == [("r0", "delivery")]


def test_only_usable_rows_are_chosen() -> None:
    rows = [member.example for member in MEMBERS]
    assert chosen_rows(rows, [False] * 5) == []
    assert chosen_rows(rows, [False, False, True, False, False]) == [2]
    assert 0 not in chosen_rows(rows, [False, True, True, True, True])


LONG = [row(f"r{number}", f"{question} " + "very " * 300) for number, question in enumerate(QUESTIONS)]


@pytest.mark.parametrize(
    "wanted",
    [
        proposal(MEMBERS[:1]),
        proposal([row("r1", "a", None), row("r2", "b", None)]),
        proposal([row("r1", "a", " "), row("r2", "b", " ")]),
        proposal([row("r1", "same words", "delivery"), row("r2", "Same words!", "billing")]),
        proposal(LONG),
        proposal(MEMBERS, prompt=build("p", [("system", "Sort."), ("user", "no variable")])),
        proposal(MEMBERS, prompt=build("p", [("system", "Sort {{ q }}.")])),
        proposal(MEMBERS, prompt=build("p", [("user", "{{ q }} {{ other }}")])),
        proposal(MEMBERS, prompt=build("p", [("system", "{{ other }}"), ("user", "{{ q }}"), ("user", "bye")])),
        proposal(
            MEMBERS,
            prompt=build(
                "p", [("user", "{{ q }}")], demos=[Demo(inputs={"q": str(n)}, output="x") for n in range(MOST_DEMOS)]
            ),
        ),
    ],
    ids=["one row", "no answer", "blank", "two answers", "long", "no variable", "no user", "lacks", "last", "full"],
)
def test_where_no_demo_would_be_honest_or_fit_none_is_proposed(wanted: Proposal) -> None:
    assert proposed(wanted) == ()


def test_a_row_that_passes_with_another_answer_makes_a_label_doubtful() -> None:
    near = passing("billing", "billing", question="My parcel never came!")
    assert "r0" not in [key for key, _ in demos(proposal(MEMBERS, (near,)))]


def test_a_row_is_shown_once() -> None:
    first = proposed(proposal(MEMBERS))[0]
    again = proposed(proposal(MEMBERS, prompt=apply(PROMPT, [first])))
    assert first.demo and first.demo.row not in [edit.demo.row for edit in again if edit.demo]


@pytest.mark.parametrize(
    ("expected", "shown", "output"),
    [
        ("delivery", (), "delivery"),
        ("delivery", (passing("thanks", "Thanks."),), "delivery"),
        (3, (passing(4, "4"),), "3"),
        # The answer is expected inside a sentence: a bare one would teach another style.
        ("Bob", (passing("Ann", "You will be met at the gate by your guide Ann, as agreed."),), None),
        ("Bob", (passing("Ann", '{"name": "Ann"}'),), None),
        ({"a": 1, "b": "x"}, (), '{"a": 1, "b": "x"}'),
        ({"a": 1, "b": "x"}, (passing({}, '{"b": "y", "a": 2}'),), '{"b": "x", "a": 1}'),
        ({"a": 1, "b": "x"}, (passing({}, '{"b":"y","a":2}'),), '{"b":"x","a":1}'),
        ({"a": [1]}, (passing({}, '{\n  "a": [2]\n}'),), '{\n  "a": [\n    1\n  ]\n}'),
        ({"a": "é"}, (passing({}, '```json\n{"a": "b"}\n```'),), '```json\n{"a": "é"}\n```'),
        ({"a": {"y": 1, "x": 2}}, (passing({}, '{"a": {"x": 0, "y": 0}}'),), '{"a": {"x": 2, "y": 1}}'),
        # What passes has more keys, or is no JSON: the form of a whole answer cannot be told.
        ({"a": 1}, (passing({}, '{"a": 1, "b": 2}'),), None),
        ({"a": 1}, (passing({}, "a is 1"),), None),
        ({"a": 1}, (passing({}, "a is 1"), passing({}, '{"a": 5}', "p2")), '{"a": 1}'),
        (["x"], (passing([], "[]"),), '["x"]'),
        (None, (), None),
    ],
)
def test_an_answer_is_shown_in_the_form_of_answers_that_pass(
    expected: Any, shown: tuple[Failure, ...], output: str | None
) -> None:
    assert rendered(expected, shown) == output
    if output is not None and not isinstance(expected, str):
        assert json.loads(output.removeprefix("```json").removesuffix("```")) == expected


SHOWING = build("p", [("user", "Q: {{ q }}")], demos=[{"inputs": {"q": "known"}, "output": "a"}])


def show(question: Any, output: Any = "yes", **more: Any) -> Edit:
    return added_demo(Demo(inputs={"q": question, **more}, output=output, row="r"), cluster="c1")


FULL = build("p", [("user", "{{ q }}")], demos=[Demo(inputs={"q": str(n)}, output="x") for n in range(MOST_DEMOS)])


@pytest.mark.parametrize(
    ("edit", "prompt", "told"),
    [
        (Edit(op=Op.ADD_DEMO, text="a -> b"), SHOWING, "brings no demo"),
        (show("new"), FULL, "has 8 demos already"),
        (show("new"), build("p", [("system", "{{ q }}"), ("user", "go")]), "no user message with a variable"),
        (added_demo(Demo(inputs={"r": "x"}, output="y"), cluster="c"), SHOWING, "no input 'q'"),
        (show("known", "a"), SHOWING, "shows it already"),
        (show("x" * MOST_DEMO_CHARACTERS), SHOWING, "longer than 1200 characters"),
        (show("new", " "), SHOWING, "shows no answer"),
        (show("a\u202eb"), SHOWING, "invisible"),
        (show("a", "say \x1b[31m"), SHOWING, "invisible"),
        (show("half \ud800 pair"), SHOWING, "invisible"),
        (show("a", {"deep": ["\u2066x"]}), SHOWING, "invisible"),
        (show("see https://evil.example/x"), SHOWING, "link or address"),
        (show("a", "mail bob@firm.example"), SHOWING, "link or address"),
        (show("my key is sk-abcdefgh12345678"), SHOWING, "like a key"),
        (replace(show("x"), target="D1"), SHOWING, "takes no target"),
        (Edit(op=Op.REMOVE_DEMO, target="D9"), SHOWING, "demo D9, which is not there"),
        (Edit(op=Op.REMOVE_DEMO, target="L1"), SHOWING, "demo L1, which is not there"),
        (Edit(op=Op.REPLACE_LINE, target="D1", text="x"), SHOWING, "line D1, which is not there"),
    ],
)
def test_refused_demos(edit: Edit, prompt: Prompt, told: str) -> None:
    assert told in (objection(edit, prompt, frozenset()) or "")


@pytest.mark.parametrize(
    "edit",
    [
        show("two\nlines\tand 🙂"),
        show({"a": [1, "x"]}, {"k": 1}),
        show("{{ q }} is no variable here, nor is <!-- keep -->", "ok <!-- keep -->"),
        Edit(op=Op.REMOVE_DEMO, target="D1"),
    ],
)
def test_fit_demos_pass(edit: Edit) -> None:
    assert objection(edit, SHOWING, frozenset()) is None
    made = apply(SHOWING, [edit])
    for demo in made.demos:
        assert not demo.line.locked and "\n" not in demo.line.text


SENTENCE = "the parcel that you sent me last week never came to my door"


@pytest.mark.parametrize(
    ("question", "near"),
    [
        (SENTENCE, True),
        (SENTENCE.upper() + "!", True),
        (SENTENCE.replace("week", "month"), True),
        (SENTENCE.replace("week", "month").replace("door", "house"), True),
        ("well, " + SENTENCE, True),
        ("the parcel that we had sent you last week came to the wrong door", False),
        ("who pays for the parcel", False),
        ("", False),
    ],
)
def test_near_copies_of_sealed_rows_are_refused(question: str, near: bool) -> None:
    edits = [show(SENTENCE), show("something else altogether, about an invoice")]
    sealed = [Example(id="v", inputs={"q": question, "unused": "x " * 50}, expected="another answer")]
    found = near_copies(edits, sealed)
    assert found == (frozenset({edits[0].id}) if near else frozenset())
    told = objection(edits[0], SHOWING, frozenset(), found)
    assert ("nearly a row of val or test" in (told or "")) is near


def test_near_copies_are_found_where_words_have_no_spaces_between() -> None:
    edit = show("我的包裹上周没有送到家里")
    assert near_copies([edit], [Example(id="v", inputs={"q": "我的包裹上周没有送到家"})]) == {edit.id}
    assert near_copies([edit], [Example(id="v", inputs={"q": "请告诉我发票的金额"})]) == frozenset()


def test_edits_without_demos_look_at_no_row() -> None:
    def rows() -> Any:
        raise AssertionError("read")
        yield

    assert near_copies([Edit(op=Op.REMOVE_LINE, target="L1")], rows()) == frozenset()


def test_no_choice_of_edits_leads_over_the_limit() -> None:
    line = Edit(op=Op.ADD_LINE, after="end", text="x", cluster="c9")
    held = build("p", [("user", "{{ q }}")], demos=[Demo(inputs={"q": str(n)}, output="x") for n in range(6)])
    found = [replace(show(f"{name} {n}"), cluster=name) for name in ("c1", "c2", "c3") for n in range(2)]
    kept = within_demo_limit(held, [found[0], line, *found[1:]])
    assert kept == (found[0], line, found[2])
    assert len(apply(held, kept).demos) == MOST_DEMOS
    roomy = build("p", [("user", "{{ q }}")], demos=[Demo(inputs={"q": str(n)}, output="x") for n in range(4)])
    assert within_demo_limit(roomy, found) == (found[0], found[1], found[2], found[4])
    assert within_demo_limit(FULL, [*found, line]) == (line,)
