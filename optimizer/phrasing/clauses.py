"""A reason -> the clauses that tell of a cause: without the preamble, the ending and the filler of its judge."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from optimizer.phrasing.stems import stems

MASKED: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"|“[^”]*”|«[^»]*»|`[^`]*`|(?<!\w)[\'‘][^\'’]*[\'’](?!\w)|\d+(?:[.,:/-]\d+)*'
)
"""What changes from row to row: quoted values and numbers."""
CLAUSE: Final = re.compile(r"(?<=[.!?;])\s+|\s*\n\s*")
DOTS: Final = re.compile("…+")
ENDED: Final = (":", ".", ",", ";", "!", "?", "-", "–", "—", ")", "]")
"""A word that ends so may be the last of a preamble."""
BEFORE: Final = frozenset({"because", "that", "since", "namely", "as"})
"""Words after which a preamble may end."""
MOST_CHARACTERS: Final = 600
"""Of one reason that are read."""
MOST_CLAUSES: Final = 4
"""Of one reason that are read."""
SAMPLE: Final = 400
"""Reasons among which a preamble is looked for."""
LEAST_SHARED: Final = 3
"""Different reasons from which a preamble can be told."""
SHARED: Final = 0.8
"""Share of them that begin or end alike, from which that is a preamble or an ending."""
LONG_RUN: Final = 7
"""Words from which a shared beginning is a preamble even where no punctuation ends it."""
EMPTIED: Final = 0.3
"""Share of reasons that may have no word left without the preamble; where more would, it tells of the cause."""
FILLER: Final = 0.3
"""Share of reasons that hold the same clause, never alone, from which it is filler."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One clause of a reason."""

    text: str
    """Its words."""
    stems: frozenset[str]
    """What it says; empty where it has no words of its own."""


def clauses(reasons: Sequence[str]) -> dict[str, tuple[Clause, ...]]:
    """Distinct reason -> its clauses that tell of a cause, at least one; one without stems where none has any."""
    masked = {reason: _masked(reason[:MOST_CHARACTERS]) for reason in reasons}
    spans = _bare(masked)
    split = {reason: _split(reason, masked[reason], *spans[reason]) for reason in reasons}
    filler = _filler(split)
    return {reason: _telling(found, filler, reason) for reason, found in split.items()}


def _masked(reason: str) -> str:
    """The reason in lower case with all that changes made dots; every character keeps its place."""
    lower = reason.lower()
    # Some capital letters have two small ones.
    text = lower if len(lower) == len(reason) else reason
    return MASKED.sub(lambda match: "…" * len(match.group()), text)


def _bare(masked: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Reason -> where it begins and ends without the preamble and the ending that nearly all of them share."""
    whole = {reason: (0, len(text)) for reason, text in masked.items()}
    step = len(masked) // SAMPLE + 1
    kinds = list(dict.fromkeys(tuple(DOTS.sub("…", text).split()) for text in list(masked.values())[::step]))
    start, end = _run(kinds), _run([kind[::-1] for kind in kinds], backwards=True)[::-1]
    if not start and not end:
        return whole
    before, after = re.compile(rf"\s*{_spelt(start)}"), re.compile(rf"\s{_spelt(end)}\s*\Z")
    spans: dict[str, tuple[int, int]] = {}
    for reason, text in masked.items():
        first = before.match(text) if start else None
        at = first.end() if first else 0
        last = after.search(text, at) if end else None
        spans[reason] = (at, last.start() if last else len(text))
    emptied = sum(not stems(masked[reason][at:to]) for reason, (at, to) in spans.items())
    return spans if emptied <= EMPTIED * len(spans) else whole


def _spelt(run: Sequence[str]) -> str:
    """A pattern for words in a row, however long the values are that dots stand for."""
    return r"\s+".join(re.escape(word).replace("…", "…+") for word in run)


def _run(kinds: Sequence[tuple[str, ...]], *, backwards: bool = False) -> tuple[str, ...]:
    """The longest beginning that nearly all kinds share, back to its last punctuation."""
    run: tuple[str, ...] = ()
    if len(kinds) < LEAST_SHARED:
        return run
    alike = list(kinds)
    while True:
        nexts = Counter(kind[len(run)] for kind in alike if len(kind) > len(run) + 1)
        word, count = nexts.most_common(1)[0] if nexts else ("", 0)
        if count < SHARED * len(kinds):
            break
        run = (*run, word)
        alike = [kind for kind in alike if len(kind) > len(run) and kind[len(run) - 1] == word]
    if backwards:
        # The ending begins after a word that ends a clause: the first word before it, in this order.
        return run if alike and all(kind[len(run)].endswith(ENDED) for kind in alike) else ()
    ends = [place for place, word in enumerate(run, 1) if word.endswith(ENDED) or word in BEFORE]
    return run if len(run) >= LONG_RUN else run[: max(ends, default=0)]


def _split(reason: str, masked: str, start: int, end: int) -> list[Clause]:
    found: list[Clause] = []
    at = start
    bounds = [(match.start(), match.end()) for match in CLAUSE.finditer(masked, start, end)]
    for stop, after in [*bounds, (end, end)]:
        if reason[at:stop].strip():
            found.append(Clause(text=reason[at:stop].strip(), stems=stems(masked[at:stop])))
        at = after
    return found[:MOST_CLAUSES]


def _filler(split: Mapping[str, Sequence[Clause]]) -> set[frozenset[str]]:
    """Clauses that never stand alone, and are in many reasons or always beside one and the same other clause."""
    reasons: dict[frozenset[str], list[list[frozenset[str]]]] = defaultdict(list)
    for found in split.values():
        told = [clause.stems for clause in found if clause.stems]
        for words in dict.fromkeys(told):
            reasons[words].append([other for other in told if other != words])
    least = max(LEAST_SHARED, FILLER * len(split))
    filler: set[frozenset[str]] = set()
    # Of two that are always together, the one that comes first stays.
    for words, others in reversed(reasons.items()):
        always = set.intersection(*map(set, others)) - filler
        if all(others) and (len(others) >= least or (len(others) > 1 and always)):
            filler.add(words)
    return filler


def _telling(found: Sequence[Clause], filler: Collection[frozenset[str]], reason: str) -> tuple[Clause, ...]:
    told: dict[frozenset[str], Clause] = {}
    for clause in found:
        if clause.stems:
            told.setdefault(clause.stems, clause)
    kept = tuple(clause for words, clause in told.items() if words not in filler)
    return kept or tuple(told.values()) or (Clause(text=reason.strip(), stems=frozenset()),)
