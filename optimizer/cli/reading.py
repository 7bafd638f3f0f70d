"""Commands that look at runs: runs, show, failures, case."""

from __future__ import annotations

from typing import Annotated

import typer

from optimizer.cli import completing, find, options, out


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
    from optimizer.report.screen import one_minute
    from optimizer.report.summary import summary

    with find.opened(run) as reader:
        if as_json:
            out.data(summary(reader))
        else:
            out.page(one_minute(reader, out.width(), out.color()))


def failures(
    run: options.Run = find.LATEST,
    version: Annotated[
        str | None,
        typer.Option(
            "--version",
            metavar="NAME@vN",
            help="What fails under a version, not the winner.",
            show_default=False,
            autocompletion=completing.versions,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", help="The rows of one cluster: its id, or words of its label.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows of a cluster that are shown.")] = 3,
    as_json: options.Json = False,
) -> None:
    """List why rows failed, by cause.

    How many rows failed for each cause when it was found and fail for it now: fixed, open, new, with examples.
    """
    from optimizer.cli import failing, failing_page

    asked = failing.asked(run, version)
    with asked.reader:
        most = None if as_json else limit
        facts = failing.facts(asked) if cluster is None else failing.cluster_facts(asked, cluster, most)
    if as_json:
        out.data(facts)
    else:
        out.page(failing_page.page(facts) if cluster is None else failing_page.cluster_page(facts))


def case(
    row: Annotated[
        str, typer.Argument(metavar="ROW", help="Id of a row, or the beginning of one.", show_default=False)
    ],
    run: options.Run = find.LATEST,
    raw: Annotated[bool, typer.Option("--raw", help="Requests as sent and responses as received.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show one row: input, target, both answers, reasons.

    Seed and winner with what changed word by word, cost, latency and the messages that were sent.
    """
    from optimizer.cli import one_case, one_case_page

    with find.opened(run, keep=True) as reader:
        facts = one_case.facts(reader, row)
    if as_json:
        out.data(facts)
    else:
        out.page(one_case_page.page(facts, raw=raw))
