"""Dotprompt: YAML front matter, and a Handlebars body in which `{{role "user"}}` begins a message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optimizer.export.base import WHOLE, Exported, Loader, Parts, Piece, Variable, cannot, cut, facts, params, texts
from optimizer.prompt import Message, Prompt
from optimizer.readers import emit

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

_ROLES = {"system": "system", "user": "user", "assistant": "model"}


class _Tag(str):
    """What stands between `{{` and `}}`."""


_ENDED = _Tag('role "user"')
"""A marker behind the last message: what a body ends with would be trimmed, and a message without text is dropped."""
_MARKER = "<<<dotprompt:"
_HELPERS = frozenset(
    ("role", "history", "json", "media", "section", "ifEquals", "unlessEquals", "if", "unless", "each", "with")
    + ("lookup", "log", "raw", "blockHelperMissing", "helperMissing")
)
"""Names that call something, unless they are written as a path."""
_TAKEN = frozenset(("this", "else", "true", "false", "null", "undefined", "as", "__proto__"))
_CONFIG = {
    "temperature": "temperature",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "top_p": "topP",
    "top_k": "topK",
    "stop": "stopSequences",
}
_PROVIDERS = {"gemini/": "googleai/", "vertex_ai/": "vertexai/"}
_BRACES = re.compile(r"(\\*)(\{\{)|([^\\{]+|\\+(?!\\|\{\{)|\{(?!\{))")
# Dotprompt is written in several languages; one of them takes a byte order mark for a blank.
_BLANK = re.compile(r"[\s\ufeff]*")
_BODY = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_OPEN = re.compile(r"(\\*)\{\{")
_TAG = re.compile(r'(~)?(?:role "([a-z]+)"|(!)|(?:this\.)?([A-Za-z_][A-Za-z0-9_]*))(~)?\}\}(?!\})')
_ROLE = re.compile(r"<<<dotprompt:role:([a-z]+)>>>")
_NOTES = (
    "a message that is blank once its inputs are filled in is left out by dotprompt",
    "dotprompt reads markers like <<<dotprompt:role:system>>> in inputs too: keep them out of text that others wrote",
)


class Export:
    """One file. Blank messages and dotprompt's own markers cannot be said."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """One part."""
        if taken := sorted(_TAKEN & prompt.variables):
            raise cannot(prompt, f"Handlebars keeps the name {taken[0]} to itself", "rename the variable")
        messages = cut(prompt)
        for role, pieces in messages:
            _check(prompt, role, pieces)
        tokens: list[str | _Tag] = []
        for role, pieces in messages:
            tokens += [_Tag(f'role "{_ROLES[role]}"'), *(_token(piece) for piece in pieces)]
        body = _source([*tokens, _ENDED])
        front = "\n".join(emit.lines(_front(prompt, provenance)))
        text = f"---\n{front}\n---\n{body}\n"
        notes = _NOTES if prompt.variables else ()
        return Exported(
            parts={WHOLE: text}, render=_render, loader=Loader(package="dotpromptz", render=_load), notes=notes
        )


def _check(prompt: Prompt, role: str, pieces: Sequence[Piece]) -> None:
    if role not in _ROLES:
        raise cannot(prompt, f"dotprompt has no role {role!r} for text", "use openai or json")
    text = "".join("x" if isinstance(piece, Variable) else piece for piece in pieces)
    if _BLANK.fullmatch(text):
        raise cannot(prompt, f"dotprompt leaves the blank {role} message out", "take it out, or use json")
    if _MARKER in text:
        raise cannot(prompt, f"dotprompt takes {_MARKER} for a marker of its own", "take it out, or use json")


def _token(piece: Piece) -> str | _Tag:
    if isinstance(piece, str):
        return piece
    # As a path it is never a call of a helper.
    return _Tag(f"this.{piece.name}" if piece.name in _HELPERS else piece.name)


def _source(tokens: Sequence[str | _Tag]) -> str:
    """Handlebars source: braces that would open a tag behind a backslash, tags kept apart from braces beside them."""
    written = ""
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else _ENDED
        after = tokens[index + 1] if index + 1 < len(tokens) else _ENDED
        if not isinstance(token, _Tag):
            written += _literal(token, tag_follows=isinstance(after, _Tag))
            continue
        # `{` and `{{x}}` would be a triple brace: a blank between them, which the tag's ~ takes away.
        left = not isinstance(before, _Tag) and before.endswith("{")
        right = not isinstance(after, _Tag) and after.startswith("}")
        written += (
            f"{' ' if left else ''}{{{{{'~' if left else ''}{token}{'~' if right else ''}}}}}{' ' if right else ''}"
        )
    return written


def _literal(text: str, *, tag_follows: bool) -> str:
    r"""Text in which `{{` is `\{{`. Backslashes before a tag lose one, so that they get one more."""
    written = ""
    for slashes, braces, other in _BRACES.findall(text):
        # An empty comment keeps the text's own backslashes from the one that escapes.
        apart = f"{slashes}\\{{{{!}}}}" if slashes else ""
        written += f"{apart}\\{braces}" if braces else other
    return written + ("\\" if text.endswith("\\") and tag_follows else "")


def _front(prompt: Prompt, provenance: Provenance | None) -> dict[str, Any]:
    about = facts(prompt, provenance)["provenance"]
    model = about.get("model", "")
    for ours, theirs in _PROVIDERS.items():
        model = model.replace(ours, theirs, 1) if model.startswith(ours) else model
    config: dict[str, Any] = {}
    for name, value in params(prompt).items():
        config[_CONFIG.get(name, name)] = [value] if name == "stop" and isinstance(value, str) else value
    inputs = {"schema": {name: "string" for name in sorted(prompt.variables)}}
    return {
        **({"model": model} if model else {}),
        **({"config": config} if config else {}),
        **({"input": inputs} if prompt.variables else {}),
        # Keys with a dot are the ones that others may add.
        **{f"optimizer.{key}": value for key, value in about.items()},
    }


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Trim the body, fill it as Handlebars does, cut it at the markers, leave blank messages out."""
    document = _BODY.match(parts[WHOLE])
    if document is None:
        raise ValueError("no front matter between two lines of ---")
    pieces = _ROLE.split(_handlebars(document.group(2).strip(), texts(inputs)))
    named = {theirs: ours for ours, theirs in _ROLES.items()}
    found = zip(pieces[1::2], pieces[2::2], strict=True)
    return tuple(Message(role=named[role], content=text) for role, text in found if not _BLANK.fullmatch(text))


def _handlebars(source: str, values: Mapping[str, str]) -> str:
    found, done, strip = "", 0, False
    while opened := _OPEN.search(source, done):
        text = source[done : opened.start()]
        found += text.lstrip() if strip else text
        strip, done = False, opened.end()
        slashes = opened.group(1)
        if len(slashes) == 1:
            # One backslash: the braces are text. Of more than one, one goes.
            found += "{{"
            continue
        tag = _TAG.match(source, done)
        if tag is None:
            raise ValueError(f"braces that were not meant to be a tag: {source[done : done + 20]!r}")
        left, role, comment, name, right = tag.groups()
        found += slashes[1:]
        found = found.rstrip() if left else found
        found += f"<<<dotprompt:role:{role}>>>" if role else "" if comment else values[name]
        strip, done = bool(right), tag.end()
    rest = source[done:]
    return found + (rest.lstrip() if strip else rest)


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read by dotprompt's Python package, in a thread since it is asynchronous and a notebook has a loop already."""
    import asyncio
    import importlib
    from concurrent.futures import ThreadPoolExecutor

    package = importlib.import_module("dotpromptz")

    async def rendered() -> Any:
        return await package.Dotprompt().render(parts[WHOLE], package.DataArgument(input=texts(inputs)))

    with ThreadPoolExecutor(1) as pool:
        messages = pool.submit(asyncio.run, rendered()).result().messages
    named = {theirs: ours for ours, theirs in _ROLES.items()}
    return tuple(
        Message(role=named[str(getattr(message.role, "value", message.role))], content=_text(message))
        for message in messages
    )


def _text(message: Any) -> str:
    return "".join(getattr(part, "text", None) or getattr(part, "root", part).text for part in message.content)
