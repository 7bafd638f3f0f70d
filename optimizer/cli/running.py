"""Commands that send requests: run, eval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli import options, out
from optimizer.cli.log_levels import LogLevel


def run(
    context: typer.Context,
    eval_file: Annotated[
        Path | None, typer.Argument(metavar="EVAL_FILE", help="The eval file: evals/NAME.yaml.", show_default=False)
    ] = None,
    which: Annotated[
        str | None, typer.Argument(metavar="RUN", help="With --resume: the run to go on with.", show_default=False)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the unfinished run; start one where there is none.")
    ] = False,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Id of the run.", show_default=False)] = None,
    tries: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="LINE", help="A line of your own to try; may be repeated.", show_default=False),
    ] = None,
    prompt: options.Prompt = None,
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    mutator: options.Mutator = None,
    mutator_base_url: options.MutatorUrl = None,
    calls: options.Calls = None,
    usd: options.Usd = None,
    concurrency: options.Concurrency = None,
    seed: options.Seed = None,
    max_tokens: options.MaxTokens = None,
    prefer: options.Prefer = None,
    param: options.Params = None,
    require_gain: Annotated[bool, typer.Option("--require-gain", help="Exit 4 unless the gain is shown.")] = False,
    log_level: options.Level = LogLevel.WARNING,
    as_json: options.Json = False,
) -> None:
    """Improve the prompt of an eval file, and prove it.

    Finds out why it fails, tries the smallest edits that would mend each cause, prices every line of the winner, and
    tests it once on rows that the search never saw.
    """
    from optimizer.cli import launch, overrides

    wanted = launch.wanted(eval_file, which, run_id, resume=resume)
    flags = {"prompt": prompt, "model": model, "base_url": base_url, "mutator": mutator, "calls": calls, "usd": usd}
    more = {"concurrency": concurrency, "seed": seed, "max_tokens": max_tokens, "prefer": prefer}
    config = overrides.load(wanted.eval_file, flags | more, params=param, mutator_url=mutator_base_url)
    ended = launch.run(wanted, config, tries=tuple(tries or ()), arguments=context.find_root().obj, level=log_level)
    launch.show(ended, as_json=as_json)
    launch.check(ended.outcome, require_gain=require_gain)


def evaluate(
    eval_file: options.EvalFile,
    split: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="SPLIT",
            help="train, val or test; train and val by default. A test counts as a look.",
            show_default=False,
        ),
    ] = None,
    prompt: options.Prompt = None,
    model: options.Model = None,
    base_url: options.BaseUrl = None,
    calls: options.Calls = None,
    usd: options.Usd = None,
    concurrency: options.Concurrency = None,
    param: options.Params = None,
    min_score: options.MinScore = None,
    max_errors: options.MaxErrors = None,
    junit: options.Junit = None,
    comment: options.Comment = None,
    github: options.Github = False,
    log_level: options.Level = LogLevel.WARNING,
    as_json: options.Json = False,
) -> None:
    """Score one prompt and say why it fails, without a search.

    With --min-score, --max-errors or a report it is a gate as well: exit 3 unless its checks pass.
    """
    from optimizer.cli import gating, launch, overrides, scoring

    ways = gating.ways(junit, comment, github=github, as_json=as_json)
    splits = scoring.splits(split)
    flags = {"prompt": prompt, "model": model, "base_url": base_url, "calls": calls, "usd": usd}
    config = overrides.load(eval_file, flags | {"concurrency": concurrency}, params=param)
    gating.spare(config, ways)
    scored, tally = launch.score(config, splits, log_level)
    gate = gating.of_scored(config, scored, gating.limits(min_score=min_score, max_errors=max_errors), ways)
    facts = scoring.facts(config, scored, tally, gate)
    if as_json:
        out.data(facts)
    else:
        out.page(scoring.page(facts))
        gating.show(gate, ways)
    gating.finish(gate, ways)
    scoring.check(facts)
