import asyncio
import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.dataset import Split
from optimizer.errors import UserError
from optimizer.events import ClustersFound, ResultKnown, RunEnded
from optimizer.outcome import Phase, Verdict
from optimizer.store import RunReader, RunStatus, find_run, list_runs, new_run_id, open_run, run_folder
from optimizer.store.figures import cluster_changes, flips, per_call, row_errors, scores
from tests.sample_run import RUN, SEED, WINNER, begin, emit, evalset, events, failed, meta, outcome, until, write


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "latest", "../x", "a/b", "a\\b", "a\x00b", "a b", "-x", ".x", "x" * 81, "%2e%2e%2f", "ä"]
)
def test_an_id_that_could_lead_elsewhere_is_refused(tmp_path, run_id):
    with pytest.raises(UserError, match="run id"):
        run_folder(tmp_path, run_id)


@pytest.mark.parametrize("target", ["elsewhere", "runs/x"], ids=["out", "circle"])
def test_a_link_out_of_the_folder_of_runs_is_refused(tmp_path, target):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x").symlink_to(tmp_path / target)
    with pytest.raises(UserError, match="leads out"):
        run_folder(tmp_path, "x")


def test_ids_are_distinct_where_the_clock_stands_still(tmp_path):
    letters = iter(["aaa", "aaa", "aaa", "bbb"])
    made = []
    for _ in range(2):
        run_id = new_run_id(tmp_path, "triage: ünsafe/name", now=lambda: 0.0, letters=lambda: next(letters))
        run_folder(tmp_path, run_id).path.mkdir(parents=True)
        made.append(run_id)
    assert made == ["19700101-000000-triage-nsafe-name-aaa", "19700101-000000-triage-nsafe-name-bbb"]


def test_runs_are_listed_with_what_they_came_to(tmp_path):
    write(tmp_path, events())
    for run_id, stop in (("b-unfinished", ClustersFound), ("a-empty", type(next(events())))):
        writer = open_run(tmp_path, run_id, "", meta=meta(stand_in=True), now=lambda: 5.0)
        asyncio.run(emit(writer, until(stop, events())))
        writer.close()
    complete, empty, unfinished = list_runs(tmp_path)
    assert (complete.id, complete.status, complete.verdict) == (RUN, RunStatus.COMPLETE, Verdict.GAIN_SHOWN)
    assert (complete.baseline, complete.winner, complete.on, complete.calls) == (0.25, 1.0, "test", 4)
    assert (empty.status, empty.baseline, empty.calls) == (RunStatus.INTERRUPTED, None, 0)
    assert (unfinished.baseline, unfinished.on, unfinished.verdict) == (0.25, "val", None)
    assert unfinished.stand_in and not complete.stand_in


def test_a_run_is_found_by_id_beginning_or_as_the_latest(tmp_path):
    with pytest.raises(UserError, match="no runs under"):
        find_run(tmp_path)
    for at, run_id in ((1.0, "alpha-1"), (3.0, "beta-1"), (2.0, "beta-2")):
        open_run(tmp_path, run_id, "", meta=meta(), now=itertools.repeat(at).__next__).close()
    assert find_run(tmp_path) == "beta-1"
    assert find_run(tmp_path, "beta-2") == "beta-2"
    assert find_run(tmp_path, "al") == "alpha-1"
    with pytest.raises(UserError, match="2 runs begin like that: beta-1, beta-2"):
        find_run(tmp_path, "beta")
    with pytest.raises(UserError, match="did you mean alpha-1"):
        find_run(tmp_path, "alhpa-1")


def test_a_reader_that_is_told_a_wrong_run_says_so(tmp_path):
    with pytest.raises(UserError, match="no run x under"):
        RunReader(tmp_path, "x")


def test_a_run_is_read_while_another_process_writes_it(tmp_path):
    code = (
        "import asyncio, sys; from pathlib import Path; from tests.sample_run import *\n"
        "w = begin(Path(sys.argv[1])); asyncio.run(emit(w, until(RunEnded, events())))\n"
        "print('ready', flush=True); sys.stdin.readline(); asyncio.run(emit(w, [RunEnded(outcome=outcome())]))\n"
        "print('ended', flush=True); sys.stdin.readline(); w.close()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        cwd=Path.cwd(),
    )
    assert child.stdin is not None and child.stdout is not None
    with child:
        assert child.stdout.readline() == "ready\n"
        with RunReader(tmp_path, RUN) as reader:
            assert reader.status is RunStatus.RUNNING and reader.outcome() is None
            with pytest.raises(UserError, match=f"in use by pid {child.pid}"):
                begin(tmp_path, resume=True)
            with reader.snapshot():
                assert reader.outcome() is None
                child.stdin.write("\n")
                assert child.stdout.readline() == "ended\n"
                # What is shown together is of one moment.
                assert reader.outcome() is None
            assert (reader.outcome(), reader.status) == (outcome(), RunStatus.COMPLETE)
        child.stdin.write("\n")
    assert child.returncode == 0


def test_the_rows_of_the_eval_set_are_in_the_run(tmp_path):
    write(tmp_path, [])
    rows = evalset()
    with RunReader(tmp_path, RUN) as reader:
        assert tuple(stored.example for stored in reader.examples()) == rows.examples
        assert {stored.example.id for stored in reader.examples(Split.TEST)} == {"r2", "r5", "r8", "r11"}
        found = reader.example("r4")
        assert found is not None and found.split is Split.VAL
        assert reader.example("r99") is None


def test_what_flipped_and_what_each_candidate_scored(tmp_path):
    write(tmp_path, events())
    with RunReader(tmp_path, RUN) as reader:
        changed = flips(reader, SEED.fingerprint, WINNER.fingerprint)
        assert changed[Split.TRAIN].fixed == ("r0", "r3", "r6", "r9") and not changed[Split.TRAIN].broken
        assert changed[Split.TEST].rows == 4 and len(changed[Split.TEST].fixed) == 3
        back = flips(reader, WINNER.fingerprint, SEED.fingerprint)
        assert back[Split.VAL].broken == changed[Split.VAL].fixed
        by_split = {(score.candidate, score.split): score for score in scores(reader)}
        val = by_split[SEED.fingerprint, Split.VAL]
        assert (val.rows, val.passed, val.score, val.errors) == (4, 1, 0.25, 0)
        cost, _ = per_call(reader, SEED.fingerprint, WINNER.fingerprint)
        assert (cost.calls, cost.input_tokens, cost.seconds_p95) == (12, 40.0, 0.25)
        assert cost.usd == pytest.approx(0.001)
        assert per_call(reader, "f" * 64, WINNER.fingerprint)[0].calls == 0


def test_clusters_before_and_after_with_what_is_not_known(tmp_path):
    happened = [
        event
        for event in until(RunEnded, events())
        if not (isinstance(event, ResultKnown) and event.result.candidate == WINNER.fingerprint)
        or event.result.example == "r6"
    ]
    write(tmp_path, happened)
    with RunReader(tmp_path, RUN) as reader:
        first, second = cluster_changes(reader, SEED.fingerprint, WINNER.fingerprint)
        assert (first.id, first.before, first.after, first.failing, first.unknown) == ("c0000a1", 3, None, 0, 2)
        assert {row.example: row.after for row in first.rows} == {"r0": None, "r6": True, "r9": None}
        assert (second.before, second.after, second.unknown) == (1, None, 1)
        first, _ = cluster_changes(reader, SEED.fingerprint, SEED.fingerprint)
        assert (first.before, first.after) == (3, 3)


def test_a_cluster_keeps_the_words_that_it_was_found_with(tmp_path):
    (found, *rest) = (event for event in events() if isinstance(event, ClustersFound))
    late = replace(found, round=2, clusters=tuple(replace(one, label="what was left") for one in found.clusters[:1]))
    assert not rest
    write(tmp_path, [*until(RunEnded, events()), late])
    with RunReader(tmp_path, RUN) as reader:
        first, _ = cluster_changes(reader, SEED.fingerprint, WINNER.fingerprint)
        assert (first.round, first.label) == (1, found.clusters[0].label)


def test_a_cause_is_followed_through_the_rounds(tmp_path):
    (found,) = (event for event in events() if isinstance(event, ClustersFound))
    first, second = found.clusters
    renamed = replace(first, id="c0000ff", members=first.members[:2])
    broken = replace(second, id="c0000cc", label="no date at all", place="format")
    rounds = [replace(found, round=2, clusters=(renamed, second)), replace(found, round=3, clusters=(renamed, broken))]
    write(tmp_path, [*until(RunEnded, events()), *rounds])
    with RunReader(tmp_path, RUN) as reader:
        # Under a prompt that was not run on them the rounds alone tell, and they do not ask every row.
        changes = {change.id: change for change in cluster_changes(reader, SEED.fingerprint, "not run")}
        told = {name: [(one.round, one.rows, one.stage) for one in change.history] for name, change in changes.items()}
        assert told == {
            "c0000a1": [(1, 3, "new"), (2, 2, "shrunk"), (3, 2, "open")],
            "c0000b2": [(1, 1, "new"), (2, 1, "open"), (3, 0, "fixed")],
            "c0000cc": [(3, 1, "new")],
        }
        assert {name: change.stage for name, change in changes.items()} == {
            "c0000a1": "unknown",
            "c0000b2": "unknown",
            "c0000cc": "new",
        }
        assert (changes["c0000a1"].ids, len(changes["c0000a1"].rows)) == (("c0000ff",), 3)


def test_a_winner_that_was_made_after_the_last_round_decides_what_became_of_a_cause(tmp_path):
    write(tmp_path, until(RunEnded, events()))
    with RunReader(tmp_path, RUN) as reader:
        assert {change.stage for change in cluster_changes(reader, SEED.fingerprint, WINNER.fingerprint)} == {"fixed"}
        assert {change.stage for change in cluster_changes(reader, SEED.fingerprint, SEED.fingerprint)} == {"open"}


def test_rows_with_an_error_are_named(tmp_path):
    row = evalset().examples[0]
    event = ResultKnown(result=failed(SEED, row), split=Split.TRAIN, phase=Phase.SEARCH, round=0)
    write(tmp_path, [event])
    with RunReader(tmp_path, RUN) as reader:
        (error,) = row_errors(reader, SEED.fingerprint, WINNER.fingerprint)
        assert (error.example, error.kind, error.message) == ("r0", "timeout", "no answer in 60 s")
        assert row_errors(reader, WINNER.fingerprint) == ()
