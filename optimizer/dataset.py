"""Examples, eval sets and splits: the values. `readers/` fills them from files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Split(StrEnum):
    """Which part of an eval set a row belongs to."""

    TRAIN = "train"
    """Its failures are shown to the mutator."""
    VAL = "val"
    """Chooses between candidates; used many times, so figures on it are optimistic."""
    TEST = "test"
    """Sealed: scored once, for baseline and winner."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One row of an eval set."""

    id: str
    """Given, or a hash of the content; never a row number."""
    inputs: Mapping[str, Any]
    """Named values for the prompt's variables."""
    expected: Any = None
    """What the output is compared with; None where a row has no target."""
    tags: tuple[str, ...] = ()
    """Labels for strata and reports."""
    group: str | None = None
    """Rows of one group always share a split."""
    source: str = ""
    """`file:line` that the row was read from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalSet:
    """Examples with their splits."""

    name: str
    """The eval file's stem."""
    examples: Sequence[Example]
    """All rows, in file order."""
    splits: Mapping[str, Split] = field(default_factory=dict)
    """Example id -> split, for every example."""

    def split(self, name: Split) -> Sequence[Example]:
        """Examples of one split, ordered by a hash of their id.

        The order is frozen: it depends on no file order, so blocks of rows stay the same from run to run.
        """
        rows = [example for example in self.examples if self.splits[example.id] == name]
        return tuple(sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest()))

    def by_id(self) -> Mapping[str, Example]:
        """Examples by their id."""
        return {example.id: example for example in self.examples}

    def fingerprint(self, name: Split | None = None) -> str:
        """sha256 over the content of one split, or of all rows: ids, inputs, expected."""
        rows = self.examples if name is None else self.split(name)
        digest = hashlib.sha256()
        for row in sorted(rows, key=lambda row: row.id):
            digest.update(canonical_json([row.id, dict(row.inputs), row.expected]).encode())
        return digest.hexdigest()


# Made once: `json.dumps` would make one at every call, and each request has its key from here.
_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text.

    Raises ValueError for NaN and infinities.
    """
    return _CANONICAL.encode(value)


def content_id(inputs: Mapping[str, Any], expected: object) -> str:
    """Id of a row that was given none: 12 hex digits of a hash of its content."""
    return hashlib.sha256(canonical_json([dict(inputs), expected]).encode()).hexdigest()[:12]


def content_hash(example: Example) -> str:
    """12 hex digits over what a model and a metric see of a row."""
    content = canonical_json([dict(example.inputs), example.expected])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def display(value: Any) -> str:
    """A value as people read it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def ids(examples: Sequence[Example]) -> tuple[str, ...]:
    """Ids in order."""
    return tuple(example.id for example in examples)


def groups_of(examples: Iterable[Example]) -> dict[str, str]:
    """Example id -> group, for the examples that have one."""
    return {example.id: example.group for example in examples if example.group is not None}
