"""The stand-in's law: pure, ignorant of eval sets and of the product, never at a loss for an answer."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer.models.offline as offline
from optimizer.models.offline.answer import count_tokens, reply

FOLDER = Path(offline.__file__).parent
ROOT = FOLDER.parents[2]
MODULES = sorted(path for path in FOLDER.glob("*.py") if path.name != "model.py")
WORD = re.compile(r"\w+")

PROBE = """
import json, sys, types
root, poisoned, requests = sys.argv[1], sys.argv[2].split(","), json.loads(sys.argv[3])
for name, folder in (("optimizer", root + "/optimizer"), ("optimizer.models", root + "/optimizer/models")):
    package = types.ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package
sys.modules.update(dict.fromkeys(poisoned))
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from optimizer.models.offline.answer import reply
answers = [reply([tuple(m) for m in r["messages"]], seed=r["seed"], perfect=r["perfect"]) for r in requests]
code = (".py", ".pyc", "__pycache__")
read = [path for path in opened if path.startswith(root) and not any(part in path for part in code)]
mine = sorted(name for name in sys.modules if name.startswith("optimizer") and sys.modules[name] is not None)
print(json.dumps({"answers": answers, "read": read, "modules": mine}))
"""
POISONED = [
    f"optimizer.{name}" for name in ("dataset", "metrics", "cluster", "edits", "mutate", "prompt", "results", "store")
]
FAILING = {"id": "x", "input": {"q": "Who loves Juliet?"}, "output": "Romeo.", "expected": "Zed", "reasons": ["no"]}
REQUESTS: list[dict[str, Any]] = [
    {"messages": [["system", "Use Zed, never Romeo."], ["user", "Who loves Juliet?"]], "seed": 0, "perfect": True},
    {
        "messages": [["user", "Return JSON with the key sentiment.\n\nReview: Great food, rude staff."]],
        "seed": 3,
        "perfect": False,
    },
    {
        "messages": [
            ["system", "You improve prompts."],
            ["user", f"<failures-1a>\n{json.dumps(FAILING)}\n</failures-1a>"],
        ],
        "seed": 1,
        "perfect": False,
    },
]


def ask(messages: list[list[str]], seed: int, perfect: bool) -> str:
    return reply([(role, content) for role, content in messages], seed=seed, perfect=perfect)


def probe(folder: Path, hash_seed: str) -> dict[str, list[str]]:
    command = [sys.executable, "-c", PROBE, str(ROOT), ",".join(POISONED), json.dumps(REQUESTS)]
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_it_works_from_an_empty_folder_with_the_product_poisoned(tmp_path: Path) -> None:
    first, second = probe(tmp_path, "1"), probe(tmp_path, "2")
    assert first["answers"] == second["answers"]
    assert "Zed" in first["answers"][0]
    assert json.loads(first["answers"][2])["edits"]
    assert [Path(path).name for path in first["read"]] == ["world.json"]
    assert all(
        name in ("optimizer", "optimizer.models") or name.startswith("optimizer.models.offline")
        for name in first["modules"]
    )
    here = [ask(**request) for request in REQUESTS]
    assert here == first["answers"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_it_imports_the_standard_library_and_itself_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert name.split(".")[0] in sys.stdlib_module_names or name.startswith("optimizer.models.offline"), name


def test_no_house_rule_stands_in_the_folder() -> None:
    for path in [*FOLDER.glob("*.py"), *FOLDER.glob("*.json")]:
        assert not re.search(r"\bbob", path.read_text(encoding="utf-8"), re.IGNORECASE), path.name


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key != "patterns":
                yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def test_its_knowledge_is_keywords_and_no_text() -> None:
    world = json.loads((FOLDER / "world.json").read_text(encoding="utf-8"))
    assert [text for text in strings(world) if len(WORD.findall(text)) > 3] == []


def runs_of_four(text: str) -> set[tuple[str, ...]]:
    words = [word.lower() for word in WORD.findall(text)]
    return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}


def test_it_shares_no_four_words_in_a_row_with_an_eval_row() -> None:
    known = runs_of_four((FOLDER / "world.json").read_text(encoding="utf-8"))
    for path in sorted((ROOT / "evals").rglob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for value in json.loads(line).values() if line.strip() else ():
                for text in value.values() if isinstance(value, dict) else [value]:
                    shared = runs_of_four(str(text)) & known
                    assert not shared, f"{path.name}:{number}: {sorted(shared)[0]}"


def test_the_seed_and_the_messages_decide_and_nothing_else() -> None:
    messages = [("system", "Use Zed, never Romeo."), ("user", "Who loves Juliet?")]
    texts = {reply(messages, seed=seed, perfect=False) for seed in range(200)}
    assert len(texts) > 1
    assert reply(messages, seed=7, perfect=False) == reply(list(messages), seed=7, perfect=False, response_format=None)


def test_tokens_are_counted_by_words_and_signs() -> None:
    assert count_tokens("") == 0
    assert count_tokens("That is Romeo.") == 4


PIECES = st.sampled_from(
    "Romeo \" ' if when , ; : - . {{q}} { } [ | instead of write never one of JSON keys L1| <prompt> </prompt> "
    "<failures-ab> </failures-ab> ___ \x00 \u202e \ud800".split(" ")
    + ["Use Zed, never Romeo.", "\n", "Question:", "is called"]
)
HOSTILE = st.one_of(
    st.text(max_size=300), st.lists(PIECES, max_size=40).map(" ".join), st.lists(PIECES, max_size=40).map("".join)
)


@settings(max_examples=150, deadline=None)
@given(HOSTILE, HOSTILE, st.booleans(), st.integers(-5, 5))
def test_no_prompt_and_no_row_makes_it_raise(prompt: str, row: str, perfect: bool, seed: int) -> None:
    messages = [("system", prompt), ("user", row)]
    assert reply(messages, seed=seed, perfect=perfect) == reply(messages, seed=seed, perfect=perfect)
    assert isinstance(reply([("user", prompt + "\n" + row)], seed=seed, perfect=perfect), str)
    assert isinstance(reply([("assistant", row)], seed=seed, perfect=perfect), str)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["id", "input", "output", "expected", "reasons", "edit"]), VALUES, max_size=6),
        max_size=4,
    ),
    HOSTILE,
    HOSTILE,
)
def test_no_request_for_edits_makes_it_raise(rows: list[dict[str, object]], prompt: str, junk: str) -> None:
    body = "\n".join(json.dumps(row) for row in rows)
    failures = f"<failures-0a>\n{body}\n{junk}\n</failures-0a>"
    request = f"{junk}\n<prompt-0a>\nL1| {prompt}\n</prompt-0a>\n{failures}\n<attempts>\n{body}\n</attempts>"
    answer = json.loads(reply([("user", request)], seed=0, perfect=False))
    assert set(answer) == {"diagnosis", "edits"}
    assert len(answer["edits"]) <= 3
    for edit in answer["edits"]:
        assert set(edit) == {"op", "target", "after", "text", "why"}


@pytest.mark.parametrize("nest", ["[" * 5000, '{"a":' * 5000, "(" * 5000, "never say " * 500, '"' * 4001, "a, " * 3000])
def test_deep_and_long_input_is_read_in_time(nest: str) -> None:
    assert isinstance(reply([("system", nest), ("user", nest)], seed=0, perfect=False), str)
    assert isinstance(
        reply([("user", f"<failures>\n{nest}\n</failures>\n<prompt>\nL1| {nest}\n</prompt>")], seed=0, perfect=True),
        str,
    )


@pytest.mark.parametrize(
    "format_",
    [
        None,
        {},
        {"type": "text"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": 3},
        {"type": "json_object"},
    ],
)
def test_any_response_format_is_taken(format_: dict[str, object] | None) -> None:
    text = reply([("user", "Great food and a kind waiter.")], seed=0, perfect=True, response_format=format_)
    if format_ and format_.get("type") in ("json_object", "json_schema"):
        assert json.loads(text)["sentiment"] == "positive"
