"""Commands that look at the store of paid answers: cache stats, explain, prune."""

from __future__ import annotations

from typing import Annotated

import typer

from optimizer.cli import find, options, out


def stats(as_json: options.Json = False) -> None:
    """Count the answers that are kept, and what they saved."""
    from optimizer.cli import cache_facts
    from optimizer.cli.log_lines import shown

    with shown(out.note):
        facts = cache_facts.facts(find.ROOT)
    if as_json:
        out.data(facts)
    else:
        out.page(cache_facts.page(facts))


def explain(
    wanted: Annotated[
        str, typer.Argument(metavar="ROW|KEY", help="Id of a row, or the key of a call.", show_default=False)
    ],
    run: options.Run = find.LATEST,
    prompt: options.Prompt = None,
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    param: options.Params = None,
    as_json: options.Json = False,
) -> None:
    """Say whether a call would hit the cache, and why not.

    Each part of the key of a row's next call, beside the nearest request that a run has made. Sends nothing.
    """
    from optimizer.cli import cache_explain
    from optimizer.cli.log_lines import shown

    flags = {"model": model, "base_url": base_url, "params": param}
    with shown(out.note):
        facts = cache_explain.facts(find.ROOT, wanted, run, prompt=prompt, flags=flags)
    if as_json:
        out.data(facts)
    else:
        out.page(cache_explain.page(facts))


def prune(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Answers older than 30d, 12h, 2w...", show_default=False),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="SIZE", help="All but the newest 500MB, 2GB...", show_default=False),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; without it nothing is, and the page says what would.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Delete old answers: first say what would go, with --yes delete it.

    Never while a run of this workspace writes. What is deleted has to be paid for again.
    """
    from optimizer.cli import cache_prune
    from optimizer.cli.log_lines import shown

    with shown(out.note):
        facts = cache_prune.prune(find.ROOT, older_than=older_than, keep=keep, delete=yes)
    if as_json:
        out.data(facts)
    else:
        out.page(cache_prune.page(facts))
