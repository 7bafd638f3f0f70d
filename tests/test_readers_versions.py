"""Versions: written as a person would, read back equal, never overwritten."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.edits import Edit, Op, added_demo, apply
from optimizer.errors import StoreError, UserError
from optimizer.prompt import Demo, Prompt, build
from optimizer.readers.prompts import load_prompt, load_version, parse_prompt
from optimizer.readers.provenance import EditRecord, Provenance, ScoreRecord
from optimizer.readers.versions import dump_prompt, find_prompt, list_versions, save_version

PATH = Path("prompts/demo/v1.yaml")
PROMPT = build("demo", [("system", "You are a clerk.\nBe brief. <!-- keep -->"), ("user", "{{ question }}")])
PROVENANCE = Provenance(
    parent="demo@v1",
    run="20261121-demo",
    edits=(
        EditRecord(
            op="add_line",
            line="L4",
            text="Use Bob, never Romeo.",
            cluster="says Romeo where Bob is wanted",
            why="the reply names the wrong man",
            worth=0.25,
            ci=(0.1, 0.4),
        ),
        EditRecord(op="remove_line", line="L2"),
    ),
    scores={
        "test": ScoreRecord(n=30, baseline=0.5, winner=0.8, gain=0.3, ci=(0.1, 0.5), verdict="GAIN SHOWN"),
        "val": ScoreRecord(n=30, baseline=0.5, winner=0.9, gain=0.4, ci=(0.2, 0.6)),
    },
)


def test_a_version_reads_as_a_person_would_have_written_it() -> None:
    prompt = apply(PROMPT, [Edit(op=Op.ADD_LINE, after="end", text="Use Bob, never Romeo.")])
    assert dump_prompt(prompt, PROVENANCE) == (
        "messages:\n"
        "  - role: system\n"
        "    content: |-\n"
        "      You are a clerk.\n"
        "      Be brief. <!-- keep -->\n"
        "      Use Bob, never Romeo.\n"
        "  - role: user\n"
        '    content: "{{ question }}"\n'
        "provenance:\n"
        "  parent: demo@v1\n"
        '  run: "20261121-demo"\n'
        "  edits:\n"
        "    - op: add_line\n"
        "      line: L4\n"
        "      text: Use Bob, never Romeo.\n"
        "      cluster: says Romeo where Bob is wanted\n"
        "      why: the reply names the wrong man\n"
        "      worth: 0.25\n"
        "      ci: [0.1, 0.4]\n"
        "    - op: remove_line\n"
        "      line: L2\n"
        "  scores:\n"
        "    test:\n"
        "      n: 30\n"
        "      baseline: 0.5\n"
        "      winner: 0.8\n"
        "      gain: 0.3\n"
        "      ci: [0.1, 0.5]\n"
        "      verdict: GAIN SHOWN\n"
        "    val:\n"
        "      n: 30\n"
        "      baseline: 0.5\n"
        "      winner: 0.9\n"
        "      gain: 0.4\n"
        "      ci: [0.2, 0.6]\n"
        f'  sha256: "{prompt.fingerprint}"\n'
        "  lines: [L1, L2, L4, L3]\n"
    )


def test_demos_keep_their_ids_and_rows_and_no_number_returns() -> None:
    shown = [Demo(inputs={"question": text}, output={"k": text}, row=row) for text, row in (("a", "r1"), ("b", ""))]
    prompt = apply(PROMPT, [added_demo(demo, cluster="c") for demo in shown])
    first = dump_prompt(prompt)
    assert (
        "demos:\n  - id: D1\n    row: r1\n    inputs:\n      question: a\n    output:\n      k: a\n  - id: D2\n"
        in first
    )
    assert parse_prompt(first, PATH).prompt == replace(prompt, version=1)
    less = parse_prompt(dump_prompt(apply(prompt, [Edit(op=Op.REMOVE_DEMO, target="D2")])), PATH).prompt
    assert [demo.id for demo in apply(less, [added_demo(shown[1], cluster="c")]).demos] == ["D1", "D3"]


def test_a_prompt_that_a_person_wrote_gets_no_provenance() -> None:
    assert "provenance" not in dump_prompt(PROMPT)


@pytest.mark.parametrize(
    "text",
    [
        "one line",
        'says "yes"',
        "a\nb",
        "a\n\nb",
        "\na",
        "\n",
        "",
        "a\n",
        "a\n\n",
        " a\nb",
        "\n a\nb",
        "a \nb",
        "a\n \nb",
        "\tb\na",
        "a\n\tb",
        "a\tb\nc",
        "a\r\nb",
        "a\x85b\nc",
        "a\u2028b\nc",
        "a\x00b\nc",
        "a\x7f\x9fb\nc",
        "\ufeffa\nb",
        "🧑‍🚀\ne\u0301 é",
        "---\n...\n# no comment\n- x: y\n%TAG",
        "{{ x }} {y} \"quoted\" 'too' \\n",
        "yes",
        "012",
        "null",
        "~",
        "a: b",
        "x" * 5000,
        "&a *b !c |- >",
    ],
)
@pytest.mark.parametrize("place", ["message", "demo"])
def test_every_text_comes_back(text: str, place: str) -> None:
    prompt = build("demo", [("user", "x" + text if not text.strip() else text)], version=1)
    if place == "demo":
        demo = {"inputs": {"x": text, "deep": [text, {"k": text, "n": [[text]]}]}, "output": text}
        prompt = build("demo", [("user", "x")], version=1, demos=[demo], params={"stop": [text], "key": {"k": text}})
    written = dump_prompt(prompt, Provenance(parent=text, edits=(EditRecord(op="add_line", line="L1", text=text),)))
    read = parse_prompt(written, PATH)
    assert read.prompt == prompt
    assert read.provenance is not None
    assert (read.provenance.parent, read.provenance.edits[0].text) == (text, text)
    assert not read.edited_by_hand


def test_a_text_that_a_block_can_hold_stands_in_one() -> None:
    assert "|-" in dump_prompt(build("p", [("user", "a\n\n  b: # c\n---")]))
    assert "|-" in dump_prompt(build("p", [("user", 'say "yes"')]))


nasty = st.text(
    st.characters(codec="utf-8") | st.sampled_from("\n\n  \t\r:#-|>\"'{}\\&*!%@`\x85\u2028\ufeff"), max_size=40
)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | nasty,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(nasty, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def prompts(draw: Any) -> Prompt:
    roles = st.sampled_from(["system", "user", "assistant"])
    messages = draw(st.lists(st.tuples(roles, nasty), min_size=1, max_size=3))
    if not any(text.strip() for _, text in messages):
        messages.append(("user", "x"))
    lines = sum(text.count("\n") + 1 for _, text in messages)
    numbers = draw(st.lists(st.integers(1, 10_000), min_size=lines, max_size=lines, unique=True))
    return build(
        "demo",
        messages,
        variables=draw(st.none() | st.lists(names, max_size=3)),
        line_ids=[f"L{number}" for number in numbers],
        version=1,
        demos=draw(st.lists(st.fixed_dictionaries({"inputs": st.dictionaries(names, values), "output": values}))),
        params=draw(st.dictionaries(nasty, values, max_size=3)),
    )


@given(prompts(), st.none() | st.builds(Provenance, parent=nasty, run=nasty))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_what_is_written_reads_back_equal(prompt: Prompt, provenance: Provenance | None) -> None:
    text = dump_prompt(prompt, provenance)
    read = parse_prompt(text, PATH)
    assert read.prompt == prompt
    assert read.prompt.fingerprint == prompt.fingerprint
    assert [line.text for line in read.prompt.lines] == [line.text for line in prompt.lines]
    assert dump_prompt(read.prompt, read.provenance) == dump_prompt(prompt, provenance)


@given(prompts())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_another_yaml_reader_sees_the_same_messages(prompt: Prompt) -> None:
    read = yaml.safe_load(dump_prompt(prompt))
    texts = ["\n".join(line.text for line in message.lines) for message in prompt.messages]
    assert [message["content"] for message in read["messages"]] == texts


def test_the_id_of_a_removed_line_stays_taken_through_a_file() -> None:
    shorter = apply(PROMPT, [Edit(op=Op.REMOVE_LINE, target="L3"), Edit(op=Op.ADD_LINE, after="L1", text="Q: {{ q }}")])
    shorter = apply(shorter, [Edit(op=Op.REMOVE_LINE, target="L4")])
    read = parse_prompt(dump_prompt(shorter, Provenance()), PATH).prompt
    again = apply(read, [Edit(op=Op.ADD_LINE, after="end", text="New.")])
    assert [line.id for line in again.lines] == ["L1", "L2", "L5"]


def test_a_message_whose_lines_were_all_removed_is_not_written() -> None:
    prompt = build("demo", [("system", "Go away."), ("user", "{{ q }}")], version=1)
    gone = replace(apply(prompt, [Edit(op=Op.REMOVE_LINE, target="L1")]), version=1)
    read = parse_prompt(dump_prompt(gone), PATH).prompt
    assert read.fingerprint == gone.fingerprint
    assert [line.id for line in read.lines] == ["L2"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, "\ud800"])
def test_a_value_that_yaml_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(UserError, match="a value cannot be written"):
        dump_prompt(build("demo", [("user", "x")], params={"p": value}))


@pytest.mark.parametrize("params", [{"k" * 101: 1}, {"a": {"k" * 101: 1}}, {"a": {3: 4}}])
def test_a_key_that_yaml_cannot_hold_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        dump_prompt(build("demo", [("user", "x")], params=params))


def test_values_nested_too_deep_are_refused() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    with pytest.raises(UserError, match="cannot be written"):
        dump_prompt(build("demo", [("user", "x")], params={"a": deep}))


def test_versions_are_numbered_and_never_overwritten(tmp_path: Path) -> None:
    root = tmp_path / "prompts"
    assert [save_version(PROMPT, None, root).version for _ in range(3)] == [1, 2, 3]
    (root / "demo/v2.yaml").unlink()
    (root / "demo/v7.yaml").write_text("mine", encoding="utf-8")
    (root / "demo/notes.yaml").write_text("mine", encoding="utf-8")
    saved = save_version(PROMPT, PROVENANCE, root)
    assert saved == replace(PROMPT, version=8)
    assert [path.name for path in list_versions(root / "demo")] == ["v1.yaml", "v3.yaml", "v7.yaml", "v8.yaml"]
    assert (root / "demo/v7.yaml").read_text(encoding="utf-8") == "mine"
    assert load_prompt(root / "demo/v8.yaml") == saved
    loaded = load_version(root / "demo/v8.yaml").provenance
    assert loaded == replace(PROVENANCE, sha256=PROMPT.fingerprint, lines=("L1", "L2", "L3"))
    assert [path.name for path in (root / "demo").iterdir() if path.name.startswith(".")] == []


def test_a_version_written_by_someone_else_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "prompts"
    save_version(PROMPT, None, root)
    monkeypatch.setattr("optimizer.readers.versions.list_versions", lambda folder: ())
    assert save_version(PROMPT, None, root).version == 2


def test_without_hard_links_a_version_is_still_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    root = tmp_path / "prompts"
    save_version(PROMPT, None, root)
    monkeypatch.setattr("optimizer.readers.versions.list_versions", lambda folder: ())
    saved = save_version(PROMPT, None, root)
    assert saved.version == 2
    assert load_prompt(root / "demo/v2.yaml") == saved


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../x", "", "a\0b", "x" * 81, "a b", "..\\x", "%2e%2e"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not usable"):
        save_version(build(name, [("user", "x")]), None, tmp_path / "prompts")
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    root = tmp_path / "prompts"
    root.mkdir()
    (root / "demo").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="leads out"):
        save_version(PROMPT, None, root)
    with pytest.raises(UserError, match="leads out"):
        find_prompt("demo@v1", root)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_disk_that_refuses_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot write a version"):
        save_version(PROMPT, None, tmp_path / "prompts")


def test_references(tmp_path: Path) -> None:
    root = tmp_path / "prompts"
    for _ in range(10):
        save_version(PROMPT, None, root)
    assert find_prompt("demo@v3", root) == root / "demo/v3.yaml"
    assert find_prompt("demo", root) == root / "demo/v10.yaml"
    assert find_prompt(root / "demo/v3.yaml", root) == root / "demo/v3.yaml"
    assert find_prompt(str(root / "demo/v3.yaml"), root) == root / "demo/v3.yaml"


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("demo@v3", "no version v3 (there are v1 to v2)"),
        ("dmeo@v1", "no prompt 'dmeo' (did you mean 'demo'? there are: demo)"),
        ("demo@latest", "no such prompt (give a file, or NAME@vN)"),
        ("../demo@v1", "no such prompt"),
        ("..@v1", "no such prompt"),
        ("demo@v0", "no such prompt"),
        ("", "no such prompt"),
        ("none/v1.yaml", "no such prompt"),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(tmp_path: Path, ref: str, said: str) -> None:
    root = tmp_path / "prompts"
    save_version(PROMPT, None, root)
    save_version(PROMPT, None, root)
    with pytest.raises(UserError) as caught:
        find_prompt(ref, root)
    assert said in str(caught.value)


def test_a_folder_that_is_not_there_has_no_versions(tmp_path: Path) -> None:
    assert list_versions(tmp_path / "none") == ()
    with pytest.raises(UserError, match="there are: none"):
        find_prompt("demo", tmp_path / "none")
