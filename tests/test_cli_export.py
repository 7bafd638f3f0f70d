"""`optimizer export`: what it prints, writes, checks and says of its proof."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli import exporting, find
from optimizer.dataset import Split
from optimizer.export import EXPORTERS
from tests.cli_case import cli, make_workspace


@pytest.fixture(scope="module")
def with_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("with-run"))


@pytest.fixture(autouse=True)
def _in_workspace(with_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(with_run)


def test_the_help_and_the_error_list_every_format() -> None:
    shown = " ".join(cli("export", "--help").out.split())
    assert f"What to write: {', '.join(EXPORTERS)}." in shown
    done = cli("export", "promty")
    assert done.code == 2 and "did you mean 'prompty'?" in done.err and ", ".join(EXPORTERS) in done.err


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_format_is_proved_with_rows_of_the_run(name: str) -> None:
    facts = cli("export", name, "example@v2", "--json").json
    assert (facts["format"], facts["prompt"], facts["proven"]) == (name, "example@v2", True)
    assert facts["proof"]["rows"] == 4 and facts["proof"]["real"] == 3
    assert facts["written"] == [] and facts["differs"] is None
    told = cli("export", name, "example@v2").err
    assert "read back and rendered for 4 rows, 3 of them from the run" in told
    assert told.rstrip().endswith(("the same to the byte", *facts["notes"]))


def test_the_rows_of_test_stay_sealed() -> None:
    found = find.taken("example@v2")
    _, rows = exporting._measured(found)
    with find.opened(found.run) as reader:
        sealed = {stored.example.id for stored in reader.examples(Split.TEST)}
    assert rows and sealed and not sealed & {row.id for row in rows}


def test_a_loader_is_named_with_its_version() -> None:
    done = cli("export", "litellm")
    assert ", by litellm as well: the same to the byte" in done.err
    proof = cli("export", "litellm", "--json").json["proof"]
    assert proof["loader"] == "litellm" and proof["loader_version"]


def test_a_model_is_named_where_one_is_given_and_the_stand_in_never() -> None:
    assert "model" not in json.loads(cli("export", "openai").out)
    assert json.loads(cli("export", "openai", "--model", "openai/gpt-4o-mini").out)["model"] == "gpt-4o-mini"
    assert "MODEL = None" in cli("export", "python").out


def test_check_tells_whether_a_file_is_what_would_be_written(tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    missing = cli("export", "openai", "--check", "--out", file)
    assert missing.code == 3 and "body.json" in missing.err and not file.exists()
    assert cli("export", "openai", "--out", file).code == 0
    same = cli("export", "openai", "--check", "--out", file)
    assert same.code == 0 and same.out == ""
    beside = tmp_path / "body.provenance.json"
    beside.write_text(beside.read_text("utf-8") + " ", encoding="utf-8")
    differs = cli("export", "openai", "--check", "--out", file, "--json")
    assert differs.code == 3 and differs.json["differs"] == [str(beside)] and differs.json["written"] == []
    assert "error: not what would be written: " in differs.err
    assert beside.read_text("utf-8").endswith(" ")


def test_check_wants_a_file() -> None:
    done = cli("export", "openai", "--check")
    assert done.code == 2 and "--out FILE" in done.err


def test_json_names_the_files(tmp_path: Path) -> None:
    facts = cli("export", "langchain", "--out", tmp_path / "p.json", "--json").json
    assert facts["written"] == [str(tmp_path / "p.json"), str(tmp_path / "p.provenance.json")]
    assert facts["parts"][""] == (tmp_path / "p.json").read_text("utf-8")


def test_a_prompt_whose_run_is_gone_is_proved_with_made_up_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {path.name: path.read_bytes() for path in Path("prompts/example").iterdir() if path.is_file()}
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "prompts" / "example"
    home.mkdir(parents=True)
    for name, content in versions.items():
        (home / name).write_bytes(content)
    assert cli("export", "json", "example@v2", "--json").json["proof"]["real"] == 0
    assert cli("export", "json", "example@v1").code == 0
