"""Commands for CI: gate, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli import options, out


def gate(
    target: options.Target = None,
    min_score: options.MinScore = None,
    require_gain: Annotated[
        bool, typer.Option("--require-gain", help="The verdict has to be GAIN SHOWN; exit 4 where this alone fails.")
    ] = False,
    max_regressions: Annotated[
        int | None,
        typer.Option(
            "--max-regressions",
            metavar="N",
            min=0,
            help="Most rows that passed with the old prompt and fail with the new one.",
            show_default=False,
        ),
    ] = None,
    max_cost_increase: Annotated[
        float | None,
        typer.Option(
            "--max-cost-increase",
            metavar="PERCENT",
            help="Most that a call may cost more: in dollars, or in tokens where no price is known.",
            show_default=False,
        ),
    ] = None,
    max_errors: options.MaxErrors = None,
    junit: options.Junit = None,
    comment: options.Comment = None,
    github: options.Github = False,
    as_json: options.Json = False,
) -> None:
    """Hold a finished run against limits: exit 0 if it passes, 3 or 4 if not. Nothing is sent.

    Compared are the test rows, or the val rows where the run made no test. A run that has not ended or was BLOCKED,
    a shown loss and a prompt edited since it was measured never pass. A row with an error is no wrong answer: where
    such rows could change a check, it says so and fails.
    """
    from optimizer.cli import gating

    ways = gating.ways(junit, comment, github=github, as_json=as_json)
    limits = gating.limits(
        min_score=min_score,
        require_gain=require_gain,
        max_regressions=max_regressions,
        max_cost_increase=max_cost_increase,
        max_errors=max_errors,
    )
    found = gating.of_target(target, limits)
    gating.show(found, ways)
    gating.finish(found, ways)


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Eval files and prompts; all under evals/ and prompts/ by default.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Check eval files with their rows, and prompts. Nothing is sent, nothing is written."""
    from optimizer.cli import checking

    found = checking.checked(files)
    if as_json:
        out.data([one.to_json() for one in found])
    else:
        checking.say(found)
    checking.require(found)
