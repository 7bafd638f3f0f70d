"""Commands of people's own judgement: mark, marks."""

from __future__ import annotations

from typing import Annotated

import typer

from optimizer.cli import completing, find, options, out


def mark(
    row: Annotated[str, typer.Argument(metavar="ROW", help="Id of a row.", show_default=False)],
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="wrong-label, regression, note or undo.",
            show_default=False,
            autocompletion=completing.kinds,
        ),
    ],
    reason: Annotated[str, typer.Argument(metavar="REASON", help="Why, in words.", show_default=False)],
    expected: Annotated[
        str | None,
        typer.Option(
            "--expected",
            metavar="VALUE",
            help="With wrong-label: the right value, JSON or text; without it the row is set aside.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        str,
        typer.Option(
            "--run",
            help="The run that it was seen in; the latest that has the row by default.",
            autocompletion=completing.runs,
        ),
    ] = find.LATEST,
    by: Annotated[
        str | None, typer.Option("--by", help="Who says so; git's user.name by default.", show_default=False)
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Say what is wrong with a row, for everyone who works on the eval set.

    Kept in evals/NAME.marks.jsonl, to be committed. A wrong label gives the row a new version, and stored answers are
    scored anew without a call; a regression is protected from the next run on; undo takes marks back.
    """
    from optimizer.cli import marked_rows

    made = marked_rows.add(row, kind, reason, expected=expected, run=run, by=by)
    if as_json:
        out.data(made)
    else:
        out.page(marked_rows.added_page(made))


def marks(run: options.Run = find.LATEST, as_json: options.Json = False) -> None:
    """List the marks of a run's eval set: who said what of which row, and what holds."""
    from optimizer.cli import marked_rows

    facts = marked_rows.facts(run)
    if as_json:
        out.data(facts)
    else:
        out.page(marked_rows.page(facts))
