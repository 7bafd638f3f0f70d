"""docs/licences.md: the licence of every package that a user gets, from the metadata of what is installed.

`python scripts/licences.py` writes it anew; `--check` compares. A package that is not installed here (one for another
system, say) keeps what the page says of it. A licence that is not in ALLOWED is a fault: somebody decides.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.locks import ROOT, RUNTIME, pins

PAGE = ROOT / "docs" / "licences.md"
ALLOWED = frozenset(
    "0BSD Apache-2.0 BSD BSD-2-Clause BSD-3-Clause CC0-1.0 CNRI-Python ISC MIT MPL-2.0 PSF-2.0 Zlib".split()
)
"""Licences that ask for no more than that they are kept, or that changes to their own files stay open (MPL)."""
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_ROW = re.compile(r"^\| ([a-z0-9._-]+) \| (\d\S*) \| ([^|]+) \|$", re.MULTILINE)
_HEAD = """\
# Licences

What `requirements.lock` installs, and under which licence, as the metadata of the packages says it (`make licences`).
A test holds the page to the lock, and fails on a licence that nobody decided on. The project itself is MIT; nothing of
these packages is copied into it.

| package | version | licence |
|---|---|---|
"""


def licence_of(name: str) -> tuple[str, str] | None:
    """Version and licence (as an SPDX expression) of an installed package; None where it is not installed."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    version = found["Version"]
    if "License-Expression" in found:
        return version, found["License-Expression"]
    kinds = [line.rpartition(" :: ")[2] for line in found.get_all("Classifier") or () if line.startswith("License ::")]
    if kinds:
        return version, " OR ".join(_CLASSIFIERS.get(kind, kind) for kind in kinds)
    first = (found["License"] if "License" in found else "none is named").splitlines()[0].strip()
    return version, _CLASSIFIERS.get(first, first)


def refused(expression: str) -> list[str]:
    """Parts of an expression that are not allowed."""
    return [part for part in re.split(r" (?:AND|OR) |[()]", expression) if part.strip() and part.strip() not in ALLOWED]


def page(before: str) -> str:
    """The page. Raises KeyError for a package of which neither this machine nor the page before knows the licence."""
    known = {(name, version): licence for name, version, licence in _ROW.findall(before)}
    by_name = {name: licence for name, _, licence in _ROW.findall(before)}
    rows = []
    for pin in pins(RUNTIME):
        version, here = licence_of(pin.name) or ("", None)
        if version == pin.version and here is not None:
            licence = here
        else:
            licence = known.get((pin.name, pin.version)) or here or by_name[pin.name]
        rows.append(f"| {pin.name} | {pin.version} | {licence} |")
    return _HEAD + "\n".join(rows) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; 1 where it differs or holds a licence that is not allowed."""
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    try:
        now = page(before)
    except KeyError as error:
        print(f"{error.args[0]}: not installed, and not on the page yet (install requirements.lock first)")
        return 1
    bad = [f"{name} {version}: {licence}" for name, version, licence in _ROW.findall(now) if refused(licence)]
    for line in bad:
        print(
            f"{line}: not among the licences that are allowed (decide, and add it to ALLOWED, or take another package)"
        )
    if "--check" in arguments:
        if now != before:
            print("docs/licences.md is not what the lock says: run make licences")
        return int(bool(bad) or now != before)
    PAGE.write_text(now, encoding="utf-8")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
