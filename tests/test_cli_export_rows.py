"""`optimizer export promptfoo --with-rows`: which rows go along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from optimizer.cli import find
from tests.cli_case import cli, make_workspace


@pytest.fixture(scope="module")
def with_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("with-run"))


@pytest.fixture(autouse=True)
def _in_workspace(with_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(with_run)


def listed(text: str) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = yaml.safe_load(text).get("tests", [])
    return read


def stored(*splits: str) -> list[str]:
    with find.opened("latest") as reader:
        return [one.example.id for one in reader.examples() if one.split in splits]


@pytest.mark.parametrize(
    ("arguments", "splits"),
    [
        ((), ()),
        (("--with-rows",), ("train", "val")),
        (("--with-rows", "--splits", "test"), ("test",)),
        (("--with-rows", "--splits", "train, val,test"), ("train", "val", "test")),
    ],
)
def test_rows_go_along_where_they_are_asked_for(arguments: tuple[str, ...], splits: tuple[str, ...]) -> None:
    done = cli("export", "promptfoo", *arguments)
    assert [test["metadata"]["row"] for test in listed(done.out)] == stored(*splits)
    assert done.code == 0 and bool(stored("test"))


def test_every_metric_of_the_run_is_a_check_or_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "promptfooconfig.yaml"
    done = cli("export", "promptfoo", "--with-rows", "--out", file)
    with find.opened("latest") as reader:
        metrics = set(reader.meta.metrics)
    config = yaml.safe_load(file.read_text("utf-8"))
    unsaid = {entry["metric"] for entry in config["metadata"]["suite"]["unmapped"]}
    assert len({check["metric"] for check in config["tests"][0]["assert"]} | unsaid) == len(metrics)
    assert all(f"metric {key}: not carried over" in done.err for key in unsaid)
    assert cli("export", "promptfoo", "--with-rows", "--check", "--out", file).code == 0
    assert cli("export", "promptfoo", "--check", "--out", file).code == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("json", "--with-rows"), "json holds no rows (promptfoo does)"),
        (("promptfoo", "--with-rows", "--splits", "tset"), "did you mean 'test'?"),
        (("promptfoo", "example@v1", "--with-rows"), "no run made example@v1"),
    ],
)
def test_what_has_no_rows_says_so(arguments: tuple[str, ...], told: str) -> None:
    done = cli("export", *arguments)
    assert done.code == 2 and told in " ".join(done.err.split()) and done.out == ""
