"""Checks of the output as JSON: `json` (with a schema) and `json-field`."""

from optimizer.metrics.json.field import JsonField
from optimizer.metrics.json.valid import Json

__all__ = ["Json", "JsonField"]
