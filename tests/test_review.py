"""Two prompts row by row: compare, and the same facts wherever they are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from optimizer.dataset import EvalSet, Split
from optimizer.events import Event, ResultKnown
from optimizer.outcome import Phase
from optimizer.review import Side, page, paired
from optimizer.review.paired import FATES, Wanted
from optimizer.store import RunReader, looks
from tests import sample_run
from tests.cli_case import cli, make_workspace
from tests.sample_run import RUN, SEED, WINNER


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


def known(prompt: Any, row: int, outcome: bool | None, cost: float | None = 0.001) -> Event:
    """One result: passed, failed or, for None, an error."""
    rows = sample_run.evalset()
    example = rows.examples[row]
    made = sample_run.failed(prompt, example) if outcome is None else sample_run.result(prompt, example, outcome)
    if outcome is not None and made.completion is not None:
        made = replace(made, completion=replace(made.completion, cost=cost))
    split = rows.splits[example.id]
    return ResultKnown(result=made, split=split, phase=Phase.SEARCH, round=0)


def run_of(root: Path, outcomes: Sequence[tuple[bool | None, bool | None]], *, rows: EvalSet | None = None) -> None:
    """A run whose rows came out like that under seed and winner."""
    made = [event for event in sample_run.events() if type(event).__name__ == "CandidateMade"]
    events = [*made]
    for number, (before, after) in enumerate(outcomes):
        events += [known(SEED, number, before), known(WINNER, number, after, 0.003)]
    sample_run.write(root, events, rows=rows)


def compared(root: Path, want: Wanted | None = None) -> dict[str, Any]:
    with RunReader(root, RUN) as reader:
        sides = [
            Side(ref=name, fingerprint=prompt.fingerprint, reader=reader)
            for name, prompt in (("triage@v1", SEED), ("triage@v2", WINNER))
        ]
        return paired(sides[0], sides[1], want)


OUTCOMES = [(True, False), (False, True), (True, True), (False, None), (None, True), (False, False), (True, False)]


def test_every_row_has_one_fate_and_the_worst_comes_first(tmp_path: Path) -> None:
    run_of(tmp_path, OUTCOMES)
    facts = compared(tmp_path)
    assert facts["fates"] == {"broken": 2, "worse": 0, "error": 2, "fixed": 1, "better": 0, "same": 2}
    assert [row["id"] for row in facts["rows"]] == ["r0", "r6", "r3", "r4", "r1", "r2", "r5"]
    assert [FATES.index(row["fate"]) for row in facts["rows"]] == [0, 0, 2, 2, 3, 5, 5]
    assert facts["rows"][0]["broken_checks"] == [{"check": "equals", "reason": "expected 'label 0'"}]
    assert facts["rows"][2]["errors"] == {"a": None, "b": "timeout"}
    train, val, test = (facts["splits"][split.value] for split in Split)
    assert (train["n"], train["of"], train["fates"]["broken"]) == (2, 4, 2)
    assert (train["optimistic"], val["optimistic"], test["optimistic"]) == (True, True, False)
    assert not any(found["claim"] for found in facts["splits"].values())
    assert facts["eval_sets"]["sealed"] == 2 and facts["looks"] == 0


def test_rows_that_the_search_picked_get_no_interval(tmp_path: Path) -> None:
    run_of(tmp_path, [(False, True)] * 10)
    facts = compared(tmp_path)
    train, val, test = (facts["splits"][split.value] for split in Split)
    assert (train["n"], train["of"], train["picked"], train["ci"], train["p"]) == (4, 4, False, train["ci"], train["p"])
    assert train["ci"] and train["p"] is not None
    assert (val["n"], val["of"], val["picked"], val["ci"], val["p"]) == (3, 4, True, None, None)
    assert test["picked"] is False, "nobody picks test rows: what is not there was not opened"
    assert "picked by the search, so no interval" in " ".join(page(facts).plain.split())


def test_figures_by_tag_and_check_and_per_call(tmp_path: Path) -> None:
    run_of(tmp_path, OUTCOMES)
    facts = compared(tmp_path)
    (tag,) = facts["tags"]
    assert (tag["tag"], tag["n"], tag["fixed"], tag["broken"], tag["error"]) == ("refund", 5, 1, 2, 2)
    assert tag["gain"] == pytest.approx(-0.2)
    (check,) = facts["checks"]
    assert (check["check"], check["n"], check["passed"], check["fixed"], check["broken"]) == ("equals", 5, [3, 2], 1, 2)
    assert facts["per_call"]["a"]["usd"] == pytest.approx(0.001) and facts["per_call"]["b"]["usd"] == pytest.approx(
        0.003
    )
    assert "+200%" in page(facts, 100).plain


@pytest.mark.parametrize(
    ("want", "ids"),
    [
        (Wanted(fates=("broken",)), ["r0", "r6"]),
        (Wanted(fates=("fixed",)), ["r1"]),
        (Wanted(split=Split.VAL), ["r4", "r1"]),
        (Wanted(tag="refund", split=Split.TEST), ["r2", "r5"]),
        (Wanted(tag="nope"), []),
    ],
)
def test_rows_can_be_asked_for(tmp_path: Path, want: Wanted, ids: list[str]) -> None:
    run_of(tmp_path, OUTCOMES)
    assert [row["id"] for row in compared(tmp_path, want)["rows"]] == ids


def test_rows_that_changed_between_eval_sets_are_told_and_not_compared(tmp_path: Path) -> None:
    run_of(tmp_path / "a", OUTCOMES)
    rows = sample_run.evalset()
    edited = replace(rows.examples[0], expected="another label")
    changed = replace(rows, examples=(edited, *rows.examples[1:9]))
    run_of(tmp_path / "b", OUTCOMES, rows=changed)
    with RunReader(tmp_path / "a", RUN) as one, RunReader(tmp_path / "b", RUN) as other:
        facts = paired(
            Side(ref="a", fingerprint=SEED.fingerprint, reader=one),
            Side(ref="b", fingerprint=WINNER.fingerprint, reader=other),
        )
    sets = facts["eval_sets"]
    assert sets["changed"] == ["r0"] and sets["only_a"] == ["r10", "r11", "r9"] and sets["only_b"] == []
    assert "r0" not in [row["id"] for row in facts["rows"]]
    assert "1 row changed between the eval sets, and not compared: r0" in " ".join(page(facts, 200).plain.split())


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_page_fits_and_cuts_no_figure(tmp_path: Path, width: int) -> None:
    run_of(tmp_path, OUTCOMES)
    facts = compared(tmp_path)
    text = page(facts, width).plain
    assert all(len(line) <= width for line in text.splitlines() if not line.startswith("  optimizer "))
    flat = " ".join(text.split())
    for figure in ("broken 2", "fixed 1", "error 2", "-20.0", "$3.00", "1.00 -> 0.00"):
        assert figure in flat


def test_compare_and_show_say_the_same(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    before = looks(workspace, RunReader(workspace, "first").meta.splits["test"])
    shown, found = cli("show", "--json").json, cli("compare", "--json").json
    for split in ("val", "test"):
        mine, theirs = found["splits"][split], shown[split]
        assert (mine["n"], mine["a"], mine["b"]) == (theirs["n"], theirs["baseline"], theirs["winner"])
        assert (mine["gain"], mine["ci"], mine["p"]) == (theirs["gain"], theirs["ci"], theirs["p"])
    rows = {row["id"]: row["fate"] for row in found["rows"]}
    assert sorted(row for row in shown["fixed"]) == sorted(
        row["id"] for row in found["rows"] if row["fate"] == "fixed" and row["split"] == "test"
    )
    assert found["splits"]["test"]["claim"] is True and len(rows) == sum(found["fates"].values())
    flips = cli("diff", "--json").json["flips"]
    assert {name: len(flip["fixed"]) for name, flip in flips.items()} == {
        name: split["fates"]["fixed"] for name, split in found["splits"].items()
    }
    # Nothing was looked at that was not looked at before.
    assert looks(workspace, RunReader(workspace, "first").meta.splits["test"]) == before


def test_the_same_facts_have_the_same_names_everywhere(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    shown, listed = cli("show", "--json").json, cli("runs", "--json").json[0]
    assert {key: listed[key] for key in ("run", "status", "verdict", "stand_in", "started")} == {
        key: shown[key] for key in ("run", "status", "verdict", "stand_in", "started")
    }
    assert (listed["baseline"], listed["winner"]) == (shown["test"]["baseline"], shown["test"]["winner"])
    assert listed["calls"] == shown["calls"]["total"]
    version = cli("log", "example", "--json").json[-1]
    for key in ("n", "baseline", "winner", "gain", "ci"):
        # A version file keeps six digits.
        assert version["test"][key] == pytest.approx(shown["test"][key], abs=1e-6)
    names = ("id", "text", "worth", "ci", "label", "cluster", "fixed", "broken", "with")
    blamed = {line["id"]: line for line in cli("blame", "--json").json["lines"]}
    diffed = {line["id"]: line for line in cli("diff", "--json").json["lines"]}
    for line in shown["lines"]:
        assert {key: blamed[line["id"]][key] for key in names} == {key: line[key] for key in names}
        told = diffed[line["id"]]
        assert {key: told[key] for key in (*names[2:], "rows", "raw")} == {
            key: line[key] for key in (*names[2:], "rows", "raw")
        }
        assert told["after"] == line["text"]
    causes = {one["id"]: one for one in cli("failures", "--json").json["clusters"]}
    for one in shown["clusters"]:
        same = ("label", "found", "now", "before", "after", "stage", "rounds", "round", "share", "ids", "new")
        assert {key: causes[one["id"]][key] for key in same} == {key: one[key] for key in same}
    row = shown["fixed"][0]
    case = cli("case", row, "--json").json
    fates = {one["id"]: one for one in cli("compare", "--json").json["rows"]}
    assert (fates[row]["a"], fates[row]["b"]) == (case["seed"]["score"], case["winner"]["score"])
    assert fates[row]["split"] == case["split"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compare", "exampel@v1", "example@v2"], "did you mean 'example'?"),
        (["compare", "firts"], "did you mean first?"),
        (["compare", "--split", "tets"], "did you mean 'test'?"),
        (["compare", "--tag", "nope"], "no row has the tag 'nope'"),
        (["compare", "example@v1"], "give two: compare A B"),
        (["failures", "--version", "example@v9"], "no version v9"),
    ],
)
def test_a_wrong_name_is_met_with_the_right_one(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(workspace)
    done = cli(*arguments)
    assert done.code == 2 and told in done.err, done.err


def test_a_version_that_no_run_scored_is_told(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    folder = workspace / "prompts" / "unscored"
    folder.mkdir(exist_ok=True)
    (folder / "v1.yaml").write_text("messages:\n  - role: user\n    content: '{{ note }}'\n", encoding="utf-8")
    done = cli("compare", "unscored@v1", "example@v1")
    assert done.code == 2 and "unscored@v1: no run has scored it" in done.err


def test_two_runs_that_are_named_stand_for_their_own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace(tmp_path)
    monkeypatch.chdir(workspace)
    assert cli("run", "evals/example.yaml", "--prompt", "example@v2", "--run-id", "second").code == 0
    facts = cli("compare", "first", "second", "--json").json
    assert (facts["a"]["run"], facts["b"]["run"]) == ("first", "second")
    assert facts["a"]["ref"] == "example@v2 in first" and facts["fates"]["same"] == sum(facts["fates"].values())
    both = cli("compare", "example@v1", "example@v2", "--json").json
    assert both["a"]["run"] == both["b"]["run"] == "first"
