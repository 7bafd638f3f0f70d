"""Known vulnerabilities of what the locks pin: `make audit`. Asks the OSV database with the standard library alone.

A finding is accepted only by an entry of scripts/audit_allow.toml that says why it does not reach us, and until when
that was looked at. An entry that has expired fails, with or without a network.

Exit codes: 0 nothing that is not accepted · 1 a finding, or an expired or malformed entry · 2 the database could not
be asked, so nothing is known.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.locks import ROOT, Pin, pins

SERVICE = "https://api.osv.dev"
ALLOW = ROOT / "scripts" / "audit_allow.toml"
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock", "requirements-loaders.lock")
LONGEST = 366
"""Days that an entry may be good for."""
_BATCH = 500
_MOST_BYTES = 64 * 1024 * 1024
_SECONDS = 30.0


class Unreachable(Exception):
    """The database gave no answer."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A finding that somebody looked at."""

    id: str
    """CVE, GHSA or PYSEC id."""
    package: str
    """The package."""
    reason: str
    """Why it does not reach us."""
    until: date
    """The last day on which this is believed."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A known vulnerability of a package that a lock pins."""

    pin: Pin
    """The package."""
    ids: tuple[str, ...]
    """All its ids."""
    summary: str
    """What it is, in the database's words."""


def accepted(text: str) -> list[Accepted]:
    """The entries of an allow-list. Raises ValueError with the place of the first that is none."""
    read = tomllib.loads(text)
    if set(read) - {"accepted"}:
        raise ValueError(f"unknown key {sorted(set(read) - {'accepted'})[0]!r} (entries are [[accepted]])")
    entries = read.get("accepted", [])
    if not isinstance(entries, list):
        raise ValueError("accepted is no list (entries are [[accepted]])")
    found = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or set(entry) != {"id", "package", "reason", "until"}:
            raise ValueError(f"entry {number}: needs id, package, reason and until, and nothing else")
        if type(entry["until"]) is not date:
            raise ValueError(f"entry {number}: until is a date such as 2027-01-31, without quotes")
        texts = [entry[name] for name in ("id", "package", "reason")]
        if not all(isinstance(one, str) and one.strip() for one in texts) or len(entry["reason"].split()) < 5:
            raise ValueError(f"entry {number}: id, package and reason are text, the reason a sentence")
        found.append(Accepted(id=texts[0], package=texts[1].lower(), reason=texts[2], until=entry["until"]))
    return found


def stale(entries: Iterable[Accepted], today: date) -> list[str]:
    """What is wrong with the dates of an allow-list."""
    told = []
    for entry in entries:
        if entry.until < today:
            told.append(f"{entry.id} ({entry.package}): was accepted until {entry.until}: look at it again")
        elif (entry.until - today).days > LONGEST:
            told.append(f"{entry.id} ({entry.package}): accepted until {entry.until}, which is over a year ahead")
    return told


def findings(wanted: Sequence[Pin], service: str) -> list[Finding]:
    """What the database knows of these packages. Raises Unreachable."""
    known: dict[str, Mapping[str, Any]] = {}
    found = []
    for pin, ids in _ids(wanted, service):
        for one in ids:
            if one not in known:
                known[one] = _ask(f"{service}/v1/vulns/{one}", None)
            about = known[one]
            names = (one, *(str(alias) for alias in about.get("aliases") or ()))
            summary = str(about.get("summary") or about.get("details") or "no summary")
            found.append(Finding(pin=pin, ids=names, summary=" ".join(summary.split())[:160]))
    return found


def _ids(wanted: Sequence[Pin], service: str) -> Iterable[tuple[Pin, list[str]]]:
    for start in range(0, len(wanted), _BATCH):
        part = wanted[start : start + _BATCH]
        queries = [{"package": {"name": pin.name, "ecosystem": "PyPI"}, "version": pin.version} for pin in part]
        answer = _ask(f"{service}/v1/querybatch", {"queries": queries})
        results = answer.get("results")
        if not isinstance(results, list) or len(results) != len(part):
            raise Unreachable(f"{service} gave no answer for each package")
        for pin, result in zip(part, results, strict=True):
            if result.get("next_page_token"):
                raise Unreachable(f"{service} has more on {pin.name} than it told")
            yield pin, [str(one["id"]) for one in result.get("vulns") or ()]


def _ask(url: str, body: Any) -> Mapping[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:
            answer = json.loads(response.read(_MOST_BYTES))
    except (OSError, ValueError) as error:
        raise Unreachable(f"{url}: {error}") from error
    if not isinstance(answer, dict):
        raise Unreachable(f"{url}: not what the database answers")
    return answer


def report(found: Sequence[Finding], entries: Sequence[Accepted]) -> tuple[list[str], list[str]]:
    """(what is accepted, what is not), a line each; one vulnerability under several ids stands there once."""
    good: dict[tuple[Pin, frozenset[str]], str] = {}
    bad: dict[tuple[Pin, frozenset[str]], str] = {}
    for one in found:
        key = (one.pin, frozenset(one.ids))
        line = f"{one.pin.name} {one.pin.version}: {', '.join(one.ids)}: {one.summary}"
        entry = next((e for e in entries if e.id in one.ids and e.package == one.pin.name), None)
        if entry is None:
            bad[key] = line
        else:
            good[key] = f"{line} (accepted until {entry.until}: {entry.reason})"
    return list(good.values()), list(bad.values())


def main(arguments: list[str], today: date | None = None) -> int:
    """Audit the locks; see the module for the exit codes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--service", default=SERVICE, help="address of the database, or of a mirror of it")
    parser.add_argument("--allow", type=Path, default=ALLOW, help="the allow-list")
    chosen = parser.parse_args(arguments)
    day = today or datetime.now(UTC).date()
    try:
        entries = accepted(chosen.allow.read_text(encoding="utf-8"))
    except ValueError as error:
        print(f"{chosen.allow.name}: {error}")
        return 1
    old = stale(entries, day)
    for line in old:
        print(f"{chosen.allow.name}: {line}")
    wanted = sorted({pin for lock in LOCKS for pin in pins(ROOT / lock)})
    try:
        good, bad = report(findings(wanted, chosen.service), entries)
    except Unreachable as error:
        print(f"NOT AUDITED: {error} (nothing is known of {len(wanted)} packages; try again where it can be reached)")
        return 1 if old else 2
    for line in good:
        print(f"accepted: {line}")
    for line in bad:
        print(f"VULNERABLE: {line}")
    print(f"{len(wanted)} packages of {len(LOCKS)} locks: {len(bad)} to look at, {len(good)} accepted")
    return 1 if bad or old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
