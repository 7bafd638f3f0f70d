"""Rows and metrics of a run that go along with an export: `--with-rows`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.cli import find
from optimizer.cli.find import Taken
from optimizer.config import MetricSpec
from optimizer.dataset import Split
from optimizer.errors import UserError
from optimizer.export.base import Proved
from optimizer.readers.base import nearest

if TYPE_CHECKING:
    from optimizer.export.promptfoo import Suite


def add(format: str, proved: Proved, found: Taken, splits: str) -> Proved:
    """The export with a test a row.

    Args:
        format: name of the export format.
        proved: the export.
        found: what was exported.
        splits: names of splits with commas between them.

    Raises UserError for a format that holds no rows, an unknown split, and a prompt that no run knows rows for.
    """
    from optimizer.export.promptfoo import with_rows

    if format != "promptfoo":
        raise UserError(f"--with-rows: {format} holds no rows (promptfoo does)")
    if not found.run:
        raise UserError(f"--with-rows: no run made {found.prompt.ref}, so its rows are not known (name a run)")
    return with_rows(proved, found.prompt, _suite(found.run, _named(splits)))


def _named(splits: str) -> frozenset[Split]:
    names, known = [name.strip() for name in splits.split(",")], [split.value for split in Split]
    for name in names:
        if name not in known:
            raise UserError(f"--splits: no split {name!r} ({nearest(name, known)}there are: {', '.join(known)})")
    return frozenset(map(Split, names))


def _suite(run: str, splits: frozenset[Split]) -> Suite:
    from optimizer.export.promptfoo import Suite
    from optimizer.metrics import metric_key
    from optimizer.readers.document import parse

    with find.opened(run) as reader:
        # A run folder may be somebody else's: the strict reader, which knows no aliases.
        asked = parse(reader.config_text, Path("config.yaml")).data
        rows = tuple((one.example, one.split) for one in reader.examples() if one.split in splits)
    specs = [MetricSpec(**entry) for entry in asked["metrics"]]
    return Suite(rows=rows, metrics={metric_key(spec): spec for spec in specs}, root=Path(asked["path"]).parent)
