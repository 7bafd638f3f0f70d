"""Exports say what the prompt says, byte for byte, or nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optimizer.dataset import Example, display
from optimizer.errors import StoreError, UserError
from optimizer.export import base
from optimizer.export.base import EXPORTERS, SIDECAR, WHOLE, Exported, Parts, export, fill_in, proof_rows, write
from optimizer.prompt import Message, Prompt, build, prepare
from optimizer.readers.prompts import load_prompt
from optimizer.readers.provenance import Provenance, ScoreRecord

BRACES = 'Reply with {"a": {}} and {{ not_declared }}, $5, {0}, %s, {% if %}, <b>&amp;</b> \\n.'
SYSTEM = f"You are terse. <!-- keep -->\n\n  {BRACES}\n\tTabbed."
PROMPT = build(
    "triage", [("system", SYSTEM), ("user", "{{ question }} ({{lang}})")], variables=["question", "lang"], version=3
)
ONE = build("one", [("user", "Answer: {{ question }}\n")])
DEMOS = build(
    "shown",
    [("system", "Rules"), ("user", "Q: {{ question }}")],
    demos=[{"inputs": {"question": "why?"}, "output": "so {x}"}],
    params={"temperature": 0},
)
FROM = Provenance(
    parent="triage@v2",
    run="20260101-000000-triage-abc",
    scores={"test": ScoreRecord(n=90, baseline=0.5, winner=0.75, gain=0.25, ci=(0.1, 0.4), verdict="GAIN SHOWN")},
)


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_format_is_proved(name: str) -> None:
    assert export(name, DEMOS, FROM).renders == 4


@pytest.mark.parametrize("name", ["text", "yaml", "json"])
@pytest.mark.parametrize("prompt", [PROMPT, ONE], ids=lambda prompt: prompt.name)
def test_plain_formats_say_everything(name: str, prompt: Prompt) -> None:
    assert export(name, prompt, FROM)


def test_json_has_messages_variables_and_where_it_comes_from() -> None:
    read = json.loads(export("json", PROMPT, FROM).parts[WHOLE])
    assert [message["role"] for message in read["messages"]] == ["system", "user"]
    assert read["messages"][0]["content"] == f"You are terse.\n\n  {BRACES}\n\tTabbed."
    assert read["messages"][1]["content"] == "{{ question }} ({{lang}})"
    assert read["variables"] == ["lang", "question"]
    assert read["provenance"]["prompt"] == "triage@v3"
    assert read["provenance"]["sha256"] == PROMPT.fingerprint
    assert read["provenance"]["scores"]["test"]["gain"] == 0.25
    assert "lines" not in read["provenance"]


def test_json_writes_demos_out_where_the_model_sees_them() -> None:
    read = json.loads(export("json", DEMOS).parts[WHOLE])
    told = [(message["role"], message["content"]) for message in read["messages"]]
    assert told == [("system", "Rules"), ("user", "Q: why?"), ("assistant", "so {x}"), ("user", "Q: {{ question }}")]
    assert read["params"] == {"temperature": 0}


def test_yaml_is_a_prompt_file_of_our_own_and_plain_yaml(tmp_path: Path) -> None:
    (path,) = write(export("yaml", PROMPT, FROM).parts, tmp_path / "triage.yaml")
    assert load_prompt(path).fingerprint == PROMPT.fingerprint
    plain = yaml.safe_load(path.read_text("utf-8"))
    assert plain["messages"][0]["content"] == PROMPT.messages[0].text
    assert plain["provenance"]["run"] == FROM.run


def test_one_message_is_the_file_to_the_byte(tmp_path: Path) -> None:
    written = write(export("text", ONE).parts, tmp_path / "one.txt")
    assert (tmp_path / "one.txt").read_bytes() == b"Answer: {{ question }}\n"
    assert [path.name for path in written] == ["one.txt", "one.provenance.json"]
    assert json.loads(written[1].read_text("utf-8"))["variables"] == ["question"]


def test_several_messages_are_one_file_a_role(tmp_path: Path) -> None:
    written = write(export("text", PROMPT).parts, tmp_path / "triage.md")
    assert [path.name for path in written] == ["triage.system.md", "triage.user.md", "triage.provenance.json"]
    assert written[0].read_text("utf-8") == PROMPT.messages[0].text
    assert set(export("text", DEMOS).parts) == {"1-system", "2-user", "3-assistant", "4-user", SIDECAR}


def test_the_hostile_row_has_every_sign_that_templates_know() -> None:
    (hostile,) = [row.inputs["question"] for row in proof_rows(PROMPT) if row.id == "hostile values"]
    for sign in ["{", "}", "{{", "}}", "$", "<", ">", "&", '"', "'", "\n", "{{ question }}", "{question}", "${lang}"]:
        assert sign in hostile
    assert len(proof_rows(PROMPT)) == 4


def test_a_format_that_would_say_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sloppy:
        def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
            def render(parts: Parts, inputs: object) -> tuple[Message, ...]:
                assert isinstance(inputs, dict)
                # Names one after the other: what a value holds is expanded by the next name.
                text = parts[WHOLE]
                for name, value in inputs.items():
                    text = text.replace(f"{{{{ {name} }}}}", display(value))
                return (Message(role="user", content=text),)

            return Exported(parts={WHOLE: prompt.text}, render=render)

    monkeypatch.setattr(base, "exporter", lambda name: Sloppy())
    both = build("both", [("user", "{{ a }} and {{ b }}")])
    with pytest.raises(UserError, match="would not render as it was measured"):
        export("text", both)


def test_a_demo_that_looks_like_a_variable_is_refused_where_it_would_be_filled() -> None:
    tricky = build(
        "tricky", [("user", "{{ question }}")], demos=[{"inputs": {"question": "say {{ question }}"}, "output": "a"}]
    )
    for name in ("json", "text", "markdown", "openai", "configmap"):
        with pytest.raises(UserError, match="a demo holds what looks like a variable"):
            export(name, tricky)
    for name in ("yaml", "prompty", "dotprompt", "langchain", "python"):
        assert export(name, tricky)


def test_unknown_format_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'json'"):
        export("jsno", ONE)


def test_where_a_file_cannot_go(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a folder"):
        write({WHOLE: "x"}, tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        write({WHOLE: "x"}, tmp_path / "missing" / "x.txt")
    with pytest.raises(StoreError, match="cannot be written"):
        write({WHOLE: "x"}, tmp_path / ("x" * 300))


@given(
    system=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=80),
    user=st.text("{} \n\"'$<>&\\|:#-%`@\tab?\r\x85\u2028", max_size=60),
)
def test_any_text_is_exported_as_it_is_or_refused(system: str, user: str) -> None:
    prompt = build("any", [("system", system), ("user", user + "{{ question }}")], variables=["question"])
    row = Example(id="row", inputs={"question": "{{ question }} {x} $y\n"})
    for name in ("json", "text", "yaml"):
        try:
            parts = export(name, prompt).parts
        except UserError as error:
            # A second keep mark behind the first one is all that a YAML prompt file cannot say.
            assert name == "yaml" and system.count("<!-- keep -->") > 1, error
            continue
        if name == "json":
            read = json.loads(parts[WHOLE])
            texts = [fill_in(message["content"], read["variables"], row.inputs) for message in read["messages"]]
            assert texts == [message.content for message in prepare(prompt, row)]


def test_pieces_are_the_text_and_its_variables_in_order() -> None:
    found = base.pieces("{{ a }}: {b} {{other}} {{a}}.", {"a"})
    assert found == (base.Variable(name="a"), ": {b} {{other}} ", base.Variable(name="a"), ".")
    assert base.pieces("", {"a"}) == ()


def test_real_rows_prove_an_export_where_they_have_all_variables() -> None:
    rows = [Example(id="half", inputs={"question": "why?"}), Example(id="r1", inputs={"question": "q", "lang": "de"})]
    proof = proof_rows(PROMPT, rows)
    assert [row.id for row in proof] == ["r1", "hostile values"]
    assert export("json", PROMPT, FROM, rows).renders == 2
    assert export("json", PROMPT).renders == 4
