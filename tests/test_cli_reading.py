"""Commands that look: runs, show, failures, case, diff, log, cache stats. For people and, with --json, for programs."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.dataset import EvalSet
from optimizer.events import ClustersFound, Event, ResultKnown
from optimizer.store import open_run
from tests import sample_run
from tests.cli_case import cli, make_workspace

HOSTILE = "\x1b]52;c;bad\x07\x9b31m \u202eevil <b>"
STEERING = {"\x1b", "\x07", "\x9b", "\u202e"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(autouse=True)
def here(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)


def test_show_tells_the_run_in_words_and_values() -> None:
    page = cli("show")
    assert page.code == 0
    assert "first  example@v1 -> example@v2" in page.out and "stand-in" in page.out
    facts = cli("show", "first", "--json").json
    assert facts["run"] == "first" and facts["status"] == "complete"
    assert facts["verdict"] == "GAIN SHOWN"
    assert facts["test"]["n"] == 6 and facts["test"]["look"] == 1
    assert {"task", "mutator", "judge", "cached", "by_phase"} <= facts["calls"].keys()
    assert facts["prompt"]["version"] == 2 and facts["prompt"]["text"].startswith("You read the notes")
    keys = "run status verdict test val calls tokens usd prompt lines clusters fixed broken errors".split()
    assert set(keys) <= facts.keys()


def test_runs_lists_what_there_is() -> None:
    assert "first" in cli("runs").out
    (run,) = cli("runs", "--json").json
    assert (run["run"], run["verdict"], run["on"], run["stand_in"]) == ("first", "GAIN SHOWN", "test", True)


def test_no_runs_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("runs", "--json").json == []
    assert cli("runs").code == 0
    assert cli("show").code == 2


def test_failures_name_causes_and_rows() -> None:
    facts = cli("failures", "--json").json
    (cluster,) = facts["clusters"]
    assert cluster["before"] == 8 and cluster["after"] == 0
    assert len(cluster["fixed"]) == 8 and cluster["open"] == [] and cluster["evidence"]
    assert cluster["stage"] == "fixed"
    assert [(one["round"], one["rows"], one["stage"]) for one in cluster["rounds"]] == [(1, 8, "new"), (2, 0, "fixed")]
    assert [found["stage"] for found in cli("show", "--json").json["clusters"]] == ["fixed"]
    page = cli("failures").out
    assert cluster["id"] in page and "8 -> 0" in page and "(stand-in)" in page
    assert "cause fixed: found on 8, 0 rows in rounds 1 to 2" in page
    assert (cluster["found"], cluster["now"], cluster["new"], cluster["other"]) == (8, 0, [], [])
    assert len(cluster["examples"]) == 3 and facts["unexplained"] == []


def test_failures_of_a_version_are_those_of_its_prompt() -> None:
    facts = cli("failures", "--version", "example@v1", "--json").json
    (cluster,) = facts["clusters"]
    assert (facts["shown"], facts["run"]) == ("example@v1", "first")
    assert (cluster["found"], cluster["now"], cluster["stage"]) == (8, 8, "open")
    assert len(cluster["open"]) == 8 and cluster["fixed"] == []
    assert "8 -> 8" in cli("failures", "first", "--version", "example@v1").out
    assert cli("failures", "--version", "example@v2", "--json").json["clusters"][0]["now"] == 0


def test_a_cluster_shows_as_many_rows_as_are_asked_for() -> None:
    (cluster,) = cli("failures", "--json").json["clusters"]
    page = cli("failures", "--cluster", cluster["id"]).out
    assert page.count("\n input") == 3 and "5 more rows (--limit 8 shows all)" in page
    assert cli("failures", "--cluster", cluster["id"], "--limit", 8).out.count("\n input") == 8


@pytest.mark.parametrize("how", ["id", "start of the id", "words of the label"])
def test_one_cluster_shows_every_row(how: str) -> None:
    (cluster,) = cli("failures", "--json").json["clusters"]
    wanted = {"id": cluster["id"], "start of the id": cluster["id"][:4], "words of the label": cluster["label"][5:30]}
    facts = cli("failures", "--cluster", wanted[how], "--json").json
    assert facts["id"] == cluster["id"] and len(facts["members"]) == 8
    row = facts["members"][0]
    assert row["seed"]["passed"] is False and row["winner"]["passed"] is True and row["seed"]["reasons"]
    assert row["id"] in cli("failures", "--cluster", wanted[how]).out


def test_a_case_has_both_answers_reasons_and_raw_messages() -> None:
    row = cli("failures", "--json").json["clusters"][0]["fixed"][0]
    facts = cli("case", row, "--json").json
    assert facts["row"] == row and facts["split"] == "train"
    assert facts["seed"]["passed"] is False and facts["winner"]["passed"] is True
    assert facts["seed"]["scores"][0]["reason"]
    assert [message["role"] for message in facts["winner"]["messages"]] == ["system", "user"]
    assert facts["winner"]["messages"][1]["content"] == facts["inputs"]["note"]
    page = cli("case", row).out
    assert facts["inputs"]["note"] in page and facts["seed"]["output"] in page


def test_a_case_has_its_words_and_its_raw_calls() -> None:
    row = cli("failures", "--json").json["clusters"][0]["fixed"][0]
    facts = cli("case", row, "--json").json
    both = {
        who: "".join(p["text"] for p in facts["words"] if p["change"] in ("same", kind))
        for who, kind in (("seed", "removed"), ("winner", "added"))
    }
    assert both == {who: facts[who]["output"] for who in both}
    (call,) = facts["winner"]["calls"]
    assert call["request"]["messages"] == facts["winner"]["messages"] and call["request"]["model"]
    assert call["response"]["text"] == facts["winner"]["output"]
    assert [attempt["state"] for attempt in call["attempts"]] == ["answered"] and call["cache_hit"] is False
    page = cli("case", row, "--raw").out
    assert f"key {call['key']}" in page and '"model"' in page and "response to the winner" in page


def test_a_test_row_says_what_it_is() -> None:
    rows = [f"note-{number:02}" for number in range(1, 21)]
    page = next(page.out for row in rows if "(test)" in (page := cli("case", row)).out)
    assert "would make the test worthless" in page


def test_diff_of_a_run_its_versions_and_its_file() -> None:
    by_run = cli("diff", "--json").json
    assert [line["change"] for line in by_run["lines"]] == ["added"]
    assert by_run["lines"][0]["worth"] is not None and by_run["flips"]["test"]["rows"] == 6
    for pair in (["example@v1", "example@v2"], ["example@v2"], ["prompts/example/v1.yaml", "first"]):
        assert cli("diff", *pair, "--json").json["lines"] == by_run["lines"]
    assert "example@v1 -> example@v2" in cli("diff").out


def test_a_version_without_a_parent_needs_two() -> None:
    done = cli("diff", "example@v1")
    assert done.code == 2 and "give two prompts" in done.err


def test_log_tells_where_versions_come_from() -> None:
    first, second = cli("log", "example", "--json").json
    assert first["parent"] is None and first["verdict"] is None
    assert second["parent"] == "example@v1" and second["run"] == "first" and second["verdict"] == "GAIN SHOWN"
    assert second["test"]["n"] == 6 and second["stand_in"] is True
    assert (first["depth"], second["depth"]) == (0, 1) and second["losers"] == []
    page = cli("log").out
    assert "example@v2  GAIN SHOWN (stand-in)" in page and "optimistic" in page
    assert "example@v1  written by hand\n" in page


def test_log_names_a_run_that_came_to_a_version_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Path(), tmp_path / "again")
    monkeypatch.chdir(tmp_path / "again")
    assert cli("run", "evals/example.yaml", "--run-id", "second").code == 0
    first, second = cli("log", "example", "--json").json
    assert first["runs_without_version"] == [] and second["run"] == "first"
    assert [(run["run"], run["verdict"], run["stand_in"]) for run in second["runs_again"]] == [
        ("second", "GAIN SHOWN", True)
    ]
    page = cli("log").out
    assert "again GAIN SHOWN: run second came to the same prompt (stand-in)" in page and "no version" not in page


def test_cache_stats_count_what_is_kept() -> None:
    facts = cli("cache", "stats", "--json").json
    assert facts["entries"] > 0 and facts["bytes"] > 0
    assert facts["runs"]["count"] == 1 and facts["runs"]["paid_calls"] == facts["entries"]
    assert "answers" in cli("cache", "stats").out


def test_cache_stats_make_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("cache", "stats", "--json").json["entries"] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["show", "frist"], "did you mean first?"),
        (["show", "example@v2"], "a version: `optimizer log example` names its run"),
        (["case", "nte-01"], "did you mean 'note-01'?"),
        (["case", "note-0"], "9 rows begin with 'note-0'"),
        (["failures", "--cluster", "nothing"], "there are: c"),
        (["log", "exmaple"], "did you mean 'example'?"),
        (["diff", "exmaple@v1", "example@v2"], "did you mean 'example'?"),
        (["diff", "example@v1", "example@v9"], "there are v1 to v2"),
        (["export", "json", "exmaple"], "there is a prompt 'example'"),
        (["export", "jsno"], "did you mean 'json'?"),
        (["shwo"], "Did you mean 'show'"),
        (["show", "--jsn"], "--json"),
        (["cache", "stat"], "Did you mean 'stats'"),
    ],
)
def test_a_wrong_name_is_met_with_the_right_one(arguments: list[str], hint: str) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert hint in done.err
    assert done.err.startswith("error: ") and done.err.count("\n") == 1


def test_a_run_that_has_not_ended_can_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample_run.write(tmp_path, sample_run.until(ClustersFound, sample_run.events()))
    for command in (["show"], ["failures"], ["case", "r0"], ["runs"], ["diff"]):
        assert cli(*command).code == 0, command
    assert cli("show", "--json").json["verdict"] is None
    exported = cli("export", "text")
    assert "has not ended" in exported.err and "Sort the ticket." in exported.out


def hostile_events() -> list[Event]:
    """The sample run, with every text that a row, a model or a cluster brings turned hostile."""
    changed: list[Event] = []
    for event in sample_run.events():
        if isinstance(event, ResultKnown) and event.result.completion:
            said = replace(event.result.completion, text=HOSTILE)
            scores = tuple(replace(score, reason=HOSTILE) for score in event.result.scores)
            event = replace(event, result=replace(event.result, completion=said, scores=scores))
        if isinstance(event, ClustersFound):
            clusters = tuple(replace(found, label=HOSTILE, evidence=(HOSTILE,)) for found in event.clusters)
            event = replace(event, clusters=clusters)
        changed.append(event)
    return changed


@pytest.mark.parametrize("as_json", [False, True])
def test_no_text_of_a_run_steers_the_terminal(as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = sample_run.evalset()
    examples = tuple(replace(row, inputs={"ticket": HOSTILE}, tags=(HOSTILE,)) for row in rows.examples)
    evalset = EvalSet(name="triage", examples=examples, splits=rows.splits)
    writer = open_run(tmp_path, sample_run.RUN, "model: x\n", meta=sample_run.meta(evalset), evalset=evalset)
    asyncio.run(sample_run.emit(writer, hostile_events()))
    writer.close()
    clusters = ["failures", "--cluster", "c0000a1"]
    for command in (["runs"], ["show"], ["failures"], clusters, ["case", "r0"], ["diff"]):
        done = cli(*command, *(["--json"] if as_json else []))
        assert done.code == 0, done.err
        assert not STEERING & set(done.out + done.err), command
        if as_json:
            assert json.loads(done.out)


def test_the_rows_of_a_run_are_found_by_any_start_that_is_theirs_alone() -> None:
    assert cli("case", "note-1", "--json").code == 2
    assert cli("case", "note-20", "fir", "--json").json["row"] == "note-20"
