"""Edits that aim at length: what is said twice, what asks for nothing, what may be idle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.edits import Edit, Op, apply
from optimizer.mutate.shorten import plainer, shorter
from optimizer.mutate.validate import objection
from optimizer.prompt import Prompt, build
from optimizer.tokens import prompt_tokens


def prompt(*lines: str) -> Prompt:
    return build("p", [("system", "\n".join(lines)), ("user", "Q: {{ q }}")])


def made(found: Prompt, seed: Prompt | None = None) -> list[tuple[str, str, str]]:
    return [(edit.op.value, edit.target or "", edit.why) for edit in shorter(found, seed or found)]


IDLE = "a line that may be idle"


def merges(*lines: str) -> list[tuple[str, str]]:
    """(line that goes, line that says the same)."""
    return [(target, why.split(" ")[0]) for _, target, why in made(prompt(*lines)) if why.endswith("says the same")]


@pytest.mark.parametrize(
    ("lines", "gone"),
    [
        (("Use ISO dates.", "Be brief.", "Use ISO dates."), [("L3", "L1")]),
        (("Use ISO dates. <!-- keep -->", "Use ISO dates."), [("L2", "L1")]),
        (("Use ISO dates.", "Use ISO dates. <!-- keep -->"), [("L1", "L2")]),
        # One says all that the other says, and more.
        (("Answer in short, clear sentences.", "Always answer in short sentences."), [("L2", "L1")]),
        (("Answer in short sentences.", "Answer in short, clear sentences."), [("L1", "L2")]),
        # Other numbers, quotes, negations, code: another rule, however alike the words.
        (("Answer in at most 3 short sentences.", "Answer in at most 5 short sentences."), []),
        (('Write the name "Bob" in answers.', 'Write the name "Ann" in answers.'), []),
        (("Quote the source in each answer.", "Never quote the source in each answer."), []),
        (("Don't quote the source in answers.", "Do quote the source in answers."), []),
        (("Put the answer in {braces} at last.", "Put the answer in [brackets] at last."), []),
        # Too little in common, or too short to tell.
        (("Say where it is.", "Say when it is."), []),
        (("Be brief.", "Be brief and kind."), []),
        (("If the parcel is late, apologise.", "If the invoice is wrong, apologise."), []),
    ],
)
def test_a_line_that_another_one_says_may_go(lines: tuple[str, ...], gone: list[tuple[str, str]]) -> None:
    assert merges(*lines) == gone


def test_nearly_equal_lines_are_merged_into_the_first() -> None:
    words = "Sort each message of our customers by the department that answers such questions"
    assert merges(f"{words} today.", f"{words} usually.") == [("L2", "L1")]


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Please make sure to answer in German.", "Answer in German."),
        ("Answer in one word, please.", "Answer in one word."),
        ("Could you please write it short?", "Write it short?"),
        ("- Please, be brief.", "- Be brief."),
        ("1. I'd like you to list it.", "1. List it."),
        ("It is important that the answer is short.", "The answer is short."),
        ("As mentioned above, use ISO dates.", "Use ISO dates."),
        ("Make sure that you do not say Romeo.", "Do not say Romeo."),
        ("Be brief. Thank you.", "Be brief."),
        ("answer, please note that Bob is right", "answer, Bob is right"),
        ("Thank you very much!", ""),
        ("Be brief. Please be kind, and I would like you to be polite.", "Be brief. Be kind, and be polite."),
        ('Say "Hi" first. Please say "Bye" at last, please.', 'Say "Hi" first. Say "Bye" at last.'),
        # Left alone: quoted, another meaning, or a negation that would lose its verb.
        ('Say "please" and `thank you`.', 'Say "please" and `thank you`.'),
        ("Do as you please.", "Do as you please."),
        ("Thank you notes get {thanks}.", "Thank you notes get {thanks}."),
        ("Make sure to not use Romeo.", "Make sure to not use Romeo."),
        ("Be pleased.", "Be pleased."),
        ("", ""),
    ],
)
def test_phrases_that_ask_for_nothing_are_dropped(text: str, short: str) -> None:
    assert plainer(text) == short


def test_what_may_not_go_is_never_proposed() -> None:
    held = build(
        "p",
        [
            (
                "system",
                'Please answer in JSON with the key "a".\nPlease stay polite. <!-- keep -->\n\nUse {{ q }} please.',
            ),
            ("user", "Please sort it."),
        ],
        variables=["q"],
    )
    found = shorter(held, held)
    assert {(edit.op, edit.target, edit.text) for edit in found} == {
        (Op.REPLACE_LINE, "L1", 'Answer in JSON with the key "a".'),
        (Op.REPLACE_LINE, "L4", "Use {{ q }}."),
        (Op.REPLACE_LINE, "L5", "Sort it."),
    }


def test_the_surest_and_the_largest_come_first() -> None:
    seed = prompt(
        "Sort the message by its department and say which one it is.", "Thank you.", "Be kind to all of them."
    )
    grown = apply(seed, [Edit(op=Op.ADD_LINE, after="L3", text="Be kind to all of them.")])
    grown = apply(grown, [Edit(op=Op.ADD_LINE, after="L5", text="Sort parcels that came late under shipping, I say.")])
    assert made(grown, seed) == [
        ("remove_line", "L5", "L3 says the same"),
        ("remove_line", "L2", "it asks for nothing"),
        ("remove_line", "L1", IDLE),
        ("remove_line", "L3", IDLE),
        ("remove_line", "L6", IDLE),
    ]


def test_demos_may_go_too() -> None:
    shown = build("p", [("user", "Q: {{ q }}")], demos=[{"inputs": {"q": "why"}, "output": "so"}])
    assert made(shown) == [("remove_demo", "D1", "a demo that may be idle")]


def test_edits_aim_at_no_cluster_and_compete_for_their_line() -> None:
    found = shorter(prompt("Please use ISO dates in full.", "Use ISO dates in full."), prompt("x"))
    assert {(edit.cluster, edit.source) for edit in found} == {("", "shorten")}
    assert {edit.slot for edit in found} == {"L1", "L2"}
    assert len({edit.id for edit in found}) == len(found)


line_texts = st.sampled_from(
    [
        "Please be brief.",
        "Be brief and clear to all.",
        "Be brief, clear to all.",
        "Thank you.",
        'Answer in JSON with "a".',
        "",
        "{{ q }}",
        "Please stay. <!-- keep -->",
        "Never say 5.",
    ]
) | st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


@given(st.lists(line_texts, min_size=1, max_size=8), st.lists(line_texts, min_size=1, max_size=3))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_every_edit_is_fit_and_makes_the_prompt_shorter(system: list[str], user: list[str]) -> None:
    old = build("p", [("system", "\n".join(system)), ("user", "\n".join(user))], variables=["q"])
    for edit in shorter(old, replace(old, messages=old.messages[:1])):
        hostile = objection(edit, old, frozenset())
        assert hostile is None or "invisible" in hostile
        new = apply(old, [edit])
        assert prompt_tokens(new) < prompt_tokens(old)
        assert [line for line in old.lines if line.locked] == [line for line in new.lines if line.locked]
        assert new.text.count("{{ q }}") == old.text.count("{{ q }}")
        assert all(message.lines for message in new.messages)
