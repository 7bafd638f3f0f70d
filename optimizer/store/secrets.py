"""Keeps secrets out of everything that is written: by their actual values first, by their looks second."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
"""What stands where a secret was."""
SECRET_NAME = re.compile(
    r"((API|ACCESS|ACCOUNT|AZURE|OPENAI|PRIVATE|SECRET)_?KEY|_TOKEN|_SECRET|PASSWORD)$", re.IGNORECASE
)
"""Environment variables whose values are secrets."""
SHORTEST = 8
"""Values below this many characters are placeholders (`dummy`, `ollama`), and would black out plain words."""

_LOOKS = {
    "sk-": r"(?<![A-Za-z0-9_-])sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}",
    "AKIA": r"(?<![A-Za-z0-9])AKIA[0-9A-Z]{16}(?![A-Za-z0-9])",
    "AIza": r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{35}",
    **{f"gh{kind}_": rf"(?<![A-Za-z0-9])gh{kind}_[0-9A-Za-z]{{36,}}" for kind in "pousr"},
    "github_pat_": r"github_pat_[0-9A-Za-z_]{22,}",
    "xox": r"(?<![A-Za-z0-9])xox[abprs]-[0-9A-Za-z-]{10,}",
    "hf_": r"(?<![A-Za-z0-9])hf_[0-9A-Za-z]{30,}",
    "earer ": r"(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{16,}",
    "://": r"(?<=://)[^\s/:@\"\\]+:[^\s/@\"\\]+(?=@)",
    "PRIVATE KEY-----": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----",
}
_PATTERN = re.compile("|".join(_LOOKS.values()))


class Scrubber:
    """Replaces secrets in text by `[redacted]`. Holds the values that the environment had when it was made."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        found = {
            value.strip()
            for name, value in (os.environ if environ is None else environ).items()
            if SECRET_NAME.search(name) and len(value.strip()) >= SHORTEST
        }
        self._values = tuple(sorted(found, key=lambda value: (-len(value), value)))
        escaped = (json.dumps(value, ensure_ascii=False)[1:-1] for value in self._values)
        self._needles = tuple(dict.fromkeys((*self._values, *escaped, *_LOOKS)))

    def text(self, text: str) -> str:
        """The text without its secrets."""
        if not self._suspect(text):
            return text
        for value in self._values:
            text = text.replace(value, REDACTED)
        return _PATTERN.sub(REDACTED, text)

    def json(self, text: str) -> str:
        """The same for JSON text: strings are scrubbed, the names of fields stay."""
        if not self._suspect(text):
            return text
        return json.dumps(self._walk(json.loads(text)), ensure_ascii=False, separators=(",", ":"))

    def _suspect(self, text: str) -> bool:
        for needle in self._needles:  # A loop, since `any` over a generator costs three times as much.
            if needle in text:
                return True
        return False

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._walk(part) for part in value]
        if isinstance(value, dict):
            return {key: self._walk(part) for key, part in value.items()}
        return value
