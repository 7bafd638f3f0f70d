"""What the headers of a reply say of the limits of an account. Shared by every provider over HTTP.

A provider calls `listen` with the headers of each reply, good or bad; who pays for the call reads what was heard.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime

from optimizer.pace import Heard, Left

_heard: ContextVar[list[Heard] | None] = ContextVar("heard", default=None)

_NAMES = {
    "requests": (
        ("x-ratelimit-remaining-requests", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests"),
        (
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-reset",
        ),
        ("x-ratelimit-remaining", "x-ratelimit-limit", "x-ratelimit-reset"),
    ),
    "tokens": (
        ("x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens"),
        (
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-reset",
        ),
    ),
}
"""(what is left, of how many, when all of it is there again), as OpenAI and those that speak like it name them, as
Anthropic does, and as gateways do."""
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|ns|d|h|m|s)")
_EPOCH_SECONDS = 1e9
"""A number from here on is a time since 1970, not a wait."""
_EPOCH_MILLIS = 1e12
LONGEST_HEADER = 64
"""Characters from which on a header is no number and no time."""


def hearing() -> list[Heard]:
    """Begin to listen for what the reply to this call says; see `listen`."""
    said: list[Heard] = []
    _heard.set(said)
    return said


def listen(headers: Mapping[str, str], now: float | None = None) -> None:
    """Pass on what a reply says, where anyone wants to know and it says anything."""
    said = _heard.get()
    if said is None:
        return
    heard = read(headers, now)
    if heard is not None:
        said.append(heard)


def read(headers: Mapping[str, str], now: float | None = None) -> Heard | None:
    """What is left of each limit; None where nothing is said. What makes no sense is left out.

    Args:
        headers: by case-insensitive name.
        now: seconds since 1970; None asks the clock.
    """
    requests, tokens = (_left(headers, what, now) for what in ("requests", "tokens"))
    return None if requests is None and tokens is None else Heard(requests=requests, tokens=tokens)


def duration(text: str | None, now: float | None = None) -> float | None:
    """Seconds that a reset is away: `20ms`, `1s`, `6m0s`, `12`, a time since 1970 or one as RFC 3339 writes it."""
    if text is None or not text or len(text) > LONGEST_HEADER:
        return None
    value = _number(text)
    if value is not None:
        if value < _EPOCH_SECONDS:
            return value
        at = value / 1000 if value >= _EPOCH_MILLIS else value
        return max(at - _since_1970(now), 0.0)
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if date.tzinfo is None else max(date.timestamp() - _since_1970(now), 0.0)


def _left(headers: Mapping[str, str], what: str, now: float | None) -> Left | None:
    for left, limit, reset in _NAMES[what]:
        if (text := headers.get(left)) is not None and (value := _number(text)) is not None:
            return Left(left=value, limit=_number(headers.get(limit)) or None, reset=duration(headers.get(reset), now))
    return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None and len(text) <= LONGEST_HEADER else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _since_1970(now: float | None) -> float:
    return time.time() if now is None else now
