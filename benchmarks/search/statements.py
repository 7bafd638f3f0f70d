"""What a prompt states: condition and consequence, in any wording, on any line, whoever wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from benchmarks.search.worlds.world import Row, World, within

SENTENCE = re.compile(r"\n+|(?<=[.!?;])\s+(?!\d)")
ABOVE = re.compile(
    r"(?<!no )(?<!not )(?:more than|over|above|exceed(?:s|ing)?|greater than|higher than|beyond)\s+(?:USD\s*)?\$?(\d+)"
)
UPTO = re.compile(
    r"(?:at most|up to|no more than|not more than|not above|under|below|or less than)\s+(?:USD\s*)?\$?(\d+)"
)
QUOTED = re.compile(r'"([^"\n]{1,40})"')
MENTIONS = re.compile(r'\b(?:mentions?|contains?|says? (?=")|has the words?|includes?)(?!\w)')
NOT_THE_VALUE = re.compile(r"(?:instead of|rather than|never(?: say| write| answer)?|not|replaces?)\s+[\"'`*]*$")
UNLESS = re.compile(r"(?:unless|except (?:when|if|for)?|not (?:a|an|about)?)\s*(?:it is |they are |the )?$")
EMPHASIS = re.compile(r"(?:most important|above all|without exception)\b", re.IGNORECASE)
MARKUP = re.compile(r"[*`_#>]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One rule as a prompt states it."""

    field: str
    """The field that its value belongs to."""
    value: str
    """The consequence."""
    when: frozenset[str] = frozenset()
    """Concepts that must all hold; none for a rule without a condition."""
    unless: frozenset[str] = frozenset()
    """Concepts that must not hold."""
    above: int | None = None
    """The amount must be greater."""
    upto: int | None = None
    """The amount must not be greater."""
    words: tuple[str, ...] = ()
    """Words of which the input must hold one."""
    instead: str | None = None
    """The value that it replaces."""
    firm: bool = False
    """Whether the prompt lays stress on it."""

    @property
    def narrow(self) -> float:
        """How specific its condition is."""
        limits = (self.above is not None) + (self.upto is not None)
        return len(self.when) + len(self.unless) + limits + (0.5 if self.words else 0.0)

    @property
    def key(self) -> tuple[object, ...]:
        """What it says, however it is worded."""
        return (self.field, self.value, self.when, self.unless, self.above, self.upto, self.words)

    def holds(self, row: Row) -> bool:
        """Whether its condition is met."""
        if not self.when <= row.facts or self.unless & row.facts or not within(row.amount, self.above, self.upto):
            return False
        if self.words:
            text = row.text.lower()
            return any(re.search(rf"\b{re.escape(word)}\b", text) for word in self.words)
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A prompt as it is understood."""

    statements: tuple[Statement, ...]
    """In the order of the prompt."""
    idle: int
    """Sentences beyond the frame that state nothing, or state what was stated before."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, without markup."""
    found = (MARKUP.sub("", part).strip(" -\t") for part in SENTENCE.split(text))
    return [part for part in found if part]


def read_prompt(world: World, text: str) -> Reading:
    """Understand a prompt."""
    known = frame_of(world)
    statements: list[Statement] = []
    keys: set[tuple[object, ...]] = set()
    idle = 0
    for sentence in sentences(text):
        if sentence in known:
            continue
        found = read_sentence(world, sentence)
        fresh = [statement for statement in found if statement.key not in keys]
        keys.update(statement.key for statement in fresh)
        statements += fresh
        idle += not fresh
    return Reading(statements=tuple(statements), idle=idle)


def frame_of(world: World) -> frozenset[str]:
    """The sentences of the seed prompt that say what the task is."""
    return _frame(world.family, world.seed)


@lru_cache(maxsize=64)
def _frame(family: str, seed: int) -> frozenset[str]:
    from benchmarks.search.worlds import make_world

    return frozenset(sentences(make_world(family, seed).frame))


@lru_cache(maxsize=200_000)
def _cached(family: str, seed: int, sentence: str) -> tuple[Statement, ...]:
    from benchmarks.search.worlds import make_world

    return _read(make_world(family, seed), sentence)


def read_sentence(world: World, sentence: str) -> tuple[Statement, ...]:
    """The statements of one sentence: one a value that it gives as a consequence."""
    return _cached(world.family, world.seed, sentence)


def _read(world: World, sentence: str) -> tuple[Statement, ...]:
    when, unless, named = _concepts(world, sentence)
    consequences, replaced = _values(world, sentence, named)
    if not consequences:
        return ()
    lower = sentence.lower()
    above, upto = ABOVE.search(lower), UPTO.search(lower)
    values = {value.lower() for value in world.field_of}
    words: tuple[str, ...] = ()
    if MENTIONS.search(lower) and not when:
        words = tuple(word.lower() for word in QUOTED.findall(sentence) if word.lower() not in values)
        if not words:
            return ()
    if len(consequences) > 1 and not when and not words:
        return ()  # a list of the values, no rule
    by_field: dict[str, str] = {}
    for value in consequences:
        by_field[world.field_of[value]] = value  # of two values for one field, the later one
    return tuple(
        Statement(
            field=name,
            value=value,
            when=when,
            unless=unless,
            above=int(above.group(1)) if above else None,
            upto=int(upto.group(1)) if upto else None,
            words=words,
            instead=next((old for old in replaced if world.field_of[old] == name), None) if not when else None,
            firm=EMPHASIS.match(sentence) is not None,
        )
        for name, value in by_field.items()
    )


def _values(world: World, sentence: str, named: list[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """Values that a sentence gives as a consequence, in order; and those that it sets aside.

    A word within the name of a concept is no value.
    """
    lower = sentence.lower()
    taken, places = list(named), []
    for value in sorted(world.field_of, key=len, reverse=True):
        for match in re.finditer(rf"(?<!\w){re.escape(value.lower())}(?!\w)", lower):
            if all(match.end() <= start or match.start() >= end for start, end in taken):
                taken.append(match.span())
                places.append((match.start(), value))
    given: list[str] = []
    aside: list[str] = []
    for start, value in sorted(places):
        (aside if NOT_THE_VALUE.search(lower[:start]) else given).append(value)
    return given, aside


def _concepts(world: World, sentence: str) -> tuple[frozenset[str], frozenset[str], list[tuple[int, int]]]:
    """Concepts that a sentence names as its condition, those that it excludes, and where their names stand."""
    lower = sentence.lower()
    named: list[tuple[int, int, str]] = []
    names = [(name.lower(), key) for key, concept in world.concepts.items() for name in concept.names]
    for name, key in sorted(names, key=lambda pair: -len(pair[0])):
        start = lower.find(name)
        if start >= 0 and all(start + len(name) <= left or start >= right for left, right, _ in named):
            named.append((start, start + len(name), key))
    unless = {key for start, _, key in named if UNLESS.search(lower[:start])}
    places = [(start, end) for start, end, _ in named]
    return frozenset(key for _, _, key in named if key not in unless), frozenset(unless), places
