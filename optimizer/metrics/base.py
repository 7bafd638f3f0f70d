"""The seam to metrics: one context in, one score out. And what the built-in checks share.

**How failing scores speak.** The clusterer reads them, so their wording is stable:

* A reason is one line. The words are the kind of failure and are the same for the same cause; whatever changes from
  row to row stands in double quotes (inner quotes become single ones, control characters are escaped, longer than 80
  characters is cut) or is a number. A reason without its quoted parts and numbers is therefore its kind.
* `place` says where the expectation broke: `text`, `format` (not JSON), `$.a.b` (a field), `label`, `length`.
* `wanted` and `got` are the bare values at that place, unquoted, cut to 500 characters. Values that are not text are
  written as JSON. Several values (`any`, `all`) are told by the first that counts, so that the value stays one value.
* `wanted` is None where something must not be there, or where no single value is wanted (`format`, a missing field).
  `got` is None where nothing was found.
* A score that passed has no reason. It keeps `place`, `wanted` and `got`, which tell what is usual there.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from optimizer.config import MetricSpec
from optimizer.dataset import Example, display
from optimizer.errors import ErrorKind, ModelError
from optimizer.results import Completion, Score
from optimizer.wording import quote, type_words


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricContext:
    """All that a metric may look at. New information becomes a new field, never a new argument."""

    example: Example
    """The row."""
    completion: Completion
    """What came back."""

    @property
    def output(self) -> str:
        """The text."""
        return self.completion.text


class Metric(Protocol):
    """A check of one output. Holds its settings alone, so one object scores any number of rows at once."""

    async def score(self, context: MetricContext) -> Score:
        """Score one output.

        Raises ModelError of kind METRIC where the metric itself failed: the row is an error then, never a zero.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a check found in one output, before weight and threshold."""

    value: float = 0.0
    """In [0, 1]; 1 is best."""
    reason: str = ""
    """Why it is not 1, in the wording of this module."""
    place: str = "text"
    """Where the expectation broke or held."""
    wanted: str | None = None
    """The expected value at that place."""
    got: str | None = None
    """The value found there; a check that holds may name what it found, for its negation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What an argument may be."""

    words: str
    """As an error message says it: `text`, `true or false`."""
    accepts: Callable[[Any], bool]
    """True for a value of this kind."""


def is_text(value: object) -> bool:
    """Text with something in it."""
    return isinstance(value, str) and bool(value)


def is_texts(value: object) -> bool:
    """A list of one or more texts, none of them empty."""
    return isinstance(value, list | tuple) and bool(value) and all(map(is_text, value))


def is_number(value: object) -> bool:
    """A finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def argument(words: str, accepts: Callable[[Any], bool]) -> Mapping[str, Kind]:
    """Metadata that makes a field of a check an argument in the eval file."""
    return {"kind": Kind(words=words, accepts=accepts)}


TEXT: Final = argument("text", is_text)
TEXTS: Final = argument("a list of texts", is_texts)
FLAG: Final = argument("true or false", lambda value: isinstance(value, bool))
COUNT: Final = argument("a whole number from 1 on", lambda value: type(value) is int and value >= 1)
SECONDS: Final = argument(
    "a number of seconds above 0, at most 600", lambda value: is_number(value) and 0 < value <= 600
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check(ABC):
    """A built-in metric: a frozen value of its settings. Fields with a `kind` are its arguments."""

    name: ClassVar[str]
    """As the eval file writes it."""
    short: ClassVar[str | None] = None
    """The argument that the short form `name: value` sets."""
    version: ClassVar[str] = "1"
    """Goes up when the same output would score differently."""

    key: str
    """Unique in an eval set: `Score.metric`."""
    weight: float = 1.0
    """Share in the row's score."""
    threshold: float = 1.0
    """Value from which it passes, in (0, 1]."""
    required: bool = True
    """Whether a row can pass without it."""

    @abstractmethod
    async def measure(self, context: MetricContext) -> Finding:
        """Look at one output. Raises ModelError of kind METRIC where no finding can be made."""

    @abstractmethod
    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """What to say where the check holds and must not: `finding` is what `measure` gave."""

    async def score(self, context: MetricContext) -> Score:
        """Score one output; the contract of `Metric`."""
        finding = await measured(self, context)
        return scored(self, finding, passed=finding.value >= self.threshold)

    @classmethod
    def prepare(cls, args: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """Checked arguments -> fields. Raises ConfigError where they do not fit together or name a bad file.

        Args:
            args: name -> value, each of its kind.
            root: folder of the eval file; relative paths start there.
        """
        return {name: tuple(value) if isinstance(value, list) else value for name, value in args.items()}

    def describe(self) -> MetricSpec:
        """The spec that builds this check again: arguments by their own names, defaults left out."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        args = {name: getattr(self, name) for name in arguments(type(self))}
        return MetricSpec(
            name=self.name,
            args={
                name: list(value) if isinstance(value, tuple) else value
                for name, value in args.items()
                if value != defaults[name]
            },
            weight=self.weight,
            threshold=None if self.threshold == defaults["threshold"] else self.threshold,
            required=self.required,
        )

    def row_fault(self, example: Example) -> tuple[str, str] | None:
        """(what is wrong with the row's `expected`, how to mend it); None where the check can use the row."""
        return None

    def sources(self) -> Mapping[str, str]:
        """File as the eval file names it -> sha256 of its content, for files that decide the score."""
        return {}

    def code(self) -> Path | None:
        """The user's file whose code scores; None where the check is ours alone."""
        return None

    async def make_ready(self) -> None:
        """Find what is wrong before the first output. Raises ConfigError. May run the user's code."""
        return

    def revision(self) -> str:
        """`Score.version`."""
        return self.version


def arguments(check: type[Check]) -> dict[str, Kind]:
    """Argument -> what it may be, in the order of the fields."""
    fields = dataclasses.fields(check)
    return {field.name: field.metadata["kind"] for field in fields if "kind" in field.metadata}


async def measured(check: Check, context: MetricContext) -> Finding:
    """The check's finding. Whatever it raises becomes a ModelError of kind METRIC that names the row."""
    try:
        return await check.measure(context)
    except ModelError:
        raise
    except Exception as error:
        raise metric_error(check.key, context, f"raised {type(error).__name__}") from error


def metric_error(key: str, context: MetricContext, problem: str) -> ModelError:
    """The error of a metric that could not score a row."""
    return ModelError(ErrorKind.METRIC, f"metric {quote(key)} {problem} (row {quote(context.example.id)})")


def scored(check: Check, finding: Finding, *, passed: bool) -> Score:
    """A finding with the check's key, weight and version."""
    return Score(
        metric=check.key,
        value=finding.value,
        passed=passed,
        reason="" if passed else finding.reason,
        place=finding.place,
        wanted=finding.wanted,
        got=finding.got,
        weight=check.weight,
        required=check.required,
        version=check.revision(),
    )


def expected_text(example: Example) -> str | None:
    """The row's `expected` as text, where it is text, a number, or true or false; else None."""
    expected = example.expected
    if isinstance(expected, str):
        return expected
    return display(expected) if isinstance(expected, int | float) else None


def text_fault(key: str, example: Example) -> tuple[str, str] | None:
    """`Check.row_fault` of a check that compares the output with the row's `expected` as text."""
    if example.expected is None:
        return f"is missing, and {key} compares with it", "add it, or give the metric a value"
    text = expected_text(example)
    if text is None:
        return f"is {type_words(example.expected)}, and {key} needs text", "write text, or use json-field"
    return None if text.strip() else (f"is blank, and {key} compares with it", "write the text that is wanted")


def wanted_text(key: str, value: str | None, context: MetricContext) -> str:
    """The setting where there is one, else the row's `expected`. Raises ModelError where there is neither."""
    if value is not None:
        return value
    text = expected_text(context.example)
    if text is None:
        raise metric_error(key, context, "needs an expected text")
    return text
