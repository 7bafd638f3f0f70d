"""OpenAI chat completions: the body of a request, `{{ name }}` left for the app, the variables named beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizer.export.base import SIDECAR, WHOLE, Exported, Parts, fill_in, flat, params, sidecar
from optimizer.prompt import Message, Prompt

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance


class Export:
    """`model`, `messages` and the parameters, and nothing that the API would refuse; a sidecar says the rest."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """Two parts."""
        model = provenance.model.removeprefix("openai/") if provenance else ""
        messages = [{"role": role, "content": text} for role, text in flat(prompt)]
        body = {**({"model": model} if model else {}), "messages": messages}
        body |= {name: value for name, value in params(prompt).items() if name not in ("model", "messages")}
        parts = {
            WHOLE: json.dumps(body, ensure_ascii=False, indent=2) + "\n",
            SIDECAR: sidecar(prompt, provenance),
        }
        return Exported(parts=parts, render=_render, notes=_notes(prompt, model))


def _notes(prompt: Prompt, model: str) -> tuple[str, ...]:
    unnamed = "the body names no model, since it is not known here (--model names one)" if not model else ""
    foreign = f"{model} is the name that litellm gives the model: write the one that your endpoint knows"
    return tuple(filter(None, (unnamed, foreign if "/" in model else "")))


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    names = json.loads(parts[SIDECAR])["variables"]
    return tuple(
        Message(role=message["role"], content=fill_in(message["content"], names, inputs))
        for message in json.loads(parts[WHOLE])["messages"]
    )
