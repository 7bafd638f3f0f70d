"""Reasons in free words -> which of them tell the same.

A judge words one cause anew in every row, and puts the same preamble before different causes. So what nearly all
reasons begin or end with is left out, what is left is read clause by clause as a set of word stems, and clauses whose
stems overlap enough are one group. A reason with clauses of two groups tells of both. Plain counting: no model and no
word vectors. Wordings that share no word stay apart, unless `stems` knows them for one meaning.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from optimizer.phrasing.clauses import Clause, clauses
from optimizer.phrasing.linkage import linked

WITHIN: Final = 0.9
"""Share of a group's reasons that tell of another group too, from which it is a part of that one."""
NAMED_BY: Final = 3
"""Stems that name a group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One thing that a reason tells."""

    name: str
    """What it is: stems that most of its clauses share. The same for all reasons that tell it."""
    text: str
    """The words of this reason for it."""


def told(counts: Mapping[str, int]) -> dict[str, tuple[Told, ...]]:
    """Reason -> what it tells, at least one thing.

    Args:
        counts: reasons of one metric at one place, and how many rows have each.
    """
    reasons = sorted(counts, key=lambda reason: (-counts[reason], reason))
    found = clauses(reasons)
    group_of = _without_parts(found, _groups([clause for reason in reasons for clause in found[reason]]))
    kept = _kept(found, group_of, counts)
    names = _names(found, group_of, counts)
    return {
        reason: tuple(Told(name=names[group], text=clause.text) for group, clause in kept[reason].items())
        for reason in reasons
    }


Group = int
GroupOf = Mapping[frozenset[str], Group]
"""Stems of a clause -> its group."""


def _groups(found: Sequence[Clause]) -> dict[frozenset[str], Group]:
    """Distinct clauses by group; those without stems are one."""
    counts = Counter(clause.stems for clause in found if clause.stems)
    spelt = {words: " ".join(sorted(words)) for words in counts}
    # The most frequent first, else well mixed: the first batch must be like all of them.
    sets = sorted(counts, key=lambda words: (-counts[words], crc32(spelt[words].encode()), spelt[words]))
    group_of = {sets[place]: number for number, group in enumerate(linked(sets)) for place in group}
    group_of[frozenset()] = len(sets)
    return group_of


def _without_parts(found: Mapping[str, Sequence[Clause]], group_of: GroupOf) -> GroupOf:
    """A group that never is told alone, and nearly always with one and the same other, is a part of that one."""
    alone: set[Group] = set()
    beside: dict[Group, Counter[Group]] = defaultdict(Counter)
    count: Counter[Group] = Counter()
    for parts in found.values():
        groups = {group_of[clause.stems] for clause in parts}
        count.update(groups)
        alone |= groups if len(groups) == 1 else set()
        for group in groups:
            beside[group].update(groups - {group})
    whole: dict[Group, Group] = {}
    for group in sorted(count, key=lambda group: (count[group], group)):
        for other, together in beside[group].most_common(1):
            if group not in alone and count[other] > 1 and together >= WITHIN * count[group] and other not in whole:
                whole[group] = other
    return {words: whole.get(group, group) for words, group in group_of.items()}


def _kept(
    found: Mapping[str, Sequence[Clause]], group_of: GroupOf, counts: Mapping[str, int]
) -> dict[str, dict[Group, Clause]]:
    """Reason -> its groups; a group of one row says no more than the others of the row, where it has any."""
    rows: Counter[Group] = Counter()
    told_by: dict[str, dict[Group, Clause]] = {}
    for reason, parts in found.items():
        for clause in parts:
            told_by.setdefault(reason, {}).setdefault(group_of[clause.stems], clause)
        for group in told_by[reason]:
            rows[group] += counts[reason]
    kept: dict[str, dict[Group, Clause]] = {}
    for reason, groups in told_by.items():
        shared = {group: clause for group, clause in groups.items() if rows[group] > 1}
        kept[reason] = shared or dict(list(groups.items())[:1])
    return kept


def _names(found: Mapping[str, Sequence[Clause]], group_of: GroupOf, counts: Mapping[str, int]) -> dict[Group, str]:
    """Each group by the stems that most of its rows have; no two alike."""
    rows: dict[Group, Counter[str]] = defaultdict(Counter)
    for reason, parts in found.items():
        for clause in parts:
            for word in clause.stems:
                rows[group_of[clause.stems]][word] += counts[reason]
    names: dict[Group, str] = {}
    taken: set[str] = set()
    for group in sorted(set(group_of.values())):
        order = sorted(rows[group], key=lambda word: (-rows[group][word], word))
        sizes = range(min(NAMED_BY, len(order)), len(order) + 1)
        tried = (" ".join(sorted(order[:size])) for size in sizes)
        names[group] = next((name for name in tried if name not in taken), f"{' '.join(sorted(order))} {group}")
        taken.add(names[group])
    return names
