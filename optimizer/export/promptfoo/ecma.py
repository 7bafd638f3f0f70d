"""Patterns for JavaScript's `RegExp`, which promptfoo uses without flags.

A pattern of the `regex` package is carried over where JavaScript reads it the same way for text of any kind; what it
would read otherwise is refused with the reason.
"""

from __future__ import annotations

import re
from typing import Final

SPACE: Final = r"\s*"
_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|/]")
_UNIT: Final = r"(?:[\uD800-\uDBFF][\uDC00-\uDFFF]|[^\uD800-\uDBFF])"
"""One character: JavaScript counts those outside the basic plane twice."""
MOST: Final = 2_000
"""Highest count in a pattern: engines refuse much larger ones."""
_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<group>\(\?(?:P<[A-Za-z_]\w*>|P=[A-Za-z_]\w*\)|<[A-Za-z_]\w*>|<?[=!]|:|.?))|(?P<set>\[)|(?P<dot>\.)|(?P<end>\$)"
    r"|(?P<count>(?:[*+?]|\{\d+(?:,\d*)?\})[+?]?)|(?P<letter>[^\W\d_])|(?P<other>.)",
    re.DOTALL,
)
_SET = re.compile(r"\[\^?\]?(?:\\.|[^\]\\\[]|\[(?![:.=]))*\]", re.DOTALL)
_SAME = frozenset("nrtfvbBdDwWsS")
"""Letters that mean the same behind a backslash, but for letters and digits beyond ASCII."""


class CannotSay(Exception):
    """JavaScript has no pattern for it; the message says why."""


def literal(text: str, *, ignore_case: bool = False) -> str:
    """A pattern that matches the text and nothing else."""
    return "".join(_letter(char) if ignore_case else _escaped(char) for char in text)


def alone(text: str, *, ignore_case: bool = False, collapse: bool = False) -> str:
    """A pattern for output that is the text, whitespace at both ends left out.

    Args:
        text: what is wanted.
        ignore_case: whether case counts.
        collapse: whether any run of whitespace stands for any other.
    """
    words = text.split() if collapse else [text.strip()]
    body = r"\s+".join(literal(word, ignore_case=ignore_case) for word in words)
    return f"^{SPACE}{body}{SPACE}$"


def length(low: int | None, high: int | None) -> str:
    """A pattern for output of so many characters, whitespace at both ends left out. Raises CannotSay."""
    if max(low or 0, high or 0) > MOST:
        raise CannotSay(f"a pattern counts to {MOST} at most")
    body = rf"(?!\s){_UNIT}{{{max(low or 1, 1)},{'' if high is None else high}}}(?<!\s)"
    return f"^{SPACE}{body}{SPACE}$" if low else f"^{SPACE}(?:{body})?{SPACE}$"


def word(text: str, *, ignore_case: bool = False) -> str:
    """A pattern for the text as words of its own; letters beyond Latin, Greek, Cyrillic and CJK count as none."""
    letter = r"[0-9A-Za-z_\u00C0-\u024F\u0370-\u1FFF\u3040-\uD7FF]"
    before = f"(?<!{letter})" if text[:1].isalnum() or text[:1] == "_" else ""
    after = f"(?!{letter})" if text[-1:].isalnum() or text[-1:] == "_" else ""
    return f"{before}{literal(text, ignore_case=ignore_case)}{after}"


def translated(pattern: str, *, ignore_case: bool, full: bool) -> tuple[str, str]:
    """(the pattern for JavaScript, what it does otherwise; empty where nothing). Raises CannotSay."""
    if any(ord(char) > 0xFFFF for char in pattern):
        raise CannotSay("JavaScript counts a character of it twice")
    written, at, remark = [], 0, ""
    while at < len(pattern):
        if pattern[at] == "[":
            piece, at = _set(pattern, at, ignore_case=ignore_case)
            found = piece
        else:
            token = _TOKEN.match(pattern, at)
            if token is None:
                raise CannotSay("it does not parse")
            piece, at = _piece(token, ignore_case=ignore_case), token.end()
            found = token.group()
        if re.search(r"\\[bBdDwW]", found):
            remark = "letters and digits beyond ASCII are none to it"
        written.append(piece)
    body = "".join(written)
    return (rf"^\s*(?!\s)(?:{body})(?<!\s)\s*$" if full else body), remark


def _piece(token: re.Match[str], *, ignore_case: bool) -> str:
    text, kind = token.group(), token.lastgroup
    if kind == "escape":
        return _escape(text, ignore_case=ignore_case)
    if kind == "group":
        return _group(text)
    if kind == "dot":
        return r"[^\n]"
    if kind == "end":
        # Python's also stands before a newline at the very end.
        return r"(?=\n?$)"
    if kind == "count" and len(text) > 1 and text.endswith("+"):
        raise CannotSay("JavaScript has no possessive repeats")
    return _letter(text) if kind == "letter" and ignore_case else text


def _escape(text: str, *, ignore_case: bool) -> str:
    letter = text[1]
    if letter == "A":
        return "^"
    if letter in "Zz":
        return "$"
    if letter.isdigit() and (ignore_case or letter == "0"):
        raise CannotSay(f"{text} means something else in JavaScript")
    if letter.isalnum() and letter not in _SAME and not letter.isdigit():
        raise CannotSay(f"{text} means something else in JavaScript")
    return text


def _group(text: str) -> str:
    if text.startswith("(?P<"):
        return f"(?<{text[4:]}"
    if text.startswith("(?P="):
        return rf"\k<{text[4:-1]}>"
    if text in ("(?:", "(?=", "(?!", "(?<=", "(?<!") or text.endswith(">"):
        return text
    raise CannotSay(f"JavaScript has no {text}")


def _set(pattern: str, at: int, *, ignore_case: bool) -> tuple[str, int]:
    """A set of characters, from its bracket on, and where it ends."""
    found = _SET.match(pattern, at)
    if found is None:
        raise CannotSay("JavaScript has no sets inside a set")
    text = found.group()
    if any(double in text for double in ("--", "&&", "||", "~~")) or text.startswith(("[]", "[^]")):
        raise CannotSay(f"{text} means something else in JavaScript")
    for escape in re.findall(r"\\(.)", text, re.DOTALL):
        if escape.isalnum() and escape not in _SAME - {"B"}:
            raise CannotSay(f"\\{escape} means something else in JavaScript")
    if ignore_case and re.search(r"[^\W\d_]", re.sub(r"\\.|a-zA-Z|A-Za-z", "", text)):
        raise CannotSay("it ignores case inside a set")
    return text, found.end()


def _escaped(char: str) -> str:
    return f"\\{char}" if _SPECIAL.match(char) else char


def _letter(char: str) -> str:
    cases = sorted({char, char.lower(), char.upper()})
    if len(cases) == 1 or any(len(case) != 1 for case in cases):
        return _escaped(char)
    return f"[{''.join(cases)}]"
