"""The whole output as JSON: `json`, with a JSON Schema where one is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from optimizer.dataset import canonical_json
from optimizer.errors import ConfigError
from optimizer.metrics.base import FLAG, Check, Finding, MetricContext, argument, metric_error
from optimizer.metrics.json.read import NotJson, read_json
from optimizer.metrics.json.schema import SchemaFault, check_schema, fault_in
from optimizer.wording import quote

LARGEST_SCHEMA: Final = 1_000_000
"""Bytes that a schema file may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Json(Check):
    """The output is one JSON value and nothing else; with a schema, one that keeps the schema."""

    name: ClassVar[str] = "json"
    short: ClassVar[str | None] = "schema"

    schema: str | Mapping[str, Any] | None = field(
        default=None, metadata=argument("a schema, or the path of one", lambda value: isinstance(value, str | Mapping))
    )
    """A JSON Schema, or the path of a file with one, relative to the eval file."""
    lenient: bool = field(default=False, metadata=FLAG)
    """Whether JSON in a code fence passes too."""
    resolved: str = field(default="", repr=False)
    """The schema as canonical JSON; empty where there is none."""

    @classmethod
    def prepare(cls, args: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """Reads the schema's file where there is one; the schema must be valid and refer to itself alone."""
        schema = args.get("schema")
        if schema is None:
            return dict(args)
        value = _load(schema, root) if isinstance(schema, str) else schema
        try:
            check_schema(value)
            resolved = canonical_json(value)
        except SchemaFault as error:
            raise ConfigError(f"the schema is wrong: {error}") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"the schema is not JSON: {error}") from error
        return {**args, "resolved": resolved}

    async def measure(self, context: MetricContext) -> Finding:
        """1 for JSON that keeps the schema, else 0 with the first fault."""
        try:
            value = read_json(context.output, lenient=self.lenient)
        except NotJson as fault:
            return fault.finding()
        if self.resolved:
            try:
                finding = await fault_in(self.resolved, value)
            except SchemaFault as error:
                raise metric_error(self.key, context, f"cannot apply its schema: {error}") from error
            if finding is not None:
                return finding
        return Finding(value=1.0, place="format")

    def opposite(self, context: MetricContext, finding: Finding) -> Finding:
        """The output is JSON and must not be."""
        keeps = " that keeps the schema" if self.resolved else ""
        return Finding(reason=f"the output is JSON{keeps}, which it must not be", place="format", got="JSON")

    def sources(self) -> Mapping[str, str]:
        """The schema's file, as canonical JSON: its layout does not count."""
        if not isinstance(self.schema, str):
            return {}
        return {self.schema: hashlib.sha256(self.resolved.encode()).hexdigest()}


def _load(path: str, root: Path) -> Any:
    file = root / path
    try:
        if file.stat().st_size > LARGEST_SCHEMA:
            raise ConfigError(f"the schema {quote(path)} is larger than {LARGEST_SCHEMA} bytes")
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"the schema {quote(path)} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the schema {quote(path)} is not JSON: {error}") from error
