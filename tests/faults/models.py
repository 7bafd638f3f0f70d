"""Models that say other things than the stand-in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from optimizer.testing.server import offline_answer


def fickle(body: Mapping[str, Any]) -> str:
    """The stand-in on a bad day: four answers in ten are `{}`, the same each time. Rounds have several trials then."""
    drawn = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()[0]
    return "{}" if drawn < 0.4 * 256 and "response_format" not in body else offline_answer(body)
