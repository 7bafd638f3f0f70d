"""Starting and ending what sends requests: which run, the live display, signals, the verdict's exit code."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from optimizer.build import Ended, Order, execute
from optimizer.cli import find, out
from optimizer.cli.endpoints import endpoints
from optimizer.cli.interrupt import Stopper
from optimizer.cli.log_levels import LogLevel
from optimizer.cli.log_lines import EventLines, shown
from optimizer.cli.progress import Display, best
from optimizer.cli.tally import Tally
from optimizer.config import RunConfig
from optimizer.dataset import Split
from optimizer.errors import BudgetExceeded, GainNotShown, GateError, ProviderError, StoreError, UserError
from optimizer.events import Sink
from optimizer.outcome import Outcome, Verdict
from optimizer.report.wording import counted, go_on
from optimizer.scored import Scored
from optimizer.scored import score as score_prompt
from optimizer.store import RunReader, find_run, new_run_id, run_folder, unfinished

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which run is asked for."""

    eval_file: Path
    """Its eval file."""
    run_id: str | None
    """Its id; None where it is to be found by the eval file, or made."""
    resume: bool
    """Go on with it where it is there."""


def wanted(eval_file: Path | None, run: str | None, run_id: str | None, *, resume: bool) -> Wanted:
    """Make sense of EVAL_FILE, RUN, --run-id and --resume together.

    Raises UserError where they do not fit, and for a run that is not there.
    """
    if run_id is not None:
        run_folder(find.ROOT, run_id)  # an id that is not usable is told before anything is written
    if not resume:
        if run is not None:
            raise UserError(f"{run}: goes with --resume (--run-id names a new run)")
        if eval_file is None:
            raise UserError("which eval file? (optimizer run EVAL_FILE; optimizer init makes one)")
        return Wanted(eval_file=eval_file, run_id=run_id, resume=False)
    if run is None and eval_file is not None and not eval_file.exists() and not eval_file.suffix:
        # `run --resume RUN`: what stands first is the run.
        eval_file, run = None, str(eval_file)
    elif run is not None and eval_file is not None and not eval_file.exists() and Path(run).is_file():
        eval_file, run = Path(run), str(eval_file)
    found = find_run(find.ROOT, run) if run is not None else run_id
    if eval_file is None:
        found = found or unfinished(find.ROOT)
        if found is None:
            raise UserError("no unfinished run to go on with (optimizer run EVAL_FILE starts one)")
        with RunReader(find.ROOT, found) as reader:
            eval_file = Path(reader.meta.eval_file)
    return Wanted(eval_file=eval_file, run_id=found, resume=True)


def run(
    wanted: Wanted, config: RunConfig, *, tries: tuple[str, ...], arguments: Sequence[str] | None, level: LogLevel
) -> Ended:
    """Run to the end, with progress. Raises Interrupted with the command that goes on, where the user stopped it."""
    run_id = wanted.run_id
    if run_id is None:
        stuck = unfinished(find.ROOT, config.name)
        if stuck and not wanted.resume:
            out.note(f"note: run {stuck} of this eval file did not end; --resume goes on with it")
        run_id = (stuck if wanted.resume else None) or new_run_id(find.ROOT, config.name)
    asked = tuple(arguments or ("run", str(config.path)))
    order = Order(config=config, root=find.ROOT, run_id=run_id, resume=wanted.resume, tries=tries, arguments=asked)
    display = Display(config.name, stand_in=config.model.stand_in)
    resume = go_on(asked, run_id)
    line = f"interrupted; go on with: {resume}"
    try:
        with shown(display.say, level):
            return _watched(execute(order, watch=_sinks(display, level)), display, config, line)
    except (BudgetExceeded, ProviderError, StoreError) as error:
        if isinstance(error, BudgetExceeded) and display.tally.best is not None:
            error.add_note(f"best so far on val: {best(display.tally, display.mark)}")
        if run_folder(find.ROOT, run_id).database.is_file():
            error.add_note(f"run paused, {_kept(run_id)}; go on with: {resume}")
        raise


def _kept(run_id: str) -> str:
    """How many answers a paused run holds, as far as its file can be read."""
    try:
        with RunReader(find.ROOT, run_id) as reader:
            return f"{counted(len(reader.completions()), 'answer')} kept"
    except (StoreError, UserError):
        return "what it has is kept"


def score(config: RunConfig, splits: Sequence[Split], level: LogLevel) -> tuple[Scored, Tally]:
    """Score one prompt, with progress; the result, and what was sent for it."""
    display = Display(config.name, stand_in=config.model.stand_in)
    work = score_prompt(config, root=find.ROOT, splits=splits, watch=_sinks(display, level))
    line = "interrupted; what was paid is kept: the same command goes on from there"
    with shown(display.say, level):
        return _watched(work, display, config, line), display.tally


def _sinks(display: Display, level: LogLevel) -> tuple[Sink, ...]:
    return (display, EventLines(display.say)) if level is LogLevel.DEBUG else (display,)


def _watched(work: Coroutine[Any, Any, T], display: Display, config: RunConfig, line: str) -> T:
    async def shown() -> T:
        display.begin(endpoints(config))
        async with display.ticking():
            return await work

    return Stopper(display, line).run(shown())


def show(ended: Ended, *, as_json: bool) -> None:
    """The run's one-minute screen, or its facts."""
    from optimizer.report.screen import one_minute
    from optimizer.report.summary import summary

    with RunReader(find.ROOT, ended.run_id) as reader:
        if as_json:
            out.data(summary(reader))
        else:
            out.page(one_minute(reader, out.width(), out.color()), paged=False)


def check(outcome: Outcome, *, require_gain: bool) -> None:
    """Raise GateError for BLOCKED, and GainNotShown where a gain is required and not shown."""
    if outcome.verdict is Verdict.BLOCKED:
        raise GateError(f"{outcome.verdict}: {outcome.reason}")
    if require_gain and outcome.verdict is not Verdict.GAIN_SHOWN:
        raise GainNotShown(f"--require-gain: the verdict is {outcome.verdict}: {outcome.reason}")
