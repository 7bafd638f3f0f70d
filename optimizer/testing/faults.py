"""Faults that the fake server can be told to show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

FORMS = ("status", "reset", "short", "cut", "html", "empty", "null", "length", "filter", "hang")
"""`status`: refuse with one · `reset`: close the connection · `short`: send less than Content-Length says ·
`cut`: JSON that ends early · `html`: a page instead of JSON · `empty`: no choices · `null`: no content ·
`length`: cut off at the length limit · `filter`: held back · `hang`: never answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One way to fail."""

    form: str
    """One of FORMS."""
    status: int = 500
    """HTTP status, for `status`."""
    code: str = "fault"
    """`error.code` of the body, for `status`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers: Retry-After and the like."""


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
    fault: str | None = None
    """The fault that was shown, as its form or its status; None for a good answer."""
    answered: bool = False
    """Whether a good answer went out in full."""


Script = Callable[[Seen], Fault | None]
"""Decides what a request meets; None is a good answer."""


def refuse(status: int, *, code: str = "fault", retry_after: str | None = None) -> Fault:
    """A refusal with a status, and with a Retry-After header where one is given."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Fault(form="status", status=status, code=code, headers=headers)


def parse_fault(text: str) -> Fault:
    """`429`, `hang`, or any other of FORMS. Raises ValueError for anything else."""
    if text.isdigit() and 300 <= int(text) < 600:
        return refuse(int(text), retry_after="0.2" if text == "429" else None)
    if text not in FORMS or text == "status":
        raise ValueError(f"unknown fault {text!r}: write a status or one of {', '.join(FORMS[1:])}")
    return Fault(form=text)


def in_turn(*faults: Fault | None) -> Script:
    """Fault by order of arrival, then none."""
    left = list(faults)
    return lambda seen: left.pop(0) if left else None


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
