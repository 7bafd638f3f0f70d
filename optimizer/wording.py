"""Words for what differs, and the words of a row: the pure text functions behind reasons and causes.

What they do to a value is the same everywhere, so that a reason without its quoted parts is its kind.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from optimizer.dataset import Example, display

QUOTE_LIMIT: Final = 80
"""Characters of a value that a reason quotes."""
VALUE_LIMIT: Final = 500
"""Characters of `wanted` and `got` that a score keeps."""
MARKS: Final = "\"'`*_“”‘’«»"
"""Quotes and markup that models put around an answer."""
END_MARKS: Final = ".!?,;:…"
"""Punctuation that models put after an answer."""
LABEL_LENGTH: Final = 60
"""A longer value is text, not a label."""
WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
"""One word of a text, apostrophes inside it included."""


def input_words(example: Example) -> frozenset[str]:
    """Words of an example's inputs, in lower case."""
    return frozenset(word.lower() for value in example.inputs.values() for word in WORD.findall(display(value)))


def normal(text: str, *, ignore_case: bool = False) -> str:
    """Text as checks compare it: Unicode NFC, so that one character has one spelling."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.casefold() if ignore_case else text


def type_words(value: object) -> str:
    """The JSON type of a value, in words."""
    if value is None:
        return "null"
    for types, words in (
        (str, "text"),
        (bool, "a boolean"),
        ((int, float), "a number"),
        ((list, tuple), "a list"),
        (Mapping, "an object"),
    ):
        if isinstance(value, types):
            return words
    return type(value).__name__


def quote(value: object, limit: int = QUOTE_LIMIT) -> str:
    """A value as a reason shows it: in double quotes, cut, on one line, nothing invisible in it."""
    text = display(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    text = printable(text.replace('"', "'"))
    # A backslash at the end would seem to escape the closing quote.
    odd = (len(text) - len(text.rstrip("\\"))) % 2
    return '"' + text + "\\" * odd + '"'


def printable(text: str) -> str:
    """Text with control, bidi, zero-width and surrogate characters and line ends escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def cut(value: object) -> str:
    """A value as `wanted` and `got` keep it."""
    text = display(value)
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 1] + "…"


def loose(text: str) -> str:
    """Text without case, outer quotes, markup and punctuation, runs of whitespace made one space."""
    return " ".join(normal(text, ignore_case=True).split()).strip(MARKS + END_MARKS + " ")


_DIFFERENCES: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("only the case differs", str.casefold),
    ("only whitespace differs", lambda text: " ".join(text.split())),
    ("only punctuation at the end differs", lambda text: text.strip().rstrip(END_MARKS)),
    ("only quotes or markup around it differ", lambda text: text.strip().strip(MARKS)),
    ("only case, whitespace, punctuation or markup differ", loose),
)


def difference(got: str, wanted: str) -> str:
    """How two texts that are not equal differ: `: only the case differs`..., or empty for different answers."""
    got, wanted = normal(got), normal(wanted)
    for words, view in _DIFFERENCES:
        if view(got) and view(got) == view(wanted):
            return f": {words}"
    if within(loose(wanted), loose(got)):
        return ": it has extra words around the right answer"
    return ""


def within(part: str, text: str) -> bool:
    """Whether `part` stands in `text` as words of its own, not inside a longer word."""
    return find_word(part, text) >= 0


def find_word(part: str, text: str) -> int:
    """Where `part` first stands in `text` as words of its own; -1 where it does not."""
    at = text.find(part) if part else -1
    while at >= 0:
        end = at + len(part)
        before = at > 0 and _word(text[at - 1]) and _word(part[0])
        after = end < len(text) and _word(text[end]) and _word(part[-1])
        if not before and not after:
            return at
        at = text.find(part, at + 1)
    return -1


def whole_word(text: str, start: int, end: int) -> str:
    """The part from `start` to `end` with the rest of the words that it begins and ends in."""
    while start > 0 and _word(text[start - 1]):
        start -= 1
    while end < len(text) and _word(text[end]):
        end += 1
    return text[start:end]


def _word(char: str) -> bool:
    return char.isalnum() or char == "_"


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean "x"?` for the known name that is most like `name`; empty where none is."""
    import difflib

    folded = {other.casefold(): other for other in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"did you mean {quote(folded[found[0]])}?" if found else ""
