"""Commands that compare and list versions of prompts: diff, compare, log, blame."""

from __future__ import annotations

from typing import Annotated

import typer

from optimizer.cli import completing, options, out

Second = Annotated[
    str | None,
    typer.Argument(
        metavar="B",
        help="The same; without it, A is compared with what it was made from.",
        show_default=False,
        autocompletion=completing.targets,
    ),
]
"""The prompt that another one is held against."""


def diff(
    first: Annotated[
        str | None,
        typer.Argument(
            metavar="A",
            help="A run, NAME@vN or a file; the latest run by default.",
            show_default=False,
            autocompletion=completing.targets,
        ),
    ] = None,
    second: Second = None,
    as_json: options.Json = False,
) -> None:
    """Show what changed between two prompts.

    Line by line and word by word, with why it changed and what it is worth, where a run knows that.
    """
    from optimizer import diff as differ
    from optimizer.cli import two_prompts

    found = two_prompts.compared(first, second)
    if as_json:
        out.data(found.to_json())
    else:
        out.page(differ.render(found, out.width(), out.color()))


def compare(
    first: Annotated[
        str | None,
        typer.Argument(
            metavar="A",
            help="A run (its winner), NAME@vN; the latest run by default.",
            show_default=False,
            autocompletion=completing.targets,
        ),
    ] = None,
    second: Second = None,
    broken: Annotated[bool, typer.Option("--broken", help="Only rows that pass under A and fail under B.")] = False,
    fixed: Annotated[bool, typer.Option("--fixed", help="Only rows that fail under A and pass under B.")] = False,
    tag: Annotated[str | None, typer.Option("--tag", help="Only rows with this tag.", show_default=False)] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="Only rows of train, val or test.", show_default=False, autocompletion=completing.splits
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows that are shown.")] = 20,
    as_json: options.Json = False,
) -> None:
    """Compare two runs or versions row by row, the worst first.

    Fixed, broken, same and error; by split, tag and check; cost and latency. Reads stored results alone: no call is
    made, no look at the test rows is counted, and test rows that no run opened stay sealed.
    """
    from optimizer import review
    from optimizer.cli import two_sides

    fates = tuple(name for name, asked in (("broken", broken), ("fixed", fixed)) if asked)
    with two_sides.sides(first, second) as pair:
        wanted = two_sides.wanted(pair, fates=fates, tag=tag, split=split)
        facts = review.paired(*pair, wanted, limit=None if as_json else limit)
    if as_json:
        out.data(facts)
    else:
        out.page(review.page(facts, out.width(), out.color(), limit))


def log(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A prompt; all of them by default.",
            show_default=False,
            autocompletion=completing.prompts,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the versions of a prompt as a tree: parent, run, scores, verdict.

    With the trials that lost to each version, and the runs that found nothing better.
    """
    from optimizer.cli import version_list

    found = version_list.versions(name)
    if as_json:
        out.data(found)
    elif found:
        out.page(version_list.page(found))
    else:
        out.note("no versions under prompts/ yet (a run that finds something better writes one)")


def blame(target: options.Target = None, as_json: options.Json = False) -> None:
    """Show what each line is worth, and which run brought it.

    Worth, interval, label, cause and tokens of every line, back through the versions that led to this one; lines of
    the first version say so.
    """
    from optimizer.cli import blaming

    found = blaming.facts(target)
    if as_json:
        out.data(found)
    else:
        out.page(blaming.page(found))
