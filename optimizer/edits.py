"""Edits: the smallest changes to a prompt, and the slots in which they compete. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from optimizer.dataset import canonical_json
from optimizer.errors import UserError
from optimizer.prompt import Line, Prompt, PromptMessage, next_line_number, with_lines

END = "end"
"""The end of the first system message, or of the first message where there is none."""


class Op(StrEnum):
    """Kinds of edit."""

    ADD_LINE = "add_line"
    REPLACE_LINE = "replace_line"
    REMOVE_LINE = "remove_line"


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One atomic change, with the cluster it aims at and why."""

    op: Op
    target: str | None = None
    """Line id that is replaced or removed; None for an added line."""
    after: str | None = None
    """Line id, or `end`, behind which a line is added; None otherwise."""
    text: str | None = None
    """The new text, one line; None for a removal."""
    cluster: str = ""
    """Id of the cluster it aims at; a line of the user's own is tried on the largest."""
    why: str = ""
    """The proposer's reason."""
    source: str = "mined"
    """`mined`, `llm` or `user`."""

    @property
    def id(self) -> str:
        """`e` and 8 hex digits: the same change has the same id, whoever proposed it."""
        content = canonical_json([self.op, self.target, self.after, self.text])
        # A model may write half a surrogate pair; the edit is refused later, by its id.
        return f"e{hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"

    @property
    def slot(self) -> str:
        """The place it competes for: a line, or (for an added line) its cluster."""
        return self.target if self.target is not None else f"+{self.cluster or self.id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """Edits that compete for one place: one categorical parameter of the search, `keep` included."""

    id: str
    """Line id, or `+` and a cluster id."""
    edits: tuple[Edit, ...]
    """At least one."""

    @property
    def choices(self) -> tuple[str, ...]:
        """`keep`, then the edits' ids in order."""
        return ("keep", *(edit.id for edit in self.edits))


def slots(edits: Iterable[Edit]) -> tuple[Slot, ...]:
    """Group edits by the place they compete for, in order of first appearance; equal edits count once."""
    grouped: dict[str, dict[str, Edit]] = {}
    for edit in edits:
        grouped.setdefault(edit.slot, {}).setdefault(edit.id, edit)
    return tuple(Slot(id=slot, edits=tuple(found.values())) for slot, found in grouped.items())


def apply(prompt: Prompt, edits: Sequence[Edit]) -> Prompt:
    """The prompt with the edits made, in the order given.

    New lines take ids above every id ever given. Lines added at one place stand in the order of the edits.
    Raises UserError for an unknown or locked target, for two edits of one line, for a text that is not one line,
    and where no line would be left.
    """
    for edit in edits:
        _check(edit)
    targets = [edit.target for edit in edits if edit.target is not None]
    if len(targets) != len(set(targets)):
        raise UserError("two edits change the same line; choose one of them")
    for target in targets:
        if prompt.line(target).locked:
            raise UserError(f"line {target} is locked (take its `<!-- keep -->` away to let it change)")
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
    return replace(with_lines(prompt, messages), last_line=number - 1)


def _check(edit: Edit) -> None:
    if (edit.target is None) is not (edit.op is Op.ADD_LINE):
        raise UserError(f"edit {edit.id}: {edit.op} {'takes no' if edit.target else 'needs a'} target line")
    if edit.op is not Op.REMOVE_LINE and (edit.text is None or "\n" in edit.text):
        raise UserError(f"edit {edit.id}: the text of {edit.op} must be one line")


def _insert(prompt: Prompt, lines: dict[int, list[Line]], edit: Edit, line: Line, anchors: dict[str, str]) -> None:
    after = edit.after or END
    if after == END:
        lines[end_message(prompt)].append(line)
        return
    prompt.line(after)
    anchor = anchors.get(after, after)
    for found in lines.values():
        place = next((index for index, old in enumerate(found) if old.id == anchor), None)
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
    """Lines that differ, by id: (id, line of the seed or None, line of the winner or None), in winner order."""
    before = {line.id: line for line in seed.lines}
    after = {line.id: line for line in winner.lines}
    changed: list[tuple[str, Line | None, Line | None]] = []
    for line in winner.lines:
        old = before.get(line.id)
        if old is None or old.content != line.content:
            changed.append((line.id, old, line))
    changed += [(line.id, line, None) for line in seed.lines if line.id not in after]
    return tuple(changed)


def without_line(seed: Prompt, winner: Prompt, line_id: str) -> Prompt:
    """The winner with one changed line put back to what the seed has there: gone, or as it was."""
    old = next((line for line in seed.lines if line.id == line_id), None)
    if not any(line.id == line_id for line in winner.lines):
        return _with_restored(seed, winner, line_id)
    messages = []
    for message in winner.messages:
        kept = [old if line.id == line_id else line for line in message.lines]
        messages.append(replace(message, lines=tuple(line for line in kept if line is not None)))
    return with_lines(winner, messages)


def _with_restored(seed: Prompt, winner: Prompt, line_id: str) -> Prompt:
    """Put a removed line back behind the nearest earlier seed line that the winner still has."""
    line = seed.line(line_id)
    home = next(index for index, message in enumerate(seed.messages) if line in message.lines)
    messages = _same_messages(seed, winner)
    order = [old.id for old in seed.messages[home].lines]
    lines = list(messages[home].lines)
    here = {old.id: index for index, old in enumerate(lines)}
    before = [here[earlier] for earlier in order[: order.index(line_id)] if earlier in here]
    lines.insert(max(before) + 1 if before else 0, line)
    messages[home] = replace(messages[home], lines=tuple(lines))
    return with_lines(winner, messages)


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
