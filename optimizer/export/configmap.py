"""Kubernetes: an immutable ConfigMap that is named after what it holds, with the prompt as chat JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from optimizer.export.base import SIDECAR, WHOLE, Exported, Parts, cannot, facts, fill_in, flat
from optimizer.prompt import Message, Prompt
from optimizer.readers import emit

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

_MOST_BYTES = 1024 * 1024
"""What Kubernetes takes for all of a ConfigMap's data."""
_MOST_NAME = 63
_KEY = "prompt.json"
_ODD = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NOTES = (
    "its name holds the prompt's hash, so that a new prompt is a new ConfigMap: name it in the Deployment that uses it",
    "not for a Helm template, which would run {{ name }} itself: there, read the file with .Files.Get",
)


class Export:
    """`prompt.json` has messages, variables and params, `provenance.json` where they come from."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """One part."""
        told = facts(prompt, provenance)
        about = told.pop("provenance")
        messages = [{"role": role, "content": text} for role, text in flat(prompt)]
        data = {_KEY: _json({"messages": messages, **told}), SIDECAR: _json(about)}
        if sum(len(text.encode()) for text in data.values()) > _MOST_BYTES:
            raise cannot(prompt, "it is larger than the 1 MiB that a ConfigMap holds", "mount a file: json")
        annotations = {"prompt": prompt.ref, "sha256": prompt.fingerprint}
        lines = [
            "apiVersion: v1",
            "kind: ConfigMap",
            "metadata:",
            f"  name: {emit.quoted(_name(prompt))}",
            "  annotations:",
            *(f"    {key}: {emit.quoted(value)}" for key, value in annotations.items()),
            "immutable: true",
            "data:",
            *(f"  {key}: {emit.block(text, 4)}" for key, text in data.items()),
        ]
        return Exported(parts={WHOLE: "\n".join(lines) + "\n"}, render=_render, notes=_NOTES)


def _name(prompt: Prompt) -> str:
    """A name as DNS takes it: small letters, digits and dashes, a letter or digit at both ends."""
    version = "" if prompt.version is None else f"-v{prompt.version}"
    tail = f"{version}-{prompt.fingerprint[:8]}"
    plain = re.sub(r"[^a-z0-9]+", "-", prompt.name.lower()).strip("-")[: _MOST_NAME - len(tail)].strip("-")
    return f"{plain or 'prompt'}{tail}"


def _json(value: Any) -> str:
    """JSON over several lines, in which nothing but newlines would trouble a YAML block."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return _ODD.sub(lambda found: json.dumps(found.group())[1:-1], text)


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    read = _read(parts[WHOLE])
    return tuple(
        Message(role=message["role"], content=fill_in(message["content"], read["variables"], inputs))
        for message in read["messages"]
    )


@lru_cache(maxsize=1)
def _read(text: str) -> dict[str, Any]:
    import yaml

    read: dict[str, Any] = json.loads(yaml.safe_load(text)["data"][_KEY])
    return read
