"""What `gate` and `eval` do with limits: find the evidence, tell the outcome, write the reports."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.cli import find, out
from optimizer.errors import StoreError, UserError
from optimizer.gate import Evidence, Gate, Limits, judge, of_run, of_scores
from optimizer.readers.base import shown

if TYPE_CHECKING:
    from optimizer.config import RunConfig
    from optimizer.scored import Scored

SUMMARY = "GITHUB_STEP_SUMMARY"
OUTPUT = "GITHUB_OUTPUT"
WORKSPACE = "GITHUB_WORKSPACE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """How the outcome is told besides the page."""

    junit: Path | None = None
    """File for JUnit XML."""
    comment: Path | None = None
    """File for Markdown."""
    github: bool = False
    """Whether GitHub Actions listens."""
    as_json: bool = False
    """Whether the standard output is JSON, and nothing else."""

    @property
    def any(self) -> bool:
        """Whether a report is wanted."""
        return self.github or self.junit is not None or self.comment is not None


def ways(junit: Path | None, comment: Path | None, *, github: bool, as_json: bool) -> Ways:
    """The same, checked before anything is paid for. Raises UserError for files that cannot be written."""
    for path in filter(None, (junit, comment)):
        if path.exists() and not path.is_file():
            raise UserError(f"{shown(path)}: not a file (name one that may be written)")
        if not path.absolute().parent.is_dir():
            raise UserError(f"{shown(path.parent)}: no such folder (make it first)")
    if junit is not None and comment is not None and os.path.realpath(junit) == os.path.realpath(comment):
        raise UserError(f"{shown(junit)}: --junit and --comment name the same file")
    return Ways(junit=junit, comment=comment, github=github, as_json=as_json)


def spare(config: RunConfig, told: Ways) -> None:
    """Raise UserError where a report would be written over a file that the run reads."""
    from optimizer.readers.evalset import lock_path
    from optimizer.readers.marks import marks_path

    read = (config.path, config.prompt, config.data.path, lock_path(config), marks_path(config.path))
    files = {os.path.realpath(path) for path in read}
    for path in filter(None, (told.junit, told.comment)):
        if os.path.realpath(path) in files:
            raise UserError(f"{shown(path)}: the run reads this file (write the report to another one)")


def limits(
    *,
    min_score: float | None = None,
    require_gain: bool = False,
    max_regressions: int | None = None,
    max_cost_increase: float | None = None,
    max_errors: int | None = None,
) -> Limits:
    """The limits of the flags. Raises UserError for what is no number."""
    for name, value in (("--min-score", min_score), ("--max-cost-increase", max_cost_increase)):
        if value is not None and not math.isfinite(value):
            raise UserError(f"{name} {value}: not a finite number")
    return Limits(
        min_score=min_score,
        require_gain=require_gain,
        max_regressions=max_regressions,
        max_cost_increase=max_cost_increase,
        max_errors=max_errors,
    )


def of_target(target: str | None, wanted: Limits) -> Gate:
    """The gate of a run, or of a version and the run that made it.

    Raises UserError where there is no such run, or none that knows how the version's rows came out.
    """
    if target is not None and target != find.LATEST and find.is_prompt(target):
        return judge(_of_version(target), wanted)
    run = find.LATEST if target is None else target
    try:
        with find.opened(run) as reader:
            return judge(of_run(reader), wanted)
    except UserError as error:
        raise (error if run == find.LATEST else find.with_prompts(run, error)) from None


def _of_version(target: str) -> Evidence:
    from optimizer.readers.versions import find_prompt

    found = find.taken(target)
    anew = f"score it anew: optimizer eval EVAL_FILE --prompt {target} --min-score X"
    if not found.run:
        raise UserError(f"{found.prompt.ref}: no run made it, so no rows speak for it ({anew})")
    path = str(find_prompt(target, find.PROMPTS))
    try:
        with find.opened(found.run) as reader:
            return of_run(reader, prompt=found.prompt, path=path)
    except UserError as error:
        raise UserError(f"{found.prompt.ref}: run {found.run}, which made it, is not here ({anew})") from error


def of_scored(config: RunConfig, scored: Scored, wanted: Limits, told: Ways) -> Gate | None:
    """The gate of one prompt that was scored; None where neither a limit nor a report is asked for."""
    if wanted == Limits() and not told.any:
        return None
    evidence = of_scores(
        scored.evaluations,
        scored.examples,
        subject=config.name,
        prompt=scored.prompt.ref,
        model=config.model.name,
    )
    return judge(replace(evidence, path=str(config.prompt), stand_in=config.model.stand_in), wanted)


def show(gate: Gate | None, told: Ways) -> None:
    """The gate on a page, or as JSON; nothing where there is none."""
    from optimizer.gate.facts import facts
    from optimizer.gate.page import page

    if gate is None:
        return
    if told.as_json:
        out.data(facts(gate))
    else:
        out.page(page(gate, out.width(), out.color()))


def finish(gate: Gate | None, told: Ways) -> None:
    """Write the reports, then raise GateError or GainNotShown unless every check passed.

    Raises StoreError where a file cannot be written.
    """
    if gate is None:
        return
    if told.junit is not None:
        from optimizer.gate.junit import junit

        _write(told.junit, junit(gate))
    if told.comment is not None:
        from optimizer.gate.markdown import markdown

        _write(told.comment, markdown(gate))
    if told.github:
        _tell_github(gate, told)
    gate.require()


def _tell_github(gate: Gate, told: Ways) -> None:
    from optimizer.gate.github import commands, outputs
    from optimizer.gate.markdown import markdown

    for line in commands(gate, Path(os.environ.get(WORKSPACE) or ".")):
        # Beside JSON they go to the error stream: the runner reads both.
        out.command(line, aside=told.as_json)
    _append(SUMMARY, markdown(gate))
    _append(OUTPUT, outputs(gate))


def _write(path: Path, text: str) -> None:
    from optimizer.readers import atomic

    try:
        atomic.replace(path, text)
    except OSError as error:
        raise _refused(path, error) from error
    out.note(f"wrote {shown(path)}")


def _append(name: str, text: str) -> None:
    """Add to a file that the runner names and made, in one write; nothing where it names none."""
    path = os.environ.get(name)
    if not path:
        return
    try:
        with open(path, "ab", buffering=0) as file:
            file.write(text.encode())
    except OSError as error:
        raise _refused(Path(path), error) from error


def _refused(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{shown(path)}: cannot be written: {error.strerror} (check space and rights)")
