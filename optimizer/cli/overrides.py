"""Flags that take the place of the eval file's settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optimizer.cli import find
from optimizer.config import RunConfig
from optimizer.errors import UserError


def load(
    eval_file: Path,
    overrides: Mapping[str, Any],
    *,
    params: Sequence[str] | None = None,
    mutator_url: str | None = None,
) -> RunConfig:
    """The eval file with the flags on top.

    Args:
        eval_file: the file.
        overrides: flags by the names of `readers.config.OVERRIDES`; None for one that was not given. A `prompt` may
            be a file or `NAME@vN`.
        params: `key=value` parameters of the task model.
        mutator_url: endpoint of the mutator that the flags name.

    Raises ConfigError, and UserError for flags that do not go together.
    """
    from optimizer.readers.config import load_config
    from optimizer.readers.versions import find_prompt

    given = dict(overrides)
    if given.get("prompt") is not None:
        given["prompt"] = find_prompt(given["prompt"], find.PROMPTS)
    if mutator_url is not None:
        if given.get("mutator") in (None, "none"):
            raise UserError("--mutator-base-url goes with --mutator (name the model that is served there)")
        given["mutator"] = {"name": given["mutator"], "base_url": mutator_url}
    config = load_config(eval_file, given)
    return with_params(config, dict(map(param, params or ())))


def with_params(config: RunConfig, params: Mapping[str, Any]) -> RunConfig:
    """The config with parameters of the task model set on top; a mutator that is the task model has them too."""
    if not params:
        return config
    model = replace(config.model, params={**config.model.params, **params})
    return replace(config, model=model, mutator=model if config.mutator == config.model else config.mutator)


def param(text: str) -> tuple[str, Any]:
    """`temperature=0` as a pair; the value is JSON where it can be read as JSON, and text otherwise.

    Raises UserError for anything else, and for a name that looks like a secret's.
    """
    from optimizer.readers.eval_file import check_params

    name, equals, written = text.partition("=")
    if not equals or not name.isidentifier():
        raise UserError(f"--param {text[:40]}: not KEY=VALUE (write --param temperature=0)")
    try:
        value = json.loads(written, parse_constant=_not_finite)
    except (ValueError, RecursionError):
        value = written
    try:
        check_params({name: value})
    except ValueError as error:
        raise UserError(f"--param {name}: {error}") from None
    return name, value


def _not_finite(text: str) -> Any:
    raise ValueError(text)
