"""Headers that tell of limits: every form that is known, and any that makes no sense."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from optimizer.models.headers import duration, hearing, listen, read
from optimizer.pace import Heard, Left

AT = 1_800_000_000.0


def rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20ms", 0.02),
        ("1s", 1.0),
        ("7.66s", 7.66),
        ("6m0s", 360.0),
        ("1h2m3s", 3723.0),
        ("2m59.56s", 179.56),
        ("1d", 86400.0),
        ("12", 12.0),
        ("0", 0.0),
        (str(int(AT) + 30), 30.0),
        (str(int(AT + 30) * 1000), 30.0),
        (rfc3339(AT + 30), 30.0),
        (rfc3339(AT - 30), 0.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1s2", None),
        ("s", None),
        ("1 s", None),
        ("nan", None),
        ("inf", None),
        ("2026-11-21T10:00:00", None),
        ("1s" * 1000, None),
        (None, None),
    ],
)
def test_every_form_of_a_reset(text, seconds):
    assert duration(text, AT) == (None if seconds is None else pytest.approx(seconds, abs=1e-5))


OPENAI = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-remaining-tokens": "199985",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-reset-tokens": "4ms",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "0",
    "anthropic-ratelimit-requests-reset": rfc3339(AT + 12),
    "anthropic-ratelimit-tokens-limit": "40000",
    "anthropic-ratelimit-tokens-remaining": "39000",
    "anthropic-ratelimit-tokens-reset": rfc3339(AT + 2),
}


@pytest.mark.parametrize(
    ("headers", "heard"),
    [
        ({}, None),
        (
            OPENAI,
            Heard(requests=Left(left=499, limit=500, reset=0.12), tokens=Left(left=199985, limit=200000, reset=0.004)),
        ),
        (
            ANTHROPIC,
            Heard(requests=Left(left=0, limit=50, reset=12.0), tokens=Left(left=39000, limit=40000, reset=2.0)),
        ),
        (
            {"x-ratelimit-remaining": "3", "x-ratelimit-limit": "20", "x-ratelimit-reset": str(int(AT + 9) * 1000)},
            Heard(requests=Left(left=3, limit=20, reset=9.0)),
        ),
        ({"x-ratelimit-remaining-requests": "7"}, Heard(requests=Left(left=7))),
        ({"x-ratelimit-remaining-requests": "many", "x-ratelimit-limit-requests": "500"}, None),
        ({"x-ratelimit-remaining-requests": "-1"}, None),
        ({"x-ratelimit-remaining-requests": "nan"}, None),
        ({"x-ratelimit-limit-requests": "500", "x-ratelimit-reset-requests": "1s"}, None),
        (
            {**OPENAI, "x-ratelimit-reset-requests": "whenever", "x-ratelimit-limit-tokens": "0"},
            Heard(requests=Left(left=499, limit=500), tokens=Left(left=199985, reset=0.004)),
        ),
    ],
)
def test_what_is_read(headers, heard):
    assert read(headers, AT) == heard


def test_who_calls_hears_its_own_reply():
    async def call(left: int) -> list[Heard]:
        said = hearing()
        await asyncio.sleep(0)
        listen({"x-ratelimit-remaining-requests": str(left)})
        return said

    async def main() -> list[list[Heard]]:
        return await asyncio.gather(*(call(left) for left in range(5)))

    heard = asyncio.run(main())
    assert heard == [[Heard(requests=Left(left=left))] for left in range(5)]
