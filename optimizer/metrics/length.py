"""How long the output is: `length`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from optimizer.errors import ConfigError
from optimizer.metrics.base import COUNT, Check, Finding, MetricContext

UNITS: Final = {"words": "word", "chars": "character", "tokens": "token"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Length(Check):
    """The output keeps limits of words, characters or tokens.

    Words are what whitespace parts, so scripts without spaces need characters. Tokens are an estimate that is the
    same for every model: one for each four bytes of UTF-8, rounded up.
    """

    name: ClassVar[str] = "length"

    min_words: int | None = field(default=None, metadata=COUNT)
    """Fewest words."""
    max_words: int | None = field(default=None, metadata=COUNT)
    """Most words."""
    min_chars: int | None = field(default=None, metadata=COUNT)
    """Fewest characters, whitespace at both ends left out."""
    max_chars: int | None = field(default=None, metadata=COUNT)
    """Most characters, whitespace at both ends left out."""
    min_tokens: int | None = field(default=None, metadata=COUNT)
    """Fewest tokens, estimated."""
    max_tokens: int | None = field(default=None, metadata=COUNT)
    """Most tokens, estimated."""

    @classmethod
    def prepare(cls, args: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """At least one limit, and no minimum above its maximum."""
        if not args:
            raise ConfigError("no limit is given; write one, such as max_words: 50")
        for unit in UNITS:
            low, high = args.get(f"min_{unit}"), args.get(f"max_{unit}")
            if low is not None and high is not None and low > high:
                raise ConfigError(f"min_{unit} {low} is above max_{unit} {high}; swap them")
        return Check.prepare(args, root)

    async def measure(self, context: MetricContext) -> Finding:
        """1 within all limits, else 0 with the first limit that is missed."""
        for unit in UNITS:
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if low is None and high is None:
                continue
            count = measure_length(context.output, unit)
            if high is not None and count > high:
                return _missed(count, unit, f"at most {_amount(high, unit)}")
            if low is not None and count < low:
                return _missed(count, unit, f"at least {_amount(low, unit)}")
        return Finding(value=1.0, place="length")

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The output is within limits that it must miss."""
        unit = next(u for u in UNITS if getattr(self, f"min_{u}") or getattr(self, f"max_{u}"))
        count = _amount(measure_length(context.output, unit), unit)
        return Finding(reason=f"the output has {count}, within limits that it must not keep", place="length")


def measure_length(text: str, unit: str) -> int:
    """Length of a text in `words`, `chars` or `tokens`."""
    if unit == "words":
        return len(text.split())
    if unit == "chars":
        return len(text.strip())
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


def _missed(count: int, unit: str, limit: str) -> Finding:
    got = _amount(count, unit)
    reason = f"the output has {got}, expected {limit}"
    return Finding(reason=reason, place="length", wanted=limit, got=got)


def _amount(count: int, unit: str) -> str:
    return f"{count} {UNITS[unit]}{'' if count == 1 else 's'}"
