"""The eval set that a run asks for: rows, checked, with their splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from optimizer.config import RunConfig
from optimizer.dataset import EvalSet
from optimizer.readers.base import shown
from optimizer.readers.rows import Ledger, load_examples
from optimizer.readers.splits import assign, read_lock


def lock_path(config: RunConfig) -> Path:
    """`<name>.splits.json` beside the eval file."""
    return config.path.with_name(f"{config.name}.splits.json")


def load_eval_set(config: RunConfig, *, write: bool = True) -> tuple[EvalSet, Ledger]:
    """Read the rows, check them and give each its split.

    Args:
        config: what the run asks for.
        write: False to leave the lock file alone, whatever is drawn; `keep_splits` writes it later.

    Raises DataError with every problem of the rows or of the splits, StoreError where the lock file cannot be
    written.
    """
    examples, ledger = load_examples(config.data)
    path = lock_path(config)
    splits, _ = assign(examples, config.splits, path, config.seed, ledger.splits, write=write)
    if path.exists() and {s.value: share for s, share in read_lock(path).shares.items()} != dict(config.splits):
        note = f"{shown(path)} was drawn with other shares than `splits` asks for; they stay (delete it to draw anew)"
        ledger = replace(ledger, warnings=(*ledger.warnings, note))
    return EvalSet(name=config.name, examples=examples, splits=splits), ledger


def keep_splits(config: RunConfig, evalset: EvalSet, ledger: Ledger) -> None:
    """Write what was drawn, once nothing else is wrong: mended rows must not find splits of the broken ones.

    Raises StoreError where the lock file cannot be written.
    """
    assign(evalset.examples, config.splits, lock_path(config), config.seed, ledger.splits)
