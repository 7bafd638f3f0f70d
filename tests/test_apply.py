"""Patching one key: the value is what was asked, every other byte is what it was."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import DataError, UserError
from optimizer.export import apply
from optimizer.export.apply import Place
from optimizer.export.apply.patch_yaml import find, patch
from optimizer.prompt import Prompt, build

TEXT = 'Say Bob: "never" the other name.\n\n  # not a comment\n- {{ question }} \'x\' {"a": 1}'
KEY = "llm.prompts.triage.system"

SHAPES = {
    "literal": "|\n        Old text\n          indented\n\n        end\n",
    "literal strip": "|-\n        Old text\n",
    "literal keep": "|+\n        Old text\n\n\n",
    "folded": ">\n        Old text\n        goes on\n",
    "folded strip": ">-\n        Old\n\n        text\n",
    "deep margin": "|\n                Old text\n",
    "margin told": "|2-\n           Old text\n",
    "header comment": "|-   # reviewed by Ann\n        Old text\n",
    "plain": "Old text\n",
    "plain over lines": "Old\n        text\n        goes on\n",
    "plain with comment": "Old text   # why\n",
    "single": "'Old ''text'''\n",
    "double": '"Old \\"text\\""\n',
    "double over lines": '"Old\n        text"\n',
    "double with comment": '"Old text" # why\n',
    "empty text": '""\n',
    "string tag": "!!str 12\n",
    "on its own line": "\n        Old text\n",
}
BEFORE = """# The app's settings
%s: &shared
  region: eu-west-1   # two regions, one day
  flags: [ a,b ,  c ]
other:
  <<: *shared
  when: 2024-01-01
  secret: !ENV ${API_KEY}
llm:
  prompts:
    triage:
      # The house rules
      system: """
AFTER = """      user: '{{ question }}'
    # the end of triage
  temperature: 0.10
  "odd key": [1, 2, {x: y}]

tail: |
  keep
    this
"""


class Tagged(yaml.SafeLoader):
    """Knows no tag, and keeps each with its value."""


def load(text: str) -> Any:
    loader = Tagged(text)
    return loader.get_single_data()


Tagged.add_multi_constructor("!", lambda loader, suffix, node: (suffix, getattr(node, "value", None)))


def file_of(shape: str) -> str:
    return BEFORE % "defaults" + shape + AFTER


def everything_but(text: str, *path: str) -> tuple[Any, Any]:
    loaded = load(text)
    inner = loaded
    for key in path[:-1]:
        inner = inner[key]
    return inner.pop(path[-1]), loaded


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("text", [TEXT, "one line", "yes", "two\nlines\n", " space first\nx", "tab\tand\u2028odd \x85"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_style_holds_the_text_and_nothing_else_moves(shape: str, text: str, newline: str) -> None:
    source = file_of(shape).replace("\n", newline)
    made = patch(source, KEY, text)
    assert everything_but(made, *KEY.split(".")) == (text, everything_but(source, *KEY.split("."))[1])
    before = (BEFORE % "defaults").replace("\n", newline).rstrip(" ")
    after = AFTER.replace("\n", newline)
    assert made.startswith(before)
    assert made.endswith(after)


def test_a_block_stays_a_block_with_its_margin_and_its_comment() -> None:
    made = patch(file_of(SHAPES["header comment"]), KEY, "One\n\nTwo  \n  deep")
    assert "system: |-   # reviewed by Ann\n        One\n\n        Two  \n          deep\n      user:" in made


def test_one_added_line_is_one_added_line() -> None:
    source = file_of("|-\n        First\n        Second\n\n\n")
    made = patch(source, KEY, "First\nSecond\nThird")
    assert made == source.replace("        Second\n", "        Second\n        Third\n")


def test_windows_line_ends_stay() -> None:
    made = patch(file_of(SHAPES["literal"]).replace("\n", "\r\n"), KEY, "One\nTwo")
    assert "\n" not in made.replace("\r\n", "")


def test_a_quoted_text_becomes_a_block_where_nothing_stands_behind_it() -> None:
    assert "system: |-\n        One\n        Two\n" in patch(file_of(SHAPES["single"]), KEY, "One\nTwo")
    assert 'system: "One\\nTwo" # why\n' in patch(file_of(SHAPES["double with comment"]), KEY, "One\nTwo")


def test_no_final_newline_stays_so() -> None:
    assert patch("a: |\n  x", "a", "y\nz") == "a: |-\n  y\n  z"
    assert patch("a: x", "a", "y\nz") == "a: |-\n  y\n  z"


def test_a_byte_order_mark_stays() -> None:
    assert patch("\ufeffa: x\n", "a", "y") == "\ufeffa: y\n"


@pytest.mark.parametrize(
    ("source", "key", "want"),
    [
        ("- a\n- b\n", "1", "- a\n- |-\n  x\n  y\n"),
        ("p:\n- role: user\n  content: b # c\n", "p.0.content", 'p:\n- role: user\n  content: "x\\ny" # c\n'),
        ("p: [{content: 'b'}]\n", "p[0].content", 'p: [{content: "x\\ny"}]\n'),
        ('{"p": ["a", "b"]}', "p.1", '{"p": ["a", "x\\ny"]}'),
        ("a.b:\n    c: d\ne:\n    f: g\n", "a.b.c", "a.b:\n    c: |-\n        x\n        y\ne:\n    f: g\n"),
        ("a: 1\n---\nb: {c: d}\n---\ne: f\n", "1:b.c", 'a: 1\n---\nb: {c: "x\\ny"}\n---\ne: f\n'),
        ("1: {2: 'b'}\n", "1.2", '1: {2: "x\\ny"}\n'),
    ],
)
def test_where_a_key_may_lead(source: str, key: str, want: str) -> None:
    assert patch(source, key, "x\ny") == want


@pytest.mark.parametrize(
    ("source", "key", "told"),
    [
        ("a: {system: x}\n", "a.sytem", "did you mean 'system'"),
        ("a: {system: x}\n", "b", "at the top (there are: a)"),
        ("a: {b: {c: x}}\n", "a.b", "a mapping, not text (add one of: c)"),
        ("a: [x, y]\n", "a", "a list, not text (add one of: 0, 1)"),
        ("a: [x, y]\n", "a.2", "they are 0 to 1"),
        ("a: [x, y]\n", "a.b", "they are 0 to 1"),
        ("a: x\n", "a.b", "nothing below it"),
        ("a: 12\n", "a", "does not read as text"),
        ("a: yes\n", "a", "does not read as text"),
        ("a:\n", "a", "holds nothing"),
        ("a: &x text\nb: *x\n", "a", "anchor &x"),
        ("a: &x text\nb: *x\n", "b", "an alias (*x"),
        ("a: &x {c: text}\nb: *x\n", "a.c", "anchor &x"),
        ("a: &x {c: text}\nb: *x\n", "b.c", "an alias (*x"),
        ("a: &x {c: text}\nb:\n  <<: *x\n", "b.c", "merge key"),
        ("a: !vault text\n", "a", "the tag !vault"),
        ("a: x\na: y\n", "a", "twice"),
        ("a: 1\n---\na: x\n", "a", "2 documents"),
        ("a: 1\n---\na: x\n", "7:a", "2 documents"),
        ("a: [x\n", "a", "not YAML"),
        ("", "a", "holds no values"),
        ("# nothing\n", "a", "holds no values"),
        ("x\n", "a", "nothing below it"),
        ("a: x\nb: " + "[" * 300 + "]" * 300, "a", "nested too deeply"),
        ("a: &x text\nc: 1\nb: *x\n", "b", "(*x, line 3) of the anchor &x on line 1"),
        ("a: &x {c: text}\nb:\n  <<: *x\n", "b.c", "the anchor &x on line 1"),
    ],
)
def test_what_is_refused_and_in_which_words(source: str, key: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        patch(source, key, "new")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=60)
plain_words = st.text("ab: #-\n{}[]'\"|>&*!%@`,\t ", max_size=40)


@given(text=st.one_of(words, plain_words), shape=st.sampled_from(sorted(SHAPES)), windows=st.booleans())
def test_any_text_in_any_style(text: str, shape: str, windows: bool) -> None:
    newline = "\r\n" if windows else "\n"
    source = file_of(SHAPES[shape]).replace("\n", newline)
    made = patch(source, KEY, text)
    assert find(made, KEY).text == text
    assert made.startswith((BEFORE % "defaults").replace("\n", newline).rstrip(" "))
    assert made.endswith(AFTER.replace("\n", newline))


names = st.sampled_from(["a", "b", "system", "user", "x y", "1"])
leaves = st.one_of(plain_words, st.integers(), st.booleans(), st.none(), words)
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))


@given(
    tree=st.dictionaries(names, trees, min_size=1, max_size=4), text=words, flow=st.sampled_from([None, True, False])
)
def test_every_text_of_any_tree_can_be_changed_alone(tree: dict[str, object], text: str, flow: bool | None) -> None:
    source = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True, width=30)
    # The dumper writes some texts so that they come back as others.
    tree = yaml.safe_load(source)
    for path in texts_of(tree):
        made = patch(source, ".".join(map(str, path)), text)
        assert yaml.safe_load(made) == with_text(tree, path, text)


def texts_of(tree: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(tree, str):
        return [path]
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for step, inner in steps for found in texts_of(inner, (*path, step))]


def with_text(tree: object, path: tuple[str | int, ...], text: str) -> object:
    if not path:
        return text
    if isinstance(tree, dict):
        return {key: with_text(inner, path[1:], text) if key == path[0] else inner for key, inner in tree.items()}
    assert isinstance(tree, list)
    return [with_text(inner, path[1:], text) if index == path[0] else inner for index, inner in enumerate(tree)]


TWO = build("triage", [("system", "Be kind.\nSay Bob. <!-- keep -->"), ("user", "{{ question }}")], version=2)
BASE = build("triage", [("system", "Be kind."), ("user", "{{ question }}")], version=1)
ONE = build("triage", [("user", "Answer: {{ question }}")])
TALK = build("talk", [("user", "a"), ("assistant", "b"), ("user", "c {{ question }}")])


@pytest.mark.parametrize(
    ("prompt", "message", "key", "base", "want"),
    [
        (TWO, "user", "system", None, "user"),
        (TWO, "1", "anything", None, "system"),
        (TWO, None, "user", BASE, "user"),
        (ONE, None, "anything", None, "user"),
        (TWO, None, "anything", BASE, "system"),
        (TALK, "3", "anything", None, "user"),
    ],
)
def test_which_message_goes_to_a_key(
    prompt: Prompt, message: str | None, key: str, base: Prompt | None, want: str
) -> None:
    assert apply.choose(prompt, message, key, base).role == want


@pytest.mark.parametrize(
    ("prompt", "message", "told"),
    [
        (TWO, None, "say which (one of: --message system, --message user)"),
        (TWO, "assistant", "no message has the role or number 'assistant'"),
        (TALK, "user", "several messages have the role or number 'user' (one of: --message 1, --message assistant"),
    ],
)
def test_an_unclear_message_is_refused_with_the_choices(prompt: Prompt, message: str | None, told: str) -> None:
    with pytest.raises(UserError) as caught:
        apply.choose(prompt, message, "anything", None)
    assert told in str(caught.value)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.yaml"
    path.write_text(file_of(SHAPES["literal strip"]), encoding="utf-8")
    return path


def test_plan_and_write(app: Path) -> None:
    app.chmod(0o640)
    before = app.read_text("utf-8")
    made = apply.plan(TWO, Place(file=app, key=KEY), BASE)
    assert app.read_text("utf-8") == before, "planning writes nothing"
    assert [line for line in made.diff().splitlines() if line[:1] in "+-"][2:] == [
        "-        Old text",
        "+        Be kind.",
        "+        Say Bob.",
    ]
    apply.write(made)
    assert load(app.read_text("utf-8"))["llm"]["prompts"]["triage"]["system"] == "Be kind.\nSay Bob."
    assert stat.S_IMODE(app.stat().st_mode) == 0o640
    assert [path.name for path in app.parent.iterdir()] == ["app.yaml"], "no temporary file stays"
    again = apply.plan(TWO, Place(file=app, key=KEY), BASE)
    assert not again.changes and again.diff() == ""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(app: Path) -> None:
    os.chown(app, 12345, 54321)
    apply.write(apply.plan(TWO, Place(file=app, key=KEY)))
    assert (app.stat().st_uid, app.stat().st_gid) == (12345, 54321)


def test_a_file_that_changed_meanwhile_is_left_alone(app: Path) -> None:
    made = apply.plan(TWO, Place(file=app, key=KEY))
    app.write_text("theirs: 1\n", encoding="utf-8")
    with pytest.raises(UserError, match="changed while"):
        apply.write(made)
    assert app.read_text("utf-8") == "theirs: 1\n"


def test_of_two_at_once_one_wins_and_the_other_is_told(app: Path) -> None:
    plans = [apply.plan(prompt, Place(file=app, key=KEY, message="1")) for prompt in (TWO, ONE)]
    ended: list[str] = []

    def write(made: apply.Patch) -> None:
        try:
            apply.write(made)
            ended.append("written")
        except UserError as error:
            ended.append(str(error))

    threads = [threading.Thread(target=write, args=(made,)) for made in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted("changed while" in told for told in ended) == [False, True]
    assert app.read_bytes() in {made.after for made in plans}


def test_a_link_is_followed_and_stays_a_link(app: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(app)
    apply.write(apply.plan(TWO, Place(file=link, key=KEY)))
    assert link.is_symlink() and "Say Bob." in app.read_text("utf-8")


def test_a_crash_before_the_rename_leaves_the_old_file(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = app.read_bytes()
    made = apply.plan(TWO, Place(file=app, key=KEY))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        apply.write(made)
    assert app.read_bytes() == before


def test_json_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    path.write_text('{\n  "b": [1, 2],\n  "system": "Old \\u00e9",\n  "n": 1.0\n}\n', encoding="utf-8")
    apply.write(apply.plan(TWO, Place(file=path, key="system")))
    assert path.read_text("utf-8") == '{\n  "b": [1, 2],\n  "system": "Be kind.\\nSay Bob.",\n  "n": 1.0\n}\n'
    assert json.loads(path.read_text("utf-8"))["system"] == "Be kind.\nSay Bob."


def test_what_the_user_is_told_besides(app: Path) -> None:
    both = build("triage", [("system", "Be brief."), ("user", "Q: {{ question }}")])
    notes = apply.plan(both, Place(file=app, key=KEY), BASE).notes
    assert any("user message changed too" in note for note in notes)


def test_the_role_beside_a_text_decides(tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_text("messages:\n  - role: user\n    content: x\n  - role: system\n    content: y\n", encoding="utf-8")
    assert apply.plan(TWO, Place(file=path, key="messages.0.content"), BASE).role == "user"
    assert apply.plan(TWO, Place(file=path, key="messages.1.content"), BASE).role == "system"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("app.ini", b"a = 'x'\n", "not a YAML, TOML, JSON or Python file"),
        ("app.yaml", b"a: \xff\n", "not UTF-8"),
        ("app.yaml", "a: x\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_files_that_are_not_patched(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        apply.plan(ONE, Place(file=path, key="a"))


def test_new_demos_do_not_fit_a_key(app: Path) -> None:
    shown = build("triage", [("user", "{{ question }}")], demos=[{"inputs": {"question": "q"}, "output": "a"}])
    with pytest.raises(UserError, match="demos"):
        apply.plan(shown, Place(file=app, key=KEY))
    assert any("demos" in note for note in apply.plan(shown, Place(file=app, key=KEY), shown).notes)
