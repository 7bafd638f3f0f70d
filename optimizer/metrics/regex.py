"""A pattern in the output: `regex`, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from optimizer.errors import ConfigError
from optimizer.metrics.base import FLAG, SECONDS, TEXT, Check, Finding, MetricContext, metric_error
from optimizer.wording import cut, quote

if TYPE_CHECKING:
    import regex

INLINE: Final = 0.01
"""Seconds a search may hold up the event loop; one that needs longer starts again in a thread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Regex(Check):
    """The output matches a pattern of the `regex` package, whose syntax is that of `re` and more.

    A search that overruns its deadline is an error of the metric, not a score: some patterns take exponential time
    on some outputs.
    """

    name: ClassVar[str] = "regex"
    short: ClassVar[str | None] = "pattern"

    pattern: str = field(metadata=TEXT)
    """The pattern, searched anywhere in the output."""
    ignore_case: bool = field(default=False, metadata=FLAG)
    """Whether case is ignored."""
    full: bool = field(default=False, metadata=FLAG)
    """Whether the whole output must match, whitespace at both ends left out."""
    deadline: float = field(default=1.0, metadata=SECONDS)
    """Seconds that one search may take."""

    @classmethod
    def prepare(cls, args: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """The pattern must compile."""
        import regex

        try:
            compiled(args["pattern"], args.get("ignore_case", False))
        except (regex.error, RecursionError, OverflowError) as error:
            raise ConfigError(f"the pattern {quote(args['pattern'])} does not compile: {error}") from error
        return Check.prepare(args, root)

    async def measure(self, context: MetricContext) -> Finding:
        """1 where the pattern matches, else 0. Raises ModelError where the search overruns the deadline."""
        try:
            found = self._search(context.output, min(INLINE, self.deadline))
        except TimeoutError:
            found = await self._search_aside(context)
        if found is None:
            how = "match the pattern" if not self.full else "match, as a whole, the pattern"
            return Finding(reason=f"the output does not {how} {quote(self.pattern)}", wanted=cut(self.pattern))
        return Finding(value=1.0, wanted=cut(self.pattern), got=cut(found))

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The part that matches is named."""
        found = finding.got or ""
        reason = f"the output matches the pattern {quote(self.pattern)}, which it must not: {quote(found)}"
        return Finding(reason=reason, got=found)

    async def _search_aside(self, context: MetricContext) -> str | None:
        try:
            return await asyncio.to_thread(self._search, context.output, self.deadline)
        except TimeoutError as error:
            problem = f"did not end within {self.deadline:g} s; write the pattern without nested repeats"
            raise metric_error(self.key, context, problem) from error

    def _search(self, output: str, seconds: float) -> str | None:
        """The part that matches. Raises TimeoutError."""
        pattern = compiled(self.pattern, self.ignore_case)
        # `concurrent` lets other threads run while it searches.
        if self.full:
            match = pattern.fullmatch(output.strip(), timeout=seconds, concurrent=True)
        else:
            match = pattern.search(output, timeout=seconds, concurrent=True)
        return None if match is None else str(match.group())


@lru_cache(maxsize=256)
def compiled(pattern: str, ignore_case: bool) -> regex.Pattern[str]:
    """The pattern, compiled once."""
    import regex

    return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
