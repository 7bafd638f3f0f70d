"""Prompt files: what becomes of their text, and what is said when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.dataset import Example
from optimizer.errors import DataError
from optimizer.prompt import Demo, Prompt, build
from optimizer.readers.prompts import check_variables, load_prompt, load_version, parse_prompt

V3 = Path("prompts/demo/v3.yaml")


def shape(prompt: Prompt) -> list[tuple[str, list[str]]]:
    return [(message.role, [line.text for line in message.lines]) for message in prompt.messages]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("ending", [".txt", ".md"])
def test_a_text_with_a_variable_is_the_user_message(tmp_path: Path, ending: str) -> None:
    prompt = load_prompt(write(tmp_path, f"greet{ending}", "Answer briefly.\n{{ question }}\n"))
    assert shape(prompt) == [("user", ["Answer briefly.", "{{ question }}"])]
    assert (prompt.name, prompt.version) == ("greet", None)
    assert prompt.variables == {"question"}
    assert [line.id for line in prompt.lines] == ["L1", "L2"]


@pytest.mark.parametrize(
    ("fields", "variable"), [((), "input"), (("question",), "question"), (("a", "input"), "input")]
)
def test_a_text_without_a_variable_is_the_system_message(
    tmp_path: Path, fields: tuple[str, ...], variable: str
) -> None:
    path = write(tmp_path, "greet.txt", 'Answer as JSON: {"a": 1}\n')
    assert shape(load_prompt(path, fields)) == [
        ("system", ['Answer as JSON: {"a": 1}']),
        ("user", [f"{{{{ {variable} }}}}"]),
    ]


def test_a_text_without_a_variable_needs_a_single_input(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"several inputs: a, b \(write \{\{ a \}\} where it belongs\)"):
        load_prompt(write(tmp_path, "greet.txt", "Answer."), ("b", "a"))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"{{ q }}\n", ["{{ q }}"]),
        (b"{{ q }}", ["{{ q }}"]),
        (b"{{ q }}\n\n", ["{{ q }}", ""]),
        (b"a\r\n{{ q }}\r\n", ["a\r", "{{ q }}"]),
        (b"\xef\xbb\xbf{{ q }}\n", ["{{ q }}"]),
        (b" {{ q }} \t\n", [" {{ q }} \t"]),
        ("e\u0301 é 🧑‍🚀 \u2028x\x85{{ q }}\n".encode(), ["e\u0301 é 🧑‍🚀 \u2028x\x85{{ q }}"]),
    ],
)
def test_a_text_is_kept_to_the_byte_but_for_one_final_newline(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert shape(load_prompt(write(tmp_path, "p.txt", content))) == [("user", lines)]


def test_a_chat_file_is_kept_exactly(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "One\nTwo\n"}, {"role": "user", "content": "{{q}} \ud83d\ude00"}]
    prompt = load_prompt(write(tmp_path, "chat.json", json.dumps(chat)))
    assert shape(prompt) == [("system", ["One", "Two", ""]), ("user", ["{{q}} 😀"])]


YAML = """\
# A note of the author's.
messages:
  - role: system
    content: |
      You are {{ who }}, {{ not_me }}.

        Indented. <!-- keep -->
  - {role: user, content: "{{ question }}"}
variables: [who, question]
demos:
  - inputs: {who: Bob, question: "012"}
    output: {answer: 3}
params: {temperature: 0.70, stop: [END]}
provenance:
  parent: demo@v2
  lines: [L4, L9, L2, L7]
  last_line: 12
"""


def test_a_yaml_file(tmp_path: Path) -> None:
    prompt = load_prompt(write(tmp_path, "prompts/demo/v3.yaml", YAML))
    assert (prompt.name, prompt.version, prompt.ref) == ("demo", 3, "demo@v3")
    assert shape(prompt) == [
        ("system", ["You are {{ who }}, {{ not_me }}.", "", "  Indented. <!-- keep -->"]),
        ("user", ["{{ question }}"]),
    ]
    assert [line.id for line in prompt.lines] == ["L4", "L9", "L2", "L7"]
    assert [line.locked for line in prompt.lines] == [False, False, True, False]
    assert prompt.variables == {"who", "question"}
    assert prompt.demos == (Demo(id="D1", inputs={"who": "Bob", "question": "012"}, output={"answer": 3}),)
    assert prompt.params == {"temperature": 0.7, "stop": ["END"]}
    assert prompt.last_line == 12


DEMOS = """\
messages: [{role: user, content: "{{ a }}"}]
demos:
  - {id: D4, row: r17, inputs: {a: x}, output: y}
  - {inputs: {a: z}, output: "1"}
provenance: {last_demo: 6}
"""


def test_demos_of_a_file_keep_their_ids_and_new_ones_are_numbered(tmp_path: Path) -> None:
    prompt = load_prompt(write(tmp_path, "prompts/demo/v3.yaml", DEMOS))
    assert prompt.demos == (
        Demo(id="D4", row="r17", inputs={"a": "x"}, output="y"),
        Demo(id="D7", inputs={"a": "z"}, output="1"),
    )
    assert prompt.last_demo == 6


def test_ids_are_given_anew_where_someone_added_a_line_by_hand(tmp_path: Path) -> None:
    text = YAML.replace("  - {role: user", "      One more.\n  - {role: user")
    prompt = load_prompt(write(tmp_path, "prompts/demo/v3.yaml", text))
    assert [line.id for line in prompt.lines] == ["L1", "L2", "L3", "L4", "L5"]


@pytest.mark.parametrize(
    ("path", "name", "version"),
    [
        ("prompts/demo/v3.yaml", "demo", 3),
        ("prompts/demo/draft.yaml", "demo", None),
        ("elsewhere/greet.txt", "greet", None),
        ("prompts/greet.txt", "greet", None),
        ("a/b/v12.md", "b", 12),
        ("prompts/demo/v0.yaml", "demo", None),
    ],
)
def test_the_path_gives_name_and_version(tmp_path: Path, path: str, name: str, version: int | None) -> None:
    content = "messages: [{role: user, content: '{{ q }}'}]"
    prompt = load_prompt(write(tmp_path, path, content))
    assert (prompt.name, prompt.version) == (name, version)


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("p.txt", "", "no prompt in the file"),
        ("p.txt", " \n\t\n", "no prompt in the file"),
        ("p.txt", b"caf\xe9 {{ q }}", "p.txt:1: byte 0xe9 at byte 4 is not UTF-8 (looks like cp1252)"),
        ("p.txt", "{{ q }}".encode("utf-16"), "UTF-16"),
        ("p.docx", "x", "no prompt is read from the ending '.docx' (use .json, .md, .txt, .yaml, .yml)"),
        ("two words.txt", "{{ q }}", "the name 'two words' is not usable"),
        ("p.json", "{}", "not a list of messages"),
        ("p.json", "[]", "messages: "),
        ("p.json", '[{"role": "user"}]', "messages[0]: 'content' is missing"),
        ("p.json", '[{"role": "user",\n "content": "a" "b"}]', "p.json:2: not JSON: "),
        ("p.json", '[{"role": "user", "role": "user", "content": "a"}]', "[0].role: duplicate key"),
        (
            "p.json",
            '[{"role": "user", "content": [{"type": "image"}]}]',
            "messages[0].content: must be text, not a list",
        ),
        ("p.json", '[{"role": "user", "content": "\\ud800"}]', "half a surrogate pair"),
        ("p.json", "[" * 100_000, "nested deeper than 64"),
        ("p.yaml", "messages: []", "p.yaml:1: messages: "),
        ("p.yaml", "params: {}\n", "'messages' is missing"),
        ("p.yaml", "messages: [{role: user, content: a}]\nparams: {api_key: x}\n", "'api_key' looks like a secret"),
        ("p.yaml", "[]", "must be a mapping"),
        (
            "p.yaml",
            "messages:\n  - role: usr\n    content: x",
            "p.yaml:2: messages[0].role: must be 'system', 'user' or ",
        ),
        ("p.yaml", "messages:\n  - role: user\n    content: 12", "p.yaml:3: messages[0].content: must be text, not 12"),
        ("p.yaml", "messages:\n  - role: user\n    content: ''", "p.yaml:1: messages: every message is empty"),
        (
            "p.yaml",
            "messages: [{role: user, content: a}]\nvariables: [a b]",
            "p.yaml:2: variables[0]: 'a b' is no name",
        ),
        (
            "p.yaml",
            "messages: [{role: user, content: a}]\ndemos: [{inputs: {a: 1.10}, output: x}]",
            'p.yaml:2: demos[0].inputs.a: 1.10 would be read as a number (write "1.10" for text)',
        ),
        ("p.yaml", "messages: [{role: user, content: a}]\ndemos: [{output: x}]", "demos[0]: 'inputs' is missing"),
        (
            "p.yaml",
            "messages: [{role: user, content: a}]\ndemos:\n  - {id: D1, inputs: {}, output: x}\n"
            "  - {id: D1, inputs: {}, output: y}",
            "p.yaml:4: demos[1].id: 'D1' is no id of its own (write D1, D2, ... or take it out)",
        ),
        (
            "p.yaml",
            "messages: [{role: user, content: a}]\ndemos: [{id: L1, inputs: {}, output: x}]",
            "p.yaml:2: demos[0].id: 'L1' is no id of its own (write D1, D2, ... or take it out)",
        ),
        (
            "p.yaml",
            "messages: [{role: user, content: a}]\nprovenance: {lines: [L1, L1]}",
            "p.yaml:2: provenance.lines: not a list of distinct line ids",
        ),
        (
            "p.yaml",
            "messages: [{role: user, content: a}]\nprovenance: {lines: ['../x']}",
            "provenance.lines: not a list",
        ),
        (
            "p.yaml",
            "messages: [{role: user, content: a}]\nprovenance: {edits: [{op: add_line, line: L1, ci: [1]}]}",
            "p.yaml:2: provenance: ci must have two numbers",
        ),
        ("p.yaml", "messages: [{role: user, content: a}]\nparam: {}", "unknown key 'param' (did you mean 'params'? "),
    ],
)
def test_a_fault_is_named(tmp_path: Path, path: str, content: str | bytes, said: str) -> None:
    with pytest.raises(DataError) as caught:
        load_prompt(write(tmp_path, path, content))
    assert said in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_prompt_over_the_cap_and_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than the cap"):
        load_prompt(write(tmp_path, "p.txt", b"x" * (1 << 20) + b"y"))
    with pytest.raises(DataError, match="no such file"):
        load_prompt(tmp_path / "none.txt")


def test_a_version_that_was_changed_by_hand_is_known(tmp_path: Path) -> None:
    plain = parse_prompt("messages: [{role: user, content: '{{ q }}'}]", V3)
    assert not plain.edited_by_hand
    text = f"messages: [{{role: user, content: '%s{{{{ q }}}}'}}]\nprovenance: {{sha256: {plain.prompt.fingerprint!r}}}"
    assert not load_version(write(tmp_path, "prompts/demo/v1.yaml", text % "")).edited_by_hand
    assert load_version(write(tmp_path, "prompts/demo/v1.yaml", text % "x ")).edited_by_hand


def row(number: int, **inputs: object) -> Example:
    return Example(id=f"r{number}", inputs=inputs, source=f"rows.jsonl:{number}")


def test_check_variables_is_content_with_what_fits() -> None:
    prompt = build("p", [("user", '{{ a }} {b} {{c}} {{ b.c }} {{b!r}} {"a": 1}')], variables=["a"])
    assert check_variables(prompt, [row(1, a=""), row(2, a=0)]) == ()
    assert check_variables(prompt, [row(1, a="x", note="n", more=1)]) == (
        "inputs that the prompt does not use: more, note",
    )


@pytest.mark.parametrize("text", ["{a}", "{a!r}", "{ a }", "{{ a.b }}", "{{a|upper}}", "{{ a:>10 }}"])
def test_what_another_template_would_fill_is_pointed_at(text: str) -> None:
    prompt = build("p", [("user", f"{{{{ a }}}} and {text}, {text}")])
    assert check_variables(prompt, [row(1, a="x")], "p.txt") == (
        f"p.txt: {text} goes to the model as it stands (write {{{{ name }}}})",
    )


def test_an_unknown_variable_lists_the_inputs_and_the_nearest() -> None:
    prompt = build("p", [("system", "x"), ("user", "{{ questoin }}\n{{ question }}")])
    with pytest.raises(DataError) as caught:
        check_variables(prompt, [row(1, question="a", topic="b")], "p.txt")
    assert str(caught.value) == (
        "p.txt: L2: unknown variable {{ questoin }} (did you mean 'question'? inputs of the rows: question, topic)"
    )


def test_rows_that_lack_a_variable_are_named() -> None:
    prompt = build("p", [("user", "{{ a }}")])
    with pytest.raises(DataError) as caught:
        check_variables(prompt, [row(1, a="x"), row(2, A="x"), row(3, a=None)])
    assert [str(problem) for problem in caught.value.problems] == [
        "rows.jsonl:2: a: missing, and the prompt uses it (did you mean 'A'? fields here: A)",
        'rows.jsonl:3: a: null (give a value, or "" for no text)',
    ]


def test_a_prompt_without_a_variable_is_refused() -> None:
    with pytest.raises(DataError, match=r"every row would send the same text \(put \{\{ a \}\} into a message\)"):
        check_variables(build("p", [("user", "hello")]), [row(1, a="x")])


def test_a_variable_that_stands_in_a_keep_mark_only_or_is_not_declared_is_not_used() -> None:
    prompt = build("p", [("user", "{{ a }} {{ b }} <!-- keep -->")], variables=["a", "z"])
    assert check_variables(prompt, [row(1, a="x")]) == ()


def test_a_demo_without_an_input_of_the_prompt_is_named() -> None:
    prompt = build("p", [("user", "{{ a }}")], demos=[{"inputs": {"a": 1}, "output": 2}, {"inputs": {}, "output": 2}])
    with pytest.raises(DataError, match="p: demo 2: no input 'a'"):
        check_variables(prompt, [row(1, a="x")])
