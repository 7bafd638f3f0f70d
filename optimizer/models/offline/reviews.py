"""What the stand-in makes of a business review: praise and complaints in it, and the kind of business."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from optimizer.models.offline.world import WORD, alternatives, load, plain, stem

CLAUSE = re.compile(r"[.,;:!?()]|\bbut\b|\band\b|\byet\b|\bthough\b|\balthough\b|\bhowever\b")
REACH = 3
"""Words between a negation and the word it turns."""
LONG_STEM = 5
"""Shorter stems are not compared: `caring` is not `car`."""
FAINT = 0.34
"""Least score of a kind of business that is named."""
STRONG_WEIGHT = 2.5
"""Weight of a name of the business and of a word that hardly any other kind has."""
PHRASE_WEIGHT = 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What stands in a review."""

    praise: int
    """Kind words and phrases."""
    complaint: int
    """Complaining words and phrases."""
    business: str | None
    """Concept of the business, None where nothing tells."""

    @property
    def sentiment(self) -> str:
        """`praise`, `complaint`, `both` or `neither`."""
        if self.praise and self.complaint:
            return "both"
        return "praise" if self.praise else "complaint" if self.complaint else "neither"


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read a review."""
    lowered = plain(text)
    found = list(opinions(lowered))
    return Reading(praise=found.count("praise"), complaint=found.count("complaint"), business=business_of(lowered))


def opinions(text: str) -> Iterator[str]:
    """`praise` or `complaint` for each telling word or phrase of a lower-case text, negation counted in."""
    pattern, meaning = _phrases()
    for shape, kind in _patterns():
        text, count = shape.subn(" , ", text)
        yield from [kind] * count
    rest: list[str] = []
    cursor = 0
    for match in pattern.finditer(text):
        kind = meaning[match.group(0)]
        before = text[cursor : match.start()]
        rest.append(before)
        cursor = match.end()
        if kind in ("praise", "complaint"):
            yield _turned(kind) if _negated(text[: match.start()]) else kind
        rest.append(" , " if kind != "hollow" else " ")
    rest.append(text[cursor:])
    yield from _single("".join(rest))


def _single(text: str) -> Iterator[str]:
    for clause in CLAUSE.split(text):
        words = WORD.findall(clause)
        for index, word in enumerate(words):
            kind = _meaning(word)
            if kind:
                near = words[max(0, index - REACH) : index]
                yield _turned(kind) if any(_negator(other) for other in near) else kind


def _negated(before: str) -> bool:
    words = WORD.findall(CLAUSE.split(before)[-1])[-REACH:]
    return any(_negator(word) for word in words)


@lru_cache(maxsize=4096)
def _negator(word: str) -> bool:
    return word.endswith("n't") or word in _words()[2]


def _turned(kind: str) -> str:
    return "complaint" if kind == "praise" else "praise"


@lru_cache(maxsize=1)
def _words() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Single words of praise, of complaint, and negations."""
    known = load()["reviews"]
    praise, complaint = (frozenset(w for w in known[kind] if w.isalpha()) for kind in ("praise", "complaint"))
    return praise, complaint, frozenset(known["negators"])


@lru_cache(maxsize=1)
def _stems() -> dict[str, str]:
    praise, complaint, _ = _words()
    pairs = [(word, "praise") for word in praise] + [(word, "complaint") for word in complaint]
    return {stem(word): kind for word, kind in sorted(pairs) if len(stem(word)) >= LONG_STEM}


@lru_cache(maxsize=20_000)
def _meaning(word: str) -> str | None:
    praise, complaint, _ = _words()
    for form in (word, word.removesuffix("ly"), word.removesuffix("ily") + "y" if word.endswith("ily") else word):
        if form in complaint:
            return "complaint"
        if form in praise:
            return "praise"
    return _stems().get(stem(word))


@lru_cache(maxsize=1)
def _phrases() -> tuple[re.Pattern[str], dict[str, str]]:
    """A regex of all phrases, and what each says: masks say what their words alone would not."""
    known = load()["reviews"]
    meaning: dict[str, str] = {}
    for kind in ("praise", "complaint"):
        meaning |= {phrase: kind for phrase in known[kind] if not phrase.isalpha()}
    for kind, phrases in known["masks"].items():
        meaning |= dict.fromkeys(phrases, kind)
    meaning |= dict.fromkeys(known["hollow"], "hollow")
    return re.compile(rf"\b(?:{alternatives(meaning)})\b"), meaning


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Shapes such as `waited forty minutes`, and what each says."""
    known = load()["reviews"]["patterns"]
    return tuple((re.compile("|".join(known[kind])), kind) for kind in ("complaint", "praise"))


@lru_cache(maxsize=1)
def _terms() -> dict[tuple[str, ...], dict[str, float]]:
    """Stems of a term -> concept -> weight; terms that several kinds share weigh less."""
    owners: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for concept, known in load()["reviews"]["concepts"].items():
        for term in known["terms"]:
            grams = grams_of(term)
            owners[grams][concept] = PHRASE_WEIGHT if len(grams) > 1 else 1.0
        for term in (*known["names"], known["default"], *known.get("strong", ())):
            owners[grams_of(term)][concept] = STRONG_WEIGHT
    return {grams: {c: w / len(found) for c, w in found.items()} for grams, found in owners.items()}


@lru_cache(maxsize=20_000)
def grams_of(term: str) -> tuple[str, ...]:
    """A term as a tuple of stems."""
    return tuple(stem(word) for word in WORD.findall(plain(term)))


def business_of(text: str) -> str | None:
    """The kind of business that a text speaks of, None where nothing tells."""
    stems = [stem(word) for word in WORD.findall(text)]
    scores: dict[str, float] = defaultdict(float)
    terms = _terms()
    seen: set[tuple[str, ...]] = set()
    for size in (3, 2, 1):
        for start in range(len(stems) - size + 1):
            gram = tuple(stems[start : start + size])
            if gram in terms and gram not in seen:
                seen.add(gram)
                for concept, weight in terms[gram].items():
                    scores[concept] += weight
    best = max(scores.items(), key=lambda item: item[1], default=(None, 0.0))
    return best[0] if best[1] >= FAINT else None


def sentiments() -> dict[str, dict[str, Any]]:
    """Names of each sentiment, and the one the stand-in uses of its own accord."""
    found: dict[str, dict[str, Any]] = load()["reviews"]["sentiments"]
    return found


def businesses() -> dict[str, dict[str, Any]]:
    """Names of each kind of business, and the one the stand-in uses of its own accord."""
    found: dict[str, dict[str, Any]] = load()["reviews"]["concepts"]
    return found


@lru_cache(maxsize=4096)
def names_a_value(text: str) -> bool:
    """Whether a text names a sentiment or a kind of business."""
    lowered = plain(text).strip()
    return lowered in _value_names()


@lru_cache(maxsize=1)
def _value_names() -> frozenset[str]:
    known = [*sentiments().values(), *businesses().values()]
    return frozenset(name for row in known for name in (*row["names"], row["default"]))


def lean(word: str) -> str | None:
    """`praise` or `complaint` for a telling word, else None."""
    return _meaning(word)


@lru_cache(maxsize=1024)
def business_named(text: str) -> str | None:
    """The kind of business that a phrase names outright, None where it names none."""
    stems = grams_of(text)
    names = _names()
    for size in (3, 2, 1):
        for start in range(len(stems) - size + 1):
            found = names.get(stems[start : start + size])
            if found:
                return found
    return None


@lru_cache(maxsize=1)
def _names() -> dict[tuple[str, ...], str]:
    return {grams_of(name): key for key, row in businesses().items() for name in (*row["names"], row["default"])}
