"""What a process that runs foreign code gets to see of our environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PARTS: Final = frozenset(
    "key keys apikey apikeys token tokens secret secrets password passwords passwd passphrase pwd pass pat"
    " credential credentials creds cred auth authorization cookie cookies session dsn bearer jwt".split()
)
"""Words of a name that speak of a secret; `PWD` alone is the working folder."""
_ENDS: Final = ("key", "token", "secret", "password", "passwd", "credentials")
"""The same where they are written together: `PGPASSWORD`, `OPENAIKEY`."""
_KEPT: Final = frozenset({"PWD", "OLDPWD", "XDG_SESSION_ID", "XDG_SESSION_TYPE", "XDG_SESSION_CLASS"})
_VALUE: Final = re.compile(
    r"\b(?:sk|pk|rk|ghp|gho|ghu|ghs|ghr|github_pat|xox[abprs]|hf|gsk|xai|glpat)[-_][A-Za-z0-9_-]{12,}"
    r"|\bAKIA[0-9A-Z]{12,}|\bAIza[\w-]{20,}|PRIVATE KEY-----|://[^\s/:@]*:[^\s/@]+@"
)
"""Values that look like a key, or hold a password."""


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables whose name and value speak of no secret."""
    return {name: value for name, value in environ.items() if not _is_secret(name, value)}


def _is_secret(name: str, value: str) -> bool:
    if name in _KEPT:
        return False
    parts = re.split(r"[^a-z0-9]+", name.lower())
    return not _PARTS.isdisjoint(parts) or parts[-1].endswith(_ENDS) or _VALUE.search(value) is not None
