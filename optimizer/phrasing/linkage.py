"""Sets of words -> groups of sets that overlap: average linkage over cosines, in batches where there are many."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

ALIKE: Final = 0.2
"""Mean cosine from which two groups are one."""
RARE: Final = 0.5
"""Weight of a word that stands in one set alone: it links nothing."""
BATCH: Final = 200
"""Sets that are compared pair by pair; the others join the groups that these make, or wait for the next batch."""
BATCHES: Final = 5
"""After so many, a set that is like none of the groups stays alone."""
TAKEN: Final = 0.05
"""Share of the waiting sets that a batch must take in for another one to be worth its time."""
LARGE: Final = 4
"""Sets from which a group of one batch is compared with those of another."""
MOST_WORDS: Final = 24
"""Of a group that a set is compared with."""

Words = frozenset[str]
Vector = Mapping[str, float]
"""Word -> weight; of length one."""


def linked(sets: Sequence[Words]) -> list[list[int]]:
    """Groups of places in `sets`, which are distinct, the likelier ones first; the order of groups is that of sets.

    The time grows with the square of a batch and, for the rest, with the groups that a set shares a word with.
    """
    vectors = _vectors(sets)
    groups: list[list[int]] = []
    waiting = list(range(len(sets)))
    for _ in range(BATCHES):
        batch, rest = waiting[:BATCH], waiting[BATCH:]
        made = [[batch[place] for place in group] for group in _linked([vectors[place] for place in batch])]
        waiting = _joined(made, rest, vectors)
        groups += made
        if len(rest) - len(waiting) < TAKEN * len(rest):
            break
    return sorted([*_met(groups, vectors), *([place] for place in waiting)])


def _met(groups: Sequence[list[int]], vectors: Sequence[Vector]) -> list[list[int]]:
    """Groups with those of other batches that are alike made one; small ones are left as they are."""
    large = sorted((group for group in groups if len(group) >= LARGE), key=len, reverse=True)[:BATCH]
    means = [_mean([vectors[place] for place in group]) for group in large]
    joined = [[place for number in one for place in large[number]] for one in _linked(means, [*map(len, large)])]
    kept = {id(group) for group in large}
    return [sorted(group) for group in (*joined, *(group for group in groups if id(group) not in kept))]


def _vectors(sets: Sequence[Words]) -> list[Vector]:
    """A word weighs more, the fewer sets hold it; alone in its set it weighs less."""
    counts = Counter(word for words in sets for word in words)
    weight = {word: math.log(1 + len(sets) / count) * (RARE if count == 1 else 1.0) for word, count in counts.items()}
    found: list[Vector] = []
    for words in sets:
        length = math.sqrt(sum(weight[word] ** 2 for word in words)) or 1.0
        found.append({word: weight[word] / length for word in sorted(words)})
    return found


def _linked(vectors: Sequence[Vector], sizes: Sequence[int] = ()) -> list[list[int]]:
    """Average linkage down to ALIKE by chains of nearest neighbours; exact, in quadratic time.

    A group whose nearest neighbour is too far is done: no merge of others brings them nearer on average.

    Args:
        vectors: of sets; or of groups, their mean, so that a product is the mean cosine of two groups.
        sizes: of the groups.
    """
    weights = dict(enumerate(sizes or [1] * len(vectors)))
    near = _cosines(vectors)
    groups = {place: [place] for place in range(len(vectors))}
    done: list[list[int]] = []
    chain: list[int] = []
    while groups:
        if not chain:
            chain.append(min(groups))
        top = chain[-1]
        before = chain[-2] if len(chain) > 1 else -1
        # Of equals the one before on the chain, so that it ends; then the first.
        best = max(near[top], key=lambda other: (near[top][other], other == before, -other), default=-1)
        if best < 0 or near[top][best] < ALIKE:
            done.append(groups.pop(top))
            for other in near.pop(top):
                del near[other][top]
            chain.pop()
        elif best == before:
            del chain[-2:]
            kept, gone = min(top, best), max(top, best)
            _merge(near, (kept, weights[kept]), (gone, weights[gone]))
            groups[kept] += groups.pop(gone)
            weights[kept] += weights.pop(gone)
        else:
            chain.append(best)
    return sorted(sorted(group) for group in done)


def _cosines(vectors: Sequence[Vector]) -> dict[int, dict[int, float]]:
    holders: dict[str, list[int]] = defaultdict(list)
    near: dict[int, dict[int, float]] = {}
    for place, vector in enumerate(vectors):
        row: dict[int, float] = defaultdict(float)
        for word, weight in vector.items():
            for other in holders[word]:
                row[other] += weight * vectors[other][word]
            holders[word].append(place)
        near[place] = dict(row)
        for other, value in row.items():
            near[other][place] = value
    return near


def _merge(near: dict[int, dict[int, float]], first: tuple[int, int], second: tuple[int, int]) -> None:
    """The second of two (number, size) groups becomes a part of the first."""
    (kept, mine), (gone, theirs) = first, second
    old = near.pop(gone)
    for other in {*near[kept], *old} - {kept, gone}:
        value = (near[kept].get(other, 0.0) * mine + old.get(other, 0.0) * theirs) / (mine + theirs)
        near[kept][other] = near[other][kept] = value
        near[other].pop(gone, None)
    near[kept].pop(gone, None)


def _joined(groups: list[list[int]], places: Sequence[int], vectors: Sequence[Vector]) -> list[int]:
    """Put sets into the groups that they are alike enough to; the places of those that are not."""
    means = [_mean([vectors[place] for place in group]) for group in groups]
    holders: dict[str, list[int]] = defaultdict(list)
    most: dict[str, float] = defaultdict(float)
    for number, mean in enumerate(means):
        for word, weight in mean.items():
            holders[word].append(number)
            most[word] = max(most[word], weight)
    left: list[int] = []
    for place in places:
        deciding, others, light = _parted(vectors[place], most)
        near: dict[int, float] = defaultdict(float)
        for word, weight in deciding:
            for number in holders[word]:
                near[number] += weight * means[number][word]
        for number in [number for number, value in near.items() if value + light >= ALIKE]:
            near[number] += sum(weight * means[number].get(word, 0.0) for word, weight in others)
        best = max(near, key=lambda number: (near[number], -number), default=-1)
        if best >= 0 and near[best] >= ALIKE:
            groups[best].append(place)
        else:
            left.append(place)
    return left


def _mean(vectors: Sequence[Vector]) -> Vector:
    """The heaviest words of a group, each with its mean weight."""
    total: dict[str, float] = defaultdict(float)
    for vector in vectors:
        for word, weight in vector.items():
            total[word] += weight / len(vectors)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS])


def _parted(
    vector: Vector, most: Mapping[str, float]
) -> tuple[list[tuple[str, float]], list[tuple[str, float]], float]:
    """Words of which a group that is alike enough must hold one; the others, and the most that these add together.

    Args:
        vector: of one set.
        most: word -> its greatest weight in any group.
    """
    known = sorted((weight * most[word], word) for word, weight in vector.items() if word in most)
    bound, light = 0.0, 0
    while light < len(known) and bound + known[light][0] < ALIKE:
        bound += known[light][0]
        light += 1
    words = [(word, vector[word]) for _, word in known]
    return words[light:], words[:light], bound
