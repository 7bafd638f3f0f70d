"""Markdown to read and to review: one fenced block a message, and where the prompt comes from at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optimizer.export.base import WHOLE, Exported, Loader, Parts, cannot, facts, fill_in, flat
from optimizer.prompt import Message, Prompt

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

_LAST = "Provenance"
_SECTION = re.compile(r"^## (\w+)\n\n(`{3,})\w+\n(.*?)\n\2(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TICKS = re.compile(r"`+")


class Export:
    """A heading and a fence that is longer than any in the text, for each message. Carriage returns cannot be said."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """One part."""
        messages = flat(prompt)
        for role, text in messages:
            if odd := re.search(r"[\r\0]", text):
                found = f"Markdown does not keep {ascii(odd.group())}, which the {role} message holds"
                raise cannot(prompt, found, "use plain newlines, or json")
        about = json.dumps(facts(prompt, provenance), ensure_ascii=False, indent=2)
        sections = [
            *((role.capitalize(), "text", text) for role, text in messages),
            (_LAST, "json", about),
        ]
        text = "\n".join([f"# {prompt.ref}\n", *(_section(*section) for section in sections)])
        return Exported(parts={WHOLE: text}, render=_render, loader=Loader(package="markdown_it", render=_load))


def _section(title: str, language: str, text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
    return f"## {title}\n\n{fence}{language}\n{text}\n{fence}\n"


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    return _filled([(found[1], found[3]) for found in _SECTION.finditer(parts[WHOLE])], inputs)


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read by a Markdown parser."""
    import importlib

    title = ""
    sections = []
    for token in importlib.import_module("markdown_it").MarkdownIt().parse(parts[WHOLE]):
        if token.type == "inline":
            title = token.content
        elif token.type == "fence":
            sections.append((title, token.content.removesuffix("\n")))
    return _filled(sections, inputs)


def _filled(sections: list[tuple[str, str]], inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    *messages, (_, about) = sections
    names = json.loads(about)["variables"]
    return tuple(Message(role=title.lower(), content=fill_in(text, names, inputs)) for title, text in messages)
