"""The stand-in's memory of the play: which fact of `world.json` fits a question best."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from optimizer.models.offline.world import STOP, WORD, alternatives, concept, concepts, load, plain, stem

HOUSES = ("capulet", "montague")
TITLE = re.compile(
    r"\b(?:in|from|play|tragedy|drama|shakespeare's|titled|reading|watching|studying|about|of the play|called)\s+"
    r"[\"']?romeo (?:and|&) juliet[\"']?(?:'s)?[,:]?|^\s*romeo (?:and|&) juliet\s*[:.,-]"
)
HOUSE_USE = re.compile(
    r"(?:\b(?:house of|a|an|the|young|every|any|one|which|rival|fellow|s)\s+(?:capulet|montague)(?!\s*'s)\b"
    r"|\b(?:capulet|montague)s\b"
    r"|\b(?:capulet|montague)(?:'s)?\s+(?:party|feast|ball|house|tomb|family|daughter|son|heir|servants?|home|orchard|"
    r"girl|"
    r"boy|wall|garden|crypt|vault|mansion|side|clan|name|household|cousin|nephew|men|man|youth|banquet|revel\w*))"
)
UNMATCHED = 0.6
"""Share of a term's weight that a fact loses where the question lacks the term."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A question, made comparable."""

    text: str
    """Lower case, names in their one form."""
    bag: frozenset[str]
    """Stems of its content words, people as their ids."""
    raw: frozenset[str]
    """The same without synonyms: quotations are found by these."""
    people: tuple[str, ...]
    """Ids of the people it names, in order, each once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that identifies one person."""

    groups: tuple[frozenset[str], ...]
    """Terms that belong to it, each with its alternatives."""
    extra: frozenset[str]
    """Terms that speak for it and are not missed."""
    who: str
    """Id of the person."""
    other: str | None = None
    """Whom it was done to."""


@lru_cache(maxsize=1)
def _forms() -> tuple[re.Pattern[str], dict[str, str]]:
    """A regex of every form of a name, and the id of each."""
    known = {form: who for who, person in load()["play"]["people"].items() for form in person["forms"]}
    return re.compile(rf"\b(?:{alternatives(known)})\b"), known


@lru_cache(maxsize=4096)
def query(text: str) -> Query:
    """Read a question."""
    pattern, known = _forms()
    lowered = TITLE.sub(" ", " ".join(plain(text).split()))
    houses = [match.span() for match in HOUSE_USE.finditer(lowered)]
    people: list[str] = []

    def merge(match: re.Match[str]) -> str:
        who = known[match.group(0)]
        inside = any(start <= match.start() < end for start, end in houses)
        if who not in people and not (inside and match.group(0) in HOUSES):
            people.append(who)
        return who

    merged = pattern.sub(merge, lowered)
    raw = frozenset(stem(word) for word in WORD.findall(merged) if word not in STOP)
    return Query(text=merged, bag=frozenset(concepts(merged)), raw=raw, people=tuple(people))


@lru_cache(maxsize=1)
def facts() -> tuple[Fact, ...]:
    """Traits and events of the data file as facts about people."""
    play = load()["play"]
    found: list[Fact] = []
    for trait in play["traits"]:
        groups = [frozenset(concept(word) for word in group) for group in trait["terms"]]
        ladies = {who[4:]: who for who in ("ladycapulet", "ladymontague")}
        merged: list[frozenset[str]] = []
        for group in groups:
            word = min(group)
            if merged and merged[-1] == {concept("lady")} and word in ladies:
                merged[-1] = frozenset({ladies[word]})
            elif group != {concept("lord")} and not group <= STOP:
                merged.append(group)
        found.append(Fact(groups=tuple(dict.fromkeys(merged)), extra=frozenset(), who=trait["who"]))
    for event in play["events"]:
        groups = [frozenset(concept(verb) for verb in event["verbs"])]
        groups += [frozenset({event["to"]})] if "to" in event else []
        extra = frozenset(concepts(" ".join(map(str, (*event.get("more", ()), event.get("what", ""))))))
        extra = extra.difference(*groups)
        found.append(Fact(groups=tuple(groups), extra=extra, who=event["by"], other=event.get("to")))
    return tuple(found)


@lru_cache(maxsize=1)
def _weights() -> dict[str, float]:
    """Term -> how telling it is: rare terms are, people are."""
    counts: dict[str, int] = defaultdict(int)
    for fact in facts():
        for term in {term for group in fact.groups for term in group} | fact.extra:
            counts[term] += 1
    total = len(facts())
    weights = {term: math.log(total / count) for term, count in counts.items()}
    return weights | {who: max(weights.get(who, 0.0), 2.0) for who in load()["play"]["people"]}


@lru_cache(maxsize=1)
def _places() -> dict[str, list[int]]:
    """Term -> indices of the facts that hold it."""
    places: dict[str, list[int]] = defaultdict(list)
    for index, fact in enumerate(facts()):
        for term in {term for group in fact.groups for term in group} | fact.extra:
            places[term].append(index)
    return places


def weight(terms: Iterable[str]) -> float:
    """Weight of a group: that of its most telling term."""
    known = _weights()
    return max((known.get(term, 4.0) for term in terms), default=0.0)


def subject_of(asked: Query) -> str | None:
    """The person who acts in the question, where its word order tells."""
    names = "|".join(asked.people)
    if not names:
        return None
    gap = r"(?:who|whom|which|what|_{2,}|\[[^\]]*\]|\.\.\.)"
    for pattern in (
        rf"\bby (?:the )?({names})\b",
        rf"\b(?:did|does|do|has|had|will|would|can|could|should) (?:the |young )?({names})\b(?!'s)",
        rf"^\W*(?:the )?({names})(?!'s)\b(?! (?:is|was|gets|got) \w+(?:ed|en|ain|n) by)[^?]*{gap}",
    ):
        match = re.search(pattern, asked.text)
        if match:
            return match.group(1)
    return None


def identify(asked: Query, among: Collection[str] = (), leave_out: Collection[str] = ()) -> list[tuple[float, str]]:
    """People whom a question may mean, the likeliest first, with scores; empty where nothing fits.

    Args:
        asked: the question.
        among: ids to choose from; empty for all.
        leave_out: ids that are not the answer, such as those whom the question names.
    """
    actor = subject_of(asked)
    best: dict[str, float] = {}
    for index in sorted({index for term in asked.bag for index in _places().get(term, ())}):
        fact = facts()[index]
        score = _fit(fact, asked.bag)
        who = fact.who
        if fact.other is not None and fact.other not in leave_out and (actor == fact.who or fact.who in leave_out):
            who = fact.other
            score += weight([fact.who]) * (1 + UNMATCHED)
        elif actor is not None and actor == fact.other:
            score -= weight([fact.other])
        if score <= 0 or who in leave_out or (among and who not in among):
            continue
        low, high = sorted((score, best.get(who, 0.0)))
        best[who] = high + 0.08 * low
    rank = load()["play"]["people"]
    return sorted(((score, who) for who, score in best.items()), key=lambda item: (-item[0], rank[item[1]]["rank"]))


def _fit(fact: Fact, bag: frozenset[str]) -> float:
    hit = [group for group in fact.groups if group & bag]
    if not hit or not fact.groups:
        return 0.0
    got = sum(_group_weight(group & bag) for group in hit)
    missed = sum(_group_weight(group) for group in fact.groups if not group & bag)
    return got + 0.7 * math.fsum(weight([term]) for term in fact.extra & bag) - UNMATCHED * missed


@lru_cache(maxsize=4096)
def _group_weight(group: frozenset[str]) -> float:
    """The same as `weight`: the same few groups are weighed for every question."""
    return weight(group)


def best_bag(
    rows: Sequence[dict[str, Any]], terms: frozenset[str], least: float
) -> tuple[float, dict[str, Any]] | None:
    """The entry whose `bag` shares most with the terms, with its score; None below `least`."""
    scored = [(_overlap(row["bag"], terms), -index) for index, row in enumerate(rows)]
    score, index = max(scored, default=(0.0, 0))
    return (score, rows[-index]) if score >= least else None


def _overlap(bag: Sequence[str], terms: frozenset[str]) -> float:
    stems = _bag(tuple(bag))
    shared = stems & terms
    return len(shared) * (len(shared) / len(stems)) ** 0.25 if shared else 0.0


@lru_cache(maxsize=1024)
def _bag(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(concept(word) for word in words)


@lru_cache(maxsize=1)
def _verses() -> tuple[tuple[frozenset[str], ...], dict[str, list[int]]]:
    """Stems of each famous line, and the lines that hold a stem."""
    bags = tuple(frozenset(stem(word) for word in row["bag"]) for row in load()["play"]["lines"])
    holders: dict[str, list[int]] = defaultdict(list)
    for index, bag in enumerate(bags):
        for term in bag:
            holders[term].append(index)
    return bags, dict(holders)


def verse(asked: Query) -> tuple[float, dict[str, Any]] | None:
    """The famous line that shares most with a question, and the weight of what they share."""
    bags, holders = _verses()
    shared: dict[int, list[float]] = defaultdict(list)
    for term in sorted(asked.raw):
        for index in holders.get(term, ()):
            shared[index].append(math.log(len(bags) / len(holders[term])))
    scored = [(sum(found) * (len(found) / len(bags[index])) ** 0.15, -index) for index, found in shared.items()]
    best = max(scored, default=None)
    return None if best is None else (best[0], load()["play"]["lines"][-best[1]])
