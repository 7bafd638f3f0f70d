"""List prices: from the config, else from the table that litellm bundles, read without importing litellm."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from optimizer.config import ModelSpec, Price

TABLE = "model_prices_and_context_window_backup.json"
OPENAI_HOST = "api.openai.com"
_MILLION = 1_000_000


def list_price(spec: ModelSpec) -> Price | None:
    """Price of a model in dollars per million tokens; None where it is unknown, which is never 0.

    The stand-in costs nothing. An endpoint of one's own has no list price, whatever the model is called.
    """
    if spec.price is not None:
        return spec.price
    if spec.stand_in:
        return Price(input=0.0, output=0.0)
    if spec.base_url is not None and urlsplit(spec.base_url).hostname != OPENAI_HOST:
        return None
    table = _table()
    for name in _names(spec):
        price = _read(table.get(name))
        if price is not None:
            return price
    return None


def context_window(spec: ModelSpec) -> int | None:
    """Tokens that a model takes in one request; None where it is not known.

    An endpoint of one's own and the stand-in have no known window.
    """
    if spec.stand_in or (spec.base_url is not None and urlsplit(spec.base_url).hostname != OPENAI_HOST):
        return None
    for name in _names(spec):
        entry = _table().get(name)
        window = entry.get("max_input_tokens") if isinstance(entry, Mapping) else None
        if type(window) is int and window > 0:
            return window
    return None


def _names(spec: ModelSpec) -> tuple[str, ...]:
    """Names by which the table may know a model."""
    return spec.name, spec.model, spec.name.removeprefix("litellm/")


def known_prices(specs: Iterable[ModelSpec]) -> dict[str, Price]:
    """Prices by the name that the provider is given; models of unknown price are left out."""
    found = {spec.model: list_price(spec) for spec in specs}
    return {name: price for name, price in found.items() if price is not None}


def _read(entry: object) -> Price | None:
    if not isinstance(entry, Mapping):
        return None
    dollars = [entry.get("input_cost_per_token"), entry.get("output_cost_per_token")]
    if not all(isinstance(one, int | float) and math.isfinite(one) and one >= 0 for one in dollars):
        return None
    return Price(input=float(dollars[0] or 0) * _MILLION, output=float(dollars[1] or 0) * _MILLION)


@cache
def _table() -> Mapping[str, Any]:
    """The table of litellm, read once and only where a price is asked for; empty where there is none."""
    found = find_spec("litellm")
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder) / TABLE
        if path.is_file():
            table: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return table
    return {}
