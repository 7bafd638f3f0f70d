"""Check, undo, rights and links: what `apply` does to the file as a whole."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from optimizer.errors import StoreError, UserError
from optimizer.export import apply
from optimizer.export.apply import Place, backup, files
from optimizer.prompt import Prompt, build
from tests import sample_run
from tests.cli_case import cli

KEY = "llm.system"
BEFORE = b"\xef\xbb\xbf# ours\r\nllm:\r\n  key: canary-4711\r\n  system: 'Old'   # why\r\n"


def prompt(text: str) -> Prompt:
    return build("triage", [("system", text)], version=len(text))


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "app.yaml"
    path.write_bytes(BEFORE)
    return path


def put(app: Path, text: str) -> bytes:
    apply.write(apply.plan(prompt(text), Place(file=app, key=KEY)), app.parent)
    return app.read_bytes()


def take_back(app: Path) -> None:
    apply.undo(apply.plan_undo(Place(file=app, key=""), app.parent))


def test_undo_restores_the_bytes_step_by_step(app: Path) -> None:
    states = [BEFORE, put(app, "One\né"), put(app, "Two"), put(app, "One\né")]
    for state in reversed(states[:-1]):
        take_back(app)
        assert app.read_bytes() == state
    with pytest.raises(UserError, match="nothing to undo"):
        take_back(app)


def test_the_record_holds_the_value_alone_and_is_private(app: Path) -> None:
    put(app, "One")
    (record,) = (app.parent / ".optimizer" / "applied").rglob("*.json")
    assert "canary" not in record.read_text("utf-8") and b"canary" not in base64.b64decode(
        json.loads(record.read_text("utf-8"))["old"]
    )
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700


def test_a_file_that_changed_since_is_not_undone(app: Path) -> None:
    after = put(app, "One")
    app.write_bytes(after + b"more: 1\r\n")
    with pytest.raises(UserError, match="changed since triage@v3"):
        take_back(app)
    assert app.read_bytes() == after + b"more: 1\r\n"
    app.write_bytes(after)
    take_back(app)
    assert app.read_bytes() == BEFORE


def test_a_change_that_never_reached_the_file_is_passed_over(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(app, "One")
    replaced = os.replace
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        put(app, "Two")
    monkeypatch.setattr(os, "replace", replaced)
    take_back(app)
    assert app.read_bytes() == BEFORE


def test_undo_of_another_key_is_refused(app: Path) -> None:
    put(app, "One")
    with pytest.raises(UserError, match="was of the key llm.system"):
        apply.plan_undo(Place(file=app, key="llm.user"), app.parent)
    assert apply.plan_undo(Place(file=app, key=KEY), app.parent).patch.after == BEFORE


def test_old_records_go(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "MOST", 3)
    for text in ("a", "b", "c", "d", "e"):
        put(app, text)
    assert len(list((app.parent / ".optimizer").rglob("*.json"))) == 3


def test_without_a_place_for_the_record_nothing_is_written(app: Path) -> None:
    (app.parent / ".optimizer").write_text("in the way", "utf-8")
    with pytest.raises(StoreError, match="nothing is changed"):
        put(app, "One")
    assert app.read_bytes() == BEFORE


def test_a_record_that_is_no_record_is_told(app: Path) -> None:
    put(app, "One")
    (record,) = (app.parent / ".optimizer").rglob("*.json")
    record.write_text("{", "utf-8")
    with pytest.raises(StoreError, match="take it away"):
        take_back(app)


def test_a_read_only_file_is_refused_and_may_be_checked(app: Path) -> None:
    app.chmod(0o444)
    with pytest.raises(UserError, match="read-only"):
        put(app, "One")
    assert apply.plan(prompt("One"), Place(file=app, key=KEY)).changes


def test_the_mode_is_kept_both_ways(app: Path) -> None:
    app.chmod(0o751)
    put(app, "One")
    take_back(app)
    assert stat.S_IMODE(app.stat().st_mode) == 0o751


def test_a_link_out_of_the_folder_is_refused(app: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "app.yaml"
    elsewhere.write_bytes(BEFORE)
    link = app.parent / "link.yaml"
    link.symlink_to(elsewhere)
    with pytest.raises(UserError, match="a link out of this folder"):
        put(link, "One")
    assert elsewhere.read_bytes() == BEFORE
    folder = app.parent / "conf"
    folder.symlink_to(elsewhere.parent)
    with pytest.raises(UserError, match="a link out of this folder"):
        put(folder / "app.yaml", "One")
    assert files.locate(elsewhere) == elsewhere, "a file that is named itself is meant"


def test_a_link_inside_is_followed_and_stays(app: Path) -> None:
    link = app.parent / "link.yaml"
    link.symlink_to("app.yaml")
    put(link, "One")
    assert link.is_symlink() and b"One" in app.read_bytes()
    take_back(link)
    assert app.read_bytes() == BEFORE


def test_links_in_a_circle_are_told(app: Path) -> None:
    link = app.parent / "round.yaml"
    link.symlink_to(link)
    with pytest.raises(UserError) as caught:
        put(link, "One")
    assert "\n" not in str(caught.value)


def test_hard_links_are_told(app: Path) -> None:
    os.link(app, app.parent / "other.yaml")
    notes = apply.plan(prompt("One"), Place(file=app, key=KEY)).notes
    assert any("hard links" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("app.yaml", b"llm: {system: \xff}\n", "app.yaml:1: byte 0xff"),
        ("app.toml", b"a = 1\nb = '\xe9'\n", "app.toml:2: byte 0xe9 at byte 6 is not UTF-8 (looks like cp1252)"),
        ("app.json", b"x" * (files.MOST_BYTES + 1), "more than the cap of 1,048,576"),
        ("app.env", b"A=1\n", "not a YAML, TOML, JSON or Python file"),
        ("app.yaml", b"llm: [a\n", "app.yaml: the file is not YAML"),
        ("app.yaml", b"llm: {}\n", "app.yaml: no key 'system' under llm"),
        ("app.yaml", b"llm: {sytem: a}\n", "did you mean 'sytem'"),
        ("app.yaml", b"", "app.yaml: the file holds no values"),
        ("app.yaml", b"llm: {system: [a]}\n", "app.yaml: key llm.system: a list, not text"),
        ("app.json", b'{"llm": {"a": 1, "\\u001b[31m\\n": 2}}', "under llm (there are: a, "),
    ],
)
def test_a_fault_of_the_file_is_one_line(app: Path, name: str, content: bytes, told: str) -> None:
    path = app.parent / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        apply.plan(prompt("One"), Place(file=path, key=KEY))
    assert told in str(caught.value) and str(caught.value).isprintable()


def test_a_folder_is_no_file(app: Path) -> None:
    (app.parent / "dir.yaml").mkdir()
    with pytest.raises(UserError, match="a folder, not a file"):
        apply.plan(prompt("One"), Place(file=app.parent / "dir.yaml", key=KEY))


@pytest.fixture
def with_run(app: Path) -> Path:
    sample_run.write(app.parent, sample_run.events())
    return app


def test_check_tells_drift_and_writes_nothing(with_run: Path) -> None:
    place = ("--file", "app.yaml", "--key", KEY)
    differs = cli("apply", *place, "--check")
    assert differs.code == 3 and "-  system: 'Old'" in differs.out
    assert "llm.system is not the system message of" in differs.err and with_run.read_bytes() == BEFORE
    facts = cli("apply", *place, "--check", "--json")
    assert facts.code == 3 and (facts.json["changed"], facts.json["written"]) == (True, False)
    assert cli("apply", *place).code == 0
    same = cli("apply", *place, "--check")
    assert (same.code, same.out) == (0, "") and "already" in same.err


def test_undo_from_the_command_line(with_run: Path) -> None:
    place = ("--file", "app.yaml", "--key", KEY)
    after = cli("apply", *place, "--json")
    assert after.json["written"] and with_run.read_bytes() != BEFORE
    dry = cli("apply", "--file", "app.yaml", "--undo", "--dry-run")
    assert dry.code == 0 and "+  system: 'Old'" in dry.out and "would take back" in dry.err
    assert with_run.read_bytes() != BEFORE
    done = cli("apply", *place, "--undo", "--json")
    assert done.code == 0 and done.json["undone"] and done.json["written"]
    assert with_run.read_bytes() == BEFORE
    again = cli("apply", "--file", "app.yaml", "--undo")
    assert again.code == 2 and "nothing to undo" in again.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--undo", "--check"], "do not go together"),
        ([], "--key is missing"),
        (["--key", KEY, "--syntax", "jinj"], "did you mean 'jinja'"),
        (["--key", KEY, "--message", "tool"], "no message has the role"),
    ],
)
def test_wrong_flags_are_told_in_one_line(with_run: Path, arguments: list[str], told: str) -> None:
    done = cli("apply", "--file", "app.yaml", *arguments)
    assert done.code == 2 and told in done.err and with_run.read_bytes() == BEFORE


@pytest.mark.parametrize(("name", "content", "new"), [
    ("s.py", "TRIAGE_SYSTEM = 'Old'  # why\n", "TRIAGE_SYSTEM = "),
    ("s.toml", "system_prompt = 'Old'  # why\n", "system_prompt = "),
    ("s.json", '{"triageSystem": "Old"}\n', '{"triageSystem": "'),
])  # fmt: skip
def test_a_word_of_the_key_names_the_message(with_run: Path, name: str, content: str, new: str) -> None:
    path = with_run.parent / name
    path.write_text(content, "utf-8")
    key = next(word for word in ("TRIAGE_SYSTEM", "system_prompt", "triageSystem") if word in content)
    done = cli("apply", "--file", name, "--key", key, "--json")
    assert done.code == 0, done.err
    assert done.json["message"] == "system" and path.read_text("utf-8").startswith(new)
