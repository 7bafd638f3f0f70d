"""The Python API: what the command line does, from a program.

Every function has an async twin with an `a` in front; the sync one runs it to its end and cannot be called from a
running event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from optimizer.config import RunConfig
from optimizer.dataset import Split
from optimizer.errors import UserError
from optimizer.events import Sink

if TYPE_CHECKING:
    from optimizer.frames import Run
    from optimizer.scored import Scored

T = TypeVar("T")
EvalFile = str | Path | RunConfig
"""A path of an eval file, or a config made in Python."""


async def aoptimize(
    eval_file: EvalFile,
    *,
    overrides: Mapping[str, Any] | None = None,
    root: str | Path = ".",
    run_id: str | None = None,
    resume: bool = False,
    tries: str | Sequence[str] = (),
    watch: Sequence[Sink] = (),
) -> Run:
    """Find out why a prompt fails, mend it, and prove it.

    Args:
        eval_file: path of an eval file, or a RunConfig.
        overrides: keys of the eval file with other values: `{"model": "openai/gpt-4o-mini", "calls": 900}`. Limits of
            the budget may be named alone; paths are relative to the working folder.
        root: the workspace, where `runs/` and the cache lie.
        run_id: id of the run; None makes one.
        resume: go on with a run that was interrupted, where there is one.
        tries: lines of your own, tried beside the proposed ones.
        watch: sinks that are told every event as it happens.

    Returns:
        The run: verdict, prompt and everything behind them as DataFrames.

    Raises:
        UserError: something is wrong with the files or arguments; nothing was sent.
        BudgetExceeded, ProviderError, StoreError: the run stopped; call again with `resume=True`.
    """
    from optimizer.build import Order, execute
    from optimizer.frames import load_run

    order = Order(
        config=_config(eval_file, overrides),
        root=Path(root),
        run_id=run_id,
        resume=resume,
        tries=_several(tries),
    )
    ended = await execute(order, watch=watch)
    return load_run(ended.run_id, root=Path(root))


def optimize(
    eval_file: EvalFile,
    *,
    overrides: Mapping[str, Any] | None = None,
    root: str | Path = ".",
    run_id: str | None = None,
    resume: bool = False,
    tries: str | Sequence[str] = (),
    watch: Sequence[Sink] = (),
) -> Run:
    """Like `aoptimize`, to its end."""
    return _finish(
        aoptimize(eval_file, overrides=overrides, root=root, run_id=run_id, resume=resume, tries=tries, watch=watch),
        "aoptimize",
    )


async def aevaluate(
    eval_file: EvalFile,
    *,
    overrides: Mapping[str, Any] | None = None,
    root: str | Path = ".",
    splits: str | Sequence[str] = (Split.TRAIN.value, Split.VAL.value),
    watch: Sequence[Sink] = (),
) -> Scored:
    """Score one prompt, without a search.

    Args:
        eval_file: path of an eval file, or a RunConfig.
        overrides: keys of the eval file with other values: `{"prompt": "prompts/triage/v3.yaml"}`.
        root: the workspace, where the cache lies.
        splits: which rows; `test` among them counts as a look at it.
        watch: sinks that are told every event as it happens.

    Returns:
        Results by split, and the failures grouped by cause.

    Raises:
        UserError, BudgetExceeded, ProviderError, StoreError: as `aoptimize`.
    """
    from optimizer.scored import score

    wanted = [_split(name) for name in _several(splits)]
    return await score(_config(eval_file, overrides), root=Path(root), splits=wanted, watch=watch)


def evaluate(
    eval_file: EvalFile,
    *,
    overrides: Mapping[str, Any] | None = None,
    root: str | Path = ".",
    splits: str | Sequence[str] = (Split.TRAIN.value, Split.VAL.value),
    watch: Sequence[Sink] = (),
) -> Scored:
    """Like `aevaluate`, to its end."""
    return _finish(aevaluate(eval_file, overrides=overrides, root=root, splits=splits, watch=watch), "aevaluate")


def _several(texts: str | Sequence[str]) -> tuple[str, ...]:
    """One text alone is one item, not a list of its letters."""
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _split(name: str) -> Split:
    known = [split.value for split in Split]
    if name not in known:
        from optimizer.readers.base import nearest

        raise UserError(f"splits: no split {str(name)!r} ({nearest(str(name), known)}there are: {', '.join(known)})")
    return Split(name)


def _config(eval_file: EvalFile, overrides: Mapping[str, Any] | None) -> RunConfig:
    if isinstance(eval_file, RunConfig):
        if overrides:
            raise UserError("overrides go with an eval file; change the RunConfig itself with dataclasses.replace")
        return eval_file
    from optimizer.readers.config import load_config

    return load_config(Path(eval_file), overrides)


def _finish(work: Coroutine[Any, Any, T], twin: str) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise UserError(f"an event loop is running here: await optimizer.{twin}(...) instead")
