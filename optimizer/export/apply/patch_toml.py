"""Change one text value of a TOML file, and not one byte besides."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import partial
from typing import Any

from optimizer.errors import UserError
from optimizer.export.apply import keys, toml_scan
from optimizer.export.apply.keys import Node, Value
from optimizer.export.apply.proof import at, only_change

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_SHORT = {"\b": "\\b", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def find(source: str, key: str) -> Value:
    """The text value at a dotted key. Raises UserError where there is none, or the file is not TOML."""
    before = _read(source)
    root = toml_scan.scan(source)
    way = keys.walk(root, key)
    node = way.node
    if node.kind != keys.TEXT:
        raise keys.not_text(way.key, node.kind, node.line)
    role = _text(before, way.role) if way.role is not None and way.role.kind == keys.TEXT else ""
    return Value(
        key=way.key,
        role=role or way.path[-1],
        text=_text(before, node),
        put=partial(_put, source, before, node, way.key),
    )


def patch(source: str, key: str, text: str) -> str:
    """The file with the value at `key` set to `text`."""
    return find(source, key).put(text)


def _put(source: str, before: Any, node: Node, key: str, text: str) -> str:
    old = source[node.start : node.end]
    for new in _ways(old, text, _newline(source, node), inline=node.inline):
        made = source[: node.start] + new + source[node.end :]
        try:
            after = _read(made)
        except UserError:
            continue
        if only_change(before, after, node.path, text):
            return made
    raise UserError(f"key {key}: the file cannot hold this text there (line {node.line})")


def _ways(old: str, text: str, newline: str, *, inline: bool) -> Iterator[str]:
    """Ways to write the text, most like the old one first. Not every one must be right."""
    quotes = toml_scan.opening(old, 0)
    several = "\n" in text and not (inline and len(quotes) == 1)
    # Of a text that was on one line, the lines begin behind the quotes' own line.
    break_first = len(quotes) == 1 or re.match(r"\r?\n", old[3:]) is not None
    head = newline if break_first else ""
    if quotes == "'" and "\n" not in text and "'" not in text:
        yield f"'{text}'"
    if quotes[0] == "'" and (several or len(quotes) == 3) and "'''" not in text and not text.endswith("'"):
        yield f"'''{head}{_lines(text, newline)}'''"
    if several or len(quotes) == 3:
        body = _lines(_escaped(text, keep="\n"), newline)
        yield f'"""{head}{body}"""'
    yield f'"{_escaped(text)}"'


def _escaped(text: str, keep: str = "") -> str:
    """The text in escapes of a basic string; with `keep`, of a long one, where `keep` stays as it is."""
    text = text.replace("\\", "\\\\")
    text = re.sub(r'"""|"\Z' if keep else '"', lambda found: found[0][:-1] + '\\"', text)
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(char: str) -> str:
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


def _lines(text: str, newline: str) -> str:
    return text.replace("\n", newline)


def _newline(source: str, node: Node) -> str:
    """The line end used in the value, else behind it, else before it."""
    places = (source.find("\n", node.start, node.end), source.find("\n", node.end), source.find("\n"))
    near = next((place for place in places if place >= 0), 0)
    return "\r\n" if near and source[near - 1] == "\r" else "\n"


def _text(tree: Any, node: Node) -> str:
    try:
        return str(at(tree, node.path))
    except (KeyError, IndexError, TypeError):
        raise UserError(f"line {node.line}: written in a way that is not known here (nothing is written)") from None


def _read(source: str) -> Any:
    try:
        return tomllib.loads(source, parse_float=lambda digits: ("float", digits))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"the file is not TOML: {_one_line(error)} (mend it first)") from None
    except (RecursionError, ValueError) as error:
        raise UserError(f"the file cannot be read as TOML: {_one_line(error)} (mend it first)") from None


def _one_line(error: Exception) -> str:
    told = str(error).splitlines()
    return told[0][:200] if told else type(error).__name__
