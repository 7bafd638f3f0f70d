"""The Python face: what it takes, what it gives back, and what it says where it is called wrongly."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

import optimizer
from optimizer.errors import UserError
from optimizer.events import EditJudged, Recording
from optimizer.readers.config import load_config

ROOT = Path(__file__).parent.parent
FEW = "Answer in at most 40 words."


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's files, shared by tests that only read them."""
    folder = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT / "evals", folder / "evals")
    (folder / "prompts" / "romeo-bob").mkdir(parents=True)
    shutil.copy(ROOT / "prompts/romeo-bob/v1.yaml", folder / "prompts/romeo-bob/v1.yaml")
    return folder


def demo(workspace: Path) -> Path:
    return workspace / "evals" / "romeo-bob.yaml"


def test_a_prompt_is_scored_as_often_as_one_likes(workspace):
    first = optimizer.evaluate(demo(workspace), root=workspace, splits="val")
    again = optimizer.evaluate(demo(workspace), root=workspace, splits=["train", "val"])
    assert list(first.evaluations) == [optimizer.Split.VAL]
    assert first.evaluations[optimizer.Split.VAL].mean == again.evaluations[optimizer.Split.VAL].mean == 0.25
    assert {type(found) for found in again.clusters} == {optimizer.Cluster}


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["tset"], "splits: no split 'tset' (did you mean 'test'? there are: train, val, test)"),
        ("holdout", "splits: no split 'holdout' (there are: train, val, test)"),
    ],
)
def test_an_unknown_split_is_named(workspace, splits, said):
    with pytest.raises(UserError) as caught:
        optimizer.evaluate(demo(workspace), root=workspace, splits=splits)
    assert str(caught.value) == said


def test_one_line_to_try_is_one_line(workspace):
    seen = Recording()
    run = optimizer.optimize(
        demo(workspace), overrides={"mutator": "none"}, root=workspace, run_id="tried", tries=FEW, watch=[seen]
    )
    ours = [event.edit for event in seen.events if isinstance(event, EditJudged) and event.edit.source == "user"]
    assert [edit.text for edit in ours] == [FEW]
    assert run.verdict is optimizer.Verdict.GAIN_SHOWN
    assert run.report(80).startswith("tried") and max(map(len, run.report(80).splitlines())) <= 80


def test_a_running_loop_is_told_of_the_async_twin(workspace):
    async def inside() -> None:
        optimizer.evaluate(demo(workspace), root=workspace)

    with pytest.raises(UserError, match=r"await optimizer\.aevaluate\(\.\.\.\) instead"):
        asyncio.run(inside())


def test_a_config_made_in_python_takes_no_overrides(workspace):
    config = load_config(demo(workspace))
    with pytest.raises(UserError, match=r"dataclasses\.replace"):
        optimizer.optimize(config, overrides={"seed": 1}, root=workspace)
