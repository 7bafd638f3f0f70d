"""Checks of the output as text: `exact` and `contains`.

Both compare in Unicode NFC, so that one character has one spelling; nothing else is changed unless an option says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from optimizer.dataset import Example
from optimizer.errors import ConfigError
from optimizer.metrics.base import (
    FLAG,
    TEXT,
    TEXTS,
    Check,
    Finding,
    MetricContext,
    argument,
    text_fault,
    wanted_text,
)
from optimizer.wording import cut, difference, find_word, normal, quote, whole_word

WHITESPACE: Final = ("strip", "collapse", "keep")


@dataclass(frozen=True, kw_only=True, slots=True)
class Exact(Check):
    """The output equals a text."""

    name: ClassVar[str] = "exact"
    short: ClassVar[str | None] = "value"

    value: str | None = field(default=None, metadata=TEXT)
    """The text; None takes the row's `expected`."""
    ignore_case: bool = field(default=False, metadata=FLAG)
    """Whether `bob` equals `Bob`."""
    whitespace: str = field(default="strip", metadata=argument("strip, collapse or keep", WHITESPACE.__contains__))
    """`strip` leaves out whitespace at both ends, `collapse` also makes each run of it one space, `keep` neither."""

    async def measure(self, context: MetricContext) -> Finding:
        """1 where the texts are equal, else 0 with the kind of difference."""
        wanted = wanted_text(self.key, self.value, context)
        if self._view(context.output) == self._view(wanted):
            return Finding(value=1.0, wanted=cut(wanted), got=cut(context.output))
        kind = difference(context.output, wanted)
        reason = f"the output is {quote(context.output)}, expected {quote(wanted)}{kind}"
        return Finding(reason=reason, wanted=cut(wanted), got=cut(context.output))

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The output is the very text that it must not be."""
        output = context.output
        return Finding(reason=f"the output is {quote(output)}, which it must not be", got=cut(output))

    def row_fault(self, example: Example) -> tuple[str, str] | None:
        """A row needs a text where the metric has no value."""
        return None if self.value is not None else text_fault(self.key, example)

    def _view(self, text: str) -> str:
        text = normal(text, ignore_case=self.ignore_case)
        if self.whitespace == "strip":
            return text.strip()
        return " ".join(text.split()) if self.whitespace == "collapse" else text


@dataclass(frozen=True, kw_only=True, slots=True)
class Contains(Check):
    """The output contains a text, any of several, or all of several."""

    name: ClassVar[str] = "contains"
    short: ClassVar[str | None] = "value"

    value: str | None = field(default=None, metadata=TEXT)
    """The text; None takes the row's `expected`, unless `any` or `all` is given."""
    any: tuple[str, ...] = field(default=(), metadata=TEXTS)
    """One of these is enough."""
    all: tuple[str, ...] = field(default=(), metadata=TEXTS)
    """Each of these is needed."""
    ignore_case: bool = field(default=False, metadata=FLAG)
    """Whether `bob` counts for `Bob`."""
    words: bool = field(default=False, metadata=FLAG)
    """Whether the text must stand as words of its own, so that `Bobby` does not count for `Bob`."""

    @classmethod
    def prepare(cls, args: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """At most one of `value`, `any` and `all`."""
        given = [name for name in ("value", "any", "all") if name in args]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} exclude each other; keep one, or write two metrics")
        return Check.prepare(args, root)

    async def measure(self, context: MetricContext) -> Finding:
        """1 where the texts are there, else 0 with the first that is missing."""
        output = normal(context.output, ignore_case=self.ignore_case)
        if self.any:
            return self._any(output)
        wanted = self.all or (wanted_text(self.key, self.value, context),)
        missing = [text for text in wanted if self._find(text, output) < 0]
        if not missing:
            return Finding(value=1.0, wanted=cut(wanted[0]), got=cut(wanted[0]))
        return self._missing(missing, context.output)

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The text is there; of several, the first that is."""
        found = finding.got or ""
        also = " together with all others of the list" if len(self.all) > 1 else ""
        return Finding(reason=f"the output contains {quote(found)}{also}, which it must not", got=found)

    def row_fault(self, example: Example) -> tuple[str, str] | None:
        """A row needs a text where the metric has none."""
        constant = self.value is not None or self.any or self.all
        return None if constant else text_fault(self.key, example)

    def _any(self, output: str) -> Finding:
        for text in self.any:
            if self._find(text, output) >= 0:
                return Finding(value=1.0, wanted=cut(self.any[0]), got=cut(text))
        reason = f"the output contains none of {quote(', '.join(self.any))}"
        return Finding(reason=reason, wanted=cut(self.any[0]))

    def _missing(self, missing: list[str], output: str) -> Finding:
        first = missing[0]
        near, why = self._near(first, normal(output))
        reason = f"the output does not contain {quote(first)}"
        if near is not None:
            reason = f"the output contains {quote(near)} instead of {quote(first)}: {why}"
        if len(self.all) > 1:
            reason += f" ({len(missing)} of {len(self.all)} texts missing)"
        return Finding(reason=reason, wanted=cut(first), got=near)

    def _find(self, text: str, output: str) -> int:
        text = normal(text, ignore_case=self.ignore_case)
        return find_word(text, output) if self.words else output.find(text)

    def _near(self, text: str, output: str) -> tuple[str | None, str]:
        """What stands in the output in place of the text, and how it differs."""
        text, lower = normal(text), output.lower()
        # Where lower case changes the length, positions in the two texts differ and nothing can be cut out.
        folded = len(lower) == len(output)
        if self.words:
            at = lower.find(text.lower()) if self.ignore_case and folded else output.find(text)
            if at >= 0:
                return cut(whole_word(output, at, at + len(text))), "it stands inside a longer word only"
        if not self.ignore_case and folded:
            at = find_word(text.lower(), lower) if self.words else lower.find(text.lower())
            if at >= 0:
                return cut(output[at : at + len(text)]), "only the case differs"
        return None, ""
