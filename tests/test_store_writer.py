import asyncio
import json
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import pytest

from optimizer.dataset import Split
from optimizer.errors import ErrorKind, ProviderError, UserError
from optimizer.events import (
    CallEnded,
    CallSaved,
    CallSent,
    CandidateMade,
    ClustersFound,
    Decided,
    EditJudged,
    Event,
    LinePriced,
    Progress,
    Recording,
    ResultKnown,
    RunEnded,
    TrialEnded,
)
from optimizer.outcome import Phase, Role
from optimizer.results import CallError, Completion, Usage
from optimizer.store import RunReader, RunStatus, RunWriter, Spending
from tests.sample_run import (
    RUN,
    SEED,
    begin,
    completion,
    emit,
    evalset,
    events,
    failed,
    meta,
    outcome,
    result,
    until,
    write,
)

T = TypeVar("T")


def of(kind: type[T], happened: Iterable[Event]) -> list[T]:
    return [event for event in happened if isinstance(event, kind)]


def test_every_kind_of_event_is_read_back_as_it_was(tmp_path):
    happened = list(events())
    write(tmp_path, happened)
    with RunReader(tmp_path, RUN) as reader:
        assert list(reader.candidates()) == of(CandidateMade, happened)
        stored = [
            ResultKnown(result=found.result, split=found.split, phase=found.phase, round=found.round)
            for found in reader.results()
        ]
        assert stored == of(ResultKnown, happened)
        assert list(reader.clusters()) == of(ClustersFound, happened)
        assert list(reader.edits()) == of(EditJudged, happened)
        assert list(reader.trials()) == [event.trial for event in of(TrialEnded, happened)]
        assert [decision.decided for decision in reader.decisions()] == of(Decided, happened)
        assert list(reader.lines()) == [event.worth for event in of(LinePriced, happened)]
        assert reader.outcome() == of(RunEnded, happened)[0].outcome
        calls = list(reader.calls())
        sent = [CallSent(call=c.call, key=c.key, role=c.role, phase=c.phase) for c in calls if c.state != "saved"]
        assert sent == of(CallSent, happened)
        ended = [
            CallEnded(call=c.call, key=c.key, completion=c.completion, error=c.error)
            for c in calls
            if c.state != "saved"
        ]
        assert ended == of(CallEnded, happened)
        saved = [
            CallSaved(key=c.key, role=c.role, phase=c.phase, completion=c.completion)
            for c in calls
            if c.state == "saved" and c.completion
        ]
        assert saved == of(CallSaved, happened)


def test_hostile_text_is_read_back_as_it_was(tmp_path):
    text = "nul \x00, half a pair \ud83d, escape \x1b]0;x\x07, bidi \u202e, quote \" ' \\ and 𝒇ancy"
    row = evalset().examples[0]
    odd = Completion(text=text, usage=Usage(input_tokens=1), cost=None, latency=1, finish_reason="stop")
    kept = replace(result(SEED, row, False), completion=odd, trace=({"t": text},))
    happened: list[Event] = [
        CallSent(call="a", key="k", role=Role.TASK, phase=Phase.SEARCH),
        CallEnded(call="a", key="k", completion=odd),
        ResultKnown(
            result=kept,
            split=Split.TRAIN,
            phase=Phase.SEARCH,
            round=0,
        ),
        Decided(kind="stop", round=1, reason=text, figures={"t": [text], text: 1}),
    ]
    write(tmp_path, happened)
    with RunReader(tmp_path, RUN) as reader:
        assert [c.completion for c in reader.calls()] == [odd]
        assert [found.result for found in reader.results()] == [kept]
        assert [decision.decided for decision in reader.decisions()] == [happened[3]]
    log = (tmp_path / "runs" / RUN / "log.jsonl").read_bytes()
    assert b"\x1b" not in log and "\u202e".encode() not in log and b"\x00" not in log
    assert json.loads(log.splitlines()[-3])["reason"] == text


def test_the_log_tells_each_event_in_order(tmp_path):
    write(tmp_path, events())
    lines = [json.loads(line) for line in (tmp_path / "runs" / RUN / "log.jsonl").read_text().splitlines()]
    names = [line["event"] for line in lines]
    assert names[0] == "session began" and names[-1] == "session ended"
    assert names[1:4] == ["candidate", "call sent", "call answered"]
    assert len(lines) == len(list(events())) + 3
    assert {line["example"] for line in lines if line["event"] == "result"} == {f"r{n}" for n in range(12)}


def test_progress_is_not_kept(tmp_path):
    write(tmp_path, [Progress(step="baseline", round=0)])
    assert "baseline" not in (tmp_path / "runs" / RUN / "log.jsonl").read_text()


def test_two_sinks_get_the_same(tmp_path):
    seen = Recording()

    async def both() -> None:
        async with begin(tmp_path) as writer:
            sink = Recording(onward=(writer, seen))
            for event in events():
                await sink.record(event)

    asyncio.run(both())
    with RunReader(tmp_path, RUN) as reader:
        assert [decision.decided for decision in reader.decisions()] == of(Decided, seen.events)


def test_many_writers_at_once_lose_nothing(tmp_path):
    async def one(writer: RunWriter, number: int) -> None:
        for step in range(5):
            name = f"{number}-{step}"
            await writer.record(CallSent(call=name, key=name, role=Role.TASK, phase=Phase.SEARCH))
            await writer.record(CallEnded(call=name, key=name, completion=completion(name)))
            await writer.record(CallSaved(key=name, role=Role.TASK, phase=Phase.SEARCH, completion=completion(name)))

    async def all_of_them() -> Spending:
        async with begin(tmp_path) as writer:
            await asyncio.gather(*(one(writer, number) for number in range(128)))
            return writer.spent()

    spent = asyncio.run(all_of_them())
    assert (spent.calls, spent.answered, spent.tokens) == (640, 640, 640 * 43)
    with RunReader(tmp_path, RUN) as reader:
        assert len(reader.completions()) == 640
        assert [c.state for c in reader.calls()].count("saved") == 640


def test_a_call_that_was_never_sent_cannot_end(tmp_path):
    writer = begin(tmp_path)
    with pytest.raises(ValueError, match="no CallSent"):
        asyncio.run(emit(writer, [CallEnded(call="ghost", key="k", completion=completion("x"))]))
    writer.close()


def test_an_error_gives_way_to_a_result_and_never_the_other_way_round(tmp_path):
    row = evalset().examples[0]
    good, bad = result(SEED, row, True), failed(SEED, row)
    worse = result(SEED, row, False)
    seen = []
    for found in (bad, good, bad, worse):
        event = ResultKnown(result=found, split=Split.TRAIN, phase=Phase.SEARCH, round=0)
        writer = begin(tmp_path, resume=True)
        asyncio.run(emit(writer, [event]))
        writer.close()
        with RunReader(tmp_path, RUN) as reader:
            seen += [stored.result for stored in reader.results()]
    assert seen == [bad, good, good, good]


def test_what_is_known_when_a_run_goes_on(tmp_path):
    row = evalset().examples[0]
    cut = CallError(kind=ErrorKind.CUT_OFF, message="cut off")
    stopped = [
        *until(ClustersFound, events()),
        CallSent(call="cut", key="key-cut", role=Role.TASK, phase=Phase.TEST),
        CallEnded(call="cut", key="k", completion=completion("half an ans"), error=cut),
        CallSent(call="open", key="key-open", role=Role.TASK, phase=Phase.TEST),
        ResultKnown(result=failed(SEED, row), split=Split.TRAIN, phase=Phase.SEARCH, round=0),
    ]
    stopped = [event for event in stopped if not isinstance(event, ResultKnown) or event.result.example != "r3"]
    stopped.append(
        ResultKnown(result=failed(SEED, evalset().examples[3]), split=Split.TRAIN, phase=Phase.SEARCH, round=0)
    )
    write(tmp_path, stopped)
    writer = begin(tmp_path, resume=True)
    assert writer.resumed and writer.repaired.lost == 1
    known = writer.known_results()
    assert (SEED.fingerprint, "r0") in known and (SEED.fingerprint, "r3") not in known
    assert writer.known_completions() == {"key-a1": completion("answer a1", cached=True)}
    spent = writer.spent()
    writer.close()
    # One answered, one failed without a bill that is known, one cut off but billed, one lost.
    assert (spent.calls, spent.answered, spent.failed, spent.lost, spent.saved) == (4, 1, 2, 1, 1)
    assert (spent.tokens, spent.lost_tokens, spent.billed_tokens) == (86, 43, 129)
    assert spent.usd == pytest.approx(0.002) and spent.billed_usd == pytest.approx(0.003)
    assert spent.by_phase[Phase.TEST] == 2 and spent.by_role[Role.TASK] == 4
    with RunReader(tmp_path, RUN) as reader:
        assert [c.state for c in reader.calls()][-1] == "lost in kill"


def test_an_unknown_price_is_unknown(tmp_path):
    write(tmp_path, events(cost=None))
    writer = begin(tmp_path, resume=True)
    spent = writer.spent()
    writer.close()
    assert spent.usd is None and spent.billed_usd is None and spent.saved_usd == 0.001


def test_a_run_that_decides_again_what_it_decided_keeps_it_once(tmp_path):
    write(tmp_path, until(RunEnded, events()))
    writer = begin(tmp_path, resume=True)
    asyncio.run(emit(writer, events()))
    writer.close()
    with RunReader(tmp_path, RUN) as reader:
        assert [decision.decided for decision in reader.decisions()] == of(Decided, events())
        assert list(reader.clusters()) == of(ClustersFound, events())
        assert list(reader.candidates()) == of(CandidateMade, events())
        assert reader.outcome() == outcome()
        assert len(list(reader.trials())) == 1 and len(reader.edits()) == 2
        # The calls were made again, so they are counted again.
        assert reader.query("SELECT COUNT(*) FROM calls WHERE state <> 'saved'")[0][0] == 8


def test_the_same_request_answered_twice_keeps_both_answers(tmp_path):
    pair: list[Event] = [
        CallSent(call="a", key="k", role=Role.TASK, phase=Phase.SEARCH),
        CallEnded(call="a", key="k", completion=completion("first")),
        CallSent(call="b", key="k", role=Role.TASK, phase=Phase.SEARCH),
        CallEnded(call="b", key="k", completion=completion("second")),
    ]
    write(tmp_path, pair)
    with RunReader(tmp_path, RUN) as reader:
        assert [c.completion and c.completion.text for c in reader.calls()] == ["first", "second"]
        assert reader.completions()["k"].text == "first"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "openai/gpt-5"}, "the model changed (openai/gpt-4o-mini -> openai/gpt-5)"),
        ({"model_settings": '{"t":1}'}, "the model's settings changed"),
        ({"seed_prompt": "f" * 64}, "the prompt changed (triage"),
        ({"mutator": ""}, "the mutator changed (openai/gpt-4o -> none)"),
        ({"mutator": "openai/gpt-4o {1}"}, "the mutator's settings changed ({} -> {1})"),
        ({"metrics": {"equals": "{1}"}}, "metric equals changed"),
        ({"metrics": {"contains": "{}"}}, "metric contains is new; metric equals is gone"),
        ({"search": {"seed": 1, "mined": True, "lines": []}}, "seed changed (0 -> 1)"),
    ],
)
def test_a_resume_with_something_else_is_refused(tmp_path, change, told):
    write(tmp_path, events())
    with pytest.raises(UserError) as error:
        begin(tmp_path, about=replace(meta(), **change), resume=True)
    assert told in str(error.value) and "\n" not in str(error.value)
    begin(tmp_path, resume=True).close()


def test_a_resume_with_other_rows_says_which(tmp_path):
    write(tmp_path, events())
    rows = evalset()
    edited = (*rows.examples[:2], replace(rows.examples[2], expected="other"), *rows.examples[4:])
    new = replace(rows.examples[0], id="r99")
    splits = {**rows.splits, "r0": Split.TEST, "r99": Split.VAL}
    changed = replace(rows, examples=(*edited, new), splits=splits)
    with pytest.raises(UserError) as error:
        begin(tmp_path, rows=changed, about=meta(changed), resume=True)
    told = "the eval set changed (1 row edited: r2; 1 row in another split: r0; 1 row new: r99; 1 row gone: r3)"
    assert told in str(error.value)


def test_a_run_is_not_begun_twice(tmp_path):
    write(tmp_path, [])
    with pytest.raises(UserError, match="--resume"):
        begin(tmp_path)


def test_resume_begins_a_run_where_there_is_none(tmp_path):
    writer = begin(tmp_path, resume=True)
    assert not writer.resumed
    writer.close()


@pytest.mark.parametrize(
    "last",
    [
        CallSent(call="a", key="k", role=Role.TASK, phase=Phase.SEARCH),
        RunEnded(outcome=outcome()),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_is_durable_makes_all_before_it_so(tmp_path, last):
    """Nobody waits for candidates, trials, decisions and results: what comes of them is on the disk after them."""
    before = [event for event in events() if isinstance(event, CandidateMade | TrialEnded | Decided | ResultKnown)]

    async def run() -> None:
        async with begin(tmp_path) as writer:
            for event in (*before, last):
                await writer.record(event)
            # Read while the writer still runs: what is not committed does not show.
            with RunReader(tmp_path, RUN) as reader:
                assert len(list(reader.candidates())) == sum(isinstance(event, CandidateMade) for event in before) > 0
                assert len(list(reader.decisions())) == sum(isinstance(event, Decided) for event in before) > 0
                assert len(list(reader.trials())) == sum(isinstance(event, TrialEnded) for event in before) > 0
                assert len(list(reader.results())) == sum(isinstance(event, ResultKnown) for event in before) > 0

    asyncio.run(run())


def test_one_writer_a_run(tmp_path):
    writer = begin(tmp_path)
    with pytest.raises(UserError, match=rf"in use by pid {os.getpid()} since \d\d:\d\d"):
        begin(tmp_path, resume=True)
    with RunReader(tmp_path, RUN) as reader:
        assert reader.status is RunStatus.RUNNING
    writer.close()
    begin(tmp_path, resume=True).close()


def test_how_a_session_ended_is_kept(tmp_path):
    async def fails() -> None:
        async with begin(tmp_path) as writer:
            await writer.record(CandidateMade(prompt=SEED, round=0, origin="seed"))
            raise ProviderError("key rejected by host example.org")

    with pytest.raises(ProviderError):
        asyncio.run(fails())
    with RunReader(tmp_path, RUN) as reader:
        assert reader.status is RunStatus.FAILED
        assert reader.failure == "key rejected by host example.org"
    writer = begin(tmp_path, resume=True)
    writer.close()
    with RunReader(tmp_path, RUN) as reader:
        assert reader.status is RunStatus.INTERRUPTED and reader.failure == ""


def test_a_closed_run_is_one_plain_file(tmp_path):
    write(tmp_path, events())
    folder = tmp_path / "runs" / RUN
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "lock", "log.jsonl", "run.sqlite"]
    assert (folder / "config.yaml").read_text() == "model: x\n"
    db = sqlite3.connect(folder / "run.sqlite")
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()


def test_a_cancelled_waiter_loses_no_event(tmp_path):
    async def cancel() -> None:
        async with begin(tmp_path) as writer:
            sent = CallSent(call="a", key="k", role=Role.TASK, phase=Phase.SEARCH)
            task = asyncio.create_task(writer.record(sent))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    with RunReader(tmp_path, RUN) as reader:
        assert [c.call for c in reader.calls()] == ["a"]
