"""Whatever a file holds, a reader gives values or says what is wrong: it never breaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.config import DataSpec
from optimizer.dataset import canonical_json
from optimizer.errors import OptimizerError, StoreError, UserError
from optimizer.prompt import prepare
from optimizer.readers.config import load_config
from optimizer.readers.document import parse
from optimizer.readers.prompts import parse_prompt
from optimizer.readers.rows import load_examples
from optimizer.readers.splits import assign
from optimizer.readers.versions import dump_prompt

often = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

pieces = st.sampled_from(
    ["{", "}", "[", "]", '"', ":", ",", "\n", "\r", "\\", "\\ud800", "\0", "1e999", "NaN", "-", "012", "null", "'"]
    + [
        "question",
        "expected",
        "id",
        "split",
        "tags",
        "group",
        "inputs",
        "train",
        "\ufeff",
        "\u2028",
        "é",
        ";",
        "\t",
        " ",
    ]
    + [
        "messages",
        "role",
        "content",
        "system",
        "user",
        "- ",
        ": ",
        "|",
        ">",
        "&a",
        "*a",
        "!!",
        "%",
        "#",
        "?",
        "{{ q }}",
    ]
    + ["prompt", "data", "model", "metrics", "splits", "budget", "provenance", "lines", "demos", "params", "\\U", "---"]
)
noise = st.lists(pieces | st.text(max_size=5), max_size=60).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["id", "expected", "tags", "group", "split", "inputs", "question", "Question"]) | st.text(
    max_size=4
)
rows = st.lists(st.dictionaries(fields, values, max_size=5) | values, max_size=6)


def read(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.write_bytes(content)
    try:
        examples, ledger = load_examples(DataSpec(path=path))
    except UserError as error:
        assert str(error)
        str(error).encode()
        return
    assert ledger.kept == len(examples) == len({row.id for row in examples}) > 0
    assert ledger.read >= ledger.kept
    for row in examples:
        canonical_json([row.id, dict(row.inputs), row.expected, row.tags, row.group]).encode()
    try:
        assign(examples, {"train": 0.4, "val": 0.3, "test": 0.3}, folder / "lock", 0, ledger.splits, write=False)
    except UserError as error:
        assert str(error)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
@given(content=st.binary(max_size=300) | noise.map(lambda text: text.encode("utf-8", "surrogatepass")))
@often
def test_noise_breaks_no_reader(tmp_path: Path, name: str, content: bytes) -> None:
    read(tmp_path, name, content)


@given(drawn=rows)
@often
def test_odd_rows_break_no_reader(tmp_path: Path, drawn: list[Any]) -> None:
    read(tmp_path, "rows.jsonl", "".join(json.dumps(row) + "\n" for row in drawn).encode())
    read(tmp_path, "rows.json", json.dumps(drawn, indent=1).encode())


@given(text=noise | st.text())
@often
def test_noise_breaks_no_document(text: str) -> None:
    try:
        parse(text, Path("x.yaml"))
    except UserError as error:
        assert str(error).startswith("x.yaml")


@pytest.mark.parametrize("name", ["p.txt", "p.json", "p.yaml"])
@given(text=noise)
@often
def test_noise_breaks_no_prompt(name: str, text: str) -> None:
    prompt_survives(name, text)


@given(data=values | st.fixed_dictionaries({"messages": values, "demos": values, "provenance": values}))
@often
def test_odd_values_break_no_prompt(data: Any) -> None:
    prompt_survives("p.yaml", json.dumps(data))
    prompt_survives("p.json", json.dumps(data))


message = st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "bot"]), "content": noise | values})
versions = st.fixed_dictionaries(
    {"messages": st.lists(message, max_size=3)},
    optional={
        "variables": st.lists(st.text(max_size=4)) | values,
        "demos": st.lists(st.fixed_dictionaries({"inputs": values, "output": values})),
        "params": values,
        "provenance": st.fixed_dictionaries(
            {},
            optional={"lines": st.lists(st.sampled_from(["L1", "L2", "L9", "x", "L²"])), "last_line": st.integers()},
        ),
    },
)


@given(data=versions)
@often
def test_odd_versions_break_no_prompt(data: Any) -> None:
    prompt_survives("p.yaml", json.dumps(data))


def prompt_survives(name: str, text: str) -> None:
    """The text is refused in words, or makes a prompt that can be written, read back and sent."""
    from optimizer.dataset import Example

    try:
        prompt = parse_prompt(text, Path(name)).prompt
    except UserError as error:
        assert str(error)
        return
    try:
        assert parse_prompt(dump_prompt(prompt), Path("p.yaml")).prompt == prompt
    except UserError as error:
        assert "cannot be written" in str(error)
    if not prompt.demos:
        prepare(prompt, Example(id="x", inputs=dict.fromkeys(prompt.variables, "v")))


@given(text=noise)
@often
def test_noise_breaks_no_eval_file(tmp_path: Path, text: str) -> None:
    eval_file_survives(tmp_path, text)


settings_of = st.fixed_dictionaries(
    {},
    optional={
        key: values | st.lists(st.dictionaries(st.sampled_from(["contains", "not-x", "value", "weight"]), values))
        for key in ("prompt", "data", "model", "mutator", "mined", "metrics", "splits", "budget", "concurrency", "seed")
    },
)


@given(data=settings_of)
@often
def test_odd_settings_break_no_eval_file(tmp_path: Path, data: Any) -> None:
    eval_file_survives(tmp_path, json.dumps(data))


def eval_file_survives(folder: Path, text: str) -> None:
    path = folder / "x.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_config(path)
    except UserError as error:
        assert str(error)


@given(text=noise)
@often
def test_noise_breaks_no_lock_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assign([], {"train": 0.4, "val": 0.3, "test": 0.3}, tmp_path / "lock", 0)
    except OptimizerError as error:
        assert not isinstance(error, StoreError)
