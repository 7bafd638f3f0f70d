"""Eval files, splits and marks that are wrong: refused before the first request, with the place and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.testing.server import FakeServer
from tests.input_case import PROMPT, SETTINGS, Files, jsonl, refused, settings, write

HERE = "evals/x.yaml"
METRIC = "  - contains\n"


def metric(text: str) -> Files:
    return settings(METRIC, f"  - {text}\n")


def besides(text: str) -> Files:
    return {HERE: SETTINGS + text}


def model(text: str) -> Files:
    return settings("{name: openai/test, base_url: ENDPOINT}", text)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({HERE: None}, f"{HERE}: no such file (check the path)"),
        ({HERE: ""}, f"{HERE}: no settings in the file (write prompt, data, model, metrics)"),
        ({HERE: "- a\n"}, f"{HERE}:1: no settings in the file"),
        ({HERE: PROMPT}, f"{HERE}:1: a prompt, not an eval file (name the eval file: evals/NAME.yaml; --prompt takes"),
        ({HERE: b"prompt: caf\xe9\n"}, f"{HERE}:1: byte 0xe9 at byte 12 is not UTF-8 (looks like cp1252) (re-save it"),
        ({HERE: SETTINGS.encode("utf-16")}, f"{HERE}: the file is UTF-16, not UTF-8 (re-save it as UTF-8)"),
        ({HERE: "prompt: a\nx: \x01\n"}, f"{HERE}:2: control character U+0001 (take it out)"),
        ({HERE: "a: " + "x" * 2_000_000}, f"{HERE}: 2,000,003 bytes, more than the cap of 1,048,576 (use a smaller"),
        ({HERE: "a: " + "[" * 100_000}, f"{HERE}:1: nested deeper than 64 (flatten it)"),
        ({HERE: "a: " + "{a: " * 100_000}, f"{HERE}:1: nested deeper than 64 (flatten it)"),
        ({HERE: "a:\n" + "- 1\n" * 20_001}, f"{HERE}:19999: more than 20,000 values (use a smaller file)"),
        (besides("\tfoo: 1\n"), f"{HERE}:8: not YAML: a tab where spaces are wanted (column 1) (indent with spaces)"),
        (besides("foo: [1\n"), f"{HERE}:9: not YAML: expected ',' or ']', but got '<stream end>' (column 1) (mend the"),
        (besides("foo: 'x\n"), f"{HERE}:9: not YAML: found unexpected end of stream (column 1) (mend the syntax)"),
        (besides("seed: 1\nseed: 2\n"), f"{HERE}:9: duplicate key 'seed' (keep one of the two)"),
        (besides("a: &x 1\nb: *x\n"), f"{HERE}:9: an alias (write the value out)"),
        (besides("<<: {a: 1}\n"), f"{HERE}:8: a merge key (write the values out)"),
        (besides("---\na: 1\n"), f"{HERE}:8: a second document (keep one document in a file)"),
        (besides("seed: !!python/object/apply:os.getpid []\n"), f"{HERE}:8: the tag 'tag:yaml.org,2002:python/object/"),
        (besides("seed: .nan\n"), f"{HERE}:8: .nan is not a finite number"),
        (besides("seed: 1e999\n"), f"{HERE}:8: 1e999 is not a finite number"),
        (besides(f"seed: {'9' * 5000}\n"), f"{HERE}:8: a number of 5000 characters"),
    ],
)
def test_a_file_that_is_no_eval_file(tmp_path: Path, endpoint: FakeServer, files: Files, told: str) -> None:
    write(tmp_path, endpoint, files)
    assert told in refused(tmp_path, endpoint)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (settings("metrics:", "metrcs:"), ":5: unknown key 'metrcs' (did you mean 'metrics'? known: prompt, data,"),
        (settings("metrics:", "metrcs:"), ":1: 'metrics' is missing (add it)"),
        (settings("calls:", "call:"), ":7: budget: unknown key 'call' (did you mean 'calls'? known: calls, usd,"),
        (model("{name: openai/x, base_ulr: http://h/v1}"), ":3: model: unknown key 'base_ulr' (did you mean 'base_u"),
        (besides("concurrency: '16'\n"), ":8: concurrency: must be a whole number, not '16' (write a whole number,"),
        (besides("concurrency: 0\n"), ":8: concurrency: must be greater than or equal to 1, not 0 (write a larger"),
        (besides("concurrency: 1.5\n"), ":8: concurrency: must be a whole number, not 1.5"),
        (besides("concurrency: true\n"), ":8: concurrency: must be a whole number, not True"),
        (besides("seed: -1\n"), ":8: seed: must be greater than or equal to 0, not -1 (write a larger number)"),
        (besides("repeats: 0\n"), ":8: repeats: must be greater than or equal to 1, not 0"),
        (besides("prefer: cheap\n"), ":8: prefer: must be 'shorter' or 'cheaper', not 'cheap' (write one of these)"),
        (besides("protect: r1\n"), ":8: protect: must be a list, not 'r1' (write a list: one `- item` a line)"),
        (besides("protect: [r1, r99]\n"), ":8: protect[1]: no row 'r99' (did you mean"),
        (besides("protect: [tag:vip]\n"), ":8: protect[0]: no row has the tag 'vip' (tags: none)"),
        (settings("{calls: 200}", "200"), ":7: budget: must be a mapping, not 200 (write `key: value` under it"),
        (settings("200", "-5"), ":7: budget.calls: must be greater than 0, not -5 (write a larger number)"),
        (settings("calls: 200", "usd: lots"), ":7: budget.usd: must be a number, not 'lots' (write a number, without"),
        (besides("splits: {train: 0.5, val: 0.3, test: 0.3}\n"), ":8: splits: the shares sum to 1.1 (make them sum"),
        (besides("splits: {train: 0.5, val: 0.5}\n"), ":8: splits: 'test' is missing (add it)"),
        (besides("splits: {train: 1, val: 0, test: 0}\n"), ":8: splits.val: must be greater than 0, not 0 (write a"),
        (settings("../prompts/p/v1.yaml", "7"), ":1: prompt: must be text, not 7 (write it in quotes)"),
        (settings("x.jsonl", "{path: x.jsonl, format: jsnl}"), ":2: data.format: unknown format 'jsnl' (did you mean"),
        (settings("x.jsonl", "{path: x.jsonl, input: [q]}"), ":2: data: unknown key 'input' (did you mean 'inputs'?"),
        (settings("mutator: none", "mutator: none\nmined: false"), ":4: mutator: nothing would propose edits (set"),
        (model('""'), ":3: model.name: is empty (give a name or a path)"),
        (model("{name: openai/x, base_url: 'localhost:80'}"), ":3: model.base_url: not an http address (write http"),
        (model("{name: openai/x, base_url: 'http://a:b@h/v1'}"), ":3: model.base_url: holds a password (put keys"),
        (model("{name: openai/x, params: {api_key: x}}"), ":3: model.params: 'api_key' looks like a secret (put keys"),
        (model("{name: openai/x, params: {temperature: hot}}"), ":3: model.params: 'temperature' must be a number,"),
        (model("{name: openai/x, params: {max_tokens: 0}}"), ":3: model.params: 'max_tokens' must be a whole number"),
        (model("{name: openai/x, params: {stream: true}}"), ":3: model.params: 'stream' is no parameter of a"),
        (model("{name: openai/x, params: {messages: []}}"), ":3: model.params: 'messages' is no parameter of a"),
        (model("{name: openai/x, params: {n: 3}}"), ":3: model.params: 'n' is no parameter here (one answer a"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, endpoint: FakeServer, files: Files, told: str) -> None:
    write(tmp_path, endpoint, files)
    assert HERE + told in refused(tmp_path, endpoint)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (settings(f"\n{METRIC}", " contains\n"), ":5: metrics: must be a list, not 'contains' (write a list: one"),
        (settings(f"\n{METRIC}", " []\n"), ":5: metrics: must not be empty (add one, or more)"),
        (metric("contans"), ':6: metrics, item 1 (contans): there is no metric "contans"; did you mean "contains"?'),
        (metric("icontains"), ':6: metrics, item 1 (icontains): there is no metric "icontains"; use contains with ig'),
        (metric("7"), ":6: metrics[0]: not a metric (write a name, or {name: value}"),
        (metric("{contains: a, exact: b}"), ":6: metrics[0]: not a metric (write a name, or {name: value}"),
        (metric("Contains"), ":6: metrics[0]: 'Contains' is no metric's name (names are lower case with `-`)"),
        (metric("contains: {valu: x}"), ':6: metrics, item 1 (contains): unknown argument "valu"; did you mean "val'),
        (metric("contains: [x, 7]"), ":6: metrics, item 1 (contains): value is "),
        (metric("contains: 12"), ':6: metrics, item 1 (contains): value is "12", a number, but text is wanted; put it'),
        (metric("contains: {value: x, weight: -1}"), ":6: metrics[0].contains.weight: a weight is a number from 0"),
        (metric("contains: {value: x, threshold: 3}"), ":6: metrics[0].contains.threshold: a threshold is a number"),
        (metric("contains: {value: x, required: maybe}"), ":6: metrics[0].contains.required: must be true or false"),
        (metric("contains: {weight: 0}"), ": metrics: none has a weight above 0, so no output could lose; add a"),
        (metric("regex: ("), ':6: metrics, item 1 (regex): the pattern "(" does not compile'),
        (metric("json-field"), ':6: metrics, item 1 (json-field): the argument "field" is missing; it is text'),
        (metric("python: nope.py:f"), ':6: metrics, item 1 (python): "nope.py" cannot be read: No such file'),
        (metric("contains\n  - contains"), ":7: metrics, item 2: contains is there twice; leave one out"),
    ],
)
def test_metrics_that_are_wrong(tmp_path: Path, endpoint: FakeServer, files: Files, told: str) -> None:
    write(tmp_path, endpoint, files)
    assert HERE + told in refused(tmp_path, endpoint)


def test_fields_that_the_settings_name_and_no_row_has(tmp_path: Path, endpoint: FakeServer) -> None:
    write(tmp_path, endpoint, settings("x.jsonl", "{path: x.jsonl, inputs: [qestion], expected: label}"))
    told = refused(tmp_path, endpoint)
    assert "evals/x.jsonl:1: qestion: missing (did you mean 'question'? fields here: expected, id, question)" in told


def test_every_unknown_key_is_told_at_once(tmp_path: Path, endpoint: FakeServer) -> None:
    write(tmp_path, endpoint, besides("".join(f"key{n}: 1\n" for n in range(30))))
    told = refused(tmp_path, endpoint).splitlines()
    assert len(told) == 21 and told[-1] == "       ... and 10 more"


LOCK: dict[str, Any] = {
    "version": 1,
    "seed": 0,
    "shares": {"train": 0.4, "val": 0.3, "test": 0.3},
    "rows": {"train": ["r0", "r1"], "val": ["r2", "r3"], "test": ["r4", "r5"]},
}


def lock(**fields: Any) -> str:
    return json.dumps({**LOCK, **fields}, indent=2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: damaged: not JSON: Expecting value (mend the syntax, or take the file back from version control"),
        ("<<<<<<< HEAD\n{}\n=======\n", ":1: damaged: not JSON: Expecting value"),
        (lock()[:60], ":5: damaged: not JSON: "),
        ("[" * 100_000, ": damaged: not JSON: nested too deep"),
        ("[]", ":1: damaged: must be a mapping, not a list"),
        (b'{"\xe9": 1}', ":1: byte 0xe9 at byte 3 is not UTF-8"),
        (lock(version=2), ":2: version: damaged: must be 1, not 2"),
        (lock(seed=1.5), ":3: seed: damaged: must be a whole number, not 1.5"),
        (lock(seed=float("nan")), ":3: seed: damaged: NaN is not a finite number"),
        (lock(shares={"train": 0.5, "val": 0.3, "test": 0.3}), ":4: shares: damaged: the shares do not sum to 1"),
        (lock(shares={"train": 1}), ":4: shares: damaged: 'val' is missing (add it, or take the file back from"),
        (lock(rows=[]), ":9: rows: damaged: must be a mapping, not a list"),
        (lock(rows={"train": "r0"}), ":10: rows.train: damaged: must be a list, not 'r0'"),
        (lock(rows={"tran": ["r0"]}), ":10: rows: damaged: unknown key 'tran' (did you mean 'train'? known: train,"),
        (lock(rows={"train": ["r0"], "val": ["r1", "r0"]}), ":15: rows.val: damaged: 'r0' is listed twice: in train"),
        (lock(rows={"train": ["r0", 7]}), ":12: rows.train[1]: damaged: must be text, not 7 (write it in quotes"),
        (lock(row={}), ":23: damaged: unknown key 'row' (did you mean 'rows'? known: version"),
        (lock().replace('"seed": 0', '"version": 1'), ":3: version: damaged: duplicate key (keep one of the two"),
    ],
)
def test_a_lock_file_that_was_edited_wrongly(
    tmp_path: Path, endpoint: FakeServer, text: str | bytes, told: str
) -> None:
    write(tmp_path, endpoint, {"evals/x.splits.json": text})
    before = (tmp_path / "evals" / "x.splits.json").read_bytes()
    assert "evals/x.splits.json" + told in refused(tmp_path, endpoint)
    assert (tmp_path / "evals" / "x.splits.json").read_bytes() == before


def test_a_lock_file_that_leaves_a_split_empty_is_no_silent_success(tmp_path: Path, endpoint: FakeServer) -> None:
    every = [f"r{n}" for n in range(12)]
    write(tmp_path, endpoint, {"evals/x.splits.json": lock(rows={"train": every, "val": [], "test": []})})
    assert "evals/x.jsonl: split: no row is in val or test (add rows or groups" in refused(tmp_path, endpoint)


MARK = {"at": "2026-11-21T10:15:00Z", "row": "r1", "content": "", "kind": "note", "by": "me", "reason": "x"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (json.dumps(MARK)[:30], ":2: not a mark: "),
        ("<<<<<<< HEAD", ":2: not a mark: Expecting value (column 1) (mend the line, or take the file back from"),
        ("[]", ":2: not a mark: not an object"),
        ("[" * 100_000, ":2: not a mark: nested deeper than 64"),
        (jsonl({**MARK, "kind": "wrong-lable"}), ":2: not a mark: there is no kind 'wrong-lable'; did you mean 'wrong"),
        (jsonl({**MARK, "knd": "x"}), ":2: not a mark: unknown key 'knd'"),
        (jsonl({name: text for name, text in MARK.items() if name != "by"}), ":2: not a mark: 'by' is missing"),
        (jsonl({**MARK, "row": 7}), ":2: not a mark: 'row' must be text"),
        (jsonl({**MARK, "expected": float("nan")}), ":2: not a mark: expected: NaN is not a finite number"),
        (jsonl({**MARK, "expected": 0}).replace("0}", "9" * 5000 + "}"), ":2: not a mark: expected: not a finite"),
        (jsonl(MARK).replace('"by"', '"row"'), ":2: not a mark: row: duplicate key"),
        (json.dumps({**MARK, "reason": "\ud800"}), ":2: not a mark: reason: half a surrogate pair"),
    ],
)
def test_a_line_that_is_no_mark(tmp_path: Path, endpoint: FakeServer, line: str, told: str) -> None:
    write(tmp_path, endpoint, {"evals/x.marks.jsonl": jsonl(MARK) + line.rstrip("\n") + "\n"})
    assert "evals/x.marks.jsonl" + told in refused(tmp_path, endpoint)


def test_marks_that_leave_no_row(tmp_path: Path, endpoint: FakeServer) -> None:
    marks = jsonl(*[{**MARK, "kind": "wrong-label", "row": f"r{n}"} for n in range(12)])
    write(tmp_path, endpoint, {"evals/x.marks.jsonl": marks})
    assert "evals/x.marks.jsonl: no row is left in train or val or test (take a mark" in refused(tmp_path, endpoint)


def test_every_line_that_is_no_mark_is_told(tmp_path: Path, endpoint: FakeServer) -> None:
    write(tmp_path, endpoint, {"evals/x.marks.jsonl": jsonl(MARK, {**MARK, "kind": "a"}, MARK, {**MARK, "kind": "b"})})
    told = refused(tmp_path, endpoint)
    assert "x.marks.jsonl:2: not a mark: there is no kind 'a'" in told and "x.marks.jsonl:4: not a mark" in told


@pytest.mark.parametrize("name", ["x.yaml", "x.jsonl", "x.splits.json", "x.marks.jsonl"])
def test_a_link_to_itself_is_no_bug_of_ours(tmp_path: Path, endpoint: FakeServer, name: str) -> None:
    write(tmp_path, endpoint, {})
    path = tmp_path / "evals" / name
    path.unlink(missing_ok=True)
    path.symlink_to(name)
    told = refused(tmp_path, endpoint)
    assert f"evals/{name}: cannot be read: Too many levels of symbolic links" in told
