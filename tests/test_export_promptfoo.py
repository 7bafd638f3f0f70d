"""promptfoo's config, and the eval set as its regression suite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optimizer.config import MetricSpec
from optimizer.dataset import Example, Split
from optimizer.errors import UserError
from optimizer.export.base import WHOLE, Proved, export, pieces
from optimizer.export.promptfoo import Suite, ecma, nunjucks, with_rows
from optimizer.export.promptfoo.values import Values, arrived, filled_from_environment, inert, written
from optimizer.metrics import METRICS
from optimizer.prompt import build
from optimizer.readers.provenance import Provenance
from tests.promptfoo_checks import CHECKS, metric

PROMPT = build("triage", [("system", 'Say {"a": {}} ---\n---'), ("user", "{{ question }}")], version=3)
ROW = Example(id="r1", inputs={"question": "why?", "other": "stays here"}, expected="Bob", tags=("hard",))


def config_of(proved: Proved) -> dict[str, Any]:
    read = yaml.safe_load(proved.parts[WHOLE])
    assert isinstance(read, dict)
    return read


def suite(*specs: MetricSpec, rows: tuple[Example, ...] = (ROW,), root: Path = Path()) -> Suite:
    metrics = {f"{number} {spec.name}": spec for number, spec in enumerate(specs)}
    return Suite(rows=tuple((row, Split.TRAIN) for row in rows), metrics=metrics, root=root)


def suited(*specs: MetricSpec, rows: tuple[Example, ...] = (ROW,), root: Path = Path()) -> Proved:
    return with_rows(export("promptfoo", PROMPT), PROMPT, suite(*specs, rows=rows, root=root))


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("openai/gpt-4o-mini", "openai:chat:gpt-4o-mini"),
        ("anthropic/claude-x", "anthropic:messages:claude-x"),
        ("ollama_chat/llama3.2", "ollama:chat:llama3.2"),
        ("openrouter/a/b", "openrouter:a/b"),
        ("offline:perfect", "echo"),
        ("nobody/knows", "echo"),
        ("", "echo"),
    ],
)
def test_the_provider_comes_from_the_models_name(model: str, provider: str) -> None:
    proved = export("promptfoo", PROMPT, Provenance(run="r", model=model))
    assert config_of(proved)["providers"] == [provider]
    assert any(provider in note for note in proved.notes)


def test_parameters_go_along_and_endpoints_do_not() -> None:
    prompt = replace(PROMPT, params={"temperature": 0, "api_base": "http://10.0.0.9/v1"})
    proved = export("promptfoo", prompt, Provenance(run="r", model="openai/m"))
    assert config_of(proved)["providers"] == [{"id": "openai:chat:m", "config": {"temperature": 0}}]
    assert "10.0.0.9" not in proved.parts[WHOLE]


def test_a_config_has_no_rows_unless_they_are_asked_for() -> None:
    plain = export("promptfoo", PROMPT, None, [ROW])
    assert "tests" not in config_of(plain) and "why?" not in plain.parts[WHOLE]
    config = config_of(suited(metric("contains")))
    assert config["tests"] == [
        {
            "description": "r1",
            "vars": {"question": "why?"},
            "assert": [{"type": "contains", "value": "Bob", "metric": "0 contains"}],
            "metadata": {"row": "r1", "split": "train", "tags": ["hard"]},
        }
    ]
    assert config["metadata"]["suite"]["rows"] == 1
    assert "stays here" not in str(config)


@pytest.mark.parametrize("name", ["env", "in", "true", "__proto__"])
def test_variables_that_promptfoo_cannot_have_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"no variable that is called .* \(rename it\)"):
        export("promptfoo", build("p", [("user", f"{{{{ {name} }}}}")], variables=[name]))


@given(st.dictionaries(st.sampled_from("abc"), st.text("{}% #ab\nfile:/\r$&", max_size=12), min_size=1))
def test_values_arrive_as_they_are(values: dict[str, str]) -> None:
    assert arrived(written(values)) == values


@pytest.mark.parametrize(
    ("text", "held"),
    [("plain {x} {% y %}", False), ("{{ question }}", True), ("{{ constructor }}", True), ("line\n", True),
     ("file:///etc/hosts", True), ("package:a:b", True), ("see file://", False), ("{{ a.b }}", False)],
)  # fmt: skip
def test_a_value_that_promptfoo_would_change_is_a_list_of_one(text: str, held: bool) -> None:
    assert written({"question": text}) == {"question": [text] if held else text}
    test = config_of(suited(metric("contains"), rows=(replace(ROW, inputs={"question": text}),)))["tests"][0]
    assert test.get("options") == ({"disableVarExpansion": True} if held else None)


def test_what_promptfoo_does_to_a_value_that_is_text() -> None:
    held: Values = {"a": "x {{ b }}\n", "b": "y {{c}}", "c": ["z"], "d": "{{ none }}"}
    assert arrived(held) == {"a": "x y z", "b": "y z", "c": "z", "d": "{{ none }}"}
    with pytest.raises(ValueError, match="would load"):
        arrived({"a": "file://x"})


@pytest.mark.parametrize(
    ("text", "filled"),
    [("{{ env.HOME }}", True), ("{{env['X'] | a}}", True), ('{{ "{" }}{ env.X }}', False), ("env.X {{ a }}", False)],
)
def test_rows_that_name_the_environment_stay_behind(text: str, filled: bool) -> None:
    assert filled_from_environment({"a": [text]}) is filled
    bad = replace(ROW, id="bad", inputs={"question": text})
    proved = suited(metric("contains"), rows=(ROW, bad))
    assert len(config_of(proved)["tests"]) == (1 if filled else 2)
    assert any("1 rows left out" in note and "bad" in note for note in proved.notes) is filled
    assert bool(config_of(proved)["metadata"]["suite"]["left_out"]) is filled


@given(st.text("{}%#\r\n x", max_size=20))
def test_nunjucks_source_says_the_text(text: str) -> None:
    source = nunjucks.write(pieces(f"{text}{{{{ a }}}}", {"a"}))
    assert nunjucks.render(source, {"a": "#}"}) == f"{text}#}}"
    assert "#}" not in source
    assert not {"{{", "{%", "{#"} & {inert(text)[at : at + 2] for at in range(len(text) * 2)}


def test_the_end_of_a_comment_alone_is_an_error_there() -> None:
    with pytest.raises(ValueError, match="end of a comment"):
        nunjucks.render("a #}", {})


def test_weight_and_required_go_along() -> None:
    soft = replace(metric("contains", value="x"), required=False, weight=2.0)
    (check,) = config_of(suited(soft))["tests"][0]["assert"]
    assert check == {
        "type": "assert-set",
        "threshold": 0,
        "metric": "0 contains",
        "weight": 2.0,
        "assert": [{"type": "contains", "value": "x"}],
    }


UNSAID = {
    "code": (metric("python", function="m:f"), "Python code of yours"),
    "tokens": (metric("length", max_tokens=5), "an estimate of ours"),
    "two units": (metric("length", max_words=5, max_chars=9), "more than one unit"),
    "far too long": (metric("length", max_chars=9_000), "counts to 2000"),
    "a flag inside": (metric("regex", pattern="(?i)x"), r"has no \(\?i"),
    "possessive": (metric("regex", pattern="x++"), "no possessive repeats"),
    "a property": (metric("regex", pattern=r"\p{Lu}"), r"\\p means something else"),
    "a set of sets": (metric("regex", pattern="[[:alpha:]]"), "sets inside a set"),
    "set operations": (metric("regex", pattern="[a--b]"), "means something else"),
    "case in a set": (metric("regex", pattern="[a-f]", ignore_case=True), "case inside a set"),
    "beyond the plane": (metric("regex", pattern="🙂+"), "counts a character"),
    "new keywords": (metric("json", schema={"prefixItems": []}), "prefixItems"),
    "no such schema": (metric("json", schema="nowhere.json"), "cannot be read"),
    "looser turned round": (metric("json", lenient=True, negate=True), "must not"),
    "no such field": (metric("json-field", field="a"), "expects no such field"),
    "case in a list": (metric("json-field", field="a", equals=["x"], ignore_case=True), "inside a list"),
}


@pytest.mark.parametrize(("spec", "reason"), UNSAID.values(), ids=UNSAID)
def test_a_metric_that_cannot_be_said_is_listed_and_never_dropped(spec: MetricSpec, reason: str) -> None:
    proved = suited(metric("contains"), spec)
    config = config_of(proved)
    (unmapped,) = config["metadata"]["suite"]["unmapped"]
    assert unmapped["metric"] == f"1 {spec.name}" and unmapped["rows"] == 1
    assert [check["metric"] for check in config["tests"][0]["assert"]] == ["0 contains"]
    with pytest.raises(UserError, match=reason):
        suited(spec)
    assert any(f"metric 1 {spec.name}: not carried over for 1 rows" in note for note in proved.notes)


@pytest.mark.parametrize(
    ("spec", "how"),
    [(metric("json", lenient=True), "anywhere in the output"), (metric("regex", pattern=r"\w+"), "beyond ASCII")],
)
def test_a_check_that_differs_at_the_edges_says_so(spec: MetricSpec, how: str) -> None:
    proved = suited(spec)
    assert how in config_of(proved)["metadata"]["suite"]["differing"][0]["how"]
    assert any(how in note for note in proved.notes)


def test_every_metric_is_carried_over_or_known_not_to_be() -> None:
    assert {check.spec.name for check in CHECKS} | {"python"} == set(METRICS)


def test_rows_without_a_variable_or_an_answer_stay_behind(tmp_path: Path) -> None:
    rows = (ROW, replace(ROW, id="r2", inputs={}), replace(ROW, id="r3", expected=None))
    proved = suited(metric("contains"), rows=rows)
    told = config_of(proved)["metadata"]["suite"]
    assert told["rows"] == 1 and sum(entry["rows"] for entry in told["left_out"]) == 2
    with pytest.raises(UserError, match="no rows in these splits"):
        suited(metric("contains"), rows=())


def test_a_schema_is_read_and_keeps_what_decides(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"$schema": "x", "type": "object", "format": "y", "$defs": {"a": true}}', "utf-8")
    proved = suited(metric("json", value="s.json"), root=tmp_path)
    (check,) = config_of(proved)["tests"][0]["assert"]
    assert check["value"] == '{"type": "object", "$defs": {"a": true}}'


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        (r"\A(?P<y>\d{4})-(?P=y)\Z", r"^(?<y>\d{4})-\k<y>$"),
        ("a.b$", r"a[^\n]b(?=\n?$)"),
        (r"[.$\]]+?(?:x|(?<=y)z)", r"[.$\]]+?(?:x|(?<=y)z)"),
        ("", ""),
    ],
)
def test_patterns_for_javascript(pattern: str, wanted: str) -> None:
    assert ecma.translated(pattern, ignore_case=False, full=False)[0] == wanted


def test_patterns_without_flags() -> None:
    assert ecma.translated("aß1", ignore_case=True, full=False)[0] == "[Aa]ß1"
    assert ecma.alone(" a.b ") == r"^\s*a\.b\s*$"
    assert ecma.alone("a  b", collapse=True) == r"^\s*a\s+b\s*$"
