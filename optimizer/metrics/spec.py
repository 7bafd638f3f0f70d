"""Checking what the eval file says of a metric, and the key that names it. Knows no single metric."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from optimizer.config import MetricSpec
from optimizer.errors import ConfigError
from optimizer.metrics.base import Check, Kind, arguments
from optimizer.wording import nearest, printable, quote, type_words

KEY_LIMIT: Final = 80
"""Characters of a key; a longer one ends in a hash of the whole."""
FOREIGN: Final[Mapping[str, str]] = {
    "equals": "exact",
    "match": "exact",
    "includes": "contains",
    "icontains": "contains with ignore_case: true",
    "contains-any": "contains with any: [...]",
    "contains-all": "contains with all: [...]",
    "icontains-any": "contains with any: [...] and ignore_case: true",
    "icontains-all": "contains with all: [...] and ignore_case: true",
    "starts-with": "regex with a pattern that begins with ^",
    "pattern": "regex",
    "is-json": "json",
    "contains-json": "json with lenient: true",
    "json-schema": "json with schema: ...",
    "choice": "label",
    "classifier": "label",
    "javascript": "python",
    "word-count": "length with min_words or max_words",
}
"""Names that other tools use -> what serves here."""


def unknown_metric(name: str, known: Mapping[str, type[Check]]) -> ConfigError:
    """The error for a name that no metric has."""
    bare = name.removeprefix("not-")
    hint = f"use {FOREIGN[bare]}" if bare in FOREIGN else nearest(bare, known)
    return ConfigError(f"there is no metric {quote(name)}; {hint or 'there are: ' + ', '.join(sorted(known))}")


def own_names(check: type[Check], args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by their own names: `value` of the short form becomes the argument that it sets."""
    named = dict(args)
    short = check.short
    if "value" in named and "value" not in arguments(check):
        if short is None:
            raise ConfigError(f"takes no single value; write {' or '.join(arguments(check))} with its value")
        if short in named:
            raise ConfigError(f'unknown argument "value"; {quote(short)} is given already')
        named[short] = named.pop("value")
    return named


def check_arguments(check: type[Check], args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by their own names, each known and of its kind, none missing. Raises ConfigError."""
    kinds = arguments(check)
    named = own_names(check, args)
    for name, value in named.items():
        if name not in kinds:
            hint = nearest(str(name), kinds) or f"it takes {', '.join(kinds)}"
            raise ConfigError(f"unknown argument {quote(str(name))}; {hint}")
        if not kinds[name].accepts(value):
            raise ConfigError(_wrong_kind(name, value, kinds[name]))
    for setting in dataclasses.fields(check):
        if setting.name in kinds and setting.name not in named and setting.default is dataclasses.MISSING:
            raise ConfigError(f"the argument {quote(setting.name)} is missing; it is {kinds[setting.name].words}")
    return named


def _wrong_kind(name: str, value: Any, kind: Kind) -> str:
    # YAML reads `no`, 012 and 2024-01-01 as something else than text.
    quotable = "text" in kind.words and not isinstance(value, str | list | Mapping) and value is not None
    hint = "; put it in quotes" if quotable else ""
    if isinstance(value, list) and "list of texts" in kind.words and value:
        hint = "; put each of them in quotes"
    found = "empty" if value is None or value in ("", [], {}) else f"{quote(_plain(value))}, {type_words(value)}"
    return f"{name} is {found}, but {kind.words} is wanted{hint}"


def _plain(value: Any) -> Any:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return str(value)
    return value


def check_terms(check: type[Check], spec: MetricSpec) -> dict[str, Any]:
    """Weight, threshold and `required` as fields of the check. Raises ConfigError."""
    if not _number(spec.weight) or spec.weight < 0:
        raise ConfigError(f"weight is {quote(_plain(spec.weight))}, but a number from 0 on is wanted")
    if not isinstance(spec.required, bool):
        raise ConfigError(f"required is {quote(_plain(spec.required))}, but true or false is wanted")
    terms: dict[str, Any] = {"weight": float(spec.weight), "required": spec.required}
    if spec.threshold is not None:
        # At 0 everything would pass.
        if not _number(spec.threshold) or not 0 < spec.threshold <= 1:
            raise ConfigError(
                f"threshold is {quote(_plain(spec.threshold))}, but a number above 0, at most 1 is wanted"
            )
        terms["threshold"] = float(spec.threshold)
    return terms


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def build_check(check: type[Check], spec: MetricSpec, root: Path) -> Check:
    """A check from its spec. Raises ConfigError."""
    args = check_arguments(check, spec.args)
    return check(key=key_of(check, spec), **check_terms(check, spec), **check.prepare(args, root))


def key_of(check: type[Check], spec: MetricSpec) -> str:
    """Name, value of the short form, then the other arguments that are not at their default."""
    name = f"not-{spec.name}" if spec.negate else spec.name
    args = own_names(check, spec.args)
    defaults = {setting.name: setting.default for setting in dataclasses.fields(check)}
    parts = []
    for argument in arguments(check):
        value = args.get(argument)
        if value is None or _frozen(value) == defaults[argument]:
            continue
        parts.append(_shown(value) if argument == check.short else _named(argument, value))
    key = printable(f"{name}: {', '.join(parts)}" if parts else name)
    if len(key) <= KEY_LIMIT:
        return key
    return f"{key[: KEY_LIMIT - 8]}…#{_hash(args)}"


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _named(argument: str, value: Any) -> str:
    return argument if value is True else f"{argument}={_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "|".join(_shown(part) for part in value)
    return f"#{_hash(value)}" if isinstance(value, Mapping) else json.dumps(value, default=str)


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:6]
