"""What the mutator side sees in failing rows: causes, how many rows show each, and lines that would mend it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.models.offline import phrases
from optimizer.models.offline.fences import Row, Shown
from optimizer.models.offline.reviews import read
from optimizer.models.offline.terms import meaning_of
from optimizer.models.offline.values import concept_named
from optimizer.models.offline.world import STOP, WORD, plain

MOST_PAIRS = 8
"""Replacements that one line names."""
AGREE = 0.7
"""Share of members that must point the same way."""
FEW = 2
"""So few rows are no evidence against the stand-in's own reading."""
SHORT = 40
"""Characters of a value that counts as a label or a name."""
TOKEN = re.compile(r"[\w'-]+")
CAPITAL = re.compile(r"\b[A-Z][\w'-]+")
LIMIT = re.compile(r"expected at most (?P<most>\d+ (?:words?|characters?|chars|tokens?|sentences?))")
FORBIDDEN = re.compile(r"contains [\"'“](?P<word>[^\"'”]{1,40})[\"'”].{0,60}?must not")
FENCED = re.compile(r"```|^[^{\[]*\{.*\}[^}\]]*$", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """One reason why rows fail."""

    diagnosis: str
    """In one sentence."""
    texts: tuple[str, ...]
    """Lines that would mend it, several wordings of the same."""
    members: int
    """Shown rows that speak for it, at least 1."""
    general: tuple[str, ...] = ()
    """The same without its condition."""


def causes(shown: Shown) -> list[Cause]:
    """Causes seen in the failing rows, those with most members first."""
    found = [cause for finder in FINDERS for cause in finder(shown)]
    return sorted(found, key=lambda cause: -cause.members)


def _cause(diagnosis: str, texts: Sequence[str], members: int, general: Sequence[str] = ()) -> Cause:
    return Cause(diagnosis=diagnosis, texts=tuple(texts), members=members, general=tuple(general))


def bare_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def wrapped_object(text: str) -> dict[str, Any] | None:
    """The JSON object that stands in a text."""
    start, end = text.find("{"), text.rfind("}")
    return bare_object(text[start : end + 1]) if 0 <= start < end else None


def _format(shown: Shown) -> Iterator[Cause]:
    wanted = [row for row in shown.failures if isinstance(row.expected, Mapping) and row.expected]
    prose = [row for row in wanted if wrapped_object(row.output) is None]
    wrapped = [
        row for row in shown.failures if bare_object(row.output) is None and wrapped_object(row.output) is not None
    ]
    if prose:
        keys = [
            key for key, count in Counter(str(k) for row in prose for k in row.expected).items() if count == len(prose)
        ]
        if keys:
            yield _cause("Outputs are prose where a JSON object is wanted.", phrases.json_object(keys), len(prose))
    missing = [
        row for row in wanted if (got := wrapped_object(row.output)) and not set(map(str, row.expected)) <= set(got)
    ]
    if missing:
        yield _cause(
            "Keys of the wanted object are missing.",
            phrases.json_object(list(map(str, missing[0].expected))),
            len(missing),
        )
    about_json = [row for row in wrapped if any("json" in reason.lower() for reason in row.reasons)]
    if about_json:
        yield _cause("The JSON comes with something around it.", phrases.no_wrapping(), len(about_json))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Miss:
    input: str
    got: str
    wanted: str


def _fields(shown: Shown) -> Iterator[Cause]:
    """Wrong values, field by field."""
    keys = Counter(str(key) for row in shown.failures if isinstance(row.expected, Mapping) for key in row.expected)
    for key in keys:
        misses = [miss for row in shown.failures if (miss := _miss(row, key)) and miss.got != miss.wanted]
        right = [hit for row in (*shown.passing, *shown.failures) if (hit := _miss(row, key)) and hit.got == hit.wanted]
        yield from _values(key, misses, right)


def _miss(row: Row, key: str) -> _Miss | None:
    got = wrapped_object(row.output)
    if got is None or not isinstance(row.expected, Mapping) or key not in row.expected:
        return None
    wanted = row.expected[key]
    if not isinstance(wanted, str) or not 0 < len(wanted) <= SHORT:
        return None
    return _Miss(input=row.input, got=str(got.get(key, "")), wanted=wanted)


def _labels(shown: Shown) -> Iterator[Cause]:
    """Wrong labels where the whole answer is one, about reviews."""
    rows = [row for row in shown.failures if isinstance(row.expected, str) and 0 < len(row.expected) <= SHORT]
    rows = [
        row
        for row in rows
        if any("label" in reason for reason in row.reasons) or (concept_named(row.expected) or (None,))[0]
    ]
    misses = [
        _Miss(input=row.input, got=row.output.strip(), wanted=row.expected)
        for row in rows
        if row.expected.lower() not in row.output.lower()
    ]
    right = [
        _Miss(input=r.input, got=r.expected, wanted=r.expected) for r in shown.passing if isinstance(r.expected, str)
    ]
    if misses:
        yield from _values(None, misses, right)


def _values(key: str | None, misses: Sequence[_Miss], right: Sequence[_Miss]) -> Iterator[Cause]:
    """What would turn wrong values into wanted ones: other names, conditions, or else the list of labels."""
    pairs: list[tuple[str, str, int]] = []
    found: list[Cause] = []
    for wanted, count in Counter(miss.wanted for miss in misses).most_common():
        mine = [miss for miss in misses if miss.wanted == wanted]
        got, hits = Counter(miss.got for miss in mine).most_common(1)[0]
        clash = any(hit.got == got for hit in right) or any(m.got == got and m.wanted != wanted for m in misses)
        if _doubtful(wanted, mine):
            continue
        if hits >= AGREE * count and not clash and 0 < len(got) <= SHORT and _renaming(got, mine, key):
            pairs.append((got, wanted, hits))
        else:
            found += _condition(key, wanted, mine, right)
    if pairs:
        members = sum(hits for _, _, hits in pairs)
        lines = phrases.mapping(key, [(got, wanted) for got, wanted, _ in pairs[:MOST_PAIRS]])
        said = f"{phrases.quoted(pairs[0][0])} comes where {phrases.quoted(pairs[0][1])} is wanted."
        found.append(_cause(said, lines, members))
    labels = list(dict.fromkeys(item.wanted for item in (*misses, *right)))
    outside = [miss for miss in misses if miss.got not in labels]
    if not found and len(labels) >= 3 and outside:
        said = "Values come that are none of the wanted ones."
        found.append(_cause(said, phrases.label_list(key, labels), len(outside)))
    yield from found


def _doubtful(wanted: str, mine: Sequence[_Miss]) -> bool:
    """Whether few rows want a sentiment that the stand-in does not read in them: it may be its own misreading."""
    named = concept_named(wanted)
    if named is None or named[0] != "sentiment" or len(mine) > FEW:
        return False
    return all(read(miss.input).sentiment != named[1] for miss in mine)


def _renaming(got: str, mine: Sequence[_Miss], key: str | None) -> bool:
    """Whether the wrong value at least names what the inputs are: then another name is all that is wanted."""
    named = concept_named(got)
    if named is None or named[0] != "sentiment":
        return key is not None
    return sum(read(miss.input).sentiment == named[1] for miss in mine) >= AGREE * len(mine)


def _condition(key: str | None, wanted: str, mine: Sequence[_Miss], right: Sequence[_Miss]) -> Iterator[Cause]:
    general = phrases.always(key, wanted)
    readings = [read(miss.input) for miss in mine]
    kind = meaning_of(key) if key else None
    if kind != "business":
        concept, hits = Counter(reading.sentiment for reading in readings).most_common(1)[0]
        others = [hit for hit in right if hit.wanted != wanted and read(hit.input).sentiment == concept]
        if hits >= AGREE * len(mine) and len(others) <= (1 - AGREE) * max(1, len(right)):
            what = {"both": "praise and complaint together", "neither": "no opinion"}.get(concept, f"{concept} alone")
            lines = phrases.concept(key, concept, wanted)
            yield _cause(f"Reviews with {what} should get {phrases.quoted(wanted)}.", lines, hits, general)
            return
    business, hits = Counter(reading.business for reading in readings).most_common(1)[0]
    others = [hit for hit in right if hit.wanted != wanted and read(hit.input).business == business]
    clear = hits >= AGREE * len(mine) and len(others) <= (1 - AGREE) * max(1, len(right))
    if kind in ("business", None) and business and clear:
        yield _cause(
            f"One kind of business should get {phrases.quoted(wanted)}.",
            phrases.business(key, business, wanted),
            hits,
            general,
        )
        return
    telling = _telling_words([miss.input for miss in mine], [hit.input for hit in right if hit.wanted != wanted])
    if telling:
        yield _cause(
            f"Some words of the input call for {phrases.quoted(wanted)}.",
            phrases.words(key, telling, wanted),
            len(mine),
            general,
        )


def _telling_words(mine: Sequence[str], others: Sequence[str]) -> list[str]:
    """Words that stand in most of the members' inputs and in none of the others."""
    bags = [set(WORD.findall(plain(text))) - STOP for text in mine]
    against = {word for text in others for word in WORD.findall(plain(text))}
    counts = Counter(word for bag in bags for word in bag if word not in against and len(word) > 2)
    found = [word for word, count in counts.most_common(12) if count >= max(2, 0.5 * len(mine))]
    return sorted(found, key=lambda word: (-counts[word], -len(word), word))[:2]


def _substitution(shown: Shown) -> Iterator[Cause]:
    """One name comes where another is wanted, or where it must not."""
    rows = shown.failures
    by_wanted = Counter(
        row.expected
        for row in rows
        if isinstance(row.expected, str) and 0 < len(row.expected) <= SHORT and "\n" not in row.expected
    )
    for wanted, _ in by_wanted.most_common(2):
        if concept_named(wanted):
            continue
        mine = [row for row in rows if row.expected == wanted and plain(wanted) not in plain(row.output)]
        wrong = _common_name(mine, shown.passing, wanted)
        if wrong:
            holding = sum(wrong in row.output for row in mine)
            yield _cause(
                f"Outputs say {phrases.quoted(wrong)} where {phrases.quoted(wanted)} is wanted.",
                phrases.substitution(wrong, wanted),
                holding,
            )
    forbidden = Counter(
        match.group("word") for row in rows for reason in row.reasons if (match := FORBIDDEN.search(reason))
    )
    for word, count in forbidden.most_common(1):
        yield _cause(
            f"Outputs hold {phrases.quoted(word)}, which they must not.", phrases.ban(word), max(1, count // 2)
        )


def _common_name(mine: Sequence[Row], passing: Sequence[Row], wanted: str) -> str | None:
    """The word that the outputs share, rare where rows pass: named by a reason, else capitalised, else any."""
    if not mine:
        return None
    named = Counter(
        match.group("word") for row in mine for reason in row.reasons if (match := FORBIDDEN.search(reason))
    )
    if named and named.most_common(1)[0][1] >= 0.5 * len(mine):
        return str(named.most_common(1)[0][0])
    held = Counter(plain(word) for row in passing for word in dict.fromkeys(TOKEN.findall(row.output)))
    for pattern in (CAPITAL, TOKEN):
        counts: Counter[str] = Counter(
            word for row in mine for word in dict.fromkeys(pattern.findall(row.output)) if plain(word) not in STOP
        )
        for word, count in counts.most_common(6):
            rare = held[plain(word)] <= 0.34 * len(passing)
            if (
                count >= max(1, 0.5 * len(mine))
                and rare
                and plain(word) != plain(wanted)
                and plain(word) not in OPENERS
            ):
                return word
    return None


OPENERS = frozenset("that this would answer the it yes no in short i am sure be is of".split())


def _shape(shown: Shown) -> Iterator[Cause]:
    """Length, case, words around the right answer."""
    limits = Counter(
        match.group("most") for row in shown.failures for reason in row.reasons if (match := LIMIT.search(reason))
    )
    for most, count in limits.most_common(1):
        yield _cause(f"Answers are longer than {most}.", phrases.limit(most), count)
    texts = [
        (row.expected, row.output.strip()) for row in shown.failures if isinstance(row.expected, str) and row.expected
    ]
    for kind, made in (("lower", str.lower), ("upper", str.upper), ("title", str.title)):
        cased = [
            wanted
            for wanted, got in texts
            if wanted != got and wanted.lower() == got.lower() and made(wanted) == wanted
        ]
        if cased:
            yield _cause("Only the case of the letters differs.", phrases.case(kind), len(cased))
            return
    exact = [
        row
        for row in shown.failures
        if any(reason.startswith(("the output is ", "the label is ")) for reason in row.reasons)
    ]
    around = [
        row
        for row in exact
        if isinstance(row.expected, str) and row.expected.lower() in row.output.lower() != row.expected.lower()
    ]
    if around:
        yield _cause("The right value stands inside a longer answer.", phrases.bare_value(), len(around))


FINDERS: tuple[Callable[[Shown], Iterator[Cause]], ...] = (_format, _fields, _labels, _substitution, _shape)
