"""Chat JSON: `messages` as chat APIs take them, `{{ name }}` left for the app, `variables` named beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizer.export.base import WHOLE, Exported, Parts, facts, fill_in, flat
from optimizer.prompt import Message, Prompt

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance


class Export:
    """One JSON object: messages, variables, params, provenance. Demos are written out as messages."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """One part."""
        messages = [{"role": role, "content": text} for role, text in flat(prompt)]
        text = json.dumps({"messages": messages, **facts(prompt, provenance)}, ensure_ascii=False, indent=2)
        return Exported(parts={WHOLE: text + "\n"}, render=_render)


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    read = json.loads(parts[WHOLE])
    return tuple(
        Message(role=message["role"], content=fill_in(message["content"], read["variables"], inputs))
        for message in read["messages"]
    )
