"""The eval file: what it means, what overrides it, and what is said when it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.config import BudgetSpec, MetricSpec, ModelSpec, Prefer, Price, RunConfig
from optimizer.errors import ConfigError
from optimizer.readers.config import config_json_schema, load_config

SCHEMA = Path(__file__).parent.parent / "docs" / "eval-file.schema.json"

FULL = """\
prompt: ../prompts/romeo-bob/v1.yaml
data: romeo-bob.jsonl
model: offline:perfect
mutator: offline
mined: true
metrics:
  - contains
  - not-contains: Romeo
splits: {train: 0.4, val: 0.3, test: 0.3}
budget: {calls: 600}
concurrency: 16
seed: 0
"""
LEAST = "prompt: p.txt\ndata: d.csv\nmodel: openai/gpt\nmetrics: [contains]\n"


def load(folder: Path, text: str, **overrides: Any) -> RunConfig:
    path = folder / "evals" / "romeo-bob.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_config(path, overrides)


def faults(folder: Path, text: str, **overrides: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **overrides)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}/evals/", "").splitlines()


def test_a_full_file(tmp_path: Path) -> None:
    config = load(tmp_path, FULL)
    assert config.name == "romeo-bob"
    assert config.prompt == tmp_path / "prompts/romeo-bob/v1.yaml"
    assert config.data.path == tmp_path / "evals/romeo-bob.jsonl"
    assert config.model == ModelSpec(name="offline:perfect")
    assert config.mutator == ModelSpec(name="offline")
    assert config.metrics == (
        MetricSpec(name="contains"),
        MetricSpec(name="contains", negate=True, args={"value": "Romeo"}),
    )
    assert config.splits == {"train": 0.4, "val": 0.3, "test": 0.3}
    assert config.budget == BudgetSpec(calls=600)
    assert (config.mined, config.concurrency, config.seed) == (True, 16, 0)
    assert (config.protect, config.max_tokens, config.prefer) == ((), None, None)


def test_the_least_that_a_file_can_say(tmp_path: Path) -> None:
    config = load(tmp_path, LEAST)
    assert config.mutator is config.model
    assert config.splits == {"train": 0.4, "val": 0.3, "test": 0.3}
    assert config.budget == BudgetSpec()
    assert load(tmp_path, LEAST + "budget:\nsplits:\nmutator:\n") == config


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        ("contains", MetricSpec(name="contains")),
        ("not-contains", MetricSpec(name="contains", negate=True)),
        ("{contains: }", MetricSpec(name="contains")),
        ("{contains: Bob}", MetricSpec(name="contains", args={"value": "Bob"})),
        ("{contains: no}", MetricSpec(name="contains", args={"value": "no"})),
        ("{contains: 012}", MetricSpec(name="contains", args={"value": "012"})),
        ("{contains: [a, b]}", MetricSpec(name="contains", args={"value": ["a", "b"]})),
        ("{length: 12}", MetricSpec(name="length", args={"value": 12})),
        (
            "{not-contains: {any: [a, b], weight: 2, threshold: 0.5, required: false}}",
            MetricSpec(
                name="contains", negate=True, args={"any": ["a", "b"]}, weight=2.0, threshold=0.5, required=False
            ),
        ),
        ("{contains: {value: a, weight: 0}}", MetricSpec(name="contains", args={"value": "a"}, weight=0.0)),
        ("{number: {tolerance: 0.10}}", MetricSpec(name="number", args={"tolerance": 0.1})),
    ],
)
def test_metrics(tmp_path: Path, written: str, spec: MetricSpec) -> None:
    text = LEAST.replace("[contains]", f"[{written}]")
    assert load(tmp_path, text).metrics == (spec,)


def test_limits_beside_the_score(tmp_path: Path) -> None:
    config = load(tmp_path, LEAST + "protect: [row-17, 012, tag:vip]\nmax_tokens: 500\nprefer: shorter\n")
    assert (config.protect, config.max_tokens, config.prefer) == (("row-17", "012", "tag:vip"), 500, Prefer.SHORTER)
    changed = load(tmp_path, LEAST + "max_tokens: 500\n", max_tokens=90, prefer="cheaper", protect=("a",))
    assert (changed.protect, changed.max_tokens, changed.prefer) == (("a",), 90, Prefer.CHEAPER)
    assert faults(tmp_path, LEAST, max_tokens=0, prefer="short") == [
        "--max-tokens: max_tokens: must be greater than 0, not 0 (write a larger number)",
        "--prefer: prefer: must be 'shorter' or 'cheaper', not 'short' (write one of these)",
    ]


def test_models(tmp_path: Path) -> None:
    block = "{name: x, base_url: 'http://localhost:8080/v1', params: {temperature: 0}, price: {input: 1, output: 2.5}}"
    spec = ModelSpec(
        name="x", base_url="http://localhost:8080/v1", params={"temperature": 0}, price=Price(input=1, output=2.5)
    )
    config = load(tmp_path, LEAST.replace("openai/gpt", block))
    assert (config.model, config.mutator) == (spec, spec)
    config = load(tmp_path, LEAST + f"mutator: {block}\n")
    assert (config.model, config.mutator) == (ModelSpec(name="openai/gpt"), spec)
    assert load(tmp_path, LEAST + "mutator: none\n").mutator is None


def test_data_with_its_fields(tmp_path: Path) -> None:
    block = "{path: rows.txt, format: csv, inputs: [a, b], expected: label, split: part}"
    spec = load(tmp_path, LEAST.replace("d.csv", block)).data
    assert (spec.path, spec.format) == (tmp_path / "evals/rows.txt", "csv")
    assert (spec.inputs, spec.expected, spec.split) == (("a", "b"), "label", "part")


def test_overrides_win_and_their_paths_are_the_callers(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        FULL,
        model="openai/other",
        base_url="http://localhost:1/v1",
        mutator="none",
        calls=7,
        usd=1.5,
        tokens=None,
        concurrency=2,
        seed=3,
        prompt="here/p.txt",
        data=Path("here/d.jsonl"),
    )
    assert config.model == ModelSpec(name="openai/other", base_url="http://localhost:1/v1")
    assert config.mutator is None
    assert config.budget == BudgetSpec(calls=7, usd=1.5)
    assert (config.concurrency, config.seed) == (2, 3)
    assert (config.prompt, config.data.path) == (Path("here/p.txt"), Path("here/d.jsonl"))


def test_a_base_url_goes_on_top_of_the_model_block(tmp_path: Path) -> None:
    text = LEAST.replace("openai/gpt", "{name: m, params: {top_p: 1}}")
    model = load(tmp_path, text, base_url="http://h/v1").model
    assert model == ModelSpec(name="m", base_url="http://h/v1", params={"top_p": 1})


@pytest.mark.parametrize(
    ("name", "base_url", "stand_in"),
    [
        ("offline", None, True),
        ("offline:perfect", None, True),
        ("openai/offline", "http://h/v1", True),
        ("litellm/openai/offline:perfect", "http://h/v1", True),
        ("openai/offline-first", None, False),
        ("openai/gpt", None, False),
    ],
)
def test_the_stand_in_is_known_behind_an_endpoint_too(name: str, base_url: str | None, stand_in: bool) -> None:
    assert ModelSpec(name=name, base_url=base_url).stand_in is stand_in


@pytest.mark.parametrize(
    ("flags", "mutator"),
    [
        ({"model": "openai/gpt"}, ModelSpec(name="openai/gpt")),
        ({"base_url": "http://h/v1"}, ModelSpec(name="offline:perfect", base_url="http://h/v1")),
        ({"model": "offline"}, ModelSpec(name="offline")),
        ({"model": "openai/gpt", "mutator": "offline"}, ModelSpec(name="offline")),
        ({"model": "openai/gpt", "mutator": "none"}, None),
    ],
)
def test_a_real_model_on_the_command_line_proposes_edits_in_the_stand_ins_place(tmp_path, flags, mutator):
    assert load(tmp_path, FULL, **flags).mutator == mutator


def test_a_program_overrides_any_key(tmp_path: Path) -> None:
    text = FULL.replace("not-contains: Romeo", "contains: 012")
    changed = load(
        tmp_path, text, metrics=("exact", {"length": {"max_words": 9}}), mined=False, budget={"tokens": 5000}
    )
    assert changed.metrics == (MetricSpec(name="exact"), MetricSpec(name="length", args={"max_words": 9}))
    assert (changed.mined, changed.budget) == (False, BudgetSpec(tokens=5000))
    assert load(tmp_path, FULL, calls=9, budget={"usd": 1.0}).budget == BudgetSpec(calls=9, usd=1.0)
    shares = {"train": 0.5, "val": 0.25, "test": 0.25}
    assert load(tmp_path, FULL, splits=shares).splits == shares
    assert faults(tmp_path, FULL, metrics=["Exact"]) == [
        "--metrics: metrics[0]: 'Exact' is no metric's name (names are lower case with `-`)"
    ]


def test_an_override_can_stand_for_what_the_file_lacks(tmp_path: Path) -> None:
    text = LEAST.replace("model: openai/gpt\n", "")
    assert load(tmp_path, text, model="offline").model.name == "offline"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LEAST + "modle: x\n", "romeo-bob.yaml:5: unknown key 'modle' (did you mean 'model'? known: prompt, data, "),
        (LEAST + "seed: 1\nseed: 2\n", "romeo-bob.yaml:6: duplicate key 'seed' (keep one of the two)"),
        (LEAST.replace("data: d.csv\n", ""), "romeo-bob.yaml:1: 'data' is missing (add it)"),
        (LEAST.replace("p.txt", "12"), "romeo-bob.yaml:1: prompt: must be text, not 12 (write it in quotes)"),
        (LEAST.replace("p.txt", "https://h/p"), "romeo-bob.yaml:1: prompt: a URL, not a file (download it first)"),
        (LEAST.replace("d.csv", "s3://h/d.csv"), "romeo-bob.yaml:2: data.path: a URL, not a file"),
        (LEAST.replace("d.csv", "{path: d, format: cvs}"), "data.format: unknown format 'cvs' (did you mean 'csv'? "),
        (LEAST.replace("d.csv", "{path: d, inputs: []}"), "romeo-bob.yaml:2: data.inputs: "),
        (LEAST.replace("openai/gpt", "{params: {}}"), "romeo-bob.yaml:3: model: 'name' is missing"),
        (LEAST.replace("openai/gpt", "' '"), "romeo-bob.yaml:3: model.name: is empty"),
        (LEAST.replace("openai/gpt", "{name: m, base_url: 'ftp://h'}"), "model.base_url: not an http address"),
        (LEAST.replace("openai/gpt", "{name: m, base_url: 'http://[x'}"), "model.base_url: not an http address"),
        (LEAST.replace("openai/gpt", "{name: m, base_url: 'http://h:99999/'}"), "not an http address"),
        (LEAST.replace("openai/gpt", "{name: m, base_url: 'http://u:p@h/'}"), "holds a password"),
        (LEAST.replace("openai/gpt", "{name: m, params: {api_key: x}}"), "'api_key' looks like a secret"),
        (LEAST.replace("openai/gpt", "{name: m, params: {aws_session_token: x}}"), "looks like a secret"),
        (
            LEAST.replace("openai/gpt", "{name: m, params: {extra: [{X-Api-Key: x}]}}"),
            "'X-Api-Key' looks like a secret",
        ),
        (LEAST.replace("openai/gpt", "{name: m, base_url: 'http://h/v1?key=x'}"), "has something behind its path"),
        (LEAST.replace("openai/gpt", "{name: m, price: {input: -1, output: 1}}"), "model.price.input: must be "),
        (LEAST.replace("openai/gpt", "{name: m, price: {input: 1}}"), "model.price: 'output' is missing"),
        (LEAST.replace("[contains]", "[]"), "romeo-bob.yaml:4: metrics: must not be empty (add one, or more)"),
        (LEAST.replace("[contains]", "contains"), "romeo-bob.yaml:4: metrics: must be a list, not 'contains'"),
        (LEAST.replace("[contains]", "\n  - contains\n  - {a: 1, b: 2}"), "romeo-bob.yaml:6: metrics[1]: not a metric"),
        (LEAST.replace("[contains]", "[3]"), "metrics[0]: not a metric"),
        (LEAST.replace("[contains]", "[Contains]"), "metrics[0]: 'Contains' is no metric's name"),
        (LEAST.replace("[contains]", "[not-]"), "metrics[0]: 'not-' is no metric's name"),
        (
            LEAST.replace("[contains]", "[{contains: {value: a, weight: -1}}]"),
            "metrics[0].contains.weight: a weight is a number from 0 on, not '-1'",
        ),
        (LEAST.replace("[contains]", "[{contains: {threshold: 2}}]"), "a threshold is a number from 0 to 1"),
        (LEAST.replace("[contains]", "[{contains: {required: no}}]"), "contains.required: must be true or false"),
        (
            LEAST.replace("[contains]", "[{contains: 1.10}]"),
            'metrics[0].contains: 1.10 would be read as a number (write "1.10" for text)',
        ),
        (LEAST.replace("[contains]", "[{contains: {any: [+5]}}]"), "metrics[0].contains.any[0]: +5 would be read"),
        (LEAST + "splits: {train: 0.5, val: 0.3, test: 0.3}\n", "splits: the shares sum to 1.1 (make them sum to 1)"),
        (LEAST + "splits: {train: 0.5, val: 0.5}\n", "romeo-bob.yaml:5: splits: 'test' is missing"),
        (LEAST + "splits: {train: 0.5, val: 0.5, test: 0}\n", "splits.test: must be greater than 0, not 0"),
        (LEAST + "budget: {calls: 0}\n", "romeo-bob.yaml:5: budget.calls: must be greater than 0, not 0"),
        (LEAST + "budget: {calls: 1.5}\n", "budget.calls: must be a whole number, not 1.5"),
        (LEAST + "budget: {usd: '1'}\n", "budget.usd: must be a number, not '1'"),
        (LEAST + "budget: {usd: .inf}\n", "romeo-bob.yaml:5: .inf is not a finite number"),
        (LEAST + "budget: {call: 5}\n", "budget: unknown key 'call' (did you mean 'calls'? "),
        (LEAST + "budget: 600\n", "romeo-bob.yaml:5: budget: must be a mapping, not 600"),
        (LEAST + "concurrency: 0\n", "concurrency: must be greater than or equal to 1, not 0"),
        (LEAST + "seed: -1\n", "seed: must be greater than or equal to 0, not -1"),
        (LEAST + "seed: true\n", "seed: must be a whole number, not True"),
        (LEAST + "mined: no\n", "mined: must be true or false, not 'no'"),
        (LEAST + "mined: false\nmutator: none\n", "mutator: nothing would propose edits"),
        (LEAST + "mutator: 3\n", "romeo-bob.yaml:5: mutator: must be a mapping, not 3"),
        (LEAST + "protect: row-17\n", "romeo-bob.yaml:5: protect: must be a list, not 'row-17'"),
        (LEAST + "protect: [a, 17]\n", "romeo-bob.yaml:5: protect[1]: must be text, not 17 (write it in quotes)"),
        (LEAST + "protect: ['tag:']\n", "protect[0]: names nothing (write a row's id, or tag:NAME)"),
        (LEAST + "max_tokens: '9'\n", "romeo-bob.yaml:5: max_tokens: must be a whole number, not '9'"),
        (LEAST + "prefer: cheap\n", "romeo-bob.yaml:5: prefer: must be 'shorter' or 'cheaper', not 'cheap'"),
        ("", "no settings in the file"),
        ("- a\n", "no settings in the file"),
        ("prompt: [\n", "romeo-bob.yaml:2: not YAML: "),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (only,) = faults(tmp_path, text)
    assert said in only


def test_all_faults_are_told_at_once_in_line_order(tmp_path: Path) -> None:
    told = faults(tmp_path, "prompt: 1\ndata: 2\nmodel: 3\nmetrics: [4]\nseed: x\n", calls=-5)
    assert [line.split(":")[:2] for line in told[1:]] == [["romeo-bob.yaml", str(line)] for line in range(1, 6)]
    assert told[0] == "--calls: budget.calls: must be greater than 0, not -5 (write a larger number)"


def test_a_misspelt_key_is_named_beside_the_missing_one(tmp_path: Path) -> None:
    missing, unknown = faults(tmp_path, LEAST.replace("d.csv", "{pth: d}"))
    assert "romeo-bob.yaml:2: data: 'path' is missing" in missing
    assert "romeo-bob.yaml:2: data: unknown key 'pth' (did you mean 'path'? known: path, format, " in unknown


def test_a_flag_is_blamed_for_its_own_fault(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, FULL, base_url="nonsense")
    assert told.startswith("--base-url: model.base_url: not an http address")
    (told,) = faults(tmp_path, FULL, seeds=3)
    assert told.startswith("unknown override 'seeds' (did you mean 'seed'? ")


def test_a_file_that_is_not_there_or_has_no_usable_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is not usable"):
        load_config(tmp_path / "two words.yaml")


def test_the_schema_in_the_docs_is_current() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == config_json_schema()


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"mutator": {"name": "x", "price": {"input": 1, "output": 2}}}, True),
        ({"data": {"path": "x", "format": "csv"}}, True),
        ({"metrics": ["contains", {"not-contains": "Romeo"}]}, True),
        ({"budget": {"calls": 600}}, True),
        ({"sed": 1}, False),
        ({"metrics": []}, False),
        ({"budget": {"calls": 0}}, False),
        ({"data": {"path": "x", "format": "xml"}}, False),
    ],
)
def test_the_schema_says_what_the_reader_says(change: dict[str, Any], valid: bool) -> None:
    import jsonschema

    document = {"prompt": "p", "data": "d.csv", "model": "m", "metrics": ["contains"], **change}
    assert jsonschema.Draft202012Validator(config_json_schema()).is_valid(document) is valid


def test_a_schema_may_know_a_field_with_a_secrets_name(tmp_path: Path) -> None:
    params = "{response_format: {json_schema: {properties: {password: {type: string}}, required: [password]}}}"
    config = load(tmp_path, LEAST.replace("openai/gpt", f"{{name: m, params: {params}}}"))
    assert "response_format" in config.model.params
