"""What a lock file pins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "requirements.lock"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*])?==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Pin:
    """One package."""

    name: str
    """Its name, in small letters."""
    version: str
    """The one version."""


def pins(lock: Path) -> list[Pin]:
    """Every package of a lock, by name; one that is pinned for several Pythons stands there once a version."""
    found = {Pin(name.lower(), version) for name, version in _PIN.findall(lock.read_text(encoding="utf-8"))}
    return sorted(found)
