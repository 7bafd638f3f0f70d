"""Prompts that are wrong: refused before the first request; braces that only look like variables are told of."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from optimizer.testing.server import FakeServer
from tests.input_case import PROMPT, Files, accepted, prompt, prompt_file, refused, settings, write

HERE = "prompts/p/v1.yaml"
CHAT = '[\n  {"role": "system", "content": "Answer."},\n  {"role": "user",\n   "content": "{{ question }}"}\n]\n'


def text(content: str | bytes | None) -> Files:
    return {HERE: content}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (prompt("{{x}}"), f"{HERE}:3: L1: unknown variable {{{{ x }}}} (inputs of the rows: question)"),
        (prompt("{{ qestion }}"), f"{HERE}:3: L1: unknown variable {{{{ qestion }}}} (did you mean 'question'? inputs"),
        (text(PROMPT + "      a {{ b }}\n"), f"{HERE}:6: not YAML: "),
        (text(PROMPT + "variables: [question, tone]\n"), ""),
        (prompt("{question!r}"), "every row would send the same text; {question!r} is none (put {{ question }} into"),
        (
            prompt("{{ question.x }}"),
            "every row would send the same text; {{ question.x }} is none (put {{ question }}",
        ),
        (prompt("{{ question | upper }}"), "the same text; {{ question | upper }} is none (put {{ question }} into"),
        (prompt("{question:>9}"), "the same text; {question:>9} is none (put {{ question }} into a message)"),
        (prompt("{{ question"), "no variable in the prompt: every row would send the same text (put {{ question }}"),
        (prompt("%(question)s $question"), "no variable in the prompt: every row would send the same text (put"),
        (text(""), f"{HERE}: no prompt in the file (write the prompt)"),
        (text(" \n"), f"{HERE}: no prompt in the file (write the prompt)"),
        (prompt(""), f"{HERE}:1: messages: every message is empty (write the prompt)"),
        (prompt(" \n\t"), f"{HERE}:1: messages: every message is empty (write the prompt)"),
        (text("messages: []\n"), f"{HERE}:1: messages: must not be empty (add one, or more)"),
        (text("text: hi\n"), f"{HERE}:1: 'messages' is missing (add it)"),
        (text("- a\n"), f"{HERE}:1: must be a mapping, not a list (write `key: value` under it, one a line)"),
        (text("messages: hi\n"), f"{HERE}:1: messages: must be a list, not 'hi' (write a list: one `- item` a line)"),
        (text(PROMPT.replace("system", "sytem")), f"{HERE}:2: messages[0].role: must be 'system', 'user' or 'assist"),
        (text(PROMPT.replace("user", "User")), f"{HERE}:4: messages[1].role: must be 'system', 'user' or 'assistant'"),
        (text(PROMPT.replace("role: user", "rol: user")), f"{HERE}:4: messages[1]: unknown key 'rol' (did you mean"),
        (text(PROMPT.replace("Answer.", "12")), f"{HERE}:3: messages[0].content: must be text, not 12 (write it in"),
        (text(PROMPT.replace("Answer.", "[a]")), f"{HERE}:3: messages[0].content: must be text, not a list (write one"),
        (text(PROMPT.replace("Answer.", "")), f"{HERE}:3: messages[0].content: must be text, not nothing (write one"),
        (text(PROMPT.replace("Answer.", "a: b")), f"{HERE}:3: not YAML: mapping values are not allowed here (column"),
        (text(PROMPT.replace("    content", "\tcontent")), f"{HERE}:3: not YAML: a tab where spaces are wanted (col"),
        (text(PROMPT.replace("Answer.", "'a")), f"{HERE}:6: not YAML: "),
        (text(PROMPT.replace("Answer.", "!!python/name:os.system x")), f"{HERE}:3: the tag 'tag:yaml.org,2002:pyth"),
        (text(PROMPT.encode("utf-16")), f"{HERE}: the file is UTF-16, not UTF-8 (re-save it as UTF-8)"),
        (text(PROMPT + "params: {temperature: hot}\n"), f"{HERE}:6: params: 'temperature' must be a number, not 'hot'"),
        (text(PROMPT + "params: {api_key: x}\n"), f"{HERE}:6: params: 'api_key' looks like a secret (put keys into"),
        (text(PROMPT + "variables: [a-b]\n"), f"{HERE}:6: variables[0]: 'a-b' is no name (use letters, digits and"),
        (
            text(PROMPT + "demos:\n  - inputs: {q: a}\n    output: b\n"),
            f"{HERE}:7: demo 1: no input 'question' (add it",
        ),
        (text(PROMPT + "demos:\n  - inputs: {question: a}\n"), f"{HERE}:7: demos[0]: 'output' is missing (add it)"),
        (text(PROMPT + "demos:\n  - inputs: {question: 012}\n    output: b\n"), ""),
        (text(PROMPT + "provenance:\n  lines: [L1, L1]\n"), f"{HERE}:7: provenance.lines: not a list of distinct line"),
        (text(PROMPT + "provenance:\n  sha: x\n"), f"{HERE}:7: provenance: unknown key 'sha' (did you mean 'sha256'?"),
        (settings("v1.yaml", "v2.yaml"), "prompts/p/v2.yaml: no such file (did you mean 'v1.yaml'? check the path)"),
        (settings("p/v1.yaml", "p"), "prompts/p: no prompt is read from the ending '' (use .json, .md, .txt, .yaml"),
        (prompt_file("c.docx", "x"), "prompts/p/c.docx: no prompt is read from the ending '.docx' (use .json, .md,"),
        (prompt_file("c.txt", ""), "prompts/p/c.txt: no prompt in the file (write the prompt)"),
        (prompt_file("c.txt", b"caf\xe9 {{ question }}"), "prompts/p/c.txt:1: byte 0xe9 at byte 4 is not UTF-8"),
        (prompt_file("c.txt", "a\n{{ x }}\n"), "prompts/p/c.txt:2: L2: unknown variable {{ x }} (inputs of the rows:"),
    ],
)
def test_a_prompt_that_is_wrong(tmp_path: Path, endpoint: FakeServer, files: Files, told: str) -> None:
    write(tmp_path, endpoint, files)
    if told:
        assert told in refused(tmp_path, endpoint)
    else:
        accepted(tmp_path, endpoint)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (CHAT.replace('"}\n]', '",}\n]'), ":4: not JSON: Expecting property name enclosed in double quotes (mend the"),
        (CHAT.replace('"user"', '"bot"'), ":3: messages[1].role: must be 'system', 'user' or 'assistant', not 'bot'"),
        (CHAT.replace('"Answer."', "null"), ":2: messages[0].content: must be text, not nothing (write one text)"),
        (CHAT.replace('"Answer."', '[{"type": "text"}]'), ":2: messages[0].content: must be text, not a list (write"),
        (CHAT.replace('"Answer."', '"\\ud800"'), ":2: messages[0].content: half a surrogate pair, which is no char"),
        (CHAT.replace('"role": "user"', '"rol": "user"'), ":3: messages[1]: unknown key 'rol' (did you mean 'role'?"),
        (CHAT.replace('"user",', '"user", "role": "user",'), ":3: messages[1].role: duplicate key (keep one of the tw"),
        (CHAT.replace("question", "x"), ":4: L2: unknown variable {{ x }} (inputs of the rows: question)"),
        (json.dumps({"messages": []}), ":1: not a list of messages (leave only the list of `messages`)"),
        (json.dumps("hi"), ':1: not a list of messages (write [{"role": "user", "content": "..."}])'),
        ("[]", ":1: messages: must not be empty (add one, or more)"),
        ("[" * 100_000, ": nested deeper than 64 (flatten it)"),
        ("[" * 200 + "]" * 200, ":1: messages[0][0]...: nested deeper than 64 (flatten it)"),
    ],
)
def test_a_chat_file_that_is_wrong(tmp_path: Path, endpoint: FakeServer, content: str, told: str) -> None:
    write(tmp_path, endpoint, prompt_file("c.json", content))
    assert "prompts/p/c.json" + told in refused(tmp_path, endpoint)


def sent_text(folder: Path, endpoint: FakeServer, files: Files) -> tuple[str, str]:
    """What a row's user message was, as if it were that of number 3, and what was told besides."""
    write(folder, endpoint, files)
    done, sent = accepted(folder, endpoint)
    return re.sub(r"number \d+", "number 3", sent[0]["messages"][-1]["content"]), done.err


Q = "Who is number 3?"


@pytest.mark.parametrize(
    ("content", "sent", "warned"),
    [
        ('say {"a": 1} { b } {{}} {{ {question} }}: {{ question }}', None, "{question} goes to the model as it stands"),
        ("{question!r} {question.x} {{ question.y }} {{ question }}", None, "{question!r}, {question.x}, {{ question."),
        ("{{{ question }}} {{{{ question }}}} {{question}}", f"{{{Q}}} {{{{{Q}}}}} {Q}", ""),
        ("{% if question %}{{ question }}{% endif %}", None, "{% if question %} goes to the model as it stands (write"),
        ("{{ question }} \\{{ x }", None, ""),
        ("$question %s {0} {} {{ question }}", None, ""),
    ],
)
def test_other_braces_are_literal(
    tmp_path: Path, endpoint: FakeServer, content: str, sent: str | None, warned: str
) -> None:
    said, told = sent_text(tmp_path, endpoint, prompt(content))
    assert said == (sent if sent is not None else content.replace("{{ question }}", Q))
    assert warned in told and (warned or "as it stands" not in told)


@pytest.mark.parametrize(
    "value", ["{other}", "{{ question }}", "{{ other }}", "{question!r:>9}", "{% x %}", "\\1 \\g<0>"]
)
def test_a_value_is_never_filled_in_again(tmp_path: Path, endpoint: FakeServer, value: str) -> None:
    files = prompt("{{ question }} | {{ other }}")
    rows = "".join(
        json.dumps({"question": f"number {n}? {value}", "other": value, "expected": "x"}) + "\n" for n in range(6)
    )
    said, _ = sent_text(tmp_path, endpoint, {**files, "evals/x.jsonl": rows})
    assert said == f"number 3? {value} | {value}"


def test_an_input_that_the_prompt_does_not_use_is_told_of(tmp_path: Path, endpoint: FakeServer) -> None:
    rows = "".join(json.dumps({"question": f"q {n}", "tone": "dry", "expected": "x"}) + "\n" for n in range(12))
    write(tmp_path, endpoint, {"evals/x.jsonl": rows})
    assert "warning: inputs that the prompt does not use: tone" in accepted(tmp_path, endpoint)[0].err
