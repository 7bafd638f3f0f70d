"""Ways to write a text where a Python literal stands: with its own quotes first, plain double ones last."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

_LITERAL = re.compile(r"""(?P<prefix>[A-Za-z]{0,2})(?P<quotes>\"\"\"|'''|"|')(?P<body>.*)(?P=quotes)""", re.DOTALL)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_JOINED = re.compile(r"\\\r?\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Literal:
    """One literal, as it is written."""

    prefix: str
    """`r`, `u`, or nothing."""
    quotes: str
    """What it stands in: one sign or three."""
    body: str
    """What stands between them."""
    line: int
    """Line on which it begins, from 1 at the first."""
    column: int
    """Its column, from 0; of the first line from the first literal."""


def pieces(written: str) -> list[Literal] | None:
    """The literals that make one text; None where comments stand between them."""
    found = []
    # In brackets, line ends between the literals are no ends of a statement.
    for token in tokenize.generate_tokens(io.StringIO(f"({written}\n)").readline):
        if token.type == tokenize.COMMENT:
            return None
        if token.type == tokenize.STRING:
            match = _LITERAL.fullmatch(token.string)
            assert match is not None, "the tokenizer found a literal"
            line, column = token.start
            parts = (match["prefix"].lower(), match["quotes"], match["body"])
            found.append(Literal(prefix=parts[0], quotes=parts[1], body=parts[2], line=line, column=column))
    return found


def ways(source: str, start: int, old: list[Literal], text: str) -> Iterator[str]:
    """What may take the place of the literals, most like them first. Not every one must be right."""
    first = old[0]
    newline = _newline(source, start)
    several = "\n" in text.removesuffix("\n")
    if len(old) > 1:
        if old[-1].line > first.line:
            yield _stacked(source, start, old, text, newline)
        yield _short(text, first.quotes[0])
        return
    long = first.quotes if len(first.quotes) == 3 else first.quotes * 3
    if len(first.quotes) == 3 or several:
        if first.prefix == "r":
            yield from _raw(first, text, long, newline)
        yield _long(first, text, long, newline)
    elif first.prefix == "r":
        yield from _raw(first, text, first.quotes, newline)
    prefix = "u" if first.prefix == "u" else ""
    quotes = first.quotes[0]
    if quotes in text and not ({"'", '"'} - {quotes}) & set(text):
        # As formatters have it: the quotes that need no escapes.
        yield prefix + _short(text, "'" if quotes == '"' else '"')
    yield prefix + _short(text, quotes)


def _raw(first: Literal, text: str, quotes: str, newline: str) -> Iterator[str]:
    """Without escapes, where the text needs none."""
    shown = text.replace("\n", "").replace("\t", "")
    if shown.isprintable() or not shown:
        yield f"r{quotes}{text.replace(chr(10), newline)}{quotes}"


def _long(first: Literal, text: str, quotes: str, newline: str) -> str:
    """Over several lines, with the line breaks that the old one hid behind a backslash."""
    body = _escaped(text, quotes, keep="\n\t").replace("\n", newline)
    was_long = len(first.quotes) == 3 and first.prefix != "r"
    head = f"\\{newline}" if was_long and re.match(r"\\\r?\n", first.body) else ""
    tail = f"\\{newline}" if was_long and len(first.body) > 3 and re.search(r"(?<!\\)\\\r?\n\Z", first.body) else ""
    return f"{'u' if first.prefix == 'u' else ''}{quotes}{head}{body}{tail}{quotes}"


def _stacked(source: str, start: int, old: list[Literal], text: str, newline: str) -> str:
    """One literal a line, one below the other as they were."""
    lines = text.splitlines(keepends=True) if text.isprintable() else re.findall(r"[^\n]*\n|[^\n]+", text)
    second = next(one for one in old if one.line > old[0].line)
    written = [_short(line, old[0].quotes[0]) for line in lines or [""]]
    return f"{newline}{' ' * second.column}".join(written)


def _short(text: str, quotes: str) -> str:
    return f"{quotes}{_escaped(text, quotes)}{quotes}"


def _escaped(text: str, quotes: str, keep: str = "") -> str:
    """The text in escapes; a quote is one only where it could end the literal."""
    written = "".join(char if char in keep else _escape(char) for char in text)
    if len(quotes) == 1:
        return written.replace(quotes, "\\" + quotes)
    return re.sub(f"{quotes}|{quotes[0]}\\Z", lambda found: found[0].replace(quotes[0], "\\" + quotes[0]), written)


def _escape(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _newline(source: str, start: int) -> str:
    place = source.find("\n", start)
    place = place if place >= 0 else source.find("\n")
    return "\r\n" if place > 0 and source[place - 1] == "\r" else "\n"
