"""Targets: what is written for others to read. Whatever a row, a model or a prompt says, the reader is not misled."""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import yaml
from hypothesis import strategies as st

from benchmarks.fuzz.material import Target, edits, noise, plain, sound
from optimizer.dataset import Split
from optimizer.errors import ErrorKind, Problem, StoreError, UserError
from optimizer.events import CallEnded, CandidateMade, Decided, Event
from optimizer.export import apply
from optimizer.export.apply import Place
from optimizer.gate import Answer, Evidence, Gate, Limits, Row, judge
from optimizer.gate.github import commands, outputs
from optimizer.gate.junit import junit
from optimizer.gate.markdown import markdown
from optimizer.prompt import build
from optimizer.results import CallError, Completion, Score
from optimizer.store.codec import dumps, loads
from optimizer.store.log import log_line, visible
from optimizer.store.looks import looks
from optimizer.terminal import clean, defused

STEERING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def gate(text: str) -> Gate:
    """A gate in which every text of others is this one."""
    right = Answer(score=1.0, passed=True)
    wrong = Answer(score=0.0, passed=False, reasons=(text, text))
    lost = Answer(score=None, passed=False, error="timeout", message=text)
    rows = [
        Row(id=text, split=split, before=before, after=after)
        for split, before, after in [
            (Split.VAL, right, wrong),
            (Split.TEST, right, wrong),
            (Split.TEST, right, lost),
            (Split.TEST, None, None),
            (Split.TEST, wrong, right),
        ]
    ]
    found = Evidence(subject=text, prompt=text, old=text, model=text, on="test", rows=tuple(rows), reason=text)
    return judge(found, Limits(min_score=0.9, max_regressions=0))


def written_junit(text: str) -> None:
    """The XML is well-formed, and its cases are those of the gate."""
    root = ET.fromstring(junit(gate(text)).encode())
    kinds = [
        child.tag for suite in root.findall("testsuite")[:-1] for case in suite.findall("testcase") for child in case
    ]
    assert kinds == ["failure", "failure", "error", "skipped"]


def written_markdown(text: str) -> None:
    """No text of others begins a line, mentions a person or links a page outside of a code span."""
    made = markdown(gate(text))
    made.encode()
    bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", made, flags=re.DOTALL)
    assert not re.search(r"@\w|https?://|<script|javascript:", bare), bare


def written_commands(text: str) -> None:
    """Every line is one command of ours, and no output names another."""
    with tempfile.TemporaryDirectory() as folder:
        for line in commands(gate(text), Path(folder)):
            assert re.match(r"::(error|warning|notice)[ :]", line) and "\n" not in line and "\r" not in line
    names = re.findall(r"^([a-z-]+)(?:=|<<)", outputs(gate(text)), re.MULTILINE)
    assert len(names) == len(set(names))


def shown(text: str) -> None:
    """Nothing on a terminal moves the cursor, turns letters round, or hides."""
    for lines in (True, False):
        made = clean(text, lines=lines)
        odd = {sign for sign in made if unicodedata.category(sign) in STEERING} - {"\u200c", "\u200d"}
        assert odd <= ({"\n"} if lines else set())
        assert clean(made, lines=lines) == made
        made.encode()
    assert not re.search(r"^\s*::\w", defused(text), re.MULTILINE) and "##[" not in defused(text)


def logged(given: tuple[str, Any, list[Any]]) -> None:
    """An event is one line of JSON that shows what it is."""
    text, value, made = given
    error = CallError(kind=ErrorKind.TIMEOUT, message=text)
    told: list[Event] = [
        Decided(kind=text, round=0, reason=text, figures={"x": value, text: 1}),
        CandidateMade(prompt=build("p", [("user", text)]), round=1, origin=text, edits=tuple(made)),
        CallEnded(call="c1", key="k", completion=None, error=error),
        CallEnded(call="c1", key="k", completion=Completion(text=text, finish_reason=text), error=None),
    ]
    for event in told:
        line = visible(log_line(event, 1_700_000_000.25))
        line.encode()
        assert "\n" not in line and "\u2028" not in line and json.loads(line)["at"].endswith("Z")


def stored(given: tuple[Any, str, Any]) -> None:
    """Values that a run keeps are read back equal."""
    edit, text, value = given
    for hint, made in (
        (type(edit), edit),
        (Completion, Completion(text=text, finish_reason=text)),
        (Score, Score(metric=text, value=0.5, passed=True, reason=text, place=text, wanted=value, got=value)),
        (Any, value),
    ):
        assert loads(hint, dumps(hint, made)) == made


def told(given: tuple[str, str, str, str]) -> None:
    """A fault of a file is one printable line, however long its parts are."""
    where, field, problem, fix = (part * 300 if part else "x" for part in given)
    line = str(Problem(where=where, field=field, problem=problem, fix=fix))
    assert line.isprintable() and len(line) < 20_000


def read_looks(raw: bytes) -> None:
    """A damaged file of looks is told of, and never read as no look."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".optimizer" / "looks.jsonl"
        path.parent.mkdir()
        path.write_bytes(raw)
        try:
            looks(Path(folder), "x")
        except StoreError as error:
            assert "not a look" in str(error)


def patched(ending: str, read: Callable[[str], Any], shape: str) -> Callable[[tuple[str, str]], None]:
    """Put a text into a file: the file says it and all else is as it was, or nothing is written."""

    def check(given: tuple[str, str]) -> None:
        old, new = given
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"app{ending}"
            source = shape.replace("OLD", json.dumps(old))
            path.write_bytes(source.encode())
            try:
                patch = apply.plan(
                    build("p", [("system", new)], variables=[]), Place(file=path, key="a.b", message="1")
                )
                apply.write(patch, Path(folder))
            except UserError as error:
                assert str(error) and path.read_bytes() == source.encode()
                return
            made = path.read_bytes().decode()
            before, after = shape.split("OLD")
            assert made.startswith(before) and made.endswith(after)
            found = read(made)
            assert found["c"] == [1, "two"] and set(found) == {"a", "c"} and set(found["a"]) == {"b", "z"}

    return check


YAML_FILE = 'a:\n  b: OLD  # says it\n  z: "é"\nc: [1, two]\n'
JSON_FILE = '{\n  "a": {"b": OLD, "z": "é"},\n  "c": [1, "two"]\n}\n'
TOML_FILE = 'c = [1, "two"]\n[a]\nb = OLD # says it\nz = "é"\n'


def toml(text: str) -> Any:
    """As Python's own reader has it."""
    import tomllib

    return tomllib.loads(text)


words = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), min_size=1, max_size=10)

WRITERS: dict[str, Target] = {
    "JUnit XML": Target(given=noise, check=written_junit, promise="well-formed, the gate's own cases"),
    "Markdown of a gate": Target(given=plain, check=written_markdown, promise="no mention, link or markup of others"),
    "workflow commands": Target(given=plain, check=written_commands, promise="ours alone"),
    "terminal": Target(given=noise, check=shown, promise="nothing steers it"),
    "log lines": Target(
        given=st.tuples(noise, sound, st.lists(edits, max_size=2)),
        check=logged,
        promise="one line of JSON",
        found=(("\ud800", None, []),),
    ),
    "stored values": Target(given=st.tuples(edits, noise, sound), check=stored, promise="read = kept"),
    "faults of files": Target(given=st.tuples(noise, noise, noise, noise), check=told, promise="one printable line"),
    "looks": Target(
        given=noise.map(lambda made: made.encode("utf-8", "surrogatepass") + b"\n") | st.binary(max_size=99),
        check=read_looks,
        promise="read, or told of",
    ),
    "apply to YAML": Target(
        given=st.tuples(words, plain), check=patched(".yaml", yaml.safe_load, YAML_FILE), promise="that value alone"
    ),
    "apply to JSON": Target(
        given=st.tuples(words, plain), check=patched(".json", json.loads, JSON_FILE), promise="that value alone"
    ),
    "apply to TOML": Target(
        given=st.tuples(words, plain), check=patched(".toml", toml, TOML_FILE), promise="that value alone"
    ),
}
