"""Text that others wrote is read in a time that grows with its length: nothing of ours goes back and forth in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from optimizer.errors import ModelError
from optimizer.mutate.llm import parse_reply
from optimizer.redaction import Scrubber
from optimizer.tokens import rough_tokens
from optimizer.wording import difference, quote, within
from tests.metric_cases import built, context

LENGTH = 20_000
MOST = 0.5
"""Processor seconds for one text; the slowest takes a tenth of it, and what grows by the square many times that."""
UNITS = (
    " ",
    "a",
    "a ",
    "a.",
    "A",
    '"',
    "\\",
    '\\"',
    "{",
    '{"a":',
    "[",
    "```\n",
    "`",
    "*",
    "“",
    "\n",
    "1",
    "-",
    "é",
    "_",
)
ENDS = (("", "!"), ("```json\n", "\n```"), ('{"a": "', '"}'))


def texts() -> list[str]:
    return [start + (unit * (LENGTH // len(unit))) + end for unit in UNITS for start, end in ENDS]


def score(metric: Any, expected: Any) -> Callable[[str], object]:
    async def all_of_them(text: str) -> object:
        return await metric.score(context(text, expected))

    return lambda text: asyncio.run(all_of_them(text))


@pytest.mark.parametrize(
    ("what", "read"),
    [
        ("contains", score(built("contains", "a needle", ignore_case=True, words=True), None)),
        ("not-contains", score(built("not-contains", "aaaaab"), None)),
        ("exact", score(built("exact"), "Bob")),
        ("exact, loosely", score(built("exact", whitespace="collapse", ignore_case=True), "a a a")),
        ("label", score(built("label", ["positive", "a"]), "positive")),
        ("json", score(built("json"), None)),
        ("json, fenced", score(built("json", lenient=True), None)),
        ("json-field", score(built("json-field", "a.0.b", lenient=True), {"a": [{"b": 1}]})),
        ("length", score(built("length", max_words=5, max_tokens=9), None)),
        ("regex", score(built("regex", r"(\w+\s?)*$", deadline=0.02), None)),
        ("regex, ends", score(built("regex", r"\s+$", deadline=0.02), None)),
        ("quote", quote),
        ("difference", lambda text: difference(text, "a a a a")),
        ("within", lambda text: within("a a", text)),
        ("parse_reply", lambda text: parse_reply(text, "c1")),
        ("rough_tokens", rough_tokens),
        ("secrets", Scrubber({"API_KEY": "aaaaaaaaaaab"}).text),
    ],
)
def test_no_text_takes_long(what, read):
    slow = []
    for text in texts():
        began = time.thread_time()
        try:
            read(text)
        except ModelError:
            pass
        took = time.thread_time() - began
        if took > MOST:
            slow.append((round(took, 2), text[:30]))
    assert not slow, what
