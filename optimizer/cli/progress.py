"""Live progress: a few lines redrawn in place on a terminal, one plain line a step anywhere else.

Everything goes to the error stream, so that the standard output holds the result alone.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from optimizer.cli import out
from optimizer.cli.tally import Tally, resumes
from optimizer.errors import ErrorKind
from optimizer.events import ClustersFound, Decided, Event, Held, Progress, TrialEnded
from optimizer.report.wording import counted
from optimizer.terminal import clean

if TYPE_CHECKING:
    from rich.live import Live

REDRAW = 0.25
"""Seconds between two drawings, at least."""
HEARTBEAT = 15.0
"""Seconds without a line after which a plain display says that it is alive."""
UNMARKED = frozenset({"data", "code", "warning", "stop", "written", "proposal failed"})
"""Decisions that tell no figure of the model."""
LASTING = frozenset({"code", "warning"})
"""Decisions that stay on a terminal."""
KINDS = {
    ErrorKind.RATE_LIMIT: "rate limited",
    ErrorKind.TIMEOUT: "over deadline",
    ErrorKind.CONNECTION: "without connection",
    ErrorKind.INTERNAL_SERVER: "by the server",
    ErrorKind.MALFORMED: "malformed",
    ErrorKind.EMPTY: "empty",
    ErrorKind.CUT_OFF: "cut off",
    ErrorKind.CONTENT_FILTER: "filtered",
    ErrorKind.BAD_REQUEST: "refused as they are",
    ErrorKind.METRIC: "in a metric",
}
"""Why attempts failed, in the words of a count."""
SHOWN_CAUSES = 5
BAR = 24
Styled = list[tuple[str, str]]
"""(line, style)."""


class Display:
    """Shows a run as it goes on. A sink: `record` is called for every event."""

    def __init__(
        self,
        title: str,
        *,
        stand_in: bool = False,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show nothing yet.

        Args:
            title: what is run.
            stand_in: whether figures come from the offline stand-in, and have to say so.
            live: whether lines are redrawn in place; None looks at the streams.
            clock: seconds.
        """
        self.tally = Tally(clock=clock)
        self.mark = " (stand-in)" if stand_in else ""
        self._title = title
        self._clock = clock
        self._live: Live | None = _live() if (out.is_terminal() if live is None else live) else None
        self._drawn = float("-inf")
        self._spoke = clock()
        self._opening: Sequence[str] = ()
        self._begun = False

    def begin(self, lines: Sequence[str]) -> None:
        """Keep what is to be said before the first event: a fault in the files stands alone, with nothing before it."""
        self._opening = lines

    def _begin(self) -> None:
        self._begun = True
        for line in self._opening:
            self.say(line)
        if self._live is not None:
            self._live.start()

    async def record(self, event: Event) -> None:
        """Count the event, and show it where it is time to."""
        if not self._begun:
            self._begin()
        self.tally.take(event)
        if self._live is None:
            tell = _TOLD.get(type(event))
            if tell is not None and (line := tell(self.tally, event)):
                self._tell(line + (self.mark if _has_figures(event) else ""))
        elif isinstance(event, Decided) and event.kind in LASTING:
            self.say(_decided_told(self.tally, event))  # It stays, above the lines that are redrawn.
        self.tick()

    def tick(self) -> None:
        """Draw, or say that the run is alive, where it is time to."""
        if not self._begun:
            return
        now = self._clock()
        if self._live is not None:
            if now - self._drawn >= REDRAW:
                self._drawn = now
                self._live.update(_text(screen(self._title, self.tally, self.mark)), refresh=True)
        elif now - self._spoke >= HEARTBEAT:
            self._tell(f"{self.tally.where}: {_calls(self.tally, named=True)}")

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Keep the display alive while nothing happens; it is taken down at the end."""
        ticker = asyncio.create_task(self._tick_on())
        try:
            yield
        finally:
            ticker.cancel()
            self.close()

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(REDRAW)
            self.tick()

    def stopping(self, seconds: float) -> None:
        """Say that the run ends once the calls under way are answered."""
        flying = len(self.tally.flying)
        calls = "1 paid call" if flying == 1 else f"{flying} paid calls"
        waiting = f"waiting up to {seconds:.0f} s for {calls}" if flying else "no call is under way"
        self.say(f"stopping, {waiting}; press again to quit now")

    def close(self) -> None:
        """Take the live lines down and give the terminal back; may be called again."""
        if self._live is not None:
            self._live.stop()

    def _tell(self, line: str) -> None:
        self.say(f"{elapsed(self.tally.seconds):>6}  {line}")

    def say(self, line: str) -> None:
        """One line that stays: above the lines that are redrawn, where there are any."""
        self._spoke = self._clock()
        if self._live is not None and self._live.is_started:
            self._live.console.print(_text([(line, "")]))
        else:
            out.note(clean(line))


def screen(title: str, tally: Tally, mark: str = "") -> Styled:
    """The live lines; `mark` stands behind figures."""
    left = tally.left()
    wait = "" if left is None else f", at most {elapsed(left)} left"
    lines: Styled = [
        (f"{out.one_line(title)}   {tally.where}   {elapsed(tally.seconds)}{wait}", "bold"),
        (f"  best on val  {best(tally, mark)}", "green" if (tally.gain or 0) > 0 else ""),
        (f"  calls        {_calls(tally)}", ""),
    ]
    lines += [(f"  waiting      {_cut(told, 200)}", "yellow") for told in tally.waits()]
    if tally.limit:
        used = min(tally.planned + tally.since, tally.limit)
        filled = round(BAR * used / tally.limit)
        lines.append((f"  search plan  {'━' * filled}{'─' * (BAR - filled)} {used} of {tally.limit} requests", ""))
    causes = tally.largest(SHOWN_CAUSES)
    if causes:
        lines.append(("  before -> now  why it fails", "dim"))
        lines += [(f"  {cause.before:>6} -> {cause.now:<5}{_cut(cause.label, 200)}", "") for cause in causes]
    if tally.last:
        lines.append((f"  {_cut(tally.last, 200)}{mark}", "dim"))
    return lines


def elapsed(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:05`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def best(tally: Tally, mark: str) -> str:
    """The best score on val so far: `64.8%  +12.0 points (optimistic: val chose it)`."""
    if tally.best is None:
        return "not known yet"
    gain = "" if tally.gain is None else f"  {100 * tally.gain:+.1f} points (optimistic: val chose it)"
    return f"{tally.best:.1%}{gain}{mark}"


def _calls(tally: Tally, *, named: bool = False) -> str:
    """`94 sent, 12 saved`; named: `94 calls sent, 12 saved`. A call that failed was sent as well."""
    told = {"sent": tally.paid, "saved": tally.saved}
    counts = [(what, number) for what, number in told.items() if number] or [("sent", 0)]
    parts = [f"{number:,} {what}" for what, number in counts]
    if named:
        what, number = counts[0]
        parts[0] = f"{counted(number, 'call')} {what}"
    if tally.flying:
        parts.append(f"{len(tally.flying)} under way")
    if tally.failed:
        kinds = ", ".join(f"{number:,} {KINDS.get(kind, kind.value)}" for kind, number in tally.kinds.most_common(3))
        parts.append(f"{tally.failed:,} failed ({kinds})")
    if tally.usd is None:
        parts.append("price unknown")
    elif tally.usd:
        parts.append(f"${tally.usd:.4f}" if tally.usd < 1 else f"${tally.usd:,.2f}")
    return ", ".join(parts)


def _cut(text: str, most: int) -> str:
    line = out.one_line(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _has_figures(event: Event) -> bool:
    return isinstance(event, TrialEnded) or (isinstance(event, Decided) and event.kind not in UNMARKED)


def _clusters_told(tally: Tally, event: ClustersFound) -> str:
    sizes = sorted(((len(found.members), found.label) for found in event.clusters), reverse=True)
    listed = [f"{_cut(label, 60)} ({size})" for size, label in sizes[:3]]
    more = [f"{len(sizes) - 3} more"] if len(sizes) > 3 else []
    if not sizes:
        return ""  # The decision to stop says it.
    if tally.same_causes:
        return f"round {event.round}: the same {'cause' if len(sizes) == 1 else f'{len(sizes)} causes'} of failure"
    return f"round {event.round}: {counted(len(sizes), 'cause')} of failure: {', '.join(listed + more)}"


def _progress_told(tally: Tally, event: Progress) -> str:
    if event.step.startswith("trial"):
        return ""
    return f"{tally.where}: {_calls(tally, named=True)}" if tally.paid or tally.saved else tally.where


def _trial_told(tally: Tally, event: TrialEnded) -> str:
    trial = event.trial
    score = "no score" if trial.score is None else f"{trial.score:.1%} on {trial.rows} val rows"
    gain = "" if trial.gain is None else f", {100 * trial.gain:+.1f} points"
    edits = f", {tally.passed} of {tally.judged} edits passed the screen" if tally.trials == 1 and tally.judged else ""
    return f"round {trial.round}, trial {trial.number}: {score}{gain}{edits}"


def _decided_told(_: Tally, event: Decided) -> str:
    if event.kind == "front":
        return ""  # A table, for the screen at the end.
    return _cut(f"{event.kind}: {event.reason}", 300)


def _held_told(_: Tally, event: Held) -> str:
    return _cut(resumes(event.account, event.why, event.seconds), 300)


_TOLD: dict[type, Callable[[Tally, Any], str]] = {
    ClustersFound: _clusters_told,
    Progress: _progress_told,
    Held: _held_told,
    TrialEnded: _trial_told,
    Decided: _decided_told,
}


def _live() -> Live:
    from rich.console import Console
    from rich.live import Live

    console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
    return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)


def _text(lines: Styled) -> Any:
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    for number, (line, style) in enumerate(lines):
        text.append(("\n" if number else "") + clean(out.without_secrets(line)), style=style)
    return text
