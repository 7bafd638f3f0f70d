"""The instructions that the stand-in understands, as values: `docs/offline.md` has the grammar, `lines` reads it."""

from __future__ import annotations

from dataclasses import dataclass


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


def key(rule: Rule) -> str:
    """A rule as text: the same for every wording of it."""
    return repr(rule).lower()
