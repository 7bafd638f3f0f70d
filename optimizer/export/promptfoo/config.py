"""`promptfooconfig.yaml`: the prompt as chat JSON inside, the provider, and where it comes from.

The prompt stands in the config itself, so that the file can be called anything and be printed. promptfoo splits a
`.txt` prompt at a line `---`; chat JSON is never split, and each of its texts is rendered by Nunjucks alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from optimizer.config import ModelSpec
from optimizer.export import jinja
from optimizer.export.base import WHOLE, Exported, Parts, cannot, cut, facts, texts
from optimizer.export.promptfoo import nunjucks
from optimizer.export.promptfoo.values import arrived, inert, written
from optimizer.prompt import Message, Prompt
from optimizer.readers.emit import lines

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

SCHEMA: Final = "# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json"
PROVIDERS: Final[Mapping[str, str]] = {
    "openai": "openai:chat",
    "azure": "azure:chat",
    "anthropic": "anthropic:messages",
    "ollama": "ollama:chat",
    "ollama_chat": "ollama:chat",
    "gemini": "google",
    "vertex_ai": "vertex",
    "bedrock": "bedrock",
    "mistral": "mistral",
    "groq": "groq",
    "openrouter": "openrouter",
    "deepseek": "deepseek",
    "xai": "xai",
    "together_ai": "togetherai",
    "perplexity": "perplexity",
    "cerebras": "cerebras",
}
"""Prefix of a model's name here -> the provider's name in promptfoo."""
ECHO: Final = "echo"
"""promptfoo's provider that answers with the prompt itself."""
TAKEN: Final = ("__proto__", "_conversation", "env")


class Export:
    """One file; `promptfoo eval -c FILE` reads it."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """Raises UserError for a variable that promptfoo cannot have."""
        taken = [*prompt.variables.intersection(TAKEN), *jinja.reserved(prompt.variables)]
        if taken:
            raise cannot(prompt, f"promptfoo takes no variable that is called {taken[0]!r}", "rename it")
        known = facts(prompt, provenance)
        chat = [{"role": role, "content": nunjucks.write(pieces)} for role, pieces in cut(prompt)]
        model = known["provenance"].get("model", "")
        provider, note = _provider(model, known["params"])
        config = {
            "description": inert(f"{prompt.ref}, exported by prompt-refinement-optimizer"),
            "prompts": [{"label": inert(prompt.ref), "raw": json.dumps(chat, ensure_ascii=False, indent=2)}],
            "providers": [provider],
            "metadata": known["provenance"],
        }
        return Exported(
            parts={WHOLE: "\n".join([SCHEMA, *lines(config)]) + "\n"},
            render=_render,
            notes=(
                *note,
                "promptfoo changes values before it puts them in: it fills in names of other values, drops a newline "
                "at the end and loads file://; --with-rows writes values so that it does not",
            ),
        )


def _provider(model: str, params: Mapping[str, Any]) -> tuple[str | dict[str, Any], tuple[str, ...]]:
    """What answers, and what has to be said of it."""
    prefix, _, name = model.partition("/")
    if not model or ModelSpec(name=model).stand_in or prefix not in PROVIDERS or not name:
        why = f"promptfoo has no {model}" if model else "the model is not known here"
        return ECHO, (f"{why}: the provider is {ECHO!r}, which answers with the prompt; put yours in",)
    provider = f"{PROVIDERS[prefix]}:{name}"
    note = f"the provider is {provider}: no endpoint and no key is in the file"
    return ({"id": provider, "config": dict(params)} if params else provider), (note,)


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """As promptfoo does, for a test that holds the row as `--with-rows` writes it."""
    import yaml

    chat = json.loads(yaml.safe_load(parts[WHOLE])["prompts"][0]["raw"])
    values = arrived(written(texts(inputs)))
    return tuple(Message(role=one["role"], content=nunjucks.render(one["content"], values)) for one in chat)
