"""What we install, from whom, under which licence, and what is known to be wrong with it."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import audit, licences
from scripts.locks import RUNTIME, Pin, pins
from tests.cli_case import PACKAGE

LOCKS = sorted(PACKAGE.glob("requirements*.lock"))
TODAY = date(2026, 11, 21)
ENTRY = '[[accepted]]\nid = "CVE-1"\npackage = "diskcache"\nreason = "it is never used in this way"\nuntil = {}\n'


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_every_package_with_hashes_and_names_no_address(lock: Path) -> None:
    text = lock.read_text("utf-8")
    entries = [entry for entry in re.split(r"\n(?=[A-Za-z0-9])", text) if not entry.startswith("#")]
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._\[\],-]+==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]
    assert "://" not in text and " @ " not in text


def test_litellm_that_stole_credentials_is_excluded_by_name() -> None:
    wanted = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    (line,) = [line for line in wanted if line.startswith("litellm")]
    assert "!=1.82.7" in line and "!=1.82.8" in line and "[proxy]" not in line
    versions = {pin.version for lock in LOCKS for pin in pins(lock) if pin.name == "litellm"}
    assert versions and not versions & {"1.82.7", "1.82.8"}


def test_nothing_of_ours_runs_when_python_starts() -> None:
    """A `.pth` file with an `import` runs at every start of every interpreter: so a stolen release got its keys."""
    for name in ("prompt-refinement-optimizer",):
        with contextlib.suppress(metadata.PackageNotFoundError):
            files = [str(file) for file in metadata.files(name) or ()]
            assert [file for file in files if file.endswith(".pth") and "import" in Path(file).name] == []
    backend = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert backend["dev-mode-dirs"] == ["."]


# Licences


def test_the_page_of_licences_is_what_the_lock_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert licences.main(["--check"]) == 0, capsys.readouterr().out
    rows = licences.PAGE.read_text("utf-8").count("\n| ") - 1
    assert rows == len(pins(RUNTIME)) > 50


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("MIT", []),
        ("Apache-2.0 AND MIT", []),
        ("(MPL-2.0 OR MIT) AND BSD", []),
        ("GPL-3.0-only", ["GPL-3.0-only"]),
        ("MIT AND AGPL-3.0-or-later", ["AGPL-3.0-or-later"]),
        ("none is named", ["none is named"]),
        ("Other/Proprietary License", ["Other/Proprietary License"]),
    ],
)
def test_a_licence_that_nobody_decided_on_is_refused(expression: str, refused: list[str]) -> None:
    assert licences.refused(expression) == refused


def test_a_package_that_nothing_is_known_of_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("no-such-package==1.0 \\\n    --hash=sha256:00\nnumpy==0.0.1 ; python_version < '3'\n", "utf-8")
    monkeypatch.setattr("scripts.licences.RUNTIME", lock)
    assert [pin.name for pin in pins(lock)] == ["no-such-package", "numpy"]
    with pytest.raises(KeyError, match="no-such-package"):
        licences.page("")
    assert "| no-such-package | 1.0 | ISC |" in licences.page("| no-such-package | 0.9 | ISC |\n")


# The audit: its allow-list and its words, against a database on loopback


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("accepted = 1", "is no list"),
        ("accepted = [1]", "entry 1: needs id"),
        ("[other]\na = 1\n", "unknown key 'other'"),
        ('[[accepted]]\nid = "CVE-1"\n', "entry 1: needs id, package, reason and until"),
        (ENTRY.format('"2027-01-01"'), "entry 1: until is a date"),
        (ENTRY.format("2027-01-01T00:00:00Z"), "entry 1: until is a date"),
        (ENTRY.format("2027-01-01").replace("it is never used in this way", "fine"), "the reason a sentence"),
        (ENTRY.format("2027-01-01").replace('"CVE-1"', '" "'), "are text"),
        (ENTRY.format("2027-01-01") + "severity = 1\n", "nothing else"),
        ("[[accepted]", "Expected|expected"),
    ],
)
def test_an_allow_list_that_is_none_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        audit.accepted(text)


def test_our_allow_list_is_one_and_its_dates_make_sense() -> None:
    entries = audit.accepted(audit.ALLOW.read_text("utf-8"))
    assert {entry.package for entry in entries} <= {pin.name for lock in LOCKS for pin in pins(lock)}
    # As of the day on which it was written: a test that fails as time goes by would be no test of the code.
    assert audit.stale(entries, TODAY) == []


@pytest.mark.parametrize(
    ("until", "told"),
    [
        (date(2026, 11, 20), "look at it again"),
        (date(2026, 11, 21), ""),
        (date(2027, 11, 21), ""),
        (date(2028, 1, 1), "over a year ahead"),
    ],
)
def test_an_entry_is_good_until_its_last_day_and_for_a_year_at_most(until: date, told: str) -> None:
    (entry,) = audit.accepted(ENTRY.format(until))
    lines = audit.stale([entry], TODAY)
    assert (told in lines[0]) if told else (lines == [])


@contextlib.contextmanager
def database(
    known: Mapping[str, str], *, status: int = 200, odd: bytes | None = None
) -> Iterator[tuple[str, list[Any]]]:
    """A database that knows one vulnerability of each package named, with an alias."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            asked.extend(queries)
            ids = [known.get(query["package"]["name"]) for query in queries]
            self.answer({"results": [{"vulns": [{"id": one, "modified": ""}]} if one else {} for one in ids]})

        def do_GET(self) -> None:
            one = self.path.rpartition("/")[2]
            self.answer({"id": one, "aliases": [one.replace("GHSA", "CVE")], "summary": "Runs\n code"})

        def answer(self, value: Any) -> None:
            body = json.dumps(value).encode() if odd is None else odd
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def allow(tmp_path: Path) -> Path:
    path = tmp_path / "allow.toml"
    path.write_text(ENTRY.format("2027-05-01"), "utf-8")
    return path


@pytest.mark.parametrize(
    ("known", "code", "words"),
    [
        ({}, 0, "0 to look at, 0 accepted"),
        ({"diskcache": "GHSA-1"}, 0, "accepted: diskcache"),
        ({"diskcache": "GHSA-2"}, 1, "VULNERABLE: diskcache"),
        ({"aiohttp": "GHSA-1"}, 1, "VULNERABLE: aiohttp"),
    ],
)
def test_findings_are_told_and_only_those_that_were_looked_at_pass(
    allow: Path, capsys: pytest.CaptureFixture[str], known: Mapping[str, str], code: int, words: str
) -> None:
    with database(known) as (service, asked):
        assert audit.main(["--service", service, "--allow", str(allow)], TODAY) == code
    told = capsys.readouterr().out
    assert words in told and ("Runs code" in told) is bool(known)
    sent = {Pin(query["package"]["name"], query["version"]) for query in asked}
    assert sent == {pin for lock in LOCKS for pin in pins(lock)}, "every package of every lock is asked for"
    assert all(set(query) == {"package", "version"} for query in asked), "names and versions, and nothing else"


def test_an_expired_entry_fails_though_nothing_can_be_asked(allow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = ["--service", "http://127.0.0.1:9", "--allow", str(allow)]
    assert audit.main(nowhere, TODAY) == 2
    assert capsys.readouterr().out.startswith("NOT AUDITED: ")
    assert audit.main(nowhere, date(2027, 6, 1)) == 1
    assert "was accepted until 2027-05-01: look at it again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "odd"), [(500, None), (200, b"<html>"), (200, b"[]"), (200, b'{"results": []}'), (200, b"")]
)
def test_an_answer_that_is_none_is_no_clean_bill(
    allow: Path, capsys: pytest.CaptureFixture[str], status: int, odd: bytes | None
) -> None:
    with database({}, status=status, odd=odd) as (service, _):
        assert audit.main(["--service", service, "--allow", str(allow)], TODAY) == 2
    assert "NOT AUDITED" in capsys.readouterr().out


def test_the_workflow_runs_the_audit_with_no_rights_and_no_packages() -> None:
    flow = yaml.safe_load((PACKAGE / ".github/workflows/audit.yml").read_text("utf-8"))
    assert flow["permissions"] == {"contents": "read"}
    steps = flow["jobs"]["audit"]["steps"]
    assert [step.get("run") for step in steps] == [None, "python3 scripts/audit.py"]
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in steps if "uses" in step)
    for name in ("audit", "locks"):
        source = (PACKAGE / "scripts" / f"{name}.py").read_text("utf-8")
        imported = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE))
        assert imported <= {"__future__", "scripts", *__import__("sys").stdlib_module_names}


def test_the_threat_model_names_tests_that_are_there() -> None:
    text = (PACKAGE / "SECURITY.md").read_text("utf-8")
    named = set(re.findall(r"`(tests/[a-z_/]+\.py)`", text))
    assert len(named) >= 12 and [name for name in named if not (PACKAGE / name).is_file()] == []
    own = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "tests/security").glob("test_*.py")}
    assert own <= named, "a file of tests that the threat model does not speak of"
