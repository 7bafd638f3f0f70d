"""YAML in the form of this package's own prompt files: a list of messages with block scalar text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.dataset import Example
from optimizer.errors import UserError
from optimizer.export.base import WHOLE, Exported, Parts
from optimizer.prompt import Message, Prompt, prepare

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance


class Export:
    """One file, provenance included. `load_prompt` reads it, and so does any YAML loader."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """One part."""
        from optimizer.readers.provenance import Provenance
        from optimizer.readers.versions import dump_prompt

        return Exported(parts={WHOLE: dump_prompt(prompt, provenance or Provenance())}, render=_render)


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    return prepare(_read(parts[WHOLE]), Example(id="", inputs=inputs))


@lru_cache(maxsize=1)
def _read(text: str) -> Prompt:
    """Read by our own loader; a plain YAML loader must see the same text."""
    import yaml

    from optimizer.readers.prompts import parse_prompt

    read = parse_prompt(text, Path("export.yaml")).prompt
    plain = [message["content"] for message in yaml.safe_load(text)["messages"]]
    if plain != [message.text for message in read.messages]:
        raise UserError("as yaml the prompt would read differently in other programs (use json)")
    return read
