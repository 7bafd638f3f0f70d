"""Text files: the exact bytes of the one message, or one file a message."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizer.export.base import SIDECAR, WHOLE, Exported, Parts, fill_in, flat, sidecar
from optimizer.prompt import Message, Prompt

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance


class Export:
    """No header, no final newline added: the file is the message. A sidecar says the rest."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """One part a message: the file itself, or `system`, `user`; `1-user`, `2-assistant` where roles repeat."""
        messages = flat(prompt)
        names = _names([role for role, _ in messages])
        parts = {name: text for name, (_, text) in zip(names, messages, strict=True)}
        order = [{"role": role, "part": name} for name, (role, _) in zip(names, messages, strict=True)]
        return Exported(parts={**parts, SIDECAR: sidecar(prompt, provenance, messages=order)}, render=_render)


def _names(roles: list[str]) -> list[str]:
    if len(roles) == 1:
        return [WHOLE]
    if max(Counter(roles).values()) == 1:
        return roles
    return [f"{number}-{role}" for number, role in enumerate(roles, 1)]


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    beside = json.loads(parts[SIDECAR])
    return tuple(
        Message(role=entry["role"], content=fill_in(parts[entry["part"]], beside["variables"], inputs))
        for entry in beside["messages"]
    )
