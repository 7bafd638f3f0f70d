"""LiteLLM proxy: a config with the model and the messages that stay the same; the app sends the rest.

The proxy's own prompts are lines behind `System:`, `User:`, `Assistant:`. It cuts blanks off both ends of every line,
those of inputs too, and takes a line of an input that begins with such a word for a message. So inputs never go
through it: the messages from the first variable on are a request, which the proxy appends to its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from optimizer.export import jinja
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
    fill_in,
    flat,
    params,
    sidecar,
)
from optimizer.prompt import Message, Prompt
from optimizer.readers import emit

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

_HEADS = {"system": "System:", "user": "User:", "assistant": "Assistant:"}
_NOTES = (
    "the app sends what `request` in the sidecar says, and the proxy puts its own messages before those",
    "the proxy reads keys from the environment: none stands in the file",
)


class Export:
    """`model_list` and `prompts` of a proxy's config.yaml; `request`, what the app sends, in the sidecar."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """Two parts."""
        held, faults = _held(cut(prompt))
        if not held:
            raise cannot(prompt, faults, "give the fixed text a message of its own before the variables, or use openai")
        content = "\n".join(f"{_HEADS[role]} {jinja.write([text])}" for role, text in held)
        model = provenance.model if provenance else ""
        rest = [{"role": role, "content": text} for role, text in flat(prompt)[len(held) :]]
        request = {"model": prompt.name, "prompt_id": prompt.name, "messages": rest}
        parts = {
            WHOLE: "\n".join(emit.lines(_config(prompt, model, content))) + "\n",
            SIDECAR: sidecar(prompt, provenance, request=request),
        }
        unnamed = () if model else ("the config lists no model, since it is not known here (--model names one)",)
        loader = Loader(package="litellm", render=_load)
        return Exported(parts=parts, render=_render, loader=loader, notes=(*_NOTES, *unnamed))


def _held(messages: Sequence[tuple[str, Sequence[Piece]]]) -> tuple[list[tuple[str, str]], str]:
    """(role, text) of the leading messages that the proxy can hold, and why it cannot hold the next one."""
    held: list[tuple[str, str]] = []
    for role, pieces in messages:
        if any(isinstance(piece, Variable) for piece in pieces):
            return held, "LiteLLM changes inputs, and the first message has a variable"
        text = "".join(str(piece) for piece in pieces)
        if fault := _fault(role, text):
            return held, fault
        held.append((role, text))
    return held, ""


def _fault(role: str, text: str) -> str:
    lines = text.split("\n")
    if role not in _HEADS:
        return f"LiteLLM has no prefix for the role {role!r}"
    if not text.strip():
        return f"LiteLLM leaves the blank {role} message out"
    if text != text.strip() or any(line != line.strip() for line in lines):
        return f"LiteLLM cuts blanks off the ends of the {role} message or of a line in it"
    if any(line.startswith(tuple(_HEADS.values())) for line in lines[1:]):
        return f"LiteLLM begins a new message at a line of the {role} message"
    return ""


def _config(prompt: Prompt, model: str, content: str) -> dict[str, Any]:
    listed = {"model_list": [{"model_name": prompt.name, "litellm_params": {"model": model}}]} if model else {}
    entry = {
        "prompt_id": prompt.name,
        "litellm_params": {
            "prompt_id": prompt.name,
            "prompt_integration": "dotprompt",
            # What stands in the metadata goes into the call, so that it is the parameters and nothing else.
            "prompt_data": {"content": content, **({"metadata": params(prompt)} if params(prompt) else {})},
        },
        "prompt_info": {"prompt_type": "config", "prompt": prompt.ref, "sha256": prompt.fingerprint},
    }
    return {**listed, "prompts": [entry]}


def _sent(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    beside = json.loads(parts[SIDECAR])
    return tuple(
        Message(role=message["role"], content=fill_in(message["content"], beside["variables"], inputs))
        for message in beside["request"]["messages"]
    )


@lru_cache(maxsize=1)
def _entry(text: str) -> dict[str, Any]:
    import yaml

    entry: dict[str, Any] = yaml.safe_load(text)["prompts"][0]
    return entry


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Cut at the heads, each line and each message trimmed, then what the app sends."""
    found: list[tuple[str, list[str]]] = []
    source = _entry(parts[WHOLE])["litellm_params"]["prompt_data"]["content"]
    for line in jinja.render(source, {}).strip().split("\n"):
        head = re.match(r"(System|User|Assistant):(.*)", line.strip(), re.DOTALL)
        if head:
            found.append((head.group(1).lower(), [head.group(2).strip()]))
        else:
            found[-1][1].append(line.strip())
    own = (Message(role=role, content="\n".join(lines).strip()) for role, lines in found)
    return (*own, *_sent(parts, inputs))


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read by LiteLLM's own prompt manager, as its proxy does when it starts."""
    import importlib
    import os

    # Without it, the import downloads a list of prices.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    manager = importlib.import_module("litellm.integrations.dotprompt")
    specs = importlib.import_module("litellm.types.prompts.init_prompts")
    spec = specs.PromptSpec(**_entry(parts[WHOLE]))
    sent = [{"role": message.role, "content": message.content} for message in _sent(parts, inputs)]
    _, messages, _ = manager.prompt_initializer(spec.litellm_params, spec).get_chat_completion_prompt(
        model="none",
        messages=sent,
        non_default_params={},
        prompt_id=spec.prompt_id,
        prompt_variables=None,
        dynamic_callback_params={},
    )
    return tuple(Message(role=message["role"], content=message["content"]) for message in messages)
