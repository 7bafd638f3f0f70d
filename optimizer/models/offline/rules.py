"""The instructions that the stand-in understands, as values, and how one line of a prompt is read.

The grammar stands in `docs/offline.md`. A line may hold several rules; one that holds none and does not describe the
task either is a useless line, and dilutes the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Swap:
    """Write one thing instead of another."""

    source: str
    """What is not to be written: a name, a word, a description of a person."""
    target: str
    """What stands in its place."""
    field: str | None = None
    """JSON field that it is about; None for the whole answer."""
    denied: bool = False
    """True for `do not write ... instead of ...`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ban:
    """Never write a word; or, lifted, write it again."""

    word: str
    """The word or phrase."""
    lifted: bool = False
    """True for `you may say ...`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The form of the whole answer."""

    kind: str
    """`json`, `plain`, `bullets`, `value` (the bare answer) or `word` (one word)."""
    keys: tuple[str, ...] = ()
    """Keys of the JSON object, where they are named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bare:
    """Nothing around the answer: no other text, no code fence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """A closed list of labels."""

    field: str | None
    """Field they belong to; None where the line does not say."""
    values: tuple[str, ...]
    """At least two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Test:
    """A condition on the input."""

    __test__ = False

    kind: str
    """`sentiment`, `business`, `words` or `always`."""
    values: tuple[str, ...]
    """The concept, or the words of which one must stand in the input."""
    denied: bool = False
    """True where the input must not be so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class When:
    """What follows from a condition."""

    test: Test
    """The condition."""
    field: str | None
    """Field that gets the value; None where the line does not say."""
    value: str
    """The value."""
    denied: bool = False
    """True where the value is not to be used then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A limit of length."""

    unit: str
    """`words`, `sentences` or `characters`."""
    most: int
    """At least 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Letter case of the answer."""

    kind: str
    """`upper`, `lower` or `title`."""


Rule = Swap | Ban | Shape | Bare | Choices | When | Limit | Case


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
    from optimizer.models.offline.terms import sentences, straight

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
    from optimizer.models.offline.conditions import conditions
    from optimizer.models.offline.formats import formats
    from optimizer.models.offline.swaps import swaps_and_bans

    whole = tuple(conditions(sentence)) or (*swaps_and_bans(sentence), *formats(sentence))
    parts = [part.strip() for part in sentence.split(";") if part.strip()]
    if len(parts) < 2:
        return whole
    apart = tuple(rule for part in parts for rule in _read(part))
    return whole if _swapped(whole) and not _swapped(apart) else apart


def describes(text: str) -> bool:
    """Whether a line tells what the task is: blank lines, labels and headings count."""
    return bool(LABEL_ONLY.match(text)) and len(text.split()) <= 2 or bool(TASK.search(text) and DUTY.search(text))


def key(rule: Rule) -> str:
    """A rule as text: the same for every wording of it."""
    return repr(rule).lower()
