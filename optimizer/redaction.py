"""Keeps secrets out of everything that is written: by their actual values first, by their looks second."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
"""What stands where a secret was."""
SECRET_NAME = re.compile(
    r"((API|ACCESS|ACCOUNT|AZURE|MASTER|OPENAI|PRIVATE|SECRET|SERVICE|SIGNING)_?KEYS?|(^|_)TOKEN|(^|_)SECRET|"
    r"(^|_)PAT|CREDENTIALS?|PASSWORD|PASSWD|PASSPHRASE)(_(\d+|BASE|DEV|PROD|STAGING|TEST))?$",
    re.IGNORECASE,
)
"""Environment variables whose values are secrets: OPENAI_API_KEY, GITHUB_TOKEN, API_KEY_2."""
SHORTEST = 8
"""Values below this many characters are placeholders (`dummy`, `ollama`), and would black out plain words."""
TELLING = 16
"""Characters from which a value cannot well be a plain word."""

_LOOKS = {
    "sk-": r"(?<![A-Za-z0-9_-])sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}",
    "gsk_": r"(?<![A-Za-z0-9])gsk_[A-Za-z0-9]{20,}",
    "xai-": r"(?<![A-Za-z0-9])xai-[A-Za-z0-9]{20,}",
    "AKIA": r"(?<![A-Za-z0-9])AKIA[0-9A-Z]{16}(?![A-Za-z0-9])",
    "AIza": r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{35}",
    **{f"gh{kind}_": rf"(?<![A-Za-z0-9])gh{kind}_[0-9A-Za-z]{{36,}}" for kind in "pousr"},
    "github_pat_": r"github_pat_[0-9A-Za-z_]{22,}",
    "glpat-": r"(?<![A-Za-z0-9])glpat-[0-9A-Za-z_-]{20,}",
    "xox": r"(?<![A-Za-z0-9])xox[abprs]-[0-9A-Za-z-]{10,}",
    "hf_": r"(?<![A-Za-z0-9])hf_[0-9A-Za-z]{30,}",
    "eyJ": r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "earer ": r"(?<=[Bb]earer )[A-Za-z0-9._~+/=-]{16,}",
    "://": r"(?<=://)[^\s/:@\"\\]*:[^\s/@\"\\]+(?=@)",
    "PRIVATE KEY-----": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----",
}
LOOKS = re.compile("|".join(_LOOKS.values()))
"""What keys of known makers look like."""
_PATH = re.compile(r"(~|\.{0,2}/|[A-Za-z]:\\)[^\s{}\"]*")
"""A value that is the name of a file, as GOOGLE_APPLICATION_CREDENTIALS has it."""


class Scrubber:
    """Replaces secrets in text by `[redacted]`. Holds the values that the environment had when it was made."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        found = {value for _, value in _secrets(os.environ if environ is None else environ)}
        self._values = forms(found)
        self._needles = tuple(dict.fromkeys((*self._values, *_LOOKS)))

    def text(self, text: str) -> str:
        """The text without its secrets."""
        return LOOKS.sub(REDACTED, self.values(text)) if self._suspect(text) else text

    def values(self, text: str) -> str:
        """The text without the values of secrets; what merely looks like one stays."""
        for value in self._values:
            if value in text:
                text = text.replace(value, REDACTED)
        return text

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


def namer(environ: Mapping[str, str] | None = None) -> Callable[[str], str | None]:
    """What finds the environment variable whose value stands in a text, in whatever form; None where none does.

    Values of fewer than 16 characters are passed over: they may be plain words.
    """
    known = {
        name: forms([value])
        for name, value in _secrets(os.environ if environ is None else environ)
        if len(value) >= TELLING
    }
    return lambda text: next((name for name, written in known.items() if any(form in text for form in written)), None)


def _secrets(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(name, value) of the variables that hold secrets."""
    for name, written in environ.items():
        value = written.strip()
        if len(value) >= SHORTEST and _is_secret(name) and _PATH.fullmatch(value) is None:
            yield name, value


@functools.lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    # Asked for every line that is printed, and answered the same for hours.
    return SECRET_NAME.search(name) is not None


def forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """Secrets and the ways in which they are written elsewhere: in JSON, in an address, in base64. Longest first."""
    found = {form for secret in secrets for form in _forms(secret)}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


@functools.lru_cache(maxsize=64)
def _forms(secret: str) -> tuple[str, ...]:
    return tuple(form for form in _written(secret) if len(form) >= SHORTEST)


def _written(secret: str) -> Iterator[str]:
    yield secret
    for ascii_only in (False, True):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    yield quote(secret, safe="", errors="replace")
    yield quote_plus(secret, errors="replace")
    raw = secret.encode("utf-8", "replace")
    for before in range(3):
        yield from _base64(raw, before)


def _base64(raw: bytes, before: int) -> Iterator[str]:
    """What base64 makes of bytes that others stand before, without the characters that the others have part in."""
    end = -1 if (before + len(raw)) % 3 else None
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(b"\0" * before + raw).decode().rstrip("=")
        yield text[(0, 2, 3)[before] : end]
