"""Langfuse: JSON of the arguments of `Langfuse.create_prompt`.

Langfuse takes what stands between `{{` and the next `}}` for a name, and leaves unknown names as they are. There is
no escape: text that it would read otherwise than we do is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from optimizer.export.base import WHOLE, Exported, Loader, Parts, Piece, Variable, cannot, cut, facts, texts
from optimizer.prompt import Message, Prompt
from optimizer.wording import quote

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

LABEL: Final = "candidate"
"""`production` would be served at once."""
LINE: Final = "python -c 'import json, langfuse; langfuse.get_client().create_prompt(**json.load(open(\"FILE\")))'"

_NAMED = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


class Export:
    """One file. Parameters and provenance go into `config`, which Langfuse keeps with each version."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """Raises UserError for a text that Langfuse cannot hold."""
        if "self" in prompt.variables:
            raise cannot(prompt, "Langfuse takes no variable that is called 'self'", "rename it")
        known = facts(prompt, provenance)
        model = known["provenance"].get("model")
        arguments = {
            "name": prompt.name,
            "type": "chat",
            "prompt": [{"role": role, "content": _written(prompt, role, pieces)} for role, pieces in cut(prompt)],
            "labels": [LABEL],
            "tags": ["prompt-refinement-optimizer"],
            "config": {
                **({"model": model} if model else {}),
                **known["params"],
                "variables": known["variables"],
                "provenance": known["provenance"],
            },
            "commit_message": f"{prompt.ref}, exported by prompt-refinement-optimizer",
        }
        return Exported(
            parts={WHOLE: json.dumps(arguments, ensure_ascii=False, indent=2) + "\n"},
            render=_render,
            loader=Loader(package="langfuse", render=_load),
            notes=(
                f"create it with: {LINE}",
                f"it gets the label {LABEL!r}: what is served is labelled 'production', which is yours to give",
                "Langfuse writes a value that is not text with str(): pass text",
            ),
        )


def _written(prompt: Prompt, role: str, pieces: Sequence[Piece]) -> str:
    """The message. Raises UserError where Langfuse would put values in at other places than we do."""
    text, ours = "", set()
    for piece in pieces:
        written = f"{{{{{piece.name}}}}}" if isinstance(piece, Variable) else piece
        if isinstance(piece, Variable):
            ours.add((len(text), len(text) + len(written)))
        text += written
    read = [(found.span(), found.group(1).strip()) for found in _NAMED.finditer(text)]
    theirs = {span for span, name in read if name in prompt.variables}
    for start, end in sorted(theirs ^ ours):
        if (start, end) in theirs:
            what = f"Langfuse would fill in {quote(text[start:end])} of the {role} message, which is text there"
            raise cannot(prompt, what, "it has no escape: write the text otherwise, or rename the variable")
        whole = next((text[slice(*span)] for span, _ in read if span[0] <= start < span[1]), text[start:end])
        what = f"Langfuse would read {quote(whole)} of the {role} message as one name"
        raise cannot(prompt, what, "it has no escape: take the braces before the variable away")
    return text


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    values = texts(inputs)
    chat = json.loads(parts[WHOLE])["prompt"]
    return tuple(
        Message(
            role=one["role"],
            content=_NAMED.sub(lambda found: values.get(found.group(1).strip(), found.group(0)), one["content"]),
        )
        for one in chat
    )


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    from langfuse.api import Prompt_Chat
    from langfuse.model import ChatPromptClient

    read = Prompt_Chat.model_validate({**json.loads(parts[WHOLE]), "version": 1})
    filled = ChatPromptClient(read).compile(**texts(inputs))
    return tuple(Message(role=message["role"], content=message["content"]) for message in filled)
