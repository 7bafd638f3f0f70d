"""MLflow's prompt registry: JSON of the arguments of `mlflow.genai.register_prompt`.

MLflow has two ways to fill a template. The plain one replaces one name after the other, so a value that holds another
variable's `{{ name }}` is filled in again, and any `{{ word }}` is a variable. The other is Jinja2, which it takes
where one message holds both `{%` and `%}`. A prompt that the plain way would change is written for Jinja2.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from optimizer.dataset import display
from optimizer.export import jinja
from optimizer.export.base import WHOLE, Exported, Loader, Parts, Piece, Variable, cannot, cut, facts, texts
from optimizer.prompt import Message, Prompt

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

LONGEST: Final = 100_000
"""Characters of JSON that the registry takes."""
LINE: Final = "python -c 'import json, mlflow; mlflow.genai.register_prompt(**json.load(open(\"FILE\")))'"

_UNNAMED = re.compile(r"[^a-zA-Z0-9_.-]+")
_PATTERN = re.compile(r"\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*(?:\.[a-zA-Z_][a-zA-Z0-9_]*)*)\s*\}\}")
_TAKEN = ("self", "allow_partial", "use_jinja_sandbox")
_JINJA = "{% raw %}{% endraw %}"
"""Renders as nothing; MLflow looks for it."""


class Export:
    """One file. Provenance goes into the tags."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """Raises UserError for a prompt that MLflow cannot hold."""
        messages = cut(prompt)
        plain = _plain(prompt, [pieces for _, pieces in messages])
        written = plain or [_for_jinja(pieces) for _, pieces in messages]
        if not plain:
            written[0] = _JINJA + written[0]
        _check_names(prompt, jinja_mode=not plain)
        chat = [{"role": role, "content": text} for (role, _), text in zip(messages, written, strict=True)]
        if len(json.dumps(chat)) > LONGEST:
            raise cannot(prompt, f"it is longer than the {LONGEST} characters that MLflow takes", "shorten it")
        name = _UNNAMED.sub("-", prompt.name)
        known = facts(prompt, provenance)
        arguments = {
            "name": name,
            "template": chat,
            "commit_message": f"{prompt.ref}, exported by prompt-refinement-optimizer",
            "tags": _tags(known["provenance"]),
        }
        settings = _settings(known)
        if settings:
            arguments["model_config"] = settings
        return Exported(
            parts={WHOLE: json.dumps(arguments, ensure_ascii=False, indent=2) + "\n"},
            render=_render,
            loader=Loader(package="mlflow", render=_load),
            notes=_notes(prompt, name, jinja_mode=not plain),
        )


def _plain(prompt: Prompt, messages: Sequence[Sequence[Piece]]) -> list[str]:
    """The messages for MLflow's plain way; empty where that would change one, whatever the values."""
    if len(prompt.variables) > 1 or "prompt" in prompt.variables:
        return []
    written = ["".join(_named(piece) for piece in pieces) for pieces in messages]
    marks = {name: f"\0{name}\0" for name in prompt.variables}
    for text, pieces in zip(written, messages, strict=True):
        wanted = "".join(marks[piece.name] if isinstance(piece, Variable) else piece for piece in pieces)
        if _fill(text, marks) != wanted or not prompt.variables.issuperset(_PATTERN.findall(text)):
            return []
    return [] if _is_jinja(written) else written


def _named(piece: Piece) -> str:
    return f"{{{{ {piece.name} }}}}" if isinstance(piece, Variable) else piece


def _for_jinja(pieces: Sequence[Piece]) -> str:
    """Jinja2 drops one newline at the end of a template."""
    written = jinja.write(pieces)
    return f"{written}\n" if written.endswith("\n") else written


def _is_jinja(messages: Iterable[str]) -> bool:
    return any("{%" in text and "%}" in text for text in messages)


def _check_names(prompt: Prompt, *, jinja_mode: bool) -> None:
    taken = [*prompt.variables.intersection(_TAKEN), *(jinja.reserved(prompt.variables) if jinja_mode else ())]
    if taken:
        raise cannot(prompt, f"MLflow takes no variable that is called {taken[0]!r}", "rename it")


def _tags(origin: Mapping[str, Any]) -> dict[str, str]:
    """What a tag can hold: text."""
    tags = {key: str(origin[key]) for key in ("prompt", "sha256", "parent", "run") if key in origin}
    test = origin.get("scores", {}).get("test", {})
    return tags | {f"test_{key}": display(test[key]) for key in ("n", "gain", "ci", "verdict") if key in test}


def _settings(known: Mapping[str, Any]) -> dict[str, Any]:
    """`model_config`: the model's name without its provider, which stands beside it."""
    provider, _, model = known["provenance"].get("model", "").rpartition("/")
    named = {key: value for key, value in (("provider", provider), ("model_name", model)) if value}
    params = dict(known["params"])
    if "stop" in params:
        stop = params.pop("stop")
        params["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    return {**named, **params}


def _notes(prompt: Prompt, name: str, *, jinja_mode: bool) -> tuple[str, ...]:
    notes = [f"register it with: {LINE}"]
    if jinja_mode:
        notes.append(
            "MLflow's plain templates would change this prompt: it is written for Jinja2, which MLflow asks for"
        )
    if name != prompt.name:
        notes.append(f"MLflow takes no such name as {prompt.name!r}: it is {name!r} there")
    return tuple(notes)


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    chat = json.loads(parts[WHOLE])["template"]
    values = texts(inputs)
    if not _is_jinja(message["content"] for message in chat):
        return tuple(Message(role=one["role"], content=_fill(one["content"], values)) for one in chat)
    sources = [one["content"].replace(_JINJA, "").removesuffix("\n") for one in chat]
    return tuple(
        Message(role=one["role"], content=jinja.render(source, values))
        for one, source in zip(chat, sources, strict=True)
    )


def _fill(text: str, values: Mapping[str, str]) -> str:
    """MLflow's plain way: one name after the other."""
    for name, value in values.items():
        text = value.join(re.split(rf"\{{\{{\s*{re.escape(name)}\s*\}}\}}", text))
    return text


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    # It would ask for its settings over the network.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.entities.model_registry import PromptVersion

    filled = PromptVersion(version=1, **json.loads(parts[WHOLE])).format(**texts(inputs))
    return tuple(Message(role=message["role"], content=message["content"]) for message in filled)
