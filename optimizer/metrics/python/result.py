"""What a user's function gave: a finding, or no score at all."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any, Final

from optimizer.metrics.base import Finding
from optimizer.results import Score
from optimizer.wording import cut, nearest, printable, quote

REASON_LIMIT: Final = 300
"""Characters of a function's reason that are kept."""
PARTS: Final = ("value", "reason", "place", "wanted", "got")


class BadResult(ValueError):
    """What a function gave is no score; the message says why."""


def read_result(result: Any) -> Finding:
    """What a function gave, as a finding. Raises BadResult for everything that is no score."""
    if isinstance(result, Score):
        result = {name: getattr(result, name) for name in PARTS}
    elif isinstance(result, tuple):
        if len(result) != 2:
            raise BadResult(f"gave a tuple of {len(result)}; a pair (value, reason) is wanted")
        result = {"value": result[0], "reason": result[1]}
    elif not isinstance(result, Mapping):
        return Finding(value=read_value(result))
    for name in result:
        if name not in PARTS:
            raise BadResult(f"gave an unknown key {quote(str(name))}; {nearest(str(name), PARTS) or 'leave it out'}")
    if "value" not in result:
        raise BadResult("gave a mapping without value")
    return Finding(
        value=read_value(result["value"]),
        reason=_text(result, "reason", REASON_LIMIT) or "",
        place=_text(result, "place", 80) or "text",
        wanted=_shown(result.get("wanted")),
        got=_shown(result.get("got")),
    )


def read_finding(told: Any) -> Finding:
    """A finding as another process told it, in which anything may have been written. Raises BadResult."""
    if not isinstance(told, Mapping):
        raise BadResult("gave an answer that is none")
    return read_result(told)


def read_value(given: object) -> float:
    """A number in [0, 1]; true is 1. Raises BadResult."""
    value: Any = given
    # numpy's bool is no bool and no number.
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return float(bool(value))
    if not isinstance(given, numbers.Real):
        raise BadResult(f"gave {type(value).__name__}; a bool or a number from 0 to 1 is wanted")
    # Compared before it is converted: a whole number may be too large for a float.
    if not 0 <= value <= 1:
        shown = "not a number" if value != value else "a number outside 0 to 1"
        raise BadResult(f"gave {shown}; a number from 0 to 1 is wanted")
    return float(value)


def _text(result: Mapping[str, Any], name: str, limit: int) -> str | None:
    text = result.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise BadResult(f"gave a {name} that is {type(text).__name__}; text is wanted")
    return printable(text if len(text) <= limit else text[: limit - 1] + "…")


def _shown(value: Any) -> str | None:
    try:
        return None if value is None else cut(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadResult(f"gave {type(value).__name__} as wanted or got; text is wanted") from error
