"""Prompty: YAML front matter, and a Jinja2 body in which lines like `user:` begin a message."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizer.export import jinja
from optimizer.export.base import WHOLE, Exported, Loader, Parts, Variable, cannot, cut, facts, params, texts
from optimizer.prompt import Message, Prompt
from optimizer.readers import emit

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

_ROLES = ("system", "user", "assistant", "developer")
# Every line that its parser could take for the head of a message, whatever stands in the brackets.
_HEAD = re.compile(rf"^\s*#?\s*({'|'.join(_ROLES)})\s*(\[.*\])?\s*:\s*$", re.IGNORECASE)
_FENCE = re.compile(r"-{3,}|\+{3,}")
_BREAK = re.compile("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_DOCUMENT = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_OPTIONS = {
    "temperature": "temperature",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "seed": "seed",
    "stop": "stopSequences",
}
_NOTES = (
    "Prompty makes every line end of an input a plain newline and cuts blank lines off both ends of a message",
    "Prompty refuses an input with a line that is only a role and a colon, such as `user:` (its strict mode)",
)


class Export:
    """One file. A line that would begin a message, and blank lines at a message's ends, cannot be said."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """One part."""
        messages = cut(prompt)
        _check(prompt)
        for role, pieces in messages:
            text = "".join("x" if isinstance(piece, Variable) else piece for piece in pieces)
            _check_message(prompt, role, text)
        body = "".join(f"{role}:\n{jinja.write(pieces)}\n" for role, pieces in messages)
        text = f"---\n{_front(prompt, provenance)}\n---\n{body}"
        notes = _NOTES if prompt.variables else ()
        loader = Loader(package="prompty", render=_load)
        return Exported(parts={WHOLE: text}, render=_render, loader=loader, notes=notes, arrives=_arrives)


def _check(prompt: Prompt) -> None:
    if taken := jinja.reserved(prompt.variables):
        raise cannot(prompt, f"Jinja2 keeps the name {taken[0]} to itself", "rename the variable")
    if any("${" in text for text in _strings(dict(prompt.params))):
        raise cannot(prompt, "Prompty resolves ${...} in a parameter", "use openai or json")


def _check_message(prompt: Prompt, role: str, text: str) -> None:
    if role not in _ROLES:
        raise cannot(prompt, f"Prompty has no role {role!r}", "use openai or json")
    if odd := _BREAK.search(text):
        raise cannot(prompt, f"Prompty turns {ascii(odd.group())} into a newline", "use plain newlines, or json")
    if text != text.strip("\n"):
        raise cannot(
            prompt, f"Prompty cuts blank lines off the ends of the {role} message", "take them out, or use json"
        )
    for line in text.split("\n"):
        if _HEAD.match(line.strip()):
            found = f"Prompty begins a new message at the line {line.strip()!r}"
            raise cannot(prompt, found, "write something behind the colon, or use json")


def _front(prompt: Prompt, provenance: Provenance | None) -> str:
    about = facts(prompt, provenance)["provenance"]
    options: dict[str, Any] = {}
    for name, value in params(prompt).items():
        if name in _OPTIONS:
            listed = [value] if name == "stop" and isinstance(value, str) else value
            options[_OPTIONS[name]] = listed
        else:
            options.setdefault("additionalProperties", {})[name] = value
    provider, _, model = about.get("model", "").rpartition("/")
    named = {"id": model, **({"provider": provider} if provider else {})} if model else {}
    front: dict[str, Any] = {
        "name": prompt.name,
        "metadata": about,
        "model": {**named, "apiType": "chat", **({"options": options} if options else {})},
        **({"inputs": [_input(name) for name in sorted(prompt.variables)]} if prompt.variables else {}),
        "template": {"format": {"kind": "jinja2", "strict": True}, "parser": {"kind": "prompty"}},
    }
    text = "\n".join(emit.lines(front))
    if not _FENCE.search(text):
        return text
    # The front matter ends at the first fence, even inside of a value: as JSON every sign can be an escape.
    return _FENCE.sub(lambda found: f"\\u{ord(found.group()[0]):04x}" * len(found.group()), json.dumps(front, indent=2))


def _input(name: str) -> dict[str, Any]:
    return {"name": name, "kind": "string", "required": True}


def _strings(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in _strings(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []


def _arrives(text: str) -> str:
    return "\n".join(text.splitlines()).strip("\n")


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Render the body, then cut it at the heads of messages, as Prompty does."""
    document = _DOCUMENT.match(parts[WHOLE])
    if document is None or _FENCE.search(document.group(1)):
        raise ValueError("no front matter between two lines of ---")
    found: list[tuple[str, list[str]]] = []
    for line in jinja.render(document.group(2), texts(inputs)).splitlines():
        if head := _HEAD.match(line.strip()):
            found.append((head.group(1).lower(), []))
        else:
            found[-1][1].append(line)
    return tuple(Message(role=role, content="\n".join(lines).strip("\n")) for role, lines in found)


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read by the package itself, which wants a file."""
    import importlib
    import tempfile
    from pathlib import Path

    prompty = importlib.import_module("prompty")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.prompty"
        path.write_bytes(parts[WHOLE].encode())
        messages = prompty.prepare(prompty.load(path), texts(inputs))
    return tuple(Message(role=message.role, content=message.text) for message in messages)
