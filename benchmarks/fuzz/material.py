"""What the fuzz targets are fed with: texts, JSON, rows, prompts and edits that are made to break readers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from optimizer.edits import Edit, Op
from optimizer.prompt import Demo, Prompt, build

SIGNS = (
    *("{", "}", "{{", "}}", "{{{", "}}}", "{{ q }}", "{{q}}", "{{ q", "q }}", "{%", "%}", "{{\tq }}", "{{ q | x }}"),
    *(
        "{q}",
        "{ q }",
        "{{q}",
        "{q}}",
        "{{\nq }}",
        "{{ q\u00a0}}",
        "{{ q}} }",
        "{{Q}}",
        "{{ q.x }}",
        "{{{ q }}}",
        "{{ {q} }}",
    ),
    *("[", "]", '"', "'", "`", ":", ": ", ",", ";", "|", ">", "-", "- ", "#", "?", "&a", "*a", "!!", "!", "%", "---"),
    *("\n", "\r", "\r\n", "\t", " ", "  ", "\\", "\\n", "\\u0041", "\\ud800", "\\U", "\\x", "\0", "\x0b", "\x1b[31m"),
    *(
        "\x7f",
        "\x85",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\u202e",
        "\u200b",
        "\ufffe",
        "\U0001f600",
        "e\u0301",
        "é",
        "ß",
        "İ",
    ),
    *("null", "true", "no", "012", "0x1", "1e5", "1e999", "-0", ".5", "NaN", "Infinity", "2024-01-01", "1_000", "=1+1"),
    *("<!-- keep -->", "<!-- keep --> ", "-->", "]]>", "<a>", "&amp;", "```", "```json", "::error::", "@all", "</s>"),
    *("q", "question", "expected", "id", "split", "tags", "group", "inputs", "messages", "role", "content", "system"),
    *("user", "prompt", "edits", "op", "add_line", "target", "L1", "after", "end", "text", "why", "provenance", "L9"),
)
characters = st.characters(exclude_categories=())
text = st.text(characters, max_size=30)
noise = st.lists(st.sampled_from(SIGNS) | st.text(characters, max_size=4), max_size=40).map("".join)
plain = st.lists(st.sampled_from(SIGNS) | st.text(max_size=4), max_size=30).map("".join)
"""Without halves of surrogate pairs: what a file or a row can hold."""
raw = st.binary(max_size=200) | noise.map(lambda made: made.encode("utf-8", "surrogatepass"))
keys = st.sampled_from([sign for sign in SIGNS if sign.isidentifier()]) | st.text(max_size=5)


def nested(leaves: st.SearchStrategy[Any], names: st.SearchStrategy[str] = keys) -> st.SearchStrategy[Any]:
    """Lists and objects of these leaves."""
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=10
    )


numbers = st.integers() | st.integers(-(10**40), 10**40) | st.floats()
values = nested(st.none() | st.booleans() | numbers | plain)
"""What JSON decodes to, infinities and NaN included."""
sound = nested(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain)
"""What a row may hold."""


def spoilt(good: Any) -> st.SearchStrategy[Any]:
    """A good JSON value in which some parts were taken out, doubled or replaced."""
    return st.builds(_spoil, st.just(good), st.lists(st.tuples(st.integers(0, 10**6), st.none() | values), max_size=3))


def _spoil(good: Any, changes: list[tuple[int, Any]]) -> Any:
    made = json.loads(json.dumps(good))
    for seed, value in changes:
        places = list(_places(made))
        if not places:
            return value
        holder, step = places[seed % len(places)]
        if value is None and isinstance(holder, dict):
            del holder[step]
        else:
            holder[step] = value
    return made


def _places(value: Any) -> list[tuple[Any, Any]]:
    found = []
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        found += [(value, step), *_places(inner)]
    return found


def as_text(value: Any) -> str:
    """A value as JSON, infinities and all."""
    return json.dumps(value, ensure_ascii=False)


names = st.sampled_from(["q", "question", "lang", "a", "x1", "_t"])
roles = st.sampled_from(["system", "user", "assistant"])
demos = st.builds(
    lambda inputs, output: Demo(inputs={"q": "x", **inputs}, output=output),
    st.dictionaries(names, sound, max_size=2),
    sound,
)
prompts: st.SearchStrategy[Prompt] = st.builds(
    lambda messages, variables, shown, params: build("p", messages, variables=variables, demos=shown, params=params),
    st.lists(st.tuples(roles, plain), min_size=1, max_size=4),
    st.none() | st.lists(names, max_size=3, unique=True),
    st.lists(demos, max_size=2),
    st.dictionaries(st.sampled_from(["temperature", "top_p"]), st.floats(0, 1), max_size=2),
)
line_ids = st.sampled_from(["L1", "L2", "L3", "L4", "L9", "D1", "end", "start:0", "start:9", "x", ""]) | st.text(
    max_size=3
)
edits: st.SearchStrategy[Edit] = st.builds(
    lambda op, target, after, said, demo, cluster: Edit(
        op=op, target=target, after=after, text=said, demo=demo, cluster=cluster
    ),
    st.sampled_from(list(Op)),
    st.none() | line_ids,
    st.none() | line_ids,
    st.none() | noise,
    st.none() | demos,
    st.sampled_from(["", "c1"]),
)


def fitting(prompt: Prompt) -> st.SearchStrategy[list[Edit]]:
    """Edits of a prompt's own lines and demos, most of which can be made."""
    lines = st.sampled_from([line.id for line in prompt.lines])
    said = plain.map(lambda made: made.replace("\n", " "))
    kinds = [
        st.builds(lambda after, new: Edit(op=Op.ADD_LINE, after=after, text=new), lines | st.just("end"), said),
        st.builds(lambda target, new: Edit(op=Op.REPLACE_LINE, target=target, text=new), lines, said),
        st.builds(lambda target: Edit(op=Op.REMOVE_LINE, target=target), lines),
        st.builds(lambda demo: Edit(op=Op.ADD_DEMO, demo=demo, text=""), demos),
    ]
    if prompt.demos:
        shown = st.sampled_from([demo.id for demo in prompt.demos])
        kinds.append(st.builds(lambda target: Edit(op=Op.REMOVE_DEMO, target=target), shown))
    return st.lists(st.one_of(kinds), max_size=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One thing that is fuzzed."""

    given: st.SearchStrategy[Any]
    """What it is fed with."""
    check: Callable[[Any], None]
    """Raises where a promise is broken."""
    promise: str
    """What is held, in a few words."""
    found: tuple[Any, ...] = ()
    """Cases that are tried first, each time: what once broke it, and what a careless change would break."""
