"""The live display: what it counts, how often it draws, what it says, and how signals end a run."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
from collections.abc import Iterable

import pytest

from optimizer.cli import interrupt, out, progress
from optimizer.cli.interrupt import Interrupted, Stopper
from optimizer.cli.progress import Display, elapsed, screen
from optimizer.cli.tally import Tally
from optimizer.errors import ErrorKind, UserError
from optimizer.events import CallEnded, CallSaved, CallSent, ClustersFound, Decided, Event, Held, Progress
from optimizer.failures import Cluster
from optimizer.outcome import Phase, Role
from optimizer.results import CallError
from tests.sample_run import call, clusters, completion, evalset, events

HOSTILE = "\x1b]52;c;bad\x07 \u202eevil\u202c\nsecond"


class Clock:
    """Seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def sent(name: str) -> CallSent:
    return CallSent(call=name, key=name, role=Role.TASK, phase=Phase.SEARCH)


def fed(tally: Tally, happened: Iterable[Event]) -> Tally:
    for event in happened:
        tally.take(event)
    return tally


def told(display: Display, happened: Iterable[Event], capsys: pytest.CaptureFixture[str]) -> list[str]:
    async def tell() -> None:
        for event in happened:
            await display.record(event)

    asyncio.run(tell())
    return capsys.readouterr().err.splitlines()


def test_a_whole_run_is_counted() -> None:
    tally = fed(Tally(), events())
    assert (tally.paid, tally.failed, tally.saved) == (4, 1, 1)
    assert tally.kinds == {ErrorKind.RATE_LIMIT: 1}
    assert tally.flying == set()
    assert tally.usd == pytest.approx(0.003)
    assert tally.best == 0.25
    assert [(cause.label, cause.before, cause.now) for cause in tally.largest(9)] == [
        ("date read as US order", 3, 3),
        ("too long an answer", 1, 1),
    ]


def test_an_unknown_price_stays_unknown() -> None:
    tally = fed(Tally(), [*call("a", cost=0.5), *call("b", cost=None), *call("c", cost=0.5)])
    assert tally.usd is None
    assert ("  calls        3 sent, price unknown", "") in screen("x", tally)


def test_calls_under_way_and_refusals_are_told() -> None:
    refused = CallError(kind=ErrorKind.RATE_LIMIT, message="slow down", status=429)
    tally = fed(Tally(), [sent("a"), sent("b"), sent("c"), CallEnded(call="c", key="c", error=refused)])
    assert ("  calls        3 sent, 2 under way, 1 failed (1 rate limited)", "") in screen("x", tally)


def test_calls_that_are_held_back_say_why_and_until_when(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    why = "rate limited, concurrency 50 -> 35"
    held = Held(account="api.example.com", why=why, seconds=12.0)
    other = Held(account="127.0.0.1:8000", why="held by 500 requests a minute", seconds=0.2)
    tally = fed(Tally(clock=clock), [held, other])
    shown = [line for line, _ in screen("x", tally) if "waiting" in line]
    assert shown == [
        f"  waiting      api.example.com: {why}, resumes in 12 s",
        "  waiting      127.0.0.1:8000: held by 500 requests a minute",
    ]
    clock.now += 12.5
    assert tally.waits() == []
    display = Display("triage", live=False, clock=clock)
    display.begin([])
    assert told(display, [held], capsys) == [f"  0:00  api.example.com: {why}, resumes in 12 s"]


def test_a_rerun_tells_what_it_saved(capsys: pytest.CaptureFixture[str]) -> None:
    saved = CallSaved(key="k", role=Role.TASK, phase=Phase.SEARCH, completion=completion("x"))
    after = Progress(step="screening", round=1)
    lines = told(Display("triage", live=False), [saved, after, *call("a"), after], capsys)
    assert [line.partition("  0:00  ")[2] for line in lines] == [
        "round 1, screening: 1 call saved",
        "round 1, screening: 1 call sent, 1 saved, $0.0010",
    ]


def test_a_cause_that_is_gone_has_none_now() -> None:
    found = clusters(evalset())
    tally = fed(Tally(), [ClustersFound(round=1, candidate="x", clusters=found)])
    fed(tally, [ClustersFound(round=2, candidate="y", clusters=found[1:])])
    assert [(cause.label, cause.before, cause.now) for cause in tally.largest(1)] == [("date read as US order", 3, 0)]


def test_time_left_comes_from_the_plan_and_the_recent_rate() -> None:
    clock = Clock()
    tally = fed(Tally(clock=clock), [Progress(step="baseline", round=0, planned=100, limit=1100)])
    assert tally.left() is None, "nothing is known yet"
    for second in range(5):
        clock.now += 1
        saved = (CallSaved(key="k", role=Role.TASK, phase=Phase.SEARCH, completion=completion("x")) for _ in range(50))
        fed(tally, saved)
        left = tally.left()
        if second:
            assert left == pytest.approx((1000 - 50 * (second + 1)) / 50)


def test_the_screen_has_everything_at_a_glance() -> None:
    tally = fed(Tally(), events())
    fed(tally, [Progress(step="trial 3", round=2, best=0.8, gain=0.3, planned=300, limit=600)])
    text = "\n".join(line for line, _ in screen("triage", tally, " (stand-in)"))
    for part in ("triage", "round 2, trial 3", "80.0%", "+30.0 points", "optimistic", "(stand-in)", "300 of 600"):
        assert part in text
    assert "date read as US order" in text


def test_without_a_terminal_there_is_one_plain_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = Display("triage", live=False, stand_in=True, clock=clock)
    display.begin(["task model x: api.example.com"])
    lines = told(display, events(), capsys)
    assert lines[0] == "task model x: api.example.com"
    assert lines[1] == "  0:00  baseline: the prompt as it is scores 0.250 on val (stand-in)"
    assert lines[2] == "  0:00  round 1: 2 causes of failure: date read as US order (3), too long an answer (1)"
    assert lines[3].startswith("  0:00  round 1, trial 0: 100.0% on 4 val rows, +75.0 points")
    assert "\x1b" not in "".join(lines)


def test_nothing_is_said_before_the_first_event(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display("triage", live=False)
    display.begin(["task model x: api.example.com"])
    display.tick()
    assert capsys.readouterr().err == "", "a fault in the files would stand alone"


def test_causes_that_stay_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = clusters(evalset())
    happened = [ClustersFound(round=number, candidate="x", clusters=found) for number in (1, 2)]
    gone = ClustersFound(round=3, candidate="x", clusters=())
    lines = told(Display("triage", live=False), [*happened, gone], capsys)
    assert [line.partition("  0:00  ")[2] for line in lines] == [
        "round 1: 2 causes of failure: date read as US order (3), too long an answer (1)",
        "round 2: the same 2 causes of failure",
    ]


def test_the_stand_in_is_named_beside_figures_alone(capsys: pytest.CaptureFixture[str]) -> None:
    happened = [Decided(kind=kind, round=1, reason="x") for kind in ("verdict", "written")]
    lines = told(Display("triage", live=False, stand_in=True), happened, capsys)
    assert lines == ["  0:00  verdict: x (stand-in)", "  0:00  written: x"]


def test_the_live_causes_keep_their_figures_on_a_narrow_screen() -> None:
    found = clusters(evalset())
    tally = fed(Tally(), [ClustersFound(round=1, candidate="x", clusters=found)])
    fed(tally, [ClustersFound(round=2, candidate="y", clusters=found[1:])])
    assert ("       3 -> 0    date read as US order", "") in screen("x", tally)


def test_a_plain_display_says_that_it_is_alive(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = Display("triage", live=False, clock=clock)
    assert told(display, [Progress(step="baseline", round=0)], capsys) == ["  0:00  baseline"]
    clock.now += progress.HEARTBEAT - 1
    assert told(display, call("a"), capsys) == []
    clock.now += 2
    assert told(display, call("b"), capsys) == ["  0:16  baseline: 2 calls sent, 1 under way, $0.0010"]


def test_what_models_and_rows_say_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    (first, *_) = clusters(evalset())
    bad = Cluster(id="c1", label=HOSTILE, members=first.members, share=1.0)
    happened: list[Event] = [
        ClustersFound(round=1, candidate="x", clusters=(bad,)),
        Decided(kind="accept", round=1, reason=HOSTILE),
    ]
    lines = told(Display(HOSTILE, live=False), happened, capsys)
    assert len(lines) == 2
    shown = "".join([*lines, *(line for line, _ in screen(HOSTILE, fed(Tally(), happened)))])
    assert not {"\x1b", "\x07", "\u202e", "\n"} & set(shown)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_redrawn_at_most_eight_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    clock = Clock()
    display = Display("triage", live=True, clock=clock)
    display.begin([])
    drawn = []
    assert display._live is not None
    monkeypatch.setattr(display._live, "update", lambda text, refresh: drawn.append(str(text)))

    async def one_second_of_events() -> None:
        for number in range(1000):
            clock.now += 0.001
            await display.record(sent(str(number)))

    asyncio.run(one_second_of_events())
    display.close()
    assert 2 <= len(drawn) <= 8
    assert "triage" in drawn[0]


def test_the_live_lines_are_drawn_and_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    display = Display("triage", live=True)

    async def work() -> None:
        display.begin(["task model x: host"])
        async with display.ticking():
            await display.record(Decided(kind="warning", round=0, reason="every row is the same"))
            for event in events():
                await display.record(event)
            display.stopping(5)

    asyncio.run(work())
    text = stream.getvalue()
    assert "task model x: host" in text and "triage" in text and "stopping, no call is under way" in text
    assert "\x1b[?25h" in text, "the cursor is back"
    assert "warning: every row is the same" in text


@pytest.mark.parametrize(
    ("streams", "term", "want"),
    [((True, True), "xterm", True), ((False, True), "xterm", False), ((True, True), "dumb", False)],
)
def test_live_lines_need_two_terminals(
    streams: tuple[bool, bool], term: str, want: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, terminal in zip(("stdout", "stderr"), streams, strict=True):
        monkeypatch.setattr(sys, name, Terminal() if terminal else io.StringIO())
    monkeypatch.setenv("TERM", term)
    assert out.is_terminal() is want


@pytest.mark.parametrize(("seconds", "want"), [(0.4, "0:00"), (67, "1:07"), (3725, "1:02:05")])
def test_elapsed(seconds: float, want: str) -> None:
    assert elapsed(seconds) == want


class Shown:
    """Remembers that it was told to stop."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def stopping(self, seconds: float) -> None:
        self.seconds.append(seconds)


def press(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_cancels_and_what_drains_is_waited_for(number: signal.Signals) -> None:
    drained: list[str] = []
    shown = Shown()

    async def work() -> None:
        try:
            press(number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            drained.append("answers are kept")

    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="go on with: that"):
        Stopper(shown, "go on with: that").run(work())
    assert drained == ["answers are kept"]
    assert shown.seconds == [interrupt.DRAIN]
    assert signal.getsignal(number) == before


def test_the_second_signal_cuts_the_drain_short() -> None:
    shown = Shown()

    async def work() -> None:
        try:
            press()
            await asyncio.Event().wait()
        finally:
            press()
            await asyncio.Event().wait()

    with pytest.raises(Interrupted):
        Stopper(shown, "line").run(work())
    assert len(shown.seconds) == 1


def test_a_drain_that_hangs_is_ended_from_outside(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interrupt, "AT_ONCE", 0.01)
    ended = threading.Event()
    codes: list[int] = []

    def quit_now(code: int) -> None:
        codes.append(code)
        ended.set()

    async def work() -> str:
        press()
        press()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # The loop itself is blocked: only a thread can end the process.
            ended.wait(30)
        return "done"

    assert Stopper(Shown(), "go on with: that", quit_now).run(work()) == "done"
    assert codes == [130]
    assert "go on with: that" in capfd.readouterr().err


def test_work_that_ends_by_itself_is_not_interrupted() -> None:
    async def work() -> str:
        return "done"

    assert Stopper(Shown(), "line").run(work()) == "done"


def test_a_fault_stays_what_it_is() -> None:
    async def work() -> None:
        raise UserError("mine")

    with pytest.raises(UserError, match="mine"):
        Stopper(Shown(), "line").run(work())
