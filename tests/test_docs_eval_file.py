"""docs/eval-file.md: its examples load, it names every key, and its messages are what is said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from optimizer.dataset import Split
from optimizer.errors import UserError
from optimizer.intake import take_in as load
from optimizer.readers.config import config_json_schema, load_config

PAGE = (Path(__file__).parent.parent / "docs" / "eval-file.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WRITTEN = {language: [text for found, text in BLOCKS if found == language] for language in ("yaml", "jsonl", "text")}
EVAL_FILE, PROMPT = WRITTEN["yaml"]
ROWS = WRITTEN["jsonl"][0]

BASE = "prompt: ../prompts/triage/v1.yaml\ndata: triage.jsonl\nmodel: openai/gpt-4o-mini\nmetrics:\n  - exact\n"
SIX = "".join(
    json.dumps({"message": message, "expected": queue}) + "\n"
    for message, queue in [
        ("I was charged twice.", "billing"),
        ("Where is my parcel?", "delivery"),
        ("Do you sell gift cards?", "other"),
        ("The invoice has the wrong name.", "billing"),
        ("The courier left it in the rain.", "delivery"),
        ("I love the new shop.", "other"),
    ]
)
FILES = {"evals/triage.yaml": BASE, "evals/triage.jsonl": SIX, "prompts/triage/v1.yaml": PROMPT}


def eval_file(old: str, new: str) -> dict[str, str]:
    assert old in BASE
    return {"evals/triage.yaml": BASE.replace(old, new)}


def prompt(old: str, new: str) -> dict[str, str]:
    assert old in PROMPT
    return {"prompts/triage/v1.yaml": PROMPT.replace(old, new)}


def row(text: str) -> dict[str, str]:
    return {"evals/triage.jsonl": f"{SIX}{text}\n"}


def two(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, str]:
    return row(
        "\n".join(
            json.dumps({"message": f"Cancel {n}", "expected": "other", **one}) for n, one in enumerate((first, second))
        )
    )


CASES: Mapping[str, list[Mapping[str, str]]] = {
    "The eval file": [
        eval_file("model:", "modle:"),
        eval_file("- exact\n", "- exact\nprotect: [m-3]\n"),
        eval_file("exact", "icontains: parcel"),
        eval_file("exact", "length: {max_word: 5}"),
        eval_file("- exact\n", "- exact\nsplits: {train: 0.5, val: 0.3, test: 0.3}\n"),
        eval_file("openai/gpt-4o-mini", "{name: openai/gpt-4o-mini, params: {api_key: sk-1}}"),
        eval_file("triage.jsonl", "triag.jsonl"),
        eval_file("triage.jsonl", "triage.parquet") | {"evals/triage.parquet": "PAR1"},
    ],
    "The rows": [
        row('{"message": "Cancel it", "expected": "other"'),
        row('{"mesage": "Cancel it", "expected": "other"}'),
        row('{"message": "Cancel it", "expected": 3}'),
        row('{"message": "Where is my parcel?", "expected": "other"}'),
        eval_file("exact", "label: [billing, delivery]"),
        eval_file("triage.jsonl", "triage.csv") | {"evals/triage.csv": "message,expected\nStop, please,other\n"},
    ],
    "The prompt": [
        prompt("      {{ message }}", "      {{ massage }}"),
        prompt("      {{ message }}", "      The message of a customer"),
        prompt("role: user", "role: human"),
    ],
    "The splits": [
        row('{"message": "Cancel it", "expected": "other", "split": "dev"}'),
        two({"group": "a", "split": "val"}, {"group": "a", "split": "test"}),
        {"evals/triage.jsonl": "".join(SIX.splitlines(keepends=True)[:2])},
    ],
}
"""What stands above a block of messages -> files that make them, one after the other."""


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in {**FILES, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def said(folder: Path, files: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    write(folder, files)
    monkeypatch.chdir(folder)
    with pytest.raises(UserError) as caught:
        load(load_config(Path("evals/triage.yaml")))
    return str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_the_messages_are_what_is_said(tmp_path, name, monkeypatch):
    told = [said(tmp_path / str(number), files, monkeypatch) for number, files in enumerate(CASES[name])]
    shown = re.search(rf"^{name}:\n\n```text\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert shown[1].splitlines() == [line for message in told for line in message.splitlines()]


def test_the_examples_of_the_page_load(tmp_path):
    # Its three rows are too few for three splits that are drawn.
    rows = ROWS + SIX.replace("I was charged twice.", "Charged again.").replace("Where is my parcel?", "Where is it?")
    rows = rows.replace('"Do you sell gift cards?", "expected"', '"Gift cards?", "expected"')
    write(tmp_path, {"evals/triage.yaml": EVAL_FILE, "evals/triage.jsonl": rows})
    loaded = load(load_config(tmp_path / "evals" / "triage.yaml"))
    by_text = {example.inputs["message"]: example for example in loaded.evalset.examples}
    tagged = by_text["Where is my parcel?"]
    assert (tagged.id, tagged.tags, tagged.group) == ("m-2", ("short",), "customer-7")
    assert loaded.evalset.splits[by_text["Do you sell gift cards?"].id] is Split.TRAIN
    assert [metric.weight for metric in loaded.config.metrics] == [1.0, 0.5]
    locked = [line.content for line in loaded.prompt.lines if line.locked]
    assert locked == ["Answer with one word."]
    assert (len(loaded.prompt.demos), loaded.prompt.params, loaded.prompt.ref) == (1, {"temperature": 0}, "triage@v1")


def keys(schema: Mapping[str, Any], defs: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """`data`, `data.path`, ... of a JSON Schema."""
    for name, part in schema.get("properties", {}).items():
        yield before + name
        for one in (part, *part.get("anyOf", ())):
            if "$ref" in one:
                yield from keys(defs[one["$ref"].rpartition("/")[2]], defs, f"{before}{name}.")


def test_the_page_names_every_key():
    schema = config_json_schema()
    known = [key for key in keys(schema, schema["$defs"]) if not key.startswith("mutator.")]
    assert {"prompt", "data.expected", "model.price.input", "splits.val", "budget.usd"} <= set(known)
    assert [key for key in known if f"`{key}`" not in PAGE] == []
