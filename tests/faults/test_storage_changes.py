"""What a run rests on changed while it lay there: it refuses to go on, says what changed, and mixes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer.store import RunReader, spending
from optimizer.testing.server import running_server
from tests.cli_case import cli, inside
from tests.faults.damage import interrupted, results
from tests.faults.lab import RUN, lab

EVAL = Path("evals/example.yaml")
ROWS = Path("evals/example.jsonl")
SPLITS = Path("evals/example.splits.json")
PROMPT = Path("prompts/example/v1.yaml")
METRIC = Path("evals/fair.py")
SOURCE = '''\
"""A metric of the user's own."""


def fair(context):
    return 1.0 if context.completion.text else 0.0
'''
ANSWERS = 30
GO_ON = ("run", EVAL, "--run-id", RUN, "--resume")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose run was killed after some answers."""
    folder = tmp_path_factory.mktemp("stopped")
    with inside(folder):
        assert cli("init").code == 0
    interrupted(folder, ANSWERS)
    return folder


@pytest.fixture
def workspace(stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The paths in the run are those of its eval file: the copy takes the place of the original.
    copy = tmp_path / "workspace"
    shutil.copytree(stopped, copy)
    monkeypatch.chdir(copy)
    return copy


def sent() -> int:
    with RunReader(Path(), RUN) as reader:
        return spending(reader).calls


def edit(path: Path, old: str, new: str) -> Callable[[], None]:
    def change() -> None:
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    return change


def more_rows() -> None:
    row = json.loads(ROWS.read_text("utf-8").splitlines()[0])
    row["note"] = "The cake came a day late, and was worth it."
    row["id"] = "one-more"
    ROWS.write_text(ROWS.read_text("utf-8") + json.dumps(row) + "\n", "utf-8")


def fewer_rows() -> None:
    ROWS.write_text("".join(ROWS.read_text("utf-8").splitlines(keepends=True)[1:]), "utf-8")


def other_split() -> None:
    lists: dict[str, Any] = json.loads(SPLITS.read_text("utf-8"))
    lists["rows"]["val"].append(lists["rows"]["train"].pop())
    SPLITS.write_text(json.dumps(lists), "utf-8")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edit(ROWS, "still warm", "yet warm"), "the eval set changed (1 row edited: "),
        (more_rows, "1 row new: one-more"),
        (fewer_rows, "1 row gone: "),
        (other_split, "1 row in another split: "),
        (
            edit(EVAL, "label: [positive, negative]", "label: [positive, negative, mixed]"),
            "metric label: ['positive', 'negative', 'mixed'] is new",
        ),
        (edit(EVAL, "label: [positive, negative]", "contains"), "metric label: ['positive', 'negative'] is gone"),
        (edit(EVAL, "metrics:\n", "metrics:\n  - contains\n"), "metric contains is new"),
        (edit(EVAL, "model: offline\n", "model: offline:perfect\n"), "the model changed (offline -> offline:perfect)"),
        (
            edit(EVAL, "model: offline\n", "model: {name: offline, params: {temperature: 0.5}}\n"),
            "the model's settings changed (",
        ),
        (edit(EVAL, "seed: 0", "seed: 1"), "seed changed (0 -> 1)"),
        (edit(EVAL, "seed: 0", "seed: 0\nmined: false"), "mined changed (True -> False)"),
        (edit(EVAL, "seed: 0", "seed: 0\nrepeats: 2"), "repeats changed (1 -> 2)"),
        (edit(PROMPT, "Tell us how", "Say how"), "the prompt changed (example "),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_run_about_something_else_is_refused_and_keeps_what_it_has(
    workspace: Path, change: Callable[[], None], told: str
) -> None:
    asked, known = sent(), results(Path())
    change()
    done = cli(*GO_ON)
    assert done.code == 2, done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: run {RUN} cannot go on: ") and told in line, line
    assert line.endswith("(put it back, or start a new run)")
    assert sent() == asked, "nothing was asked"
    assert results(Path()) == known, "nothing is mixed in"


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (edit(EVAL, "calls: 200", "calls: 400"), 0, "verdict: "),
        (edit(EVAL, "calls: 200", "calls: 200}\nconcurrency: 2 #"), 0, "verdict: "),
        (edit(EVAL, "calls: 200", "calls: 31"), 0, "the plan for the search cannot pay for another trial"),
        (edit(EVAL, "calls: 200", "calls: 20"), 5, "budget"),
    ],
    ids=["more calls", "other concurrency", "less than was spent", "less than any result costs"],
)
def test_what_a_run_may_cost_may_change(workspace: Path, change: Callable[[], None], code: int, told: str) -> None:
    asked = sent()
    assert asked > 31 > 20, "more than the smaller budgets"
    change()
    done = cli(*GO_ON)
    assert done.code == code, done.err
    assert told in done.err and "Traceback" not in done.err
    assert (sent() == asked) == ("verdict: " not in told), "no call beyond the limit"


def test_a_metric_of_the_users_own_that_was_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    METRIC.write_text(SOURCE, "utf-8")
    edit(EVAL, "metrics:\n", "metrics:\n  - python: fair.py:fair\n")()
    interrupted(tmp_path, ANSWERS)
    asked = sent()
    edit(METRIC, "1.0 if", "0.5 if")()
    done = cli(*GO_ON)
    assert done.code == 2 and sent() == asked, done.err
    assert f"error: run {RUN} cannot go on: metric python: fair.py:fair changed (put it back, or start" in done.err


def test_another_address_is_another_model(tmp_path: Path) -> None:
    with lab(tmp_path, rows=12, calls=120, concurrency=4, latency=0.02) as here, running_server() as other:
        child = here.start()
        child.asks(20)
        child.kill()
        seen = len(here.meter.log)
        text = here.eval_file.read_text("utf-8")
        here.eval_file.write_text(text.replace(here.meter.base_url, other.base_url), "utf-8")
        done = here.run()
        here.check(done, code=2, says=f"run {RUN} cannot go on: the model's settings changed (")
        assert here.meter.base_url in done.err and other.base_url in done.err
        assert len(here.meter.log) == seen and not other.log
