"""Protected rows: what passed with the seed may not fail with the winner. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from optimizer.dataset import Example
from optimizer.errors import DataError, Problem
from optimizer.readers.base import nearest
from optimizer.results import Evaluation

TAG = "tag:"
"""In front of a tag, where a row id could stand too."""
MOST_HINTS = 5
"""Unknown names that a similar one is looked up for: among 100,000 ids each takes its time."""


def protected(
    examples: Sequence[Example], spec: Sequence[str], where: str | Callable[[int], str] = "protect"
) -> frozenset[str]:
    """Ids of the rows that a spec names.

    Args:
        examples: all rows of the eval set.
        spec: row ids, and `tag:NAME` for every row with that tag. Where a row is itself called `tag:NAME`, it is
            protected as well.
        where: what an error points at: the eval file, or a function that gives the place of a name by its index.

    Raises DataError with every name that no row and no tag has.
    """
    if not spec:
        return frozenset()
    ids = {example.id for example in examples}
    tagged: dict[str, list[str]] = {}
    for example in examples:
        for tag in example.tags:
            tagged.setdefault(tag, []).append(example.id)
    found: set[str] = set()
    problems: list[Problem] = []
    for index, name in enumerate(spec):
        rows = [*([name] if name in ids else []), *_with_tag(name, tagged)]
        found.update(rows)
        if not rows:
            hint = len(problems) < MOST_HINTS
            problem, fix = _unknown(name, ids, tagged, hint=hint)
            at = where if isinstance(where, str) else where(index)
            problems.append(Problem(where=at, field=f"protect[{index}]", problem=problem, fix=fix))
    if problems:
        raise DataError(problems)
    return frozenset(found)


def broken(baseline: Evaluation, candidate: Evaluation, ids: Iterable[str]) -> tuple[str, ...]:
    """Protected rows that pass under the baseline and not under the candidate, by id.

    A row that ended in an error under the candidate counts as broken. A row that one of the two was not run on is
    left out: whether it breaks is not known.
    """
    before, after = baseline.results, candidate.results
    both = (row for row in sorted(ids) if row in before and row in after)
    return tuple(row for row in both if before[row].passed and not after[row].passed)


def _with_tag(name: str, tagged: dict[str, list[str]]) -> list[str]:
    return tagged.get(name.removeprefix(TAG), []) if name.startswith(TAG) else []


def _unknown(name: str, ids: set[str], tagged: dict[str, list[str]], *, hint: bool) -> tuple[str, str]:
    """What is wrong with a name that stands for no row, and what to do."""
    if name.startswith(TAG):
        tag = name.removeprefix(TAG)
        have = ", ".join(sorted(tagged)[:20]) or "none"
        return f"no row has the tag {tag[:80]!r}", f"{nearest(tag, list(tagged)) if hint else ''}tags: {have}"
    if name in tagged:
        return f"no row {name[:80]!r}", f"there is a tag of that name: write {TAG}{name}"
    return f"no row {name[:80]!r}", f"{nearest(name, list(ids)) if hint else ''}write a row's id, or {TAG}NAME"
