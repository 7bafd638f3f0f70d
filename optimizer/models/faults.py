"""What a provider's refusal means, in the words of the openai package. Shared by every provider over HTTP."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime

from optimizer.errors import ErrorKind
from optimizer.redaction import Scrubber, forms

LONGEST_MESSAGE = 300
"""Characters of a provider's own words that an error keeps."""

_KINDS = {
    400: ErrorKind.BAD_REQUEST,
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.INSUFFICIENT_QUOTA,
    403: ErrorKind.PERMISSION_DENIED,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.CONFLICT,
    422: ErrorKind.UNPROCESSABLE_ENTITY,
    429: ErrorKind.RATE_LIMIT,
}
_KEY_LIKE = re.compile(r"\b(?:sk|gsk|xai)[-_][\w*.…-]{6,}|\bAIza[\w-]{10,}|\bBearer\s+\S+")
_INNARDS = re.compile(r" ssl:(?:<[^>]*>|\w+)|(?<=\w) object at 0x[0-9a-f]+")
"""What clients tell of their own objects."""
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|"
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ud800-\udfff]+"
)
"""Escape sequences of terminals, control, bidi and invisible characters."""


def kind_of(status: int, code: object = None) -> ErrorKind:
    """The kind of a refusal by its HTTP status, and by the `code` of its body where there is one."""
    if code == "insufficient_quota":
        return ErrorKind.INSUFFICIENT_QUOTA
    if code in ("content_filter", "content_policy_violation"):
        return ErrorKind.CONTENT_FILTER
    if status >= 500:
        return ErrorKind.INTERNAL_SERVER
    return _KINDS.get(status, ErrorKind.BAD_REQUEST)


def redirected(headers: Mapping[str, str]) -> str:
    """What a redirect comes to: it is never followed, since the key would go along."""
    return f"redirects to {headers.get('location', 'nowhere')}: set base_url to the final address"


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that the provider asks us to wait; None where it does not, or makes no sense.

    Reads `retry-after-ms`, then `retry-after` as seconds or as an HTTP date.

    Args:
        headers: by case-insensitive name.
        now: seconds since 1970; None asks the clock.
    """
    millis = _seconds(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    if (seconds := _seconds(text)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    wait = date - (time.time() if now is None else now)
    return wait if wait >= 0 else None


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def one_line(text: str, secrets: Iterable[str] = ()) -> str:
    """A provider's words, fit for an error: one line, no control characters, no key, not too long."""
    for form in forms(secrets):
        text = text.replace(form, "[key]")
    # Before it is cut, since half a key is not known for one any more.
    text = Scrubber().values(text)
    text = _INNARDS.sub("", _KEY_LIKE.sub("[key]", _CONTROL.sub(" ", text)))
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."
