"""Plain values as YAML that a person would have written: block scalars for text of several lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./@+-]*( [A-Za-z0-9_./@+(-][A-Za-z0-9_./@+,)-]*)*")
_RESERVED = frozenset({"true", "false", "null", "yes", "no", "on", "off"})
# What YAML 1.1 and 1.2 both print as it is, line ends other than \n left out.
_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LEADING_TAB = re.compile(r"^\t", re.MULTILINE)
_TRAILING_SPACE = re.compile(r"[ \t]$", re.MULTILINE)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
_WIDTH = 100
_KEY_CHARS = 100


def holds(text: str) -> bool:
    """True where a `|-` block scalar gives the text back byte for byte."""
    if not text or text.endswith("\n") or text.lstrip("\n").startswith(" "):
        return False
    return not (_UNPRINTABLE.search(text) or _LEADING_TAB.search(text) or _TRAILING_SPACE.search(text))


def block(text: str, indent: int) -> str:
    """Text as a person would write it: a block scalar, or one line where that reads as well."""
    if not holds(text):
        return quoted(text)
    if "\n" not in text and len(text) <= _WIDTH and not {'"', "\\"} & set(text):
        return scalar(text)
    margin = " " * indent
    return "|-\n" + "\n".join(margin + line if line else "" for line in text.split("\n"))


def quoted(text: str) -> str:
    """Text as a double-quoted scalar on one line."""
    return '"' + "".join(_ESCAPES.get(char) or _escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    if not _UNPRINTABLE.match(char):
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def scalar(value: Any) -> str:
    """One value on one line: text is plain where no reader could take it for something else."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _RESERVED
        return value if plain else quoted(value)
    if isinstance(value, float):
        number = repr(value)
        # YAML 1.1 takes 1e-05 for text: it wants a point.
        return number if "." in number else number.replace("e", ".0e")
    return str(value)


def lines(value: Any, indent: int = 0) -> list[str]:
    """A mapping or a list in block style, `indent` spaces in."""
    margin = " " * indent
    written: list[str] = []
    if isinstance(value, Mapping):
        for key, inner in value.items():
            written += _entry(f"{margin}{scalar(str(key))}:", inner, indent)
    else:
        for inner in value:
            written += _item(margin, inner, indent)
    return written


def _entry(head: str, value: Any, indent: int) -> list[str]:
    if isinstance(value, str) and "\n" in value:
        return [f"{head} {block(value, indent + 2)}"]
    flat = flow(value)
    many = isinstance(value, list | tuple) and bool(value)
    if flat is not None and (not many or len(head) + len(flat) < _WIDTH):
        return [f"{head} {flat}"]
    return [head, *lines(value, indent + 2)]


def _item(margin: str, value: Any, indent: int) -> list[str]:
    if isinstance(value, Mapping) and value:
        inner = lines(value, indent + 2)
        return [f"{margin}- {inner[0].removeprefix(' ' * (indent + 2))}", *inner[1:]]
    if isinstance(value, list | tuple) and value:
        return [f"{margin}-", *lines(value, indent + 2)]
    if isinstance(value, str) and "\n" in value:
        return [f"{margin}- {block(value, indent + 2)}"]
    return [f"{margin}- {flow(value)}"]


def fits(value: Any, depth: int) -> bool:
    """True where nesting stays within `depth` and every key is short text: YAML caps a key at 1,024 characters."""
    if isinstance(value, Mapping):
        keys = all(isinstance(key, str) and len(key) <= _KEY_CHARS for key in value)
        return depth > 0 and keys and all(fits(inner, depth - 1) for inner in value.values())
    if isinstance(value, list | tuple):
        return depth > 0 and all(fits(inner, depth - 1) for inner in value)
    return True


def flow(value: Any) -> str | None:
    """A scalar or a short list of scalars on one line; None for anything larger."""
    if isinstance(value, Mapping):
        return None if value else "{}"
    if isinstance(value, str) and "\n" in value:
        return None
    if isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(inner, Mapping | list | tuple) for inner in value):
            return None
        if any(isinstance(inner, str) and ("\n" in inner or len(inner) > 40) for inner in value):
            return None
        # A comma inside a plain scalar would end it in a flow list.
        parts = [quoted(v) if isinstance(v, str) and "," in v else scalar(v) for v in value]
        return f"[{', '.join(parts)}]"
    return scalar(value)
