"""Which message of a prompt goes to a key."""

from __future__ import annotations

import re

from optimizer.errors import UserError
from optimizer.export.base import published
from optimizer.prompt import Prompt, PromptMessage

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def choose(prompt: Prompt, wanted: str | None, role: str, base: Prompt | None) -> PromptMessage:
    """The one message that goes to a key.

    The one that `wanted` names, else the one whose role is `role` (the key's last part) or a word of it, as in
    `TRIAGE_SYSTEM`, else the only one there is, else the only one that differs from `base`. Raises UserError with
    the choices.
    """
    messages = prompt.messages
    if wanted is not None:
        found = [m for number, m in enumerate(messages, 1) if wanted in (m.role, str(number))]
        if len(found) == 1:
            return found[0]
        told = "several messages have" if found else "no message has"
        raise UserError(f"prompt {prompt.ref}: {told} the role or number {wanted!r} ({_choices(messages)})")
    words = {word.lower() for word in _WORD.findall(role)}
    for candidates in (
        [m for m in messages if m.role == role],
        [m for m in messages if m.role in words],
        list(messages),
        changed(messages, base),
    ):
        if len(candidates) == 1:
            return candidates[0]
    raise UserError(f"prompt {prompt.ref}: a key takes one message, say which ({_choices(messages)})")


def changed(messages: tuple[PromptMessage, ...], base: Prompt | None) -> list[PromptMessage]:
    """Messages that `base` does not have; none where there is no base."""
    if base is None:
        return []
    before = [(message.role, message.text) for message in published(base).messages]
    return [message for message in messages if (message.role, message.text) not in before]


def _choices(messages: tuple[PromptMessage, ...]) -> str:
    roles = [message.role for message in messages]
    listed = [role if roles.count(role) == 1 else str(number) for number, role in enumerate(roles, 1)]
    return "one of: " + ", ".join(f"--message {choice}" for choice in listed)
