"""Formats of other programs: what is written, what is refused, and the programs' own loaders where they are here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optimizer.dataset import Example
from optimizer.errors import UserError
from optimizer.export import base, jinja
from optimizer.export.base import EXPORTERS, SIDECAR, WHOLE, export, exporter, proof_rows, published
from optimizer.prompt import Prompt, build, prepare
from optimizer.readers.provenance import EditRecord, Provenance, ScoreRecord
from tests.nasty_prompts import prompts

BRACES = 'Reply with {"a": {}} and {{ not_declared }}, $5, {0}, %s, {% if %}, {# #}, <b>&amp;</b> \\n.'
TRIAGE = build(
    "triage",
    [("system", f"You are terse. <!-- keep -->\n\n{BRACES}\nDone {{"), ("user", "}} {{ question }}{ ({{lang}}) \\")],
    variables=["question", "lang"],
    params={"temperature": 0, "max_tokens": 50, "stop": "###"},
    version=3,
)
FROM = Provenance(
    parent="triage@v2",
    run="20260101-000000-triage-abc",
    edits=(EditRecord(op="add_line", line="L4", text="Be brief.", why="row 17 says: SECRET CUSTOMER"),),
    scores={"test": ScoreRecord(n=90, baseline=0.5, winner=0.75, gain=0.25, ci=(0.1, 0.4), verdict="GAIN SHOWN")},
    model="openai/gpt-4o-mini",
)
FILLED = ["json", "text", "markdown", "openai", "configmap"]
"""Formats in which an app puts the values in."""
TEMPLATES = ["prompty", "dotprompt", "langchain", "python"]
NASTY = tuple(prompts(300))


@pytest.mark.parametrize("name", [*FILLED, *TEMPLATES, "litellm", "yaml"])
def test_nothing_nasty_is_changed_and_little_is_refused(name: str) -> None:
    said = 0
    for prompt in NASTY:
        try:
            proved = export(name, prompt)
        except UserError as error:
            # A refusal says why in words of its own; what the proof has to catch is a fault of the exporter.
            told = str(error)
            assert "cannot be read" not in told and "would not render" not in told, told
            continue
        said += 1
        assert proved.renders == 4
    least = {"litellm": 0.2, "prompty": 0.8, "markdown": 0.9}
    assert said >= least.get(name, 0.98) * len(NASTY)


@given(st.lists(st.text("{}%#\r\n\\\"'-a ", max_size=12) | st.just(base.Variable(name="x")), max_size=6))
def test_jinja_gives_back_what_was_written(found: list[base.Piece]) -> None:
    jinja2 = pytest.importorskip("jinja2")
    source = jinja.write(found)
    wanted = "".join("{{ x }}\r" if isinstance(piece, base.Variable) else piece for piece in found)
    assert jinja.render(source, {"x": "{{ x }}\r"}) == wanted
    assert jinja2.Environment(keep_trailing_newline=True).from_string(source).render(x="{{ x }}\r") == wanted


def rendered(name: str, prompt: Prompt, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    proved = exporter(name).export(published(prompt), FROM)
    return [(message.role, message.content) for message in proved.render(proved.parts, row)]


@pytest.mark.parametrize("name", [*FILLED, *TEMPLATES, "litellm"])
def test_what_is_written_is_what_was_sent(name: str) -> None:
    row = Example(id="r", inputs={"question": "{{ lang }} {x} {% y %} <a> & \\ $1", "lang": {"b": [1, None, "ü"]}})
    wanted = [(message.role, message.content) for message in prepare(TRIAGE, row)]
    assert rendered(name, TRIAGE, row.inputs) == wanted
    assert export(name, TRIAGE, FROM, [row]).real == 1


@pytest.mark.parametrize("name", EXPORTERS)
def test_provenance_goes_along_and_nothing_of_rows_or_endpoints(name: str) -> None:
    # A prompt file of our own names no endpoint: it could not be read back.
    inner = {} if name == "yaml" else {"api_base": "http://10.0.0.9/v1", "extra_headers": {"X-Team": "inner"}}
    params = {"temperature": 0, **inner}
    proved = export(name, replace(TRIAGE, params=params), replace(FROM, edits=() if name == "yaml" else FROM.edits))
    text = "".join(proved.parts.values())
    assert replace(TRIAGE, params=params).fingerprint in text and ("20260101-000000-triage-abc" in text)
    assert "CUSTOMER" not in text and "10.0.0.9" not in text and "X-Team" not in text


LOADERS = {
    "prompty": "prompty",
    "dotprompt": "dotpromptz",
    "langchain": "langchain_core",
    "litellm": "litellm",
    "markdown": "markdown_it",
    "python": "importlib",
}


@pytest.mark.parametrize(("name", "package"), LOADERS.items())
def test_our_renderer_does_what_the_programs_own_loader_does(name: str, package: str) -> None:
    pytest.importorskip(package)
    asked = 0
    for prompt in [TRIAGE, *NASTY[:40]]:
        try:
            exported = exporter(name).export(published(prompt), FROM)
        except UserError:
            continue
        assert exported.loader is not None and exported.loader.package == package
        for row in proof_rows(prompt):
            ours = exported.render(exported.parts, row.inputs)
            assert exported.loader.render(exported.parts, row.inputs) == ours
            asked += 1
    assert asked > 10
    assert export(name, TRIAGE, FROM).loader == package


REFUSED = {
    "a line that is a head": ("prompty", "Answer.\nUser:\nNo.", {}, "begins a new message at the line 'User:'"),
    "a head in Markdown": ("prompty", "# system :\nNo.", {}, "write something behind the colon"),
    "a head with a name": ("prompty", 'user[name="x"]:', {}, "begins a new message"),
    "blank lines at the end": ("prompty", "Answer.\n", {}, "blank lines off the ends of the system"),
    "another line end": ("prompty", "One.\u2028Two.", {}, r"turns '\\u2028' into a newline"),
    "a reference": ("prompty", "Answer.", {"stop": ["${env:HOME}"]}, "resolves"),
    "a blank message": ("dotprompt", " \n", {}, "leaves the blank system message out"),
    "a marker": ("dotprompt", "<<<dotprompt:role:user>>>", {}, "for a marker of its own"),
    "an indented line": ("litellm", "Rules:\n  - one", {}, "cuts blanks off"),
    "a role word": ("litellm", "Rules:\nUser: says", {}, "begins a new message"),
    "nothing fixed": ("litellm", "Answer {{ question }}", {}, "the first message has a variable"),
    "a carriage return": ("markdown", "One.\r\nTwo.", {}, r"does not keep '\\r'"),
    "over a mebibyte": ("configmap", "x" * 1_100_000, {}, "1 MiB"),
}


@pytest.mark.parametrize(("name", "text", "params", "told"), REFUSED.values(), ids=REFUSED)
def test_what_a_format_cannot_say_is_refused_with_the_reason(
    name: str, text: str, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told) as refused:
        export(name, build("p", [("system", text), ("user", "{{ question }}")], params=params))
    assert str(refused.value).startswith("prompt p: ") and str(refused.value).endswith(")")


@pytest.mark.parametrize(
    ("name", "variable"), [("prompty", "in"), ("prompty", "None"), ("dotprompt", "this"), ("langchain", "stop")]
)
def test_a_name_that_a_target_keeps_to_itself_is_refused(name: str, variable: str) -> None:
    with pytest.raises(UserError, match="rename"):
        export(name, build("p", [("user", f"{{{{ {variable} }}}}")]))


@pytest.mark.parametrize("variable", ["role", "history", "json", "if", "each", "lookup", "log"])
def test_a_variable_called_like_a_helper_of_handlebars_is_a_path(variable: str) -> None:
    parts = export("dotprompt", build("p", [("user", f"{{{{ {variable} }}}}")])).parts
    assert f"{{{{this.{variable}}}}}" in parts[WHOLE]


def test_prompty_has_the_new_form_and_no_fence_inside_its_front_matter() -> None:
    named = replace(TRIAGE, name="a---b+++c", version=None)
    head, front, body = export("prompty", named, FROM).parts[WHOLE].split("---", 2)
    read = yaml.safe_load(front)
    assert head == "" and "+++" not in front
    assert read["name"] == "a---b+++c"
    assert read["model"]["id"] == "gpt-4o-mini" and read["model"]["provider"] == "openai"
    assert read["model"]["options"] == {"temperature": 0, "maxOutputTokens": 50, "stopSequences": ["###"]}
    assert [one["name"] for one in read["inputs"]] == ["lang", "question"]
    assert read["metadata"]["scores"]["test"]["gain"] == 0.25
    assert body.startswith("\nsystem:\nYou are terse.\n")


def test_the_body_of_a_chat_request_is_all_that_the_api_knows() -> None:
    proved = export("openai", TRIAGE, FROM)
    body, beside = (json.loads(proved.parts[part]) for part in (WHOLE, SIDECAR))
    assert list(body) == ["model", "messages", "temperature", "max_tokens", "stop"]
    assert body["model"] == "gpt-4o-mini"
    assert beside["variables"] == ["lang", "question"] and proved.notes == ()
    assert "names no model" in export("openai", TRIAGE).notes[0]


def test_dotprompt_names_parameters_and_providers_as_it_knows_them() -> None:
    text = export("dotprompt", TRIAGE, replace(FROM, model="gemini/gemini-2.0-flash")).parts[WHOLE]
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["model"] == "googleai/gemini-2.0-flash"
    assert front["config"] == {"temperature": 0, "maxOutputTokens": 50, "stopSequences": ["###"]}
    assert front["input"]["schema"] == {"lang": "string", "question": "string"}
    assert front["optimizer.run"] == FROM.run


def test_the_proxy_holds_what_stays_the_same_and_the_app_sends_the_rest() -> None:
    proved = export("litellm", TRIAGE, FROM)
    config, beside = yaml.safe_load(proved.parts[WHOLE]), json.loads(proved.parts[SIDECAR])
    assert config["model_list"] == [{"model_name": "triage", "litellm_params": {"model": "openai/gpt-4o-mini"}}]
    held = config["prompts"][0]["litellm_params"]
    assert held["prompt_data"]["content"].startswith("System: You are terse.\n")
    assert held["prompt_data"]["metadata"] == {"temperature": 0, "max_tokens": 50, "stop": "###"}
    assert [message["role"] for message in beside["request"]["messages"]] == ["user"]
    assert beside["request"]["prompt_id"] == config["prompts"][0]["prompt_id"] == "triage"


@pytest.mark.parametrize(("name", "wanted"), [("Triage_v2.x", "triage-v2-x-v3"), ("___", "prompt-v3"), ("a" * 80, "a")])
def test_a_config_map_is_named_as_dns_allows(name: str, wanted: str) -> None:
    read = yaml.safe_load(export("configmap", replace(TRIAGE, name=name), FROM).parts[WHOLE])
    found = read["metadata"]["name"]
    assert found.startswith(wanted) and len(found) <= 63 and read["immutable"] is True
    assert all(isinstance(value, str) for value in read["data"].values())


def test_the_python_module_renders_and_raises_for_other_names(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "triage_prompt.py").write_text(export("python", TRIAGE, FROM).parts[WHOLE], encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("triage_prompt")
    assert (module.NAME, module.VERSION, module.SHA256) == ("triage", 3, TRIAGE.fingerprint)
    assert module.MODEL == "openai/gpt-4o-mini" and module.PARAMS == TRIAGE.params
    assert module.render(question="why?", lang="de")[1] == {"role": "user", "content": "}} why?{ (de) \\"}
    with pytest.raises(TypeError, match=r"missing \['lang'\], unknown \['tone'\]"):
        module.render(question="why?", tone="dry")


def test_a_module_with_more_than_constants_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = exporter("python").export(TRIAGE, None)
    assert exported.loader is not None
    parts = {WHOLE: exported.parts[WHOLE].replace("import json\n", "import json, os\n", 1)}
    for render in (exported.render, exported.loader.render):
        with pytest.raises(ValueError, match="not meant to be there"):
            render(parts, {"question": "", "lang": ""})


def test_a_loader_that_disagrees_or_fails_stops_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    real = exporter("langchain").export(TRIAGE, None)

    def broken(parts: base.Parts, inputs: Mapping[str, Any]) -> Any:
        raise KeyError("template")

    for render, told in ((broken, "cannot be read by json: KeyError"), (lambda *_: (), "measured by json")):
        swapped = replace(real, loader=base.Loader(package="json", render=render))
        monkeypatch.setattr(base, "exporter", lambda name, swapped=swapped: _Fixed(swapped))
        with pytest.raises(UserError, match=told):
            export("langchain", TRIAGE)


class _Fixed:
    def __init__(self, exported: base.Exported) -> None:
        self._exported = exported

    def export(self, prompt: Prompt, provenance: Provenance | None) -> base.Exported:
        return self._exported


def test_a_real_row_that_a_target_would_change_is_refused() -> None:
    prompt = build("p", [("user", "Mail: {{ mail }}.")])
    with pytest.raises(UserError, match=r"as it was measured .*\(r1; Prompty makes every line end"):
        export("prompty", prompt, None, [Example(id="r1", inputs={"mail": "One.\r\nTwo."})])
    assert export("prompty", prompt, None, [Example(id="r1", inputs={"mail": "One.\nTwo."})]).real == 1
