"""What a user may set beside the score, end to end on the stand-in: protected rows, a size, a wish, a proof."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.errors import ProviderError
from optimizer.events import ClustersFound, RunEnded
from optimizer.outcome import Verdict
from optimizer.prompt import Prompt
from optimizer.readers.versions import save_version
from optimizer.ship import provenance
from optimizer.store import open_run, unfinished
from tests import sample_run
from tests.cli_case import Done, cli

ROOT = Path(__file__).parent.parent
CONFIG = "evals/both.yaml"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rows that want Bob, and in each split one row of the same kind that wants Romeo."""
    (tmp_path / "evals").mkdir()
    # The seed alone: `make demo` writes a version beside it.
    (tmp_path / "prompts" / "romeo-bob").mkdir(parents=True)
    shutil.copy(ROOT / "prompts/romeo-bob/v1.yaml", tmp_path / "prompts/romeo-bob/v1.yaml")
    text = (ROOT / "evals" / "romeo-bob.jsonl").read_text("utf-8")
    asked = json.loads(text.splitlines()[0])["question"]
    kept = [
        {"id": f"keep-{split}", "question": f"{asked} Case {split}.", "expected": "Romeo", "split": split}
        for split in ("train", "val", "test")
    ]
    rows = text + "".join(json.dumps(row) + "\n" for row in kept)
    (tmp_path / "evals" / "both.jsonl").write_text(rows, "utf-8")
    (tmp_path / CONFIG).write_text(
        "prompt: ../prompts/romeo-bob/v1.yaml\ndata: both.jsonl\nmodel: offline:perfect\nmutator: none\n"
        "metrics: [contains]\nbudget: {calls: 600}\nprotect: [keep-test, tag:quotation]\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_protected_row_that_breaks_blocks_the_run_and_its_prompt(workspace: Path) -> None:
    done = cli("run", CONFIG, "--run-id", "first", "--json")
    facts = done.json
    assert done.code == 3 and facts["verdict"] == "BLOCKED" and facts["protected"]["broken"] == ["keep-test"]
    assert "keep-test" in facts["reason"] and "error: BLOCKED: " in done.err
    assert facts["test"]["gain"] > 0.5 and facts["prompt"]["path"] is None
    assert [path.name for path in (workspace / "prompts/romeo-bob").iterdir()] == ["v1.yaml"]
    app = Path("app.yaml")
    app.write_text("system: old\n", "utf-8")
    for command in (["apply", "--file", app, "--key", "system"], ["export", "text"]):
        refused = cli(*command, *(["first"] if command[0] == "export" else []))
        assert refused.code == 3 and "keep-test" in refused.err and "--allow-blocked" in refused.err
        assert app.read_text("utf-8") == "system: old\n" and refused.out == ""
    taken = cli("apply", "first", "--file", app, "--key", "system", "--allow-blocked", "--json")
    assert taken.code == 0 and taken.json["proven"] is False and "BLOCKED" in taken.json["notes"][0]
    assert app.read_text("utf-8") != "system: old\n"
    assert cli("export", "text", "first", "--allow-blocked").code == 0
    assert cli("diff", "first").code == 0, "looking is free"


def test_unknown_protected_rows_are_refused_before_any_request(workspace: Path) -> None:
    path = Path(CONFIG)
    path.write_text(path.read_text("utf-8").replace("keep-test", "kep-test, tag:quottion"), "utf-8")
    done = cli("run", CONFIG)
    assert done.code == 2 and not Path("runs").exists()
    assert "evals/both.yaml:7: protect[0]: no row 'kep-test' (did you mean 'keep-test'? " in done.err
    assert "protect[1]: no row has the tag 'quottion' (did you mean 'quotation'? tags: direct, " in done.err


def test_a_run_that_protects_other_rows_is_another_run(workspace: Path) -> None:
    assert cli("run", CONFIG, "--run-id", "r1").code == 3
    path = Path(CONFIG)
    path.write_text(path.read_text("utf-8").replace("keep-test, ", ""), "utf-8")
    done = cli("run", CONFIG, "--run-id", "r1", "--resume")
    assert done.code == 2 and "run r1 cannot go on: protect changed" in done.err


def test_a_seed_over_the_limit_is_refused_before_any_request(workspace: Path) -> None:
    done = cli("run", CONFIG, "--max-tokens", 20)
    assert done.code == 2 and not Path("runs").exists()
    size = int(done.err.partition("the prompt has about ")[2].split()[0])
    assert f"max_tokens is 20 (raise max_tokens to {size} or more, or begin with a shorter prompt)" in done.err
    facts = cli("run", CONFIG, "--max-tokens", size, "--json").json
    assert facts["prompt"]["tokens"] == facts["seed"]["tokens"] == size == facts["max_tokens"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--prefer", "short"), "--prefer: prefer: must be 'shorter' or 'cheaper', not 'short'"),
        (("--prefer", "cheaper", "--model", "openai/x", "--base-url", "http://127.0.0.1:1/v1"), "none is known for"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(workspace: Path, flags: tuple[str, ...], told: str) -> None:
    done = cli("run", CONFIG, *flags)
    assert done.code == 2 and told in done.err and not Path("runs").exists()


def unproven(folder: Path, verdict: Verdict) -> Prompt:
    origin = provenance(sample_run.SEED, sample_run.WINNER, sample_run.outcome(verdict), "some-run")
    return save_version(sample_run.WINNER, origin, folder / "prompts")


@pytest.mark.parametrize("verdict", [Verdict.NOT_SHOWN, Verdict.TOO_SMALL, Verdict.GAIN_SHOWN])
def test_a_version_without_a_shown_gain_is_called_unproven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
) -> None:
    monkeypatch.chdir(tmp_path)
    ref = unproven(tmp_path, verdict).ref
    proven = verdict is Verdict.GAIN_SHOWN
    (listed,) = cli("log", "--json").json
    assert listed["proven"] is proven
    assert (f"{ref}  {verdict}, unproven" in cli("log").out) is not proven
    Path("app.yaml").write_text("system: old\n", "utf-8")
    done = cli("apply", ref, "--file", "app.yaml", "--key", "system", "--dry-run")
    assert done.code == 0
    assert (f"note: unproven: run some-run, which made {ref}, ended with {verdict}" in done.err) is not proven


def stored(root: Path, run: str, *, complete: bool) -> None:
    happened = list(sample_run.events())
    about = sample_run.meta(sample_run.evalset())
    writer = open_run(root, run, "", meta=about, evalset=sample_run.evalset())
    asyncio.run(sample_run.emit(writer, happened if complete else sample_run.until(ClustersFound, happened)))
    writer.close(None if complete else ProviderError("down"))


@pytest.mark.parametrize(
    ("runs", "want"),
    [
        ([("a", False)], "a"),
        ([("a", False), ("b", False)], "b"),
        ([("a", False), ("b", True)], None),
        ([("a", True), ("b", False)], "b"),
        ([], None),
    ],
)
def test_resume_takes_the_latest_run_of_an_eval_file_or_none(
    tmp_path: Path, runs: list[tuple[str, bool]], want: str | None
) -> None:
    for run, complete in runs:
        stored(tmp_path, run, complete=complete)
    assert unfinished(tmp_path, "triage") == unfinished(tmp_path) == want
    assert unfinished(tmp_path, "other") is None


def test_a_blocked_run_says_what_broke_wherever_it_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocked = replace(sample_run.outcome(Verdict.BLOCKED), reason="r2 fell", protected=1, broken=("r2",))
    sample_run.write(tmp_path, [*sample_run.until(RunEnded, sample_run.events()), RunEnded(outcome=blocked)])
    done: Done = cli("runs")
    assert "BLOCKED" in done.out
    assert cli("export", "text", sample_run.RUN).err.startswith(f"error: run {sample_run.RUN} ended with BLOCKED")


def test_a_budget_that_ends_the_search_leaves_enough_for_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "evals", tmp_path / "evals")
    shutil.copytree(ROOT / "prompts" / "reviews", tmp_path / "prompts" / "reviews")
    monkeypatch.chdir(tmp_path)
    path = Path("evals/reviews.yaml")
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("budget:")]
    path.write_text("\n".join([*lines, "budget: {tokens: 30000}", ""]), "utf-8")
    done = cli("run", path, "--run-id", "poor", "--json")
    facts = done.json
    assert done.code == 0 and facts["test"]["n"] == 65 and facts["tokens"] <= 30000
    assert facts["reason"].endswith("; the budget ended the search early: a larger one searches further")
    assert "stop: the budget ended the search: budget of 30000 tokens reached at " in done.err
    assert facts["calls"]["by_phase"]["test"] == 2 * 65 and facts["prompt"]["version"] == 2
