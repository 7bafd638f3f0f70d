"""One row of the cache: a completion as text, with a checksum over key and content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from optimizer.results import Completion, Usage

_DIGITS = 64
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class TamperedRow(ValueError):
    """A row that this package cannot have written."""


def encode(key: str, completion: Completion) -> str:
    """The row's text: 64 hex digits, then JSON in ASCII."""
    fields = {
        "text": completion.text,
        "input_tokens": completion.usage.input_tokens,
        "output_tokens": completion.usage.output_tokens,
        "cost": completion.cost,
        "latency": completion.latency,
        "finish_reason": completion.finish_reason,
    }
    body = _ENCODER.encode(fields)
    return _digest(key, body) + body


def decode(key: str, row: str) -> Completion | None:
    """The completion, or None where the row is not what `encode` wrote for this key."""
    body = row[_DIGITS:]
    if row[:_DIGITS] != _digest(key, body):
        return None
    fields: dict[str, Any] = json.loads(body)
    return Completion(
        text=fields["text"],
        usage=Usage(input_tokens=fields["input_tokens"], output_tokens=fields["output_tokens"]),
        cost=fields["cost"],
        latency=fields["latency"],
        finish_reason=fields["finish_reason"],
    )


def _digest(key: str, body: str) -> str:
    return hashlib.sha256(f"{key}\n{body}".encode("utf-8", "surrogatepass")).hexdigest()
