"""Faults that the fake server can be told to show, and scripts that decide which request meets one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

FORMS = (
    "status",
    "reset",
    "short",
    "half-open",
    "trickle",
    "hang",
    "cut",
    "html",
    "garbage",
    "empty",
    "null",
    "length",
    "filter",
    "refusal",
    "error-200",
    "array",
    "choices-object",
    "choice-text",
    "message-text",
    "content-number",
    "content-list",
    "content-object",
    "finish-number",
    "usage-text",
    "usage-negative",
    "usage-missing",
)
"""`status`: refuse with one · `reset`: close the connection · `short`: send less than Content-Length says ·
`half-open`: send half an answer and fall silent · `trickle`: a byte every few seconds · `hang`: never answer ·
`cut`: JSON that ends early · `html`: a page instead of JSON · `garbage`: a huge body that is no JSON ·
`empty`: no choices · `null`: no content · `length`: cut off at the length limit · `filter`: held back ·
`refusal`: `message.refusal` instead of content · `error-200`: an error in a 200 · `array`: a list as the whole reply ·
`choices-object` ... `content-object`: a value of the wrong type there. A reply of the last four forms, `finish-` and
`usage-`, holds the right text, with odd data beside it."""

GOOD_TEXT = ("finish-number", "usage-text", "usage-negative", "usage-missing")
"""Forms of FORMS whose reply holds the right text: a client that cares about the text alone may use it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One way to fail."""

    form: str
    """One of FORMS."""
    status: int = 500
    """HTTP status, for `status`."""
    code: str = "fault"
    """`error.code` of the body, for `status` and `error-200`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers: Retry-After and the like."""
    date_in: float | None = None
    """Seconds from now that a Retry-After written as an HTTP date names; None writes none."""
    every: float = 5.0
    """Seconds between two bytes, for `trickle`."""
    size: int = 32 * 2**20
    """Bytes of the body, for `garbage`."""

    @property
    def name(self) -> str:
        """The status, or the form."""
        return str(self.status) if self.form == "status" else self.form


@dataclass(kw_only=True, slots=True)
class Seen:
    """One request as the server saw it."""

    index: int
    """0 for the first to arrive."""
    key: str
    """sha256 of the body's JSON with its keys sorted."""
    attempt: int
    """1 for the first request with this key."""
    body: Mapping[str, Any]
    """What was asked."""
    at: float = 0.0
    """When it came, on the server's monotonic clock, in seconds."""
    ended: float | None = None
    """When its answer or fault was over, on the same clock; None while it is under way."""
    fault: str | None = None
    """The fault that was shown, as its form or its status; None for a good answer."""
    answered: bool = False
    """Whether a good answer went out in full."""
    input_tokens: int = 0
    """What a reply that went out in full told, good or not; 0 where it told no sensible count."""
    output_tokens: int = 0
    """The same."""


Script = Callable[[Seen], Fault | None]
"""Decides what a request meets; None is a good answer."""


def refuse(status: int, *, code: str = "fault", retry_after: str | None = None) -> Fault:
    """A refusal with a status, and with a Retry-After header where one is given."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Fault(form="status", status=status, code=code, headers=headers)


RATE_LIMITS: tuple[Fault, ...] = (
    refuse(429, retry_after="1"),
    refuse(429, retry_after="0"),
    refuse(429, retry_after="-5"),
    refuse(429, retry_after="abc"),
    Fault(form="status", status=429, date_in=1.0),
    Fault(form="status", status=429, headers={"Retry-After-Ms": "200"}),
    refuse(429, retry_after="200"),
    refuse(429),
)
"""429 with every form of Retry-After: seconds, nonsense, a date, milliseconds, longer than patience, none."""


def parse_fault(text: str) -> Fault:
    """A fault from text: `429`, `hang` or any other of FORMS, with settings after slashes.

    Settings: `after=TEXT` (Retry-After), `ms=TEXT` (retry-after-ms), `date=SECONDS` (Retry-After as the date in so
    many seconds), `none` (no Retry-After; a bare 429 has one of 0.2 s), `code=TEXT`, `every=SECONDS`, `size=BYTES`.
    Raises ValueError for anything else.
    """
    name, *settings = text.split("/")
    if name.isdigit() and 300 <= int(name) < 600:
        fault = refuse(int(name), retry_after="0.2" if name == "429" and not settings else None)
    elif name in FORMS and name != "status":
        fault = Fault(form=name)
    else:
        raise ValueError(f"unknown fault {text!r}: write a status or one of {', '.join(FORMS[1:])}")
    for setting in settings:
        fault = _set(fault, setting)
    return fault


def _set(fault: Fault, setting: str) -> Fault:
    name, _, value = setting.partition("=")
    if name == "after":
        return replace(fault, headers={**fault.headers, "Retry-After": value})
    if name == "ms":
        return replace(fault, headers={**fault.headers, "Retry-After-Ms": value})
    if name == "date":
        return replace(fault, date_in=float(value))
    if name == "code":
        return replace(fault, code=value)
    if name == "every":
        return replace(fault, every=float(value))
    if name == "size":
        return replace(fault, size=int(value))
    if setting == "none":
        return fault
    raise ValueError(f"unknown setting {setting!r} of a fault: write after, ms, date, none, code, every or size")


def in_turn(*faults: Fault | None) -> Script:
    """Fault by order of arrival, then none."""
    left = list(faults)
    return lambda seen: left.pop(0) if left else None


def always(fault: Fault) -> Script:
    """The same for every request."""
    return lambda seen: fault


def first(attempts: int, *faults: Fault) -> Script:
    """For the first attempts at each key; several faults go round by the key, so that each is met."""
    return lambda seen: faults[int(seen.key[:8], 16) % len(faults)] if seen.attempt <= attempts else None


def asking(text: str, script: Script) -> Script:
    """For requests whose messages hold a text; a good answer for all others."""
    return lambda seen: script(seen) if text in str(seen.body.get("messages")) else None


def by_rate(rates: Mapping[str, float], seed: int = 0) -> Script:
    """Faults at given shares, `{"429": 0.05, "hang": 0.005}`: a function of seed, request and attempt alone."""
    shares = [(parse_fault(name), share) for name, share in rates.items()]

    def script(seen: Seen) -> Fault | None:
        digest = hashlib.sha256(f"{seed}:{seen.key}:{seen.attempt}".encode()).digest()
        drawn = int.from_bytes(digest[:4], "big") / 2**32
        for fault, share in shares:
            if drawn < share:
                return fault
            drawn -= share
        return None

    return script


def parse_script(text: str) -> Script:
    """A script from text: `always:FAULT`, `turn:FAULT,none,...`, `first:N:FAULT,...` or `rate:FAULT=SHARE,...`.

    Raises ValueError for anything else.
    """
    kind, _, rest = text.partition(":")
    if kind == "always":
        return always(parse_fault(rest))
    if kind == "turn":
        return in_turn(*(None if name == "none" else parse_fault(name) for name in rest.split(",")))
    if kind == "first":
        count, _, names = rest.partition(":")
        return first(int(count), *(parse_fault(name) for name in names.split(",")))
    if kind == "rate":
        return by_rate({name: float(share) for name, _, share in (part.rpartition("=") for part in rest.split(","))})
    raise ValueError(
        f"unknown script {text!r}: write always:FAULT, turn:FAULT,none,..., first:N:FAULT or rate:FAULT=SHARE"
    )
