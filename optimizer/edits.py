"""Edits: the smallest changes to a prompt, and the slots in which they compete. Pure.

What changes is a unit: a line (`L7`) or a demo (`D3`). Both have ids that survive edits and a price.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from optimizer.dataset import canonical_json
from optimizer.errors import UserError
from optimizer.prompt import (
    VARIABLE,
    Demo,
    Line,
    Prompt,
    PromptMessage,
    demo_template,
    next_demo_number,
    next_line_number,
    with_lines,
)

END = "end"
"""The end of the first system message, or of the first message where there is none."""
START = re.compile(r"start:(\d{1,4})")
"""The beginning of a message, by its index: `start:0`."""


class Op(StrEnum):
    """Kinds of edit."""

    ADD_LINE = "add_line"
    REPLACE_LINE = "replace_line"
    REMOVE_LINE = "remove_line"
    ADD_DEMO = "add_demo"
    REMOVE_DEMO = "remove_demo"


LINE_OPS = (Op.ADD_LINE, Op.REPLACE_LINE, Op.REMOVE_LINE)
"""What a model may be asked for: a demo is made of a row, never of a model's text."""
ADDS = (Op.ADD_LINE, Op.ADD_DEMO)
"""Edits that have no target."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One atomic change, with the cluster it aims at and why."""

    op: Op
    target: str | None = None
    """Id of the line or demo that is replaced or removed; None for what is added."""
    after: str | None = None
    """Where a line is added: a line id behind which, `end`, or `start:0` for the beginning of message 0."""
    text: str | None = None
    """The new text, one line; None for a removal. Of an added demo, what people are shown of it."""
    demo: Demo | None = None
    """The demo that is added, without an id; None otherwise."""
    cluster: str = ""
    """Id of the cluster it aims at; empty for what aims at length. A line of the user's own is tried on the largest."""
    why: str = ""
    """The proposer's reason."""
    source: str = "mined"
    """`mined`, `llm`, `user`, `demos`, `rewrite` or `shorten`."""

    @property
    def id(self) -> str:
        """`e` and 8 hex digits: the same change has the same id, whoever proposed it."""
        said = self.text if self.demo is None else {"inputs": dict(self.demo.inputs), "output": self.demo.output}
        content = canonical_json([self.op, self.target, self.after, said])
        # A model may write half a surrogate pair; the edit is refused later, by its id.
        return f"e{hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"

    @property
    def slot(self) -> str:
        """The place it competes for: a line, a demo, or (for what is added) its cluster."""
        return self.target if self.target is not None else f"+{self.cluster or self.id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """Edits that compete for one place: one categorical parameter of the search, `keep` included."""

    id: str
    """Line or demo id, or `+` and a cluster id."""
    edits: tuple[Edit, ...]
    """At least one."""

    @property
    def choices(self) -> tuple[str, ...]:
        """`keep`, then the edits' ids in order."""
        return ("keep", *(edit.id for edit in self.edits))


def added_demo(demo: Demo, *, cluster: str, why: str = "", source: str = "demos") -> Edit:
    """The edit that adds a demo."""
    return Edit(op=Op.ADD_DEMO, text=demo.line.text, demo=replace(demo, id=""), cluster=cluster, why=why, source=source)


def apply(prompt: Prompt, edits: Sequence[Edit]) -> Prompt:
    """The prompt with the edits made, in the order given.

    New lines and demos take ids above every id ever given. Lines added at one place stand in the order of the edits;
    demos are added at the end. Raises UserError for an unknown or locked target, for two edits of one line or demo,
    for a text that is not one line, for a demo that lacks a variable, and where no line would be left.
    """
    _check(prompt, edits)
    number = next_line_number(prompt)
    lines = {message_number: list(message.lines) for message_number, message in enumerate(prompt.messages)}
    anchors: dict[str, str] = {}
    for edit in edits:
        if edit.op is Op.ADD_LINE:
            _insert(prompt, lines, edit, Line(id=f"L{number}", text=edit.text or ""), anchors)
            number += 1
    by_target = {edit.target: edit for edit in edits if edit.target is not None}
    messages = []
    for message_number, message in enumerate(prompt.messages):
        kept = [_changed(line, by_target.get(line.id)) for line in lines[message_number]]
        messages.append(replace(message, lines=tuple(line for line in kept if line is not None)))
    if not any(message.lines for message in messages):
        raise UserError("the edits remove every line of the prompt; keep one")
    demos = [demo for demo in prompt.demos if demo.id not in by_target]
    last_demo = next_demo_number(prompt) - 1
    for edit in edits:
        if edit.demo is not None:
            last_demo += 1
            demos.append(replace(edit.demo, id=f"D{last_demo}"))
    made = with_lines(prompt, messages)
    return replace(made, demos=tuple(demos), last_line=number - 1, last_demo=last_demo)


def _check(prompt: Prompt, edits: Sequence[Edit]) -> None:
    for edit in edits:
        _check_shape(edit)
    targets = [edit.target for edit in edits if edit.target is not None]
    if len(targets) != len(set(targets)):
        raise UserError("two edits change the same line or demo; choose one of them")
    for edit in edits:
        if edit.op is Op.REMOVE_DEMO:
            _demo(prompt, edit.target)
        elif edit.target is not None and prompt.line(edit.target).locked:
            raise UserError(f"line {edit.target} is locked (take its `<!-- keep -->` away to let it change)")
        elif edit.demo is not None and (missing := lacking(prompt, edit.demo)):
            raise UserError(f"edit {edit.id}: the demo has no input {missing[0]!r}, and the prompt asks with it")


def _check_shape(edit: Edit) -> None:
    if (edit.target is None) is not (edit.op in ADDS):
        raise UserError(f"edit {edit.id}: {edit.op} {'takes no' if edit.target else 'needs a'} target line")
    if (edit.demo is None) is (edit.op is Op.ADD_DEMO):
        raise UserError(f"edit {edit.id}: {edit.op} {'needs a' if edit.demo is None else 'takes no'} demo")
    if edit.op in (Op.ADD_LINE, Op.REPLACE_LINE) and (edit.text is None or "\n" in edit.text):
        raise UserError(f"edit {edit.id}: the text of {edit.op} must be one line")


def lacking(prompt: Prompt, demo: Demo) -> tuple[str, ...]:
    """Variables of the message that demos are asked with which a demo has no value for, in alphabetical order."""
    asked = set(VARIABLE.findall(demo_template(prompt))) & prompt.variables
    return tuple(sorted(asked - set(demo.inputs)))


def _demo(prompt: Prompt, demo_id: str | None) -> Demo:
    for demo in prompt.demos:
        if demo.id == demo_id:
            return demo
    have = ", ".join(demo.id for demo in prompt.demos) or "none"
    raise UserError(f"prompt {prompt.ref}: no demo {demo_id} (it has {have})")


def _insert(prompt: Prompt, lines: dict[int, list[Line]], edit: Edit, line: Line, anchors: dict[str, str]) -> None:
    after = edit.after or END
    if after == END:
        lines[end_message(prompt)].append(line)
        return
    start = START.fullmatch(after)
    if start and int(start.group(1)) >= len(prompt.messages):
        raise UserError(f"prompt {prompt.ref}: no message {start.group(1)} (it has {len(prompt.messages)})")
    if not start:
        prompt.line(after)
    anchor = anchors.get(after, after)
    for number, found in lines.items():
        place = next((index for index, old in enumerate(found) if old.id == anchor), None)
        if place is None and anchor == after and start and number == int(start.group(1)):
            place = -1
        if place is not None:
            found.insert(place + 1, line)
            anchors[after] = line.id
            return


def _changed(line: Line, edit: Edit | None) -> Line | None:
    if edit is None:
        return line
    return None if edit.op is Op.REMOVE_LINE else replace(line, text=edit.text or "")


def end_message(prompt: Prompt) -> int:
    """Index of the message that `end` means."""
    return next((index for index, message in enumerate(prompt.messages) if message.role == "system"), 0)


def changed_lines(seed: Prompt, winner: Prompt) -> tuple[tuple[str, Line | None, Line | None], ...]:
    """Lines and demos that differ, by id: (id, that of the seed or None, that of the winner or None).

    In winner order, demos behind the lines, then what was removed. A demo comes as one line under its own id.
    """
    before = {line.id: line for line in seed.lines}
    after = {line.id: line for line in winner.lines}
    changed: list[tuple[str, Line | None, Line | None]] = []
    for line in winner.lines:
        old = before.get(line.id)
        if old is None or old.content != line.content:
            changed.append((line.id, old, line))
    had = {demo.id: demo for demo in seed.demos}
    for demo in winner.demos:
        known = had.get(demo.id)
        if known is None or (known.inputs, known.output) != (demo.inputs, demo.output):
            changed.append((demo.id, known.line if known else None, demo.line))
    changed += [(line.id, line, None) for line in seed.lines if line.id not in after]
    kept = {demo.id for demo in winner.demos}
    changed += [(demo.id, demo.line, None) for demo in seed.demos if demo.id not in kept]
    return tuple(changed)


def without_line(seed: Prompt, winner: Prompt, unit: str) -> Prompt:
    """The winner with one changed line or demo put back to what the seed has there: gone, or as it was.

    Args:
        seed: the prompt before.
        winner: the prompt after.
        unit: id of a line or a demo, as `changed_lines` names it.
    """
    if any(demo.id == unit for demo in (*seed.demos, *winner.demos)):
        return _without_demo(seed, winner, unit)
    old = next((line for line in seed.lines if line.id == unit), None)
    if not any(line.id == unit for line in winner.lines):
        return _with_restored(seed, winner, unit)
    messages = []
    for message in winner.messages:
        kept = [old if line.id == unit else line for line in message.lines]
        messages.append(replace(message, lines=tuple(line for line in kept if line is not None)))
    return with_lines(winner, messages)


def _without_demo(seed: Prompt, winner: Prompt, unit: str) -> Prompt:
    old = next((demo for demo in seed.demos if demo.id == unit), None)
    demos = [old if demo.id == unit else demo for demo in winner.demos]
    if old is not None and old not in demos:
        order = [demo.id for demo in seed.demos]
        demos.insert(_behind(order, [demo.id for demo in winner.demos], unit), old)
    return replace(winner, demos=tuple(demo for demo in demos if demo is not None), version=None)


def _with_restored(seed: Prompt, winner: Prompt, line_id: str) -> Prompt:
    """Put a removed line back behind the nearest earlier seed line that the winner still has."""
    line = seed.line(line_id)
    home = next(index for index, message in enumerate(seed.messages) if line in message.lines)
    messages = _same_messages(seed, winner)
    lines = list(messages[home].lines)
    order = [old.id for old in seed.messages[home].lines]
    lines.insert(_behind(order, [old.id for old in lines], line_id), line)
    messages[home] = replace(messages[home], lines=tuple(lines))
    return with_lines(winner, messages)


def _behind(order: Sequence[str], now: Sequence[str], unit: str) -> int:
    """Index at which a unit returns: behind the last of those that stood before it and are still there."""
    here = {old: index for index, old in enumerate(now)}
    before = [here[earlier] for earlier in order[: order.index(unit)] if earlier in here]
    return max(before) + 1 if before else 0


def _same_messages(seed: Prompt, winner: Prompt) -> list[PromptMessage]:
    """The winner's messages, with an empty one for each of the seed's that a file no longer shows."""
    messages = list(winner.messages)
    for index, old in enumerate(seed.messages):
        missing = len(messages) < len(seed.messages)
        if missing and (index >= len(messages) or not _related(old, messages[index])):
            messages.insert(index, replace(old, lines=()))
    return messages


def _related(old: PromptMessage, new: PromptMessage) -> bool:
    return old.role == new.role and (not new.lines or bool({line.id for line in old.lines} & {n.id for n in new.lines}))
