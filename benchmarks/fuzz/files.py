"""Targets: what reads the files of a user. Whatever they hold, they are read, or refused in words."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from benchmarks.fuzz.material import Target, as_text, noise, plain, raw, sound, spoilt, values
from optimizer.config import DataSpec
from optimizer.dataset import canonical_json
from optimizer.errors import DataError, UserError
from optimizer.prompt import prepare
from optimizer.readers import emit
from optimizer.readers.base import CAPS, Findings
from optimizer.readers.config import load_config
from optimizer.readers.csv import Rows
from optimizer.readers.document import dotted, parse
from optimizer.readers.json_places import lines_of
from optimizer.readers.marks import Kind, Mark, add_mark, read_marks, standing
from optimizer.readers.places import places
from optimizer.readers.prompts import check_variables, parse_prompt
from optimizer.readers.rows import load_examples
from optimizer.readers.splits import assign, read_lock
from optimizer.readers.versions import dump_prompt

SHARES = {"train": 0.4, "val": 0.3, "test": 0.3}
EVAL: dict[str, Any] = {
    "prompt": "p.txt",
    "data": {"path": "x.jsonl", "inputs": ["q"], "expected": "expected"},
    "model": {"name": "openai/m", "base_url": "http://127.0.0.1:1/v1", "params": {"temperature": 0.5}},
    "mutator": "none",
    "metrics": ["contains", {"not-contains": "x"}, {"regex": {"pattern": "a", "weight": 2, "threshold": 0.5}}],
    "splits": SHARES,
    "budget": {"calls": 100, "usd": 1.5, "minutes": 3},
    "concurrency": 4,
    "seed": 1,
    "protect": ["r1", "tag:x"],
    "max_tokens": 500,
    "prefer": "shorter",
}
LOCK: dict[str, Any] = {
    "version": 1,
    "seed": 0,
    "shares": SHARES,
    "rows": {"train": ["a", "b"], "val": ["c"], "test": ["d"]},
    "groups": {"train": ["g"]},
}
MARK: dict[str, Any] = {
    **{"at": "2026-11-21T10:15:00Z", "row": "r1", "content": "", "kind": "wrong-label", "by": "me", "reason": "x"},
    **{"expected": ["Bob"], "run": "r"},
}
VERSION: dict[str, Any] = {
    "messages": [{"role": "system", "content": "Answer.\nBriefly."}, {"role": "user", "content": "{{ q }}"}],
    "variables": ["q"],
    "demos": [{"id": "D1", "row": "r1", "inputs": {"q": "a"}, "output": {"x": 1}}],
    "params": {"temperature": 0},
    "provenance": {
        "parent": "p@v1",
        "run": "r",
        "edits": [{"op": "add_line", "line": "L2", "text": "x", "worth": 0.5, "ci": [0.1, 0.9], "label": "earns"}],
        "scores": {
            "test": {"n": 3, "baseline": 0.1, "winner": 0.5, "gain": 0.4, "ci": [0, 1], "verdict": "GAIN SHOWN"}
        },
        "sha256": "0" * 64,
        "lines": ["L1", "L2", "L3"],
        "last_line": 7,
        "last_demo": 2,
    },
}


def refused(error: UserError, name: str) -> None:
    """The error says where and what, in words that a terminal takes."""
    told = str(error)
    assert name in told and all(line.isprintable() for line in told.splitlines()), told
    told.encode()


def read_rows(name: str) -> Callable[[bytes], None]:
    """Read a file of rows, and give the rows their splits."""

    def check(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            try:
                examples, ledger = load_examples(DataSpec(path=path))
            except UserError as error:
                refused(error, name)
                return
            assert ledger.kept == len(examples) == len({row.id for row in examples}) > 0
            for row in examples:
                canonical_json([row.id, dict(row.inputs), row.expected, row.tags, row.group]).encode()
            again, _ = load_examples(DataSpec(path=path))
            assert again == examples
            try:
                splits, _ = assign(examples, SHARES, Path(folder) / "lock", 0, ledger.splits)
            except UserError as error:
                refused(error, "")
                return
            assert assign(examples, SHARES, Path(folder) / "lock", 7, ledger.splits) == (splits, False)

    return check


def csv_as_the_module_reads_it(given: tuple[list[list[str]], str, str, bool]) -> None:
    """What Python's own writer wrote is read as it was, with the line on which each record begins."""
    records, delimiter, end, quote = given
    header = [f"c{number}" for number in range(len(records[0]))]
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    )
    starts = []
    for record in (header, *records):
        starts.append(out.getvalue().count("\n") + 1)
        writer.writerow(record)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(out.getvalue().encode())
        found = Findings(path)
        read = list(Rows().read(path, CAPS, found))
        found.check()
    kept = [
        (dict(zip(header, record, strict=True)), start)
        for record, start in zip(records, starts[1:], strict=True)
        if any(cell.strip() for cell in record)
    ]
    assert [(dict(row.values), row.line) for row in read] == kept


cells = st.lists(
    st.sampled_from([",", ";", "|", "\n", "\r\n", '"', '""', "a", "é", " ", "\u2028", "=", "'"]), max_size=6
)
tables = st.integers(2, 4).flatmap(
    lambda width: st.tuples(
        st.lists(st.tuples(st.just("x"), *[cells.map("".join)] * (width - 1)).map(list), min_size=1, max_size=5),
        st.sampled_from([",", ";", "\t", "|"]),
        st.sampled_from(["\n", "\r\n"]),
        st.just(True),
    )
)


def read_document(content: str) -> None:
    """A YAML document is read without surprise, or refused with its place."""
    try:
        read = parse(content, Path("x.yaml"))
    except UserError as error:
        assert str(error).startswith("x.yaml")
        refused(error, "x.yaml")
        return
    breaks = content.count("\n") + content.count("\r")  # an old Mac's line end is one to YAML
    assert all(1 <= line <= breaks + 1 for line in read.lines.values())
    canonical_json(read.data).encode()


def written_document(value: Any) -> None:
    """What is written as YAML says the same to our reader and to PyYAML."""
    if not emit.fits(value, 50):
        return
    content = "\n".join(emit.lines({"value": value})) + "\n"
    assert canonical_json(parse(content, Path("x.yaml")).data) == canonical_json({"value": value})
    assert canonical_json(yaml.safe_load(content)) == canonical_json({"value": value})


def json_lines(value: Any) -> None:
    """The lines of a JSON text are those that a YAML parser finds in it."""
    content = json.dumps(value, indent=1)
    lines = lines_of(content)
    try:
        wanted = parse(content, Path("x.yaml")).lines
    except DataError:
        assert lines
        return
    assert {dotted(place): line for place, line in lines.items()} == {dotted(p): line for p, line in wanted.items()}


def read_eval_file(content: str) -> None:
    """An eval file is a config, or a ConfigError with its place."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            config = load_config(path)
        except UserError as error:
            refused(error, "x.yaml")
            return
        assert config.metrics and abs(sum(config.splits.values()) - 1) < 1e-6 and config.concurrency >= 1


def read_lock_file(content: str) -> None:
    """A lock file is read as it stands, or refused with its place; rows keep the split that it gives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.splits.json"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            lock = read_lock(path)
        except UserError as error:
            refused(error, "x.splits.json")
            return
        said = json.loads(content.removeprefix("\ufeff"))
        assert {name: split.value for name, split in lock.rows.items()} == {
            name: split for split, members in said["rows"].items() for name in members
        }


def read_mark_file(content: str) -> None:
    """A file of marks is read, or each line that is none is told."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.marks.jsonl"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            marks = read_marks(path)
        except UserError as error:
            refused(error, "x.marks.jsonl")
            return
        standing(marks)
        for mark in marks:
            canonical_json(mark.to_json()).encode()


def added_marks(given: list[tuple[Kind, str, str, Any]]) -> None:
    """Marks that were added are read back as they were."""
    marks = [
        Mark(row=row, kind=kind, by="me", reason=reason, at="now", relabelled=expected is not None, expected=expected)
        for kind, row, reason, expected in given
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.marks.jsonl"
        for mark in marks:
            add_mark(path, mark)
        assert read_marks(path) == tuple(marks)


def read_prompt(name: str) -> Callable[[str], None]:
    """A prompt file is read, written and read again to the same prompt, or refused in words."""

    def check(content: str) -> None:
        from optimizer.dataset import Example

        try:
            prompt = parse_prompt(content, Path(name)).prompt
        except UserError as error:
            refused(error, name)
            return
        row = Example(id="x", inputs=dict.fromkeys(prompt.variables | {"other"}, "v"))
        try:
            check_variables(prompt, [row], name)
            prepare(prompt, row)
        except UserError as error:
            refused(error, "")
        try:
            written = dump_prompt(prompt)
        except UserError as error:
            assert "cannot be written" in str(error)
            return
        again = parse_prompt(written, Path("p.yaml")).prompt
        # A message without lines is not written; what a model sees is the same.
        assert again.fingerprint == replace(prompt, name="p", version=None).fingerprint

    return check


def found_places(content: str) -> None:
    """Each line of a prompt that has text of its own is found on a line of the file, in order."""
    try:
        prompt = parse_prompt(content, Path("p.yaml")).prompt
    except UserError:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        path.write_bytes(content.encode())
        found = places(path, [(line.id, None) for line in prompt.lines])
    lines = [found[line.id] for line in prompt.lines if line.id in found]
    assert all(1 <= line <= content.count("\n") + 1 for line in lines)
    assert lines == sorted(lines)


def mostly(good: Any) -> st.SearchStrategy[str]:
    """Noise, odd JSON, and a good file that was spoilt a little."""
    return noise | values.map(as_text) | spoilt(good).map(as_text)


field = st.sampled_from(["id", "expected", "tags", "group", "split", "inputs", "q", "Q"])
row = st.dictionaries(field, values, max_size=4) | values
drawn = st.lists(row, max_size=6)
json_rows = drawn.map(lambda rows: "\n".join(map(as_text, rows)).encode("utf-8", "surrogatepass"))
json_list = drawn.map(lambda rows: json.dumps(rows, indent=1).encode())
marks = st.tuples(st.sampled_from(list(Kind)), plain, plain, st.none() | sound)

FILES: dict[str, Target] = {
    "rows.jsonl": Target(given=raw | json_rows, check=read_rows("x.jsonl"), promise="rows, or where it is wrong"),
    "rows.json": Target(given=raw | json_list, check=read_rows("x.json"), promise="rows, or where it is wrong"),
    "rows.csv": Target(given=raw, check=read_rows("x.csv"), promise="rows, or where it is wrong"),
    "csv, differential": Target(given=tables, check=csv_as_the_module_reads_it, promise="what csv.writer wrote"),
    "YAML document": Target(given=noise | st.text(), check=read_document, promise="values, or where it is wrong"),
    "YAML, differential": Target(given=sound, check=written_document, promise="PyYAML reads the same"),
    "lines of JSON, differential": Target(given=sound, check=json_lines, promise="a YAML parser's lines"),
    "eval file": Target(given=mostly(EVAL), check=read_eval_file, promise="a config, or where it is wrong"),
    "lock file": Target(
        given=mostly(LOCK),
        check=read_lock_file,
        promise="the splits it says, or where it is wrong",
        found=(as_text({**LOCK, "rows": {"train": "abc"}}), as_text({**LOCK, "rows": []})),
    ),
    "marks": Target(
        given=mostly(MARK),
        check=read_mark_file,
        promise="marks, or where it is wrong",
        found=(
            as_text({**MARK, "expected": float("nan")}),
            as_text({**MARK, "expected": 10**4000}),
            as_text({**MARK, "by": "\ud800"}),
        ),
    ),
    "marks, round trip": Target(given=st.lists(marks, max_size=4), check=added_marks, promise="what was added"),
    "prompt, YAML": Target(given=mostly(VERSION), check=read_prompt("p.yaml"), promise="read = written = read"),
    "prompt, chat JSON": Target(
        given=mostly(VERSION["messages"]), check=read_prompt("p.json"), promise="read = written = read"
    ),
    "prompt, text": Target(given=noise, check=read_prompt("p.txt"), promise="read = written = read"),
    "places of lines": Target(given=mostly(VERSION), check=found_places, promise="in the file, in order"),
}
