"""Exports to MLflow, Langfuse and DSPy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from optimizer.dataset import Example
from optimizer.errors import UserError
from optimizer.export.base import WHOLE, export, exporter
from optimizer.prompt import Prompt, build, prepare
from optimizer.readers.provenance import Provenance, ScoreRecord

PROMPT = build("triage", [("system", 'Reply {"a": 1}.'), ("user", "Q: {{ question }}\n")], version=3)
TWO = build("two", [("user", "{{ a }} {{ b }}")])
SHOWN = build(
    "shown",
    [("system", "Rules"), ("user", "Q: {{ question }}")],
    demos=[{"inputs": {"question": "say {{ question }}"}, "output": {"x": 1}}],
)
FROM = Provenance(
    parent="triage@v2",
    run="20260101-000000-triage-abc",
    model="openai/gpt-4o-mini",
    scores={"test": ScoreRecord(n=90, baseline=0.5, winner=0.75, gain=0.25, ci=(0.1, 0.4), verdict="GAIN SHOWN")},
)


def read(name: str, prompt: Prompt, provenance: Provenance | None = None) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(export(name, prompt, provenance).parts[WHOLE])
    return value


def test_mlflow_has_the_arguments_of_register_prompt() -> None:
    found = read("mlflow", replace(PROMPT, params={"temperature": 0, "stop": "\n"}), FROM)
    assert set(found) == {"name", "template", "commit_message", "tags", "model_config"}
    assert found["template"][1] == {"role": "user", "content": "Q: {{ question }}\n"}
    assert found["model_config"] == {
        "provider": "openai", "model_name": "gpt-4o-mini", "temperature": 0, "stop_sequences": ["\n"]
    }  # fmt: skip
    assert found["tags"]["test_gain"] == "0.25" and found["tags"]["test_ci"] == "[0.1, 0.4]"
    assert found["tags"]["run"] == FROM.run and all(isinstance(value, str) for value in found["tags"].values())


@pytest.mark.parametrize(
    ("text", "names", "jinja"),
    [
        ("{{ question }}", ["question"], False),
        ("{{question}} {%", ["question"], False),
        ("{{ question }} {% x %}", ["question"], True),
        ("{{ question }} {{ other.part }}", ["question"], True),
        ("{{ question }} {{\nquestion\n}}", ["question"], True),
        ("{{ a }}{{ b }}", ["a", "b"], True),
        ("{{ prompt }}", ["prompt"], True),
        ("no variable", [], False),
    ],
)
def test_mlflow_gets_jinja_where_its_plain_way_would_change_the_prompt(
    text: str, names: list[str], jinja: bool
) -> None:
    prompt = build("p", [("user", text)], variables=names)
    (message,) = read("mlflow", prompt)["template"]
    assert message["content"].startswith("{% raw %}{% endraw %}") is jinja
    assert any("Jinja2" in note for note in export("mlflow", prompt).notes) is jinja


def test_mlflows_plain_way_fills_values_in_again_and_our_renderer_says_so() -> None:
    template = json.dumps({"template": [{"role": "user", "content": "{{ a }} {{ b }}"}]})
    render = exporter("mlflow").export(TWO, None).render
    (message,) = render({WHOLE: template}, {"a": "{{ b }}", "b": "x"})
    assert message.content == "x x"
    row = Example(id="r", inputs={"a": "{{ b }}", "b": "x"})
    assert render(export("mlflow", TWO).parts, row.inputs) == prepare(TWO, row)


REFUSED = {
    "too long": ("mlflow", "x" * 100_001, "question", "longer than the 100000"),
    "a name of its own": ("mlflow", "Rules", "allow_partial", "no variable that is called 'allow_partial'"),
    "a keyword": ("mlflow", "Rules {% x %}", "in", "no variable that is called 'in'"),
    "another spelling": ("langfuse", "Say {{\nquestion\n}}.", "question", "would fill in"),
    "braces before": ("langfuse", "Say {{ twice {{ question }}.", "question", "as one name"),
    "a brace before": ("langfuse", "Say {{{question}}}", "question", "as one name"),
    "self": ("langfuse", "Rules", "self", "no variable that is called 'self'"),
    "indentation": ("dspy", "Rules:\n  - one\n  - two", "question", "indentation"),
    "tabs": ("dspy", "a\tb", "question", "takes tabs out"),
    "a private field": ("dspy", "Rules", "_x", "no field that is called"),
    "a keyword as field": ("dspy", "Rules", "class", "no field that is called"),
}


@pytest.mark.parametrize(("name", "text", "variable", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_said_is_refused_with_the_reason(name: str, text: str, variable: str, told: str) -> None:
    prompt = build("p", [("system", text), ("user", f"{{{{ {variable} }}}}")], variables=[variable])
    with pytest.raises(UserError, match=told) as refused:
        export(name, prompt)
    assert str(refused.value).startswith("prompt p: ") and str(refused.value).endswith(")")


def test_langfuse_has_the_arguments_of_create_prompt() -> None:
    found = read("langfuse", replace(PROMPT, params={"temperature": 0}), FROM)
    assert found["type"] == "chat" and found["labels"] == ["candidate"]
    assert found["prompt"][1] == {"role": "user", "content": "Q: {{question}}\n"}
    assert found["config"]["model"] == "openai/gpt-4o-mini" and found["config"]["temperature"] == 0
    assert found["config"]["provenance"]["sha256"] == replace(PROMPT, params={"temperature": 0}).fingerprint


def test_langfuse_leaves_names_that_it_does_not_know() -> None:
    prompt = build("p", [("user", "{{ other }} {{ question }}")], variables=["question"])
    assert read("langfuse", prompt)["prompt"][0]["content"] == "{{ other }} {{question}}"


def test_dspy_has_instructions_and_demos_as_they_were_measured() -> None:
    found = read("dspy", replace(SHOWN, version=2), FROM)
    assert found["signature"]["instructions"] == "Rules\n\nQ: {{ question }}"
    assert found["demos"] == [{"question": "say {{ question }}", "answer": '{"x": 1}'}]
    assert [field["prefix"] for field in found["signature"]["fields"]] == ["Question:", "Answer:"]
    assert found["lm"] is None and found["metadata"]["dependency_versions"] == {}
    notes = " ".join(export("dspy", SHOWN).notes)
    assert "dspy.Predict('question -> answer')" in notes and "does not carry over" in notes


def test_dspy_names_the_output_so_that_no_input_has_its_name() -> None:
    prompt = build("p", [("system", "Grade."), ("user", "{{ answer }}")])
    assert [field["prefix"] for field in read("dspy", prompt)["signature"]["fields"]] == ["Answer:", "Output:"]


def test_dspy_proves_every_byte_of_the_instructions() -> None:
    exported = exporter("dspy").export(PROMPT, None)
    state = json.loads(exported.parts[WHOLE])
    row = Example(id="r", inputs={"question": "why?"})
    assert exported.render(exported.parts, row.inputs) == prepare(PROMPT, row)
    state["signature"]["instructions"] = state["signature"]["instructions"].replace("Reply", "reply")
    assert exported.render({WHOLE: json.dumps(state)}, row.inputs) != prepare(PROMPT, row)


def test_dspy_needs_an_input() -> None:
    with pytest.raises(UserError, match="needs an input"):
        export("dspy", build("p", [("user", "Tell a joke.")]))


def test_a_demo_lacks_nothing_in_dspy() -> None:
    prompt = build("p", [("system", "{{ b }}"), ("user", "{{ a }}")], demos=[{"inputs": {"a": "x"}, "output": "y"}])
    with pytest.raises(UserError, match="the demo D1 has no 'b'"):
        exporter("dspy").export(prompt, None)
