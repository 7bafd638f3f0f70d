"""A small part of `make fuzz`: config files of every shape, nasty texts, no silent change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import fuzz_configs
from benchmarks.configs.readers import read, taken_out
from benchmarks.configs.shapes import SHAPES


def test_nothing_is_changed_silently(tmp_path: Path) -> None:
    told = {}
    for case in fuzz_configs.cases(files=4 * len(SHAPES), texts=1, seed=7):
        became = fuzz_configs.tried(case, tmp_path)
        assert not became.startswith("WRONG"), (became, case)
        told[case.config.kind] = became
    assert set(told) == {shape[0] for shape in SHAPES}
    assert any(became.startswith("written") for became in told.values())


def test_the_judge_sees_what_is_wrong(tmp_path: Path) -> None:
    case = next(one for one in fuzz_configs.cases(files=15, texts=1, seed=1) if one.config.kind == "package")
    raw = case.config.raw
    assert fuzz_configs._fault(case, raw, ()) != "", "the text is not there"
    other = raw.replace(b'"version": "1.10"', b'"version": "1.11"')
    assert "bytes outside" in fuzz_configs._fault(case, other, ())
    broken = case.config.before + b'"' + case.config.after
    assert "cannot be read" in fuzz_configs._fault(case, broken, ())
    sly = replace(case, config=replace(case.config, before=b"", value=raw, after=b""))
    assert "another value" in fuzz_configs._fault(sly, other, ())


@pytest.mark.parametrize(
    ("ending", "raw", "want"),
    [
        (".yaml", b"a: !x b\n---\nc: [1]\n", [{"a": ("tag", "x", "b")}, {"c": [1]}]),
        (".toml", b"a = 'b'\r\n", {"a": "b"}),
        (".jsonc", b'{"a": "// b, ]", /* c */ "d": [1,],} // e', {"a": "// b, ]", "d": [1]}),
        (".py", b"import os\nA = 'b'\nclass C:\n    D = 'e'\n", {"A": "b", "C": {"D": "e"}}),
    ],
)
def test_the_readers_read(ending: str, raw: bytes, want: object) -> None:
    assert read(ending, raw) == want


def test_a_value_is_taken_out() -> None:
    assert taken_out({"a": ["x", {"b": "y"}]}, ("a", 1, "b")) == ("y", {"a": ["x", {"b": None}]})
