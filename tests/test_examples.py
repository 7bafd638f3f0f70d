"""Every example runs as its docstring says, in a copy of the workspace."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

SAYS = {
    "any_openai_endpoint": ["GAIN SHOWN", '"Bob"', "280 calls paid, 280 counted by the server"],
    "async_and_watch": ["reviews: accept: ", "romeo-bob: GAIN SHOWN after 280 calls", "reviews: GAIN SHOWN after"],
    "evaluate_a_prompt": ["v1.yaml on val: 25.0%, 10 of 40 rows pass", "by-hand.txt on val: 100.0%"],
    "own_metric": ["GAIN SHOWN", "Answer in at most 6 words."],
    "quickstart": ["GAIN SHOWN", '"Bob"', "on 39 rows that the search never saw (stand-in)"],
    "run_as_dataframes": ["worst rows under the winner", "attribution task    answered", "L3  "],
}
"""Example -> parts of what it prints."""


def test_every_example_is_run():
    assert [path.stem for path in EXAMPLES] == sorted(SAYS)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo's files as the working folder, and the examples importable as a script's folder is."""
    shutil.copytree(ROOT / "evals", tmp_path / "evals")
    for name in ("romeo-bob", "reviews"):
        (tmp_path / "prompts" / name).mkdir(parents=True)
        shutil.copy(ROOT / "prompts" / name / "v1.yaml", tmp_path / "prompts" / name / "v1.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return tmp_path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_says_what_came_of_it(workspace, path, capsys):
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr()
    missing = [part for part in SAYS[path.stem] if part not in said.out]
    assert not missing, said.out
    assert said.err == ""
    docstring = path.read_text(encoding="utf-8")
    assert f"\n    python examples/{path.name}\n" in docstring
