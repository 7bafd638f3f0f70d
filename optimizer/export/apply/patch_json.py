"""Change one text value of a JSON file, comments and trailing commas allowed, and not one byte besides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from optimizer.errors import UserError
from optimizer.export.apply import keys, yaml_text
from optimizer.export.apply.keys import Node, Value
from optimizer.export.apply.proof import only_change

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>//[^\r\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")
    |(?P<mark>[{}\[\]:,])
    |(?P<word>[^\s{}\[\]:,"'/]+)""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\u(?!00[01]|2028|2029)[0-9a-fA-F]{4}")
_WORDS = {"true": "true", "false": "false", "null": "nothing"}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    start: int
    end: int


def find(source: str, key: str) -> Value:
    """The text value at a dotted key. Raises UserError where there is none, or the file is not JSON."""
    tokens = list(_tokens(source))
    before = _read(_plain(source, tokens))
    way = keys.walk(_tree(source, tokens), key)
    node = way.node
    if node.kind != keys.TEXT:
        raise keys.not_text(way.key, node.kind, node.line)
    role = _text(source, way.role) if way.role is not None and way.role.kind == keys.TEXT else ""
    return Value(
        key=way.key,
        role=role or way.path[-1],
        text=_text(source, node),
        put=partial(_put, source, before, node, way.key),
    )


def patch(source: str, key: str, text: str) -> str:
    """The file with the value at `key` set to `text`."""
    return find(source, key).put(text)


def _put(source: str, before: Any, node: Node, key: str, text: str) -> str:
    # A file that shows é as \u00e9 everywhere goes on so.
    new = json.dumps(text) if source.isascii() and _ESCAPED.search(source) else yaml_text.quoted(text)
    made = source[: node.start] + new + source[node.end :]
    after = _read(_plain(made, list(_tokens(made))))
    if not only_change(before, after, node.path, text):
        raise UserError(f"key {key}: the file cannot hold this text there (line {node.line})")
    return made


def _text(source: str, node: Node) -> str:
    return str(json.loads(source[node.start : node.end]))


def _tokens(source: str) -> Iterator[_Token]:
    place = 0
    while place < len(source):
        found = _TOKEN.match(source, place)
        if found is None:
            odd = "quotes in ' are JSON5" if source[place] == "'" else f"unexpected {source[place : place + 10]!r}"
            raise UserError(f"the file is not JSON: line {_line(source, place)}: {odd} (mend it first)")
        yield _Token(str(found.lastgroup), place, found.end())
        place = found.end()


def _plain(source: str, tokens: list[_Token]) -> str:
    """The file as strict JSON of the same length: comments and trailing commas are spaces."""
    kept = [token for token in tokens if token.kind not in {"space", "comment"}]
    blank = [token for token in tokens if token.kind == "comment"]
    for one, following in zip(kept, kept[1:], strict=False):
        if source[one.start] == "," and source[following.start] in "}]":
            blank.append(one)
    parts, place = [], 0
    for token in sorted(blank, key=lambda token: token.start):
        parts += [source[place : token.start], " " * (token.end - token.start)]
        place = token.end
    return "".join([*parts, source[place:]])


def _read(plain: str) -> Any:
    """What the file says. An object is a list of [key, value], so that keys that stand twice are seen."""
    try:
        return json.loads(
            plain,
            object_pairs_hook=lambda pairs: [list(pair) for pair in pairs],
            parse_float=lambda digits: ("float", digits),
            parse_int=lambda digits: ("int", digits),
            parse_constant=lambda name: ("constant", name),
        )
    except json.JSONDecodeError as error:
        line = _line(plain, error.pos)
        raise UserError(f"the file is not JSON: line {line}: {error.msg.lower()} (mend it first)") from None
    except RecursionError:
        raise UserError("the file is nested too deeply to be read") from None


def _tree(source: str, tokens: list[_Token]) -> Node:
    """The values with their places. The file is JSON, so only brackets and order matter."""
    top = Node(kind=keys.LIST, line=1)
    stack = [top]
    name: str | None = None
    line, place = 1, 0
    for token in tokens:
        sign = source[token.start]
        if token.kind in {"space", "comment"} or sign in ",:":
            continue
        line, place = line + source.count("\n", place, token.start), token.start
        parent = stack[-1]
        if sign in "}]":
            stack.pop()
        elif parent.kind == keys.MAPPING and name is None:
            name = str(json.loads(source[token.start : token.end]))
        else:
            node = Node(kind=_kind(source, token), line=line, start=token.start, end=token.end)
            _adopt(parent, node, name)
            name = None
            if sign in "{[":
                stack.append(node)
    root = top.items[0]
    return root


def _adopt(parent: Node, node: Node, name: str | None) -> None:
    if parent.kind == keys.MAPPING and name is not None:
        node.path = (*parent.path, len(parent.entries), 1)
        parent.entries.append((name, node))
        return
    # What lies on the list that holds the whole file is the root, whose path is empty.
    node.path = (*parent.path, len(parent.items)) if parent.end else ()
    parent.items.append(node)


def _kind(source: str, token: _Token) -> str:
    sign = source[token.start]
    if sign in "{[":
        return keys.MAPPING if sign == "{" else keys.LIST
    return keys.TEXT if sign == '"' else _WORDS.get(source[token.start : token.end], "a number")


def _line(source: str, place: int) -> int:
    return source.count("\n", 0, place) + 1
