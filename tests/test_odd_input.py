"""Rows that look odd and are right: they run, every byte of them arrives, and what is doubtful is told."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from optimizer.testing.server import FakeServer
from tests.input_case import CSV, ROWS, SETTINGS, Files, accepted, command, data, jsonl, rows, settings, write

NFC, NFD = unicodedata.normalize("NFC", "Zoë café"), unicodedata.normalize("NFD", "Zoë café")
TEXTS = [
    "👩‍👩‍👧‍👦 🏳️‍🌈 🧑🏽‍🚀",
    "שלום \u202eabc\u202c مرحبا",
    NFC,
    NFD,
    "a\u2028b\u2029c\x85d",
    "a\r\nb\rc\n",
    "\ufeffb\u200bc\u00adn",
    "tab\there \\n \\u0041 \x7f\x1b[31m",
    "  padded\u3000",
    "012",
    "no",
    "null",
    "1e999",
    "2024-01-01",
    "\U0010fffd\ufdd0 \x00end",
    "=HYPERLINK(1)",
]


def asked(sent: Sequence[Mapping[str, Any]]) -> set[str]:
    return {body["messages"][-1]["content"] for body in sent}


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "escaped.jsonl"])
def test_every_byte_of_a_text_arrives(tmp_path: Path, endpoint: FakeServer, name: str) -> None:
    made = [{"question": text, "expected": "x", "split": "train"} for text in TEXTS]
    made += [{"question": split, "expected": "y", "split": split} for split in ("val", "test")]
    content = json.dumps(made, ensure_ascii=False, indent=1) if name == "x.json" else jsonl(*made)
    if name.startswith("escaped"):
        content = "".join(json.dumps(row) + "\r\n" for row in made)
    write(tmp_path, endpoint, data(name, content))
    _, sent = accepted(tmp_path, endpoint, "eval", "evals/x.yaml", "--split", "train")
    assert asked(sent) == set(TEXTS)
    before = len(endpoint.log)
    again = command(tmp_path, "eval", "evals/x.yaml", "--split", "train")
    assert again.code == 0 and len(endpoint.log) == before


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_of_any_delimiter_and_line_end(tmp_path: Path, endpoint: FakeServer, delimiter: str, end: str) -> None:
    more = 'q,"a\nb ""c"" ;,|\t ' + NFD + '",x\n'
    text = (CSV + more.replace(",", "\x00", 1).replace('",x', '"\x00x')).replace("\n", end)
    head, quoted = text.split('"', 1)
    text = head.replace(",", delimiter).replace("\x00", delimiter) + '"' + quoted.replace("\x00", delimiter)
    write(tmp_path, endpoint, data("x.csv", text))
    _, sent = accepted(
        tmp_path, endpoint, "eval", "evals/x.yaml", "--split", "train", "--split", "val", "--split", "test"
    )
    assert f'a{end}b "c" ;,|\t {NFD}' in asked(sent)


@pytest.mark.parametrize(
    "files",
    [
        {"evals/x.jsonl": b"\xef\xbb\xbf" + ROWS.encode()},
        data("x.csv", b"\xef\xbb\xbf" + CSV.encode()),
        data("x.json", b"\xef\xbb\xbf" + json.dumps([json.loads(line) for line in ROWS.splitlines()]).encode()),
        {"evals/x.yaml": b"\xef\xbb\xbf" + SETTINGS.encode()},
        {"evals/x.yaml": SETTINGS.replace("\n", "\r\n")},
        {"evals/x.jsonl": ROWS.rstrip("\n")},
        {"evals/x.jsonl": ROWS.replace("\n", "\n\n \n")},
        {"evals/x.jsonl": ROWS.replace("\n", "\r\n")},
        data("x.ndjson", ROWS),
        data("x.csv", CSV + f"q,{'x' * 200_000},y\n"),
        settings("x.jsonl", "{path: x.jsonl, format: jsonl, inputs: [question]}"),
    ],
)
def test_files_as_other_programs_write_them(tmp_path: Path, endpoint: FakeServer, files: Files) -> None:
    write(tmp_path, endpoint, files)
    accepted(tmp_path, endpoint)


def test_links_are_followed(tmp_path: Path, endpoint: FakeServer) -> None:
    write(tmp_path, endpoint, {"evals/x.jsonl": None, "elsewhere/rows.jsonl": ROWS})
    (tmp_path / "evals" / "x.jsonl").symlink_to("../elsewhere/rows.jsonl")
    accepted(tmp_path, endpoint)


KEYS = ["sk-" + "a1B2" * 8, "AKIA" + "ABCD1234" * 2, "ghp_" + "a1B2" * 9, "-----BEGIN RSA PRIVATE KEY-----"]


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key_is_told_of_and_not_shown(tmp_path: Path, endpoint: FakeServer, key: str) -> None:
    write(tmp_path, endpoint, rows({"id": "q", "question": f"Use {key}", "expected": "Bob 1"}))
    done, _ = accepted(tmp_path, endpoint)
    assert "warning: line 13 holds what looks like a key: rows go to the provider and into prompts" in done.err
    assert key not in done.err + done.out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("".join(ROWS.splitlines(keepends=True)[:9]), "9 rows: too few for any comparison to mean much"),
        (
            "".join(jsonl({"question": f"q {n}", "expected": "x"}) for n in range(12)),
            "every row has the same 'expected': a prompt that always says it would pass",
        ),
        (ROWS + ROWS, "12 rows left out that repeat another row (evals/x.jsonl:13 is the first)"),
        (
            ROWS + jsonl({"id": "q", "question": "q", "expected": "x", "note": 7}),
            "inputs that the prompt does not use: note",
        ),
    ],
)
def test_what_makes_a_comparison_idle_is_told(tmp_path: Path, endpoint: FakeServer, content: str, told: str) -> None:
    write(tmp_path, endpoint, {"evals/x.jsonl": content})
    assert f"warning: {told}" in accepted(tmp_path, endpoint)[0].err


def test_rows_without_a_target_run_under_a_metric_with_a_value(tmp_path: Path, endpoint: FakeServer) -> None:
    files = {"evals/x.jsonl": "".join(jsonl({"question": f"q {n}"}) for n in range(12))}
    write(tmp_path, endpoint, {**files, **settings("- contains", "- contains: Bob")})
    assert "warning: no row has 'expected': metrics need values of their own" in accepted(tmp_path, endpoint)[0].err


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("length: {min_chars: 100000}", "every row scores 0.0%: no comparison means anything while nothing tells one"),
        ("length: {min_chars: 1}", "every row has full marks: no comparison can show a gain (add rows that are hard)"),
    ],
)
def test_a_metric_that_is_the_same_for_all_rows_is_told_of(
    tmp_path: Path, endpoint: FakeServer, metric: str, told: str
) -> None:
    write(tmp_path, endpoint, settings("contains", metric))
    done, _ = accepted(tmp_path, endpoint, "run", "evals/x.yaml")
    assert f"warning: {told}" in done.err
