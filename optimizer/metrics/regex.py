"""A pattern in the output: `regex`, with a deadline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from optimizer.errors import ConfigError
from optimizer.metrics import pattern as patterns
from optimizer.metrics.base import FLAG, SECONDS, TEXT, Check, Finding, MetricContext, metric_error
from optimizer.wording import cut, quote

IGNORE_CASE: Final = re.IGNORECASE.value
"""The flag has the same number in `regex`."""


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
        try:
            patterns.check(args["pattern"], IGNORE_CASE if args.get("ignore_case", False) else 0)
        except ValueError as error:
            raise ConfigError(f"the pattern {quote(args['pattern'])} does not compile: {error}") from error
        return Check.prepare(args, root)

    async def measure(self, context: MetricContext) -> Finding:
        """1 where the pattern matches, else 0. Raises ModelError where the search overruns the deadline."""
        text = context.output.strip() if self.full else context.output
        flags = IGNORE_CASE if self.ignore_case else 0
        try:
            found = await patterns.search(self.pattern, flags, text, self.deadline, full=self.full)
        except patterns.Overrun as error:
            problem = f"{error}; write the pattern without nested repeats"
            raise metric_error(self.key, context, problem) from error
        if found is None:
            how = "match the pattern" if not self.full else "match, as a whole, the pattern"
            return Finding(reason=f"the output does not {how} {quote(self.pattern)}", wanted=cut(self.pattern))
        return Finding(value=1.0, wanted=cut(self.pattern), got=cut(found))

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The part that matches is named."""
        found = finding.got or ""
        reason = f"the output matches the pattern {quote(self.pattern)}, which it must not: {quote(found)}"
        return Finding(reason=reason, got=found)
