"""LangChain: a serialized ChatPromptTemplate with f-string templates, which `langchain_core.load.loads` reads."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optimizer.export.base import (
    SIDECAR,
    WHOLE,
    Exported,
    Loader,
    Parts,
    Piece,
    Variable,
    cannot,
    cut,
    sidecar,
    texts,
)
from optimizer.prompt import Message, Prompt

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

_CLASSES = {
    "system": "SystemMessagePromptTemplate",
    "user": "HumanMessagePromptTemplate",
    "assistant": "AIMessagePromptTemplate",
}
_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class Export:
    """The template, with every brace of the text doubled; a sidecar with variables, parameters, provenance."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """Two parts."""
        if "stop" in prompt.variables:
            raise cannot(prompt, "LangChain refuses a variable called stop", "rename it")
        messages = []
        for role, pieces in cut(prompt):
            if role not in _CLASSES:
                raise cannot(prompt, f"LangChain has no template for the role {role!r}", "use openai or json")
            messages.append(_object(["chat", _CLASSES[role]], {"prompt": _template(pieces)}))
        names = sorted(prompt.variables)
        chat = _object(["chat", "ChatPromptTemplate"], {"input_variables": names, "messages": messages})
        text = json.dumps(chat, ensure_ascii=False, indent=2) + "\n"
        parts = {WHOLE: text, SIDECAR: sidecar(prompt, provenance)}
        return Exported(parts=parts, render=_render, loader=Loader(package="langchain_core", render=_load))


def _template(pieces: Sequence[Piece]) -> dict[str, Any]:
    names = sorted({piece.name for piece in pieces if isinstance(piece, Variable)})
    text = "".join(
        f"{{{piece.name}}}" if isinstance(piece, Variable) else piece.replace("{", "{{").replace("}", "}}")
        for piece in pieces
    )
    kwargs = {"input_variables": names, "template": text, "template_format": "f-string"}
    return _object(["prompt", "PromptTemplate"], kwargs)


def _object(path: list[str], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "prompts", *path],
        "kwargs": kwargs,
        "name": path[-1],
    }


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """An f-string of LangChain is filled by Python's own formatter."""
    role_of = {name: role for role, name in _CLASSES.items()}
    return tuple(
        Message(
            role=role_of[message["id"][-1]],
            content=string.Formatter().vformat(message["kwargs"]["prompt"]["kwargs"]["template"], (), texts(inputs)),
        )
        for message in json.loads(parts[WHOLE])["kwargs"]["messages"]
    )


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read by LangChain itself."""
    import importlib
    import warnings

    load = importlib.import_module("langchain_core.load")
    with warnings.catch_warnings():
        # It says that its loader is a beta.
        warnings.simplefilter("ignore")
        template = load.loads(parts[WHOLE], allowed_objects="core")
    messages = template.format_messages(**texts(inputs))
    return tuple(Message(role=_ROLES[message.type], content=message.content) for message in messages)
