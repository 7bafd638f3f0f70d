"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli import completing
from optimizer.cli.log_levels import LogLevel

Level = Annotated[
    LogLevel,
    typer.Option(
        "--log-level",
        help="What the error stream tells besides progress: every event, what is done about faults, warnings, or none.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
EvalFile = Annotated[
    Path, typer.Argument(metavar="EVAL_FILE", help="The eval file: evals/NAME.yaml.", show_default=False)
]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Id of a run, or the beginning of one; the latest by default.",
        show_default=False,
        autocompletion=completing.runs,
    ),
]
Target = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|NAME@vN",
        help="A run, or a version of a prompt; the latest run by default.",
        show_default=False,
        autocompletion=completing.targets,
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", help="Task model, in place of the eval file's.", show_default=False)
]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", help="Endpoint of the task model that speaks the OpenAI protocol.", show_default=False),
]
Mutator = Annotated[
    str | None,
    typer.Option("--mutator", help="Model that proposes edits; none for mined edits alone.", show_default=False),
]
MutatorUrl = Annotated[
    str | None, typer.Option("--mutator-base-url", help="Endpoint of the model given by --mutator.", show_default=False)
]
Calls = Annotated[
    int | None, typer.Option("--budget-calls", min=1, help="Most provider attempts of every role.", show_default=False)
]
Usd = Annotated[float | None, typer.Option("--usd", help="Most US dollars.", show_default=False)]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", min=1, help="Most calls at once.", show_default=False)
]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Seed of everything that is drawn.", show_default=False)
]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", min=1, help="Most tokens of the prompt, by our estimate.", show_default=False),
]
Prefer = Annotated[
    str | None,
    typer.Option(
        "--prefer", metavar="shorter|cheaper", help="Which prompt, of those with as good a score.", show_default=False
    ),
]
AllowBlocked = Annotated[
    bool, typer.Option("--allow-blocked", help="Take the prompt of a run that a protected row blocked all the same.")
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        metavar="X",
        min=0,
        max=1,
        help="Least mean score, 0 to 1. The mean itself is compared; its 95% interval is told beside it.",
        show_default=False,
    ),
]
MaxErrors = Annotated[
    int | None,
    typer.Option(
        "--max-errors",
        metavar="N",
        min=0,
        help="Most rows without a score; one in five by default.",
        show_default=False,
    ),
]
Junit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML: one case a row.", show_default=False)
]
Comment = Annotated[
    Path | None,
    typer.Option("--comment", metavar="FILE", help="Write Markdown for a pull request.", show_default=False),
]
Github = Annotated[
    bool,
    typer.Option("--github", help="For GitHub Actions: annotations on the prompt's lines, step summary, outputs."),
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="KEY=VALUE", help="A parameter of the task model's calls: temperature=0.", show_default=False
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        help="Prompt in place of the eval file's: a file, or NAME@vN.",
        show_default=False,
        autocompletion=completing.versions,
    ),
]
