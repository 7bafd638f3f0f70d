"""Which two prompts a comparison means, and the runs that know their rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from optimizer.cli import find
from optimizer.dataset import Split
from optimizer.errors import StoreError, UserError
from optimizer.prompt import Prompt
from optimizer.readers.base import near, nearest
from optimizer.review import Side
from optimizer.review.paired import Wanted
from optimizer.store import RunReader, list_runs


@contextlib.contextmanager
def sides(first: str | None, second: str | None) -> Iterator[tuple[Side, Side]]:
    """Both sides with their runs open.

    One target stands for what it was made from, and itself. Two versions are read from one run where one knows both.
    Raises UserError where a target stands for nothing, or no run has its rows.
    """
    after = find.taken(first if second is None else second)
    before = replace(after, prompt=_base(after)) if second is None else find.taken(first)
    of_runs = [_is_run(first), _is_run(first if second is None else second)]
    with contextlib.ExitStack() as stack:
        runs = _Runs(stack, [taken.run for taken in (after, before)])
        fingerprints = [taken.prompt.fingerprint for taken in (before, after)]
        together = next((run for run in runs.ids if all(runs.knows(run, name) for name in fingerprints)), None)
        pair = []
        for taken, of_run in zip((before, after), of_runs, strict=True):
            # A run that is named stands for its own rows, whatever another one says of the same prompt.
            wanted = [taken.run] if of_run else [*filter(None, [together, taken.run]), *runs.ids]
            name = _ref(taken)
            found = next((run for run in wanted if runs.knows(run, taken.prompt.fingerprint)), None)
            if found is None:
                raise UserError(f"{name}: no run has scored it (optimizer run --prompt {name} would)")
            pair.append(Side(ref=name, fingerprint=taken.prompt.fingerprint, reader=runs.reader(found)))
        if pair[0].ref == pair[1].ref and pair[0].reader is not pair[1].reader:
            pair = [replace(side, ref=f"{side.ref} in {side.reader.id}") for side in pair]
        yield pair[0], pair[1]


class _Runs:
    """Runs that are opened once, when they are asked for."""

    def __init__(self, stack: contextlib.ExitStack, first: list[str]) -> None:
        self._stack = stack
        self._opened: dict[str, RunReader] = {}
        rest = (info.id for info in list_runs(find.ROOT) if info.status)
        self.ids = list(dict.fromkeys([*filter(None, first), *rest]))

    def knows(self, run: str, fingerprint: str) -> bool:
        """Whether a run that can be read has rows of a prompt."""
        try:
            reader = self.reader(run)
        except (UserError, StoreError):
            # Gone or damaged: another run may know the prompt.
            return False
        return bool(reader.query("SELECT 1 FROM results WHERE candidate = ? LIMIT 1", fingerprint))

    def reader(self, run: str) -> RunReader:
        """The run, open until the end."""
        known = self._opened.get(run)
        if known is None:
            known = self._opened[run] = self._stack.enter_context(RunReader(find.ROOT, run))
            find.marked(known)
        return known


def _is_run(target: str | None) -> bool:
    return target in (None, find.LATEST) or not find.is_prompt(str(target))


def _base(taken: find.Taken) -> Prompt:
    if taken.base is None:
        raise UserError(f"{taken.prompt.ref}: what it was made from is not known (give two: compare A B)")
    return taken.base


def _ref(taken: find.Taken) -> str:
    """The version, else the run."""
    prompt = taken.prompt
    return prompt.ref if prompt.version is not None else f"{prompt.ref} of {taken.run or 'a file'}"


def wanted(pair: tuple[Side, Side], *, fates: tuple[str, ...], tag: str | None, split: str | None) -> Wanted:
    """Which rows are asked for. Raises UserError for an unknown tag or split, with the nearest."""
    splits = [one.value for one in Split]
    if split is not None and split not in splits:
        raise UserError(f"no split {split[:40]!r} ({nearest(split, splits)}there are: {', '.join(splits)})")
    if tag is not None:
        known = sorted({name for (name,) in pair[1].reader.query(_TAGS)})
        if tag not in known:
            match = near(tag, known)
            hint = f"did you mean {match!r}? " if match else ""
            raise UserError(f"no row has the tag {tag[:80]!r} ({hint}tags: {', '.join(known[:20]) or 'none'})")
    return Wanted(fates=fates, tag=tag, split=Split(split) if split else None)


_TAGS = "SELECT DISTINCT value FROM examples, json_each(examples.tags)"
