"""How one line of a prompt is read.

A line may hold several rules; one that holds none and does not describe the task either is a useless line, and
dilutes the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from optimizer.models.offline.conditions import conditions
from optimizer.models.offline.formats import formats
from optimizer.models.offline.rules import Rule, Swap
from optimizer.models.offline.swaps import swaps_and_bans
from optimizer.models.offline.terms import sentences, straight


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a prompt, read."""

    rules: tuple[Rule, ...]
    """In the order in which they stand."""
    useful: bool
    """False where the line neither rules nor describes the task."""


TASK = re.compile(
    r"\b(?:reviews?|questions?|play|customers?|reviewers?|romeo|juliet|shakespeare|text|inputs?|feedback|messages?|"
    r"comments?|sentiment|business|stor(?:y|ies)|passage|answers?|task|tragedy|literature|assistant|readers?|quotes?)\b",
    re.IGNORECASE,
)
DUTY = re.compile(
    r"\b(?:you are|you're|you will|you get|your (?:task|job|role|goal)|act as|answer|read|here (?:is|are)|given|below|"
    r"classif\w+|label|tell|say|summari[sz]\w*|analy[sz]\w*|extract|judge|look at|consider|decide|determine|identify|"
    r"reply|respond|help|describe|what|who|explain|the (?:following|user)|return|report|write)\b",
    re.IGNORECASE,
)
MARKS = re.compile(r"^[\s>]*(?:[-*•+]\s+|#+\s*|\(?\d{1,2}[.)]\s+|\(?[a-h][.)]\s+)?")
LABEL_ONLY = re.compile(r"^[\w ]{1,30}:?$|^\W*$|^<[^>]{1,40}>$")
MOST_CHARACTERS = 800
"""A longer line is cut before it is read."""
HEADING = re.compile(r"^\s*#")


@lru_cache(maxsize=8192)
def read_line(line: str) -> Line:
    """Read one line of a prompt."""
    text = MARKS.sub("", straight(line[:MOST_CHARACTERS])).replace("**", "").strip()
    parts = sentences(text)
    rules: list[Rule] = []
    for index, sentence in enumerate(parts):
        onward = parts[index + 1] if index + 1 < len(parts) else ""
        if re.search(r"\b(?:instead|in (?:its|his|her|their) place)\b", onward) and not _swapped(_read(onward)):
            joined = _read(f"{sentence.rstrip('.!? ')}, {onward[0].lower()}{onward[1:]}")
            rules += joined if _swapped(joined) else ()
        rules += _read(sentence)
    useful = bool(rules) or describes(text) or HEADING.match(line) is not None
    return Line(rules=tuple(dict.fromkeys(rules)), useful=useful)


def _swapped(rules: tuple[Rule, ...]) -> bool:
    return any(isinstance(rule, Swap) for rule in rules)


def _read(sentence: str) -> tuple[Rule, ...]:
    """Rules of one sentence; parts that a semicolon divides are read apart, unless they only make sense together."""
    whole = tuple(conditions(sentence)) or (*swaps_and_bans(sentence), *formats(sentence))
    parts = [part.strip() for part in sentence.split(";") if part.strip()]
    if len(parts) < 2:
        return whole
    apart = tuple(rule for part in parts for rule in _read(part))
    return whole if _swapped(whole) and not _swapped(apart) else apart


def describes(text: str) -> bool:
    """Whether a line tells what the task is: blank lines, labels and headings count."""
    return bool(LABEL_ONLY.match(text)) and len(text.split()) <= 2 or bool(TASK.search(text) and DUTY.search(text))
