"""All commands by name. The order is that of the help."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import typer

from optimizer.cli import caching, judging, marking, reading, running, shipping, versions, workspace

HELP = """Find out why a prompt fails, mend it with the smallest edits that measurably help, and prove the gain.

Start with: optimizer init
"""


def _version(wanted: bool) -> None:
    if wanted:
        from optimizer.cli import out
        from optimizer.cli.release import DISTRIBUTION, release

        out.say(f"{DISTRIBUTION} {release()}")
        raise typer.Exit


def _everything(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    no_pager: Annotated[bool, typer.Option("--no-pager", help="Send no page through $PAGER.")] = False,
) -> None:
    if no_pager:
        from optimizer.cli import out

        out.without_pager()


@functools.cache
def command() -> Any:
    """The command line, ready to be called with arguments. Made once: a program may run many commands."""
    # Without markup modes typer loads no rich, and the help is there in a moment.
    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_everything)
    app.command("init")(workspace.init)
    app.command("run")(running.run)
    app.command("eval")(running.evaluate)
    app.command("runs")(reading.runs)
    app.command("show")(reading.show)
    app.command("failures")(reading.failures)
    app.command("case")(reading.case)
    app.command("mark")(marking.mark)
    app.command("marks")(marking.marks)
    app.command("diff")(versions.diff)
    app.command("compare")(versions.compare)
    app.command("log")(versions.log)
    app.command("blame")(versions.blame)
    app.command("gate")(judging.gate)
    app.command("check")(judging.check)
    app.command("export")(shipping.export)
    app.command("apply")(shipping.apply)
    cache = typer.Typer(help="The store of paid answers.", no_args_is_help=True, rich_markup_mode=None)
    cache.command("stats")(caching.stats)
    cache.command("explain")(caching.explain)
    cache.command("prune")(caching.prune)
    app.add_typer(cache, name="cache")
    return typer.main.get_command(app)
