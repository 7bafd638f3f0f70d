import pytest

import optimizer
from optimizer.errors import UserError
from optimizer.events import CandidateMade, ClustersFound
from optimizer.frames import load_run
from optimizer.outcome import Verdict
from optimizer.store import RunStatus
from tests.sample_run import RUN, SEED, WINNER, events, outcome, until, write

COLUMNS = {
    "results": "example candidate which split phase round passed score reasons input_tokens output_tokens usd latency "
    "cached finish_reason output error_kind error",
    "clusters": "id label round share before after unknown stage members place wanted got terms evidence",
    "edits": "round id op target after text cluster why source outcome reason mended tried broke",
    "trials": "round number candidate rows score gain partial reason choices",
    "calls": "call session key role phase state sent_at seconds input_tokens output_tokens usd latency cached "
    "finish_reason output error_kind error",
    "lines": "id text change worth low high label cluster tokens fixed broken raw rows with_line",
    "decisions": "seq at kind round reason figures",
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("complete", [True, False])
def test_every_frame_has_its_columns(tmp_path, name, complete):
    write(tmp_path, events() if complete else [])
    frame = getattr(load_run(RUN, root=tmp_path), name)()
    assert list(frame.columns) == COLUMNS[name].split()
    assert len(frame) > 0 if complete else len(frame) == 0


def test_what_the_frames_hold(tmp_path):
    write(tmp_path, events())
    run = load_run(root=tmp_path)
    results = run.results()
    assert len(results) == 24 and set(results["which"]) == {"seed", "winner"}
    means = results.groupby(["which", "split"])["score"].mean()
    assert means["seed", "test"] == 0.25 and means["winner", "test"] == 1.0
    assert len(run.results(WINNER.fingerprint)) == 12
    assert list(run.clusters()["before"]) == [3, 1] and list(run.clusters()["members"])[1] == ["r3"]
    assert list(run.calls()["state"]) == ["answered", "failed", "saved", "answered", "answered"]
    assert run.calls()["usd"].sum() == pytest.approx(0.004)
    assert str(run.decisions()["at"].dtype).startswith("datetime64") and run.decisions()["at"].dt.tz is not None
    assert list(run.lines()["low"]) == pytest.approx([-0.05, 0.15])
    assert run.trials().iloc[0]["choices"] == {"+c0000a1": "e021d3612", "L2": "e8c0b5383"}
    assert list(run.edits()["outcome"]) == ["passed", "passed"]


def test_what_a_run_came_to(tmp_path):
    write(tmp_path, events())
    run = load_run(root=tmp_path)
    assert run.verdict is Verdict.GAIN_SHOWN and run.status is RunStatus.COMPLETE
    assert run.outcome == outcome() and run.summary()["verdict"] == "GAIN SHOWN"
    assert run.prompt == WINNER and run.seed == SEED


def test_a_run_that_goes_on_is_read_anew(tmp_path):
    write(tmp_path, until(ClustersFound, events()))
    run = load_run(RUN, root=tmp_path)
    assert run.verdict is None and run.prompt == SEED and len(run.clusters()) == 0


def test_a_run_without_a_prompt_yet(tmp_path):
    write(tmp_path, until(CandidateMade, events()))
    run = load_run(RUN, root=tmp_path)
    for name in ("prompt", "seed"):
        with pytest.raises(UserError, match=f"run {RUN}: no prompt was recorded yet"):
            getattr(run, name)


def test_a_wrong_id_names_the_nearest_one(tmp_path):
    write(tmp_path, [])
    with pytest.raises(UserError, match=f"did you mean {RUN}"):
        load_run(RUN[:-4] + "x" + RUN[-4:], root=tmp_path)


def test_the_package_hands_it_out():
    assert optimizer.load_run is load_run
