"""The eval set that a run asks for: rows, checked, with their splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from optimizer.config import RunConfig
from optimizer.dataset import EvalSet, Example, Split, content_hash
from optimizer.readers.base import fault, shown
from optimizer.readers.marks import marks_path, read_marks, standing, version_of
from optimizer.readers.rows import Ledger, load_examples
from optimizer.readers.splits import place, read_lock
from optimizer.readers.spooled import SpooledEvalSet, SpooledExamples


def lock_path(config: RunConfig) -> Path:
    """`<name>.splits.json` beside the eval file."""
    return config.path.with_name(f"{config.name}.splits.json")


def load_eval_set(config: RunConfig, *, write: bool = True, spooled: bool = False) -> tuple[EvalSet, Ledger]:
    """Read the rows, check them and give each its split.

    Args:
        config: what the run asks for.
        write: False to leave the lock file alone, whatever is drawn; `keep_splits` writes it later.
        spooled: hold the rows in a temporary file; where people have marked rows, they are held in memory all the same.

    Raises DataError with every problem of the rows or of the splits, StoreError where the lock file cannot be
    written.
    """
    examples, ledger = load_examples(config.data, spooled=spooled and not marks_path(config.path).exists())
    path = lock_path(config)
    placed, _ = place(examples, config.splits, path, config.seed, ledger.splits, write=write)
    if path.exists() and {s.value: share for s, share in read_lock(path).shares.items()} != dict(config.splits):
        note = f"{shown(path)} was drawn with other shares than `splits` asks for; they stay (delete it to draw anew)"
        ledger = replace(ledger, warnings=(*ledger.warnings, note))
    if isinstance(examples, SpooledExamples):
        return SpooledEvalSet.of(config.name, examples, placed), ledger
    splits = {row.id: split for row, split in zip(examples, placed, strict=True)}
    marked, told = _marked(examples, config, splits)
    ledger = replace(ledger, warnings=(*ledger.warnings, *told))
    return EvalSet(name=config.name, examples=marked, splits={row.id: splits[row.id] for row in marked}), ledger


def _marked(
    examples: Sequence[Example], config: RunConfig, splits: Mapping[str, Split]
) -> tuple[tuple[Example, ...], list[str]]:
    """Rows as people have marked them, and what to tell of that. Rows that are set aside keep their split."""
    path = marks_path(config.path)
    labels = standing(read_marks(path)).labels
    if not labels:
        return tuple(examples), []
    kept: list[Example] = []
    told: list[str] = []
    for row in examples:
        label = labels.get(row.id)
        now = row if label is None else version_of(row, label, content_hash(row))
        if label is not None and now is row and label.content != content_hash(row):
            told.append(f"{shown(path)}: row {row.id} was edited since it was marked; the mark is left out")
        kept += [] if now is None else [now]
    counts = len(examples) - len(kept), sum(row not in examples for row in kept if row.id in labels)
    told.append(f"{shown(path)}: {counts[1]} relabelled, {counts[0]} set aside")
    if lacking := [split.value for split in Split if split not in {splits[row.id] for row in kept}]:
        raise fault(path, f"no row is left in {' or '.join(lacking)}", "take a mark back: optimizer mark ROW undo")
    return tuple(kept), told


def guarded(config: RunConfig, evalset: EvalSet) -> tuple[str, ...]:
    """Rows that people have marked as regressions, as far as they are in the eval set."""
    wanted = standing(read_marks(marks_path(config.path))).regressions
    known = {row.id for row in evalset.examples} if wanted else set()
    return tuple(row for row in wanted if row in known)


def keep_splits(config: RunConfig, evalset: EvalSet, ledger: Ledger) -> None:
    """Write what was drawn, once nothing else is wrong: mended rows must not find splits of the broken ones.

    Raises StoreError where the lock file cannot be written.
    """
    # Rows that are set aside were drawn too.
    whole = load_examples(config.data)[0] if marks_path(config.path).exists() else evalset.examples
    place(whole, config.splits, lock_path(config), config.seed, ledger.splits)
