"""Prompt: messages made of lines, rendered in one pass.

A line is the unit of change, of diff and of price. Its id survives edits. Knows nothing of models.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optimizer.dataset import Example, canonical_json, display
from optimizer.errors import UserError

_MARK = "<!-- keep -->"
KEEP = re.compile(rf"(?<![ \t])[ \t]*{_MARK}[ \t]*(?=\r?\Z)")
"""A user's lock on a line; stripped when the prompt is rendered. A line of a CRLF file ends in `\\r`."""
VARIABLE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
"""`{{ name }}`: a variable where `name` is declared, literal text where it is not."""
_SHOWN_CHARACTERS = 120
"""Characters of a demo's value that its one line shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One rendered message, as it goes to a model."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str
    """The text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a prompt's text."""

    id: str
    """`L7`; unique within the prompt and stable under edits."""
    text: str
    """The text without its newline; may end in the keep mark."""

    @property
    def locked(self) -> bool:
        """True where the user forbids changes to this line."""
        return _MARK in self.text and KEEP.search(self.text) is not None

    @property
    def content(self) -> str:
        """The text as it is rendered: without the keep mark."""
        return KEEP.sub("", self.text) if _MARK in self.text else self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """One worked example: a question as the prompt asks it, and the answer that is wanted."""

    inputs: Mapping[str, Any]
    """Values of the prompt's variables."""
    output: Any
    """The answer: text, or a value that is sent as JSON."""
    id: str = ""
    """`D3`; unique within the prompt, stable under edits; empty until a prompt holds it."""
    row: str = ""
    """Id of the row that it was made of, which can judge no prompt that shows it; empty for one that a person wrote."""

    @property
    def line(self) -> Line:
        """The demo as one line under its own id, long values cut: for lists of what changed, never sent."""
        shown = ", ".join(_quoted(value) for _, value in sorted(self.inputs.items()))
        return Line(id=self.id, text=f"{shown} -> {_quoted(self.output)}")


def _quoted(value: Any) -> str:
    text = " ".join(display(value).split())
    if len(text) > _SHOWN_CHARACTERS:
        text = text[: _SHOWN_CHARACTERS - 1] + "…"
    # What closes the text keeps a lock's mark at the end of a value from locking the line.
    bare = not isinstance(value, str) or (text[:1], text[-1:]) in (("{", "}"), ("[", "]"))
    return text if bare else f'"{text}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptMessage:
    """One message of a prompt, before rendering."""

    role: str
    """`system`, `user` or `assistant`."""
    lines: tuple[Line, ...]
    """In order. A message whose lines were all removed keeps its place and is not sent."""

    @property
    def text(self) -> str:
        """Content of the lines, joined by newlines."""
        return "\n".join(line.content for line in self.lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """Messages with variables, demos and model parameters."""

    name: str
    """Folder under `prompts/`."""
    messages: tuple[PromptMessage, ...]
    """At least one."""
    variables: frozenset[str]
    """Names that are substituted; everything else in braces is literal."""
    demos: tuple[Demo, ...] = ()
    """Worked examples, sent as message pairs before the last user message."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the model call: temperature and the like."""
    version: int | None = None
    """N of `v<N>`; None for a candidate that is in no file yet."""
    last_line: int = field(default=0, compare=False)
    """Highest line number ever given: the id of a removed line is never given to another one."""
    last_demo: int = field(default=0, compare=False)
    """The same for demos."""
    _mark: str = field(default="", init=False, compare=False, repr=False)
    """The fingerprint, once it was asked for: a search asks for it at every row."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines of all messages, in order."""
        return tuple(line for message in self.messages for line in message.lines)

    @property
    def text(self) -> str:
        """Contents of all messages in order, joined by a newline."""
        return "\n".join(message.text for message in self.messages if message.lines)

    @property
    def ref(self) -> str:
        """`name@v3`, or `name` for a candidate."""
        return self.name if self.version is None else f"{self.name}@v{self.version}"

    @property
    def demo_rows(self) -> frozenset[str]:
        """Ids of rows whose answers stand in the prompt: on these it cannot be judged."""
        return frozenset(demo.row for demo in self.demos if demo.row)

    def line(self, line_id: str) -> Line:
        """The line with that id; UserError where there is none."""
        for line in self.lines:
            if line.id == line_id:
                return line
        have = ", ".join(line.id for line in self.lines[:20]) or "none"
        raise UserError(f"prompt {self.ref}: no line {line_id} (it has {have})")

    def canonical(self) -> str:
        """Everything that a model could notice, as one text: the same text means the same prompt."""
        messages = [[message.role, message.text] for message in self.messages if message.lines]
        demos = [seen(demo, self.variables) for demo in self.demos]
        return canonical_json([messages, demos, dict(self.params), sorted(self.variables)])

    @property
    def fingerprint(self) -> str:
        """sha256 of the canonical text, 64 hex digits."""
        if not self._mark:
            # Text of a model may hold half of a surrogate pair: no prompt ends with it, and none may fail on it.
            told = self.canonical().encode("utf-8", "surrogatepass")
            object.__setattr__(self, "_mark", hashlib.sha256(told).hexdigest())
        return self._mark


def build(
    name: str,
    messages: Sequence[tuple[str, str]],
    *,
    variables: Sequence[str] | None = None,
    line_ids: Sequence[str] | None = None,
    version: int | None = None,
    demos: Sequence[Demo | Mapping[str, Any]] = (),
    params: Mapping[str, Any] | None = None,
) -> Prompt:
    """Cut messages of (role, text) into numbered lines.

    Args:
        name: name of the prompt.
        messages: (role, text) pairs.
        variables: declared names; None takes every `{{ name }}` in the text.
        line_ids: ids kept from an earlier version; ignored where their number differs from the lines'.
        version: N of `v<N>`.
        demos: worked examples; a mapping has the keys `inputs`, `output`. Those without an id are numbered.
        params: model parameters.
    """
    cut = [(role, text.split("\n")) for role, text in messages]
    total = sum(len(lines) for _, lines in cut)
    known = list(line_ids or ())
    if len(known) != total or len(set(known)) != total:
        known = [f"L{number}" for number in range(1, total + 1)]
    line_id = iter(known)
    built = tuple(
        PromptMessage(role=role, lines=tuple(Line(id=next(line_id), text=text) for text in lines))
        for role, lines in cut
    )
    if variables is None:
        variables = sorted({found for _, text in messages for found in VARIABLE.findall(text)})
    return Prompt(
        name=name,
        messages=built,
        variables=frozenset(variables),
        demos=numbered([demo if isinstance(demo, Demo) else Demo(**demo) for demo in demos]),
        params=dict(params or {}),
        version=version,
    )


def numbered(demos: Sequence[Demo], last: int = 0) -> tuple[Demo, ...]:
    """Demos with ids: those without one, or with that of an earlier one, take the next above every number given.

    Args:
        demos: in order.
        last: highest number ever given.
    """
    next_number = max([last, *_numbers(demo.id for demo in demos)]) + 1
    found: dict[str, Demo] = {}
    for demo in demos:
        known = demo.id and demo.id not in found
        made = demo if known else replace(demo, id=f"D{next_number}")
        next_number += not known
        found[made.id] = made
    return tuple(found.values())


def seen(demo: Demo, variables: frozenset[str]) -> dict[str, Any]:
    """The part of a demo that a model could notice: `{inputs, output}`, inputs without a variable left out."""
    return {
        "inputs": {name: value for name, value in demo.inputs.items() if name in variables},
        "output": demo.output,
    }


def prepare(prompt: Prompt, example: Example) -> tuple[Message, ...]:
    """Render a prompt for one example: the place where demos come in.

    One pass: only declared variables are substituted, values are never expanded again, every other brace is
    literal. Raises UserError where the example lacks a declared variable.
    """
    sent = [message for message in prompt.messages if message.lines]
    rendered = [
        Message(role=message.role, content=fill(message.text, prompt.variables, example.inputs)) for message in sent
    ]
    if not prompt.demos:
        return tuple(rendered)
    last_user = max((i for i, m in enumerate(sent) if m.role == "user"), default=len(rendered))
    shown = [message for demo in prompt.demos for message in demo_messages(prompt, demo)]
    return tuple(rendered[:last_user] + shown + rendered[last_user:])


def demo_messages(prompt: Prompt, demo: Demo) -> tuple[Message, Message]:
    """A demo as it is sent. Raises UserError where it lacks a variable of the last user message."""
    return (
        Message(role="user", content=fill(demo_template(prompt), prompt.variables, demo.inputs)),
        Message(role="assistant", content=display(demo.output)),
    )


def demo_template(prompt: Prompt) -> str:
    """The message that demos are asked with: the last of the user's, or empty where there is none."""
    return next((m.text for m in reversed(prompt.messages) if m.role == "user" and m.lines), "")


def fill(text: str, declared: frozenset[str], values: Mapping[str, Any]) -> str:
    """Substitute declared variables in one pass."""
    if "{{" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in declared:
            return match.group(0)
        if name not in values:
            have = ", ".join(sorted(values)) or "none"
            raise UserError(f"variable {name!r} of the prompt is not among the row's inputs (they are: {have})")
        return display(values[name])

    return VARIABLE.sub(value, text)


def next_line_number(prompt: Prompt) -> int:
    """The number that a new line's id may take: above every number ever given."""
    return max([prompt.last_line, *_numbers(line.id for line in prompt.lines)]) + 1


def next_demo_number(prompt: Prompt) -> int:
    """The same for a new demo's id."""
    return max([prompt.last_demo, *_numbers(demo.id for demo in prompt.demos)]) + 1


def _numbers(ids: Iterable[str]) -> list[int]:
    return [int(unit[1:]) for unit in ids if unit[1:].isdecimal()]


def with_lines(prompt: Prompt, messages: Sequence[PromptMessage]) -> Prompt:
    """The same prompt with other messages: a candidate that is in no file yet."""
    return replace(prompt, messages=tuple(messages), version=None)
