"""Targets: prompts as values, how they are filled in, and what edits do to them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.material import Target, edits, fitting, names, noise, prompts, sound
from optimizer.dataset import Example, display
from optimizer.edits import Edit, Op, apply, changed_lines, without_line
from optimizer.errors import UserError
from optimizer.mutate.validate import objection
from optimizer.prompt import Line, Prompt, build, fill, prepare
from optimizer.readers.prompts import parse_prompt
from optimizer.readers.versions import dump_prompt


def filled_in(given: tuple[str, frozenset[str], dict[str, Any]]) -> None:
    """The renderer says what a reader sign by sign says: each name once, all else as it is."""
    text, declared, values = given
    if declared - set(values):
        with contextlib.suppress(UserError):
            fill(text, declared, values)
        values = {**dict.fromkeys(declared, "v"), **values}
    assert fill(text, declared, values) == oracle(text, declared, values)


def oracle(text: str, declared: frozenset[str], values: dict[str, Any]) -> str:
    """Fill in sign by sign: a second opinion that shares no code with the first."""
    made, at = [], 0
    while at < len(text):
        name, end = _variable(text, at)
        if name in declared:
            made.append(display(values[name]))
            at = end
        elif name:
            made.append(text[at:end])
            at = end
        else:
            made.append(text[at])
            at += 1
    return "".join(made)


def _variable(text: str, at: int) -> tuple[str, int]:
    """The name that `{{ name }}` gives at this place, and where it ends; an empty name where there is none."""
    if text[at : at + 2] != "{{":
        return "", at
    begin = _blank(text, at + 2)
    end = begin
    while end < len(text) and (text[end] == "_" or ("0" <= text[end] <= "9" and end > begin) or _letter(text[end])):
        end += 1
    closed = _blank(text, end)
    if end == begin or text[closed : closed + 2] != "}}":
        return "", at
    return text[begin:end], closed + 2


def _letter(sign: str) -> bool:
    return "a" <= sign <= "z" or "A" <= sign <= "Z"


def _blank(text: str, at: int) -> int:
    while text[at : at + 1] in {" ", "\t"}:
        at += 1
    return at


def locks(text: str) -> None:
    """A line is locked where it ends in the mark, blanks aside, and says what stands before it."""
    mark = "<!-- keep -->"
    line = Line(id="L1", text=text)
    end = "\r" if text.endswith("\r") else ""
    bare = text.removesuffix("\r").rstrip(" \t")
    assert line.locked == bare.endswith(mark)
    wanted = bare.removesuffix(mark).rstrip(" \t") + end if line.locked else text
    assert line.content == wanted


def round_trip(prompt: Prompt) -> None:
    """A prompt that is written is read back to an equal one, lines, ids and all."""
    try:
        written = dump_prompt(prompt)
    except UserError as error:
        assert "cannot be written" in str(error)
        return
    try:
        again = parse_prompt(written, Path("p.yaml")).prompt
    except UserError as error:
        assert "every message is empty" in str(error)
        return
    assert again == prompt
    assert [line.id for line in again.lines] == [line.id for line in prompt.lines]
    assert again.fingerprint == prompt.fingerprint


def rendered(given: tuple[Prompt, dict[str, Any]]) -> None:
    """Every message is filled in once; a value stands in it as it is."""
    prompt, values = given
    inputs = {**dict.fromkeys(prompt.variables, "v"), **values}
    try:
        sent = prepare(prompt, Example(id="x", inputs=inputs))
    except UserError as error:
        assert prompt.demos and "is not among the row's inputs" in str(error)
        return
    shown = [message for message in prompt.messages if message.lines]
    own = [message for message in sent if len(sent) == len(shown)] or _without_demos(sent, prompt)
    assert [message.role for message in own] == [message.role for message in shown]
    for message, source in zip(own, shown, strict=True):
        assert message.content == oracle(source.text, prompt.variables, inputs)


def _without_demos(sent: Any, prompt: Prompt) -> list[Any]:
    shown = [message for message in prompt.messages if message.lines]
    last = max((index for index, message in enumerate(shown) if message.role == "user"), default=len(shown))
    return [*sent[:last], *sent[last + 2 * len(prompt.demos) :]]


def any_edits(given: tuple[Prompt, list[Edit]]) -> None:
    """Whatever is proposed is judged in words, and made or refused; nothing is made of a refusal."""
    prompt, proposed = given
    before = prompt.canonical()
    for edit in proposed:
        told = objection(edit, prompt, frozenset())
        assert told is None or (told and isinstance(told, str))
        assert len(edit.id) == 9
    with contextlib.suppress(UserError):
        apply(prompt, proposed)
    assert prompt.canonical() == before


def made_edits(given: tuple[Prompt, list[Edit]]) -> None:
    """Untouched lines keep id and text, new ids are new, and each change can be taken back alone and together."""
    prompt, proposed = given
    try:
        made = apply(prompt, proposed)
    except UserError as error:
        assert str(error)
        return
    touched = {edit.target for edit in proposed}
    before = {line.id: line for line in prompt.lines}
    after = {line.id: line for line in made.lines}
    assert len(after) == len(made.lines) and len({demo.id for demo in made.demos}) == len(made.demos)
    kept = [line for line in prompt.lines if line.id not in touched]
    assert [line for line in made.lines if line.id in before and line.id not in touched] == kept
    added = [name for name in after if name not in before]
    assert len(added) == sum(edit.op is Op.ADD_LINE for edit in proposed)
    assert all(int(name[1:]) > prompt.last_line for name in added)
    assert made.last_line >= max((int(name[1:]) for name in after), default=0)
    back = made
    for unit, _, _ in changed_lines(prompt, made):
        back = without_line(prompt, back, unit)
    assert not changed_lines(prompt, back)
    assert back.fingerprint == prompt.fingerprint


def with_edits(strategy: st.SearchStrategy[Prompt]) -> st.SearchStrategy[tuple[Prompt, list[Edit]]]:
    """A prompt and edits that mostly fit it."""
    return strategy.flatmap(lambda prompt: st.tuples(st.just(prompt), fitting(prompt)))


template = noise | st.lists(
    st.sampled_from(["{{", "}}", "{", "}", " ", "\t", "\n", "q", "a", "{{ q }}", "_"]), max_size=12
).map("".join)
values = st.dictionaries(names, sound | template, max_size=4)
marked = st.lists(st.sampled_from(["<!-- keep -->", "<!--keep-->", " ", "\t", "\r", "a", "\n", "{{ q }}"]), max_size=8)

PROMPTS: dict[str, Target] = {
    "template, differential": Target(
        given=st.tuples(template, st.frozensets(names, max_size=3).map(lambda known: known | {"q"}), values),
        check=filled_in,
        promise="a second renderer says the same",
        found=(("{{\nq }} {{{ q }}} {q} {{q}} {{ q}", frozenset({"q"}), {"q": "{{ q }}"}),),
    ),
    "locks, differential": Target(
        given=marked.map("".join) | noise,
        check=locks,
        promise="a second reader says the same",
        found=("<!-- keep -->x" + " " * 200_000 + "x",),
    ),
    "prompt, round trip": Target(given=prompts, check=round_trip, promise="written = read"),
    "messages of a row": Target(
        given=st.tuples(prompts, values), check=rendered, promise="filled in once, all other braces kept"
    ),
    "any edits": Target(
        given=st.tuples(prompts, st.lists(edits, max_size=4)),
        check=any_edits,
        promise="made, or refused in words",
        found=((build("p", [("system", "")]), [Edit(op=Op.ADD_LINE, target="L2", text="{")]),),
    ),
    "edits that fit": Target(
        given=with_edits(prompts), check=made_edits, promise="ids survive, each can be taken back"
    ),
}
