"""Lines of a prompt are found on the true line of their file, in every way of writing them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.prompt import Prompt, build
from optimizer.readers.places import places
from optimizer.readers.prompts import load_prompt
from optimizer.readers.versions import dump_prompt

LITERAL = """# A comment.
params: {temperature: 0}
messages:
  - role: system
    content: |-  # kept as it is

      alpha one

        beta two
      gamma three <!-- keep -->
  - content: >
      alpha folded
      goes on here

      beta folded
    role: assistant
  - role: user
    content: "{{ note }}"
"""
QUOTED = """messages:
  - role: system
    content: "alpha one\\nbeta two \\
      goes on

      gamma three\\n\\
      delta four"
  - role: assistant
    content: 'alpha single

      beta ''single'''
  - {role: assistant, content: "alpha flow\\nbeta flow"}
  - role: user
    content: alpha plain
      goes on

      beta plain {{ note }}
demos:
  - id: D1
    inputs: {note: a}
    output: b
  - id: D7
    inputs: {note: c}
    output: d
"""
KEEPING = (
    'messages:\n  - role: system\n    content: |2+\n       alpha\n\n\n      beta\n\n  - role: user\n    content: "x"\n'
)
JSON = """[
  {"role": "system", "note": 1,
   "content": "alpha\\nbeta { \\"content\\": [,"},
  {"content":
     "gamma", "role": "user"}
]
"""
CHAT = JSON.replace(' "note": 1,', "")


def found(path: Path) -> dict[str, int]:
    """Content of each line -> where it is found."""
    prompt = load_prompt(path)
    known = places(path, [(line.id, line.text) for line in prompt.lines])
    return {line.content.strip(): known[line.id] for line in prompt.lines if line.id in known and line.content.strip()}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        (
            "literal.yaml",
            LITERAL,
            {
                "alpha one": 7,
                "beta two": 9,
                "gamma three": 10,
                "alpha folded goes on here": 12,
                "beta folded": 15,
                "{{ note }}": 18,
            },
        ),
        (
            "quoted.yaml",
            QUOTED,
            {
                "alpha one": 3,
                "beta two goes on": 3,
                "gamma three": 6,
                "delta four": 7,
                "alpha single": 9,
                "beta 'single'": 11,
                "alpha flow": 12,
                "beta flow": 12,
                "alpha plain goes on": 14,
                "beta plain {{ note }}": 17,
            },
        ),
        ("keeping.yaml", KEEPING, {"alpha": 4, "beta": 7, "x": 10}),
        ("chat.json", CHAT, {"alpha": 3, 'beta { "content": [,': 3, "gamma": 5}),
        ("text.md", "alpha\n\nbeta {{ note }}\n", {"alpha": 1, "beta {{ note }}": 3}),
        ("system.txt", "alpha\nbeta\n", {"alpha": 1, "beta": 2}),
    ],
)
def test_a_line_is_found_where_it_begins(tmp_path, name, text, wanted, line_end):
    path = tmp_path / name
    path.write_bytes(text.replace("\n", line_end).encode())
    known = {content.removesuffix("\r"): line for content, line in found(path).items()}
    assert {content: known.get(content) for content in wanted} == wanted


def test_demos_are_found_by_their_id(tmp_path):
    path = tmp_path / "quoted.yaml"
    path.write_text(QUOTED, encoding="utf-8")
    demos = [(demo.id, demo.line.text) for demo in load_prompt(path).demos]
    assert places(path, demos) == {"D1": 19, "D7": 22}


def test_what_the_file_no_longer_says_is_left_out(tmp_path):
    path = tmp_path / "literal.yaml"
    path.write_text(LITERAL, encoding="utf-8")
    wanted = [("L2", "alpha one"), ("L9", "  beta two"), ("L3", "something else"), ("L99", None)]
    assert places(path, wanted) == {"L2": 7, "L9": 9}


def test_line_ends_of_yaml_alone_are_no_lines_of_the_file(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text("messages:\n  - role: user\n    content: |\n      a\u2028b\x85c\n      last\n", encoding="utf-8")
    assert found(path) == {"a\u2028b\x85c": 4, "last": 5}


def written(texts: list[str]) -> Prompt:
    return build("made", [("system", "\n".join(texts)), ("user", "{{ note }}")], version=1)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), min_size=1, max_size=8))
def test_every_line_of_a_version_that_we_write_is_on_the_line_that_is_told(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("made") / "v1.yaml"
    prompt = written([f"{number}{text}" for number, text in enumerate(texts)])
    path.write_text(dump_prompt(prompt), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").split("\n")
    known = places(path, [(line.id, line.text) for line in prompt.lines])
    assert known.keys() == {line.id for line in prompt.lines}
    if "content: |" in lines[2]:
        assert all(lines[known[line.id] - 1].strip() == line.content.strip() for line in prompt.messages[0].lines)
