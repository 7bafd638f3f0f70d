"""Commands that look at runs: runs, show, failures, case."""

from __future__ import annotations

from typing import Annotated

import typer

from optimizer.cli import find, options, out


def runs(as_json: options.Json = False) -> None:
    """List all runs, the latest first."""
    from optimizer.cli import run_list
    from optimizer.store import list_runs

    found = list_runs(find.ROOT)
    if as_json:
        out.data([run_list.facts(run) for run in found])
    elif found:
        out.say(run_list.text(found))
    else:
        out.note("no runs yet (optimizer run EVAL_FILE makes one)")


def show(run: options.Run = find.LATEST, as_json: options.Json = False) -> None:
    """Show what a run came to, on one screen.

    Why the prompt failed, what changed, what each line bought and cost, and whether the gain is real.
    """
    from optimizer import report

    with find.opened(run) as reader:
        if as_json:
            out.data(report.summary(reader))
        else:
            out.page(report.one_minute(reader, out.width(), out.color()))


def failures(
    run: options.Run = find.LATEST,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", help="Every row of one cluster: its id, or words of its label.", show_default=False),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List why rows failed, by cause.

    How many of each cause failed before and fail now, with examples; --cluster shows every row of one.
    """
    from optimizer.cli import failing

    with find.opened(run) as reader:
        facts = failing.facts(reader) if cluster is None else failing.cluster_facts(reader, cluster)
    if as_json:
        out.data(facts)
    else:
        out.page(failing.page(facts) if cluster is None else failing.cluster_page(facts))


def case(
    row: Annotated[
        str, typer.Argument(metavar="ROW", help="Id of a row, or the beginning of one.", show_default=False)
    ],
    run: options.Run = find.LATEST,
    as_json: options.Json = False,
) -> None:
    """Show one row: input, target, answers, reasons.

    Seed and winner side by side, with the raw messages that were sent.
    """
    from optimizer.cli import one_case

    with find.opened(run) as reader:
        facts = one_case.facts(reader, row)
    if as_json:
        out.data(facts)
    else:
        out.page(one_case.page(facts))
