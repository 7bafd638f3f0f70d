"""What a world is: rows with hidden causes, the true rules behind them, and a ceiling.

A world is a pure function of (family, seed). Conditions are concepts with many names (for prompts) and many phrasings
(for inputs), and limits on amounts; no word of an input names its rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

BANKS = Path(__file__).parent / "banks"
ANSWER = "answer"
"""The field of a world whose output is one value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Concept:
    """A condition that an input shows without naming it."""

    key: str
    """Its canonical name."""
    names: tuple[str, ...]
    """How a prompt may name it."""
    phrasings: tuple[str, ...] = ()
    """How an input shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One true rule: condition and consequence."""

    id: str
    """Its id in the world."""
    field: str
    """The field that it decides."""
    when: frozenset[str]
    """Concepts that must all hold."""
    value: str
    """What is then right."""
    above: int | None = None
    """The amount must be greater."""
    upto: int | None = None
    """The amount must not be greater."""
    instead: str | None = None
    """What the model says by itself where the rule applies; a rule without concepts replaces it everywhere."""

    @property
    def narrow(self) -> int:
        """How specific its condition is."""
        return len(self.when) + (self.above is not None) + (self.upto is not None)

    def holds(self, facts: frozenset[str], amount: int | None, said: str) -> bool:
        """Whether the condition is met."""
        if self.instead is not None and said != self.instead:
            return False
        return self.when <= facts and within(amount, self.above, self.upto)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row, with what a reader of its text would understand."""

    id: str
    """Its id."""
    split: str
    """`train`, `val` or `test`."""
    text: str
    """The input."""
    facts: frozenset[str]
    """Concepts that hold."""
    amount: int | None
    """The amount that the text tells."""
    base: Mapping[str, str]
    """Field -> what the model says without any rule."""
    truth: Mapping[str, str]
    """Field -> what is right by the true rules."""
    expected: Mapping[str, str]
    """Field -> what the row's label says; wrong now and then."""
    cause: Mapping[str, str]
    """Field -> the rule that decides it, where one does."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A task with known causes."""

    family: str
    """Which kind of world."""
    seed: int
    """Which one of its kind."""
    form: str
    """How an output is written: `label`, `json` or `reply`."""
    fields: tuple[str, ...]
    """What an output decides."""
    values: Mapping[str, tuple[str, ...]]
    """Field -> values that it can have; no value belongs to two fields."""
    concepts: Mapping[str, Concept]
    """By key."""
    rules: tuple[Rule, ...]
    """The true ones."""
    rows: tuple[Row, ...]
    """Of all splits."""
    prompt: str
    """The seed prompt: the system message. The user message is the row's text."""
    frame: str
    """Its part that says what the task is: all of it where it has no flaws."""
    locked: frozenset[str] = frozenset()
    """Lines of it that its user forbids to change."""
    curable: bool = True
    """False where no prompt helps."""
    adherence: float
    """Share of rows in which the model does what the prompt states."""
    slip: float = 0.02
    """How often a value that no rule decides comes out wrong."""
    template: str = "{answer}"
    """Of a reply: the text around its fields."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """Of JSON: field -> dotted path."""

    def split(self, name: str) -> tuple[Row, ...]:
        """Rows of one split."""
        return tuple(row for row in self.rows if row.split == name)

    @cached_property
    def by_text(self) -> Mapping[str, Row]:
        """Text -> row."""
        return {row.text: row for row in self.rows}

    @cached_property
    def by_rule(self) -> Mapping[str, Rule]:
        """Id -> rule."""
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def field_of(self) -> Mapping[str, str]:
        """Value -> field that it belongs to."""
        return {value: name for name, values in self.values.items() for value in values}

    def find(self, text: str) -> Row | None:
        """The row whose text stands in a message, the longest where there are several."""
        found = self.by_text.get(text.strip())
        if found is not None:
            return found
        inside = [row for row in self.rows if row.text in text]
        return max(inside, key=lambda row: len(row.text), default=None)

    def write(self, values: Mapping[str, str]) -> str:
        """An output with these values."""
        if self.form == "json":
            made: dict[str, Any] = {}
            for name in self.fields:
                *holders, last = self.paths[name].split(".")
                place = made
                for holder in holders:
                    place = place.setdefault(holder, {})
                place[last] = values[name]
            return json.dumps(made)
        return self.template.format(**values) if self.form == "reply" else values[ANSWER]

    def read(self, output: str) -> dict[str, str]:
        """The values of an output, for the reflection model: field -> value; what is not there is left out."""
        if self.form == "label":
            return {ANSWER: output.strip()}
        if self.form == "json":
            return {name: found for name in self.fields if (found := _dig(output, self.paths[name])) is not None}
        parts = [re.escape(part) for part in self.template.split("{answer}")]
        match = re.search("(.*)".join(parts), output)
        return {ANSWER: match.group(1)} if match else {}

    def wanted(self, row: Row) -> Any:
        """The `expected` of a row in the eval file."""
        if self.form == "label":
            return row.expected[ANSWER]
        return json.loads(self.write(row.expected)) if self.form == "json" else row.expected[ANSWER]

    def wanted_text(self, row: Row) -> str:
        """The same as one text, for tools whose rows hold text alone."""
        return self.write(row.expected) if self.form == "json" else row.expected[ANSWER]

    def understood(self, expected: str) -> dict[str, str]:
        """Field -> value of an `expected` as a tool shows it, as JSON or as text."""
        return self.read(expected) if self.form == "json" else {ANSWER: expected.strip()}


def within(amount: int | None, above: int | None, upto: int | None) -> bool:
    """Whether an amount lies in the limits; a missing amount meets no limit."""
    if above is None and upto is None:
        return True
    return amount is not None and (above is None or amount > above) and (upto is None or amount <= upto)


def chance(*parts: object) -> float:
    """A number in [0, 1) that the parts alone decide."""
    digest = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def bank(name: str) -> dict[str, Concept]:
    """Concepts of a file of `banks/`: `# key`, a line of names, then phrasings."""
    found: dict[str, Concept] = {}
    text = (BANKS / f"{name}.txt").read_text(encoding="utf-8")
    for part in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        key, names, *phrasings = part.strip().split("\n")
        found[key] = Concept(
            key=key,
            names=tuple(name.strip() for name in names.removeprefix("=").split("|")),
            phrasings=tuple(phrasings),
        )
    return found


def outcome(
    rules: Sequence[Rule], facts: frozenset[str], amount: int | None, said: Mapping[str, str]
) -> dict[str, Rule]:
    """Field -> the true rule that decides it: of several, the one with the narrowest condition, then the last."""
    found: dict[str, Rule] = {}
    for rule in sorted(rules, key=lambda rule: rule.narrow):
        if rule.holds(facts, amount, said[rule.field]):
            found[rule.field] = rule
    return found


def _dig(output: str, path: str) -> str | None:
    try:
        value = json.loads(output)
    except ValueError:
        return None
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
