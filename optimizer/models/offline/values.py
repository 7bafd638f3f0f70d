"""Values of single fields: which label a concept gets, under lists, conditions, substitutions and habits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from optimizer.models.offline.plan import Plan, own_word
from optimizer.models.offline.reviews import businesses, grams_of, read, sentiments
from optimizer.models.offline.rules import Choices, Rule, Test
from optimizer.models.offline.terms import meaning_of
from optimizer.models.offline.wording import rename
from optimizer.models.offline.world import load, pick, plain

MIXED_HABIT = 0.40
"""Share of rows with praise and complaint that get the mixed label when it is named but not explained."""
PROSE = {
    "praise": (
        "The reviewer seems happy with this {}.",
        "The writer speaks well of this {}.",
        "This customer enjoyed the {}.",
    ),
    "complaint": (
        "The reviewer seems unhappy with this {}.",
        "The writer finds fault with this {}.",
        "This customer was let down by the {}.",
    ),
    "both": ("The reviewer tells of good and bad sides of this {}.", "The writer is of two minds about this {}."),
    "neither": ("The reviewer simply gives facts about this {}.", "The writer only informs about this {}."),
}


class Roll(Protocol):
    """What decides on a row; `task.Dice` is one."""

    @property
    def plan(self) -> Plan:
        """Rules of the prompt."""
        ...

    @property
    def row(self) -> str:
        """Text of the row."""
        ...

    @property
    def seed(self) -> int:
        """Seed of the request."""
        ...

    @property
    def obeys(self) -> Callable[[Rule], bool]:
        """Decides rule by rule."""
        ...

    @property
    def habit(self) -> Callable[[str], float]:
        """A number in [0, 1) for a habit."""
        ...


def field_value(name: str, roll: Roll, taught: Mapping[tuple[str, str], str]) -> Any:
    """The value of a JSON key (or of `sentiment`, `business`) for the row.

    Args:
        name: the key.
        roll: plan, row and decisions.
        taught: (kind, own wording) -> value, as the prompt's worked examples show.
    """
    kind = meaning_of(name)
    kind = kind_of_list(_list_for(roll.plan, name, kind)) or kind
    reading = read(roll.row)
    if kind == "sentiment":
        return _label(name, kind, reading.sentiment, roll, taught)
    if kind == "business":
        return _label(name, kind, reading.business or "", roll, taught)
    if kind == "rating":
        return {"praise": 5, "complaint": 1}.get(reading.sentiment, 3)
    if kind == "confidence":
        return 0.9
    if kind == "language":
        return "en"
    ruled = next(
        (row.value for row in reversed(roll.plan.whens) if row.field == name and holds(row.test, roll.row)), None
    )
    return ruled or (prose(roll, {}) if kind in ("text", "answer") else None)


def _table(kind: str) -> dict[str, dict[str, Any]]:
    return sentiments() if kind == "sentiment" else businesses()


def own_name(kind: str, concept: str) -> str:
    """The stand-in's own wording for a concept."""
    row = _table(kind).get(concept)
    return str(row["default"] if row else load()["reviews"]["unknown"])


def _label(name: str, kind: str, concept: str, roll: Roll, taught: Mapping[tuple[str, str], str]) -> str:
    told = _told(name, kind, roll)
    if told is not None:
        return _swapped(told, concept, name, kind, roll, final=True)
    concept = _seen_as(concept, kind, name, roll)
    own = own_name(kind, concept)
    listed = _list_for(roll.plan, name, kind)
    swapped = _swapped(own, concept, name, kind, roll, final=False)
    if swapped != own:
        return swapped
    if listed and roll.obeys(listed):
        own = _nearest(kind, concept, listed.values) or pick(list(listed.values), roll.seed, roll.row, listed.values)
        own = _swapped(own, "", name, kind, roll, final=False)
    elif (kind, own) in taught:
        own = taught[kind, own]
    return _allowed(own, kind, concept, roll)


def _seen_as(concept: str, kind: str, name: str, roll: Roll) -> str:
    """Praise with complaint passes for neither, unless a mixed label is named and the habit falls so."""
    if kind != "sentiment" or concept != "both":
        return concept
    named = [s.source for s in roll.plan.swaps] + [row.value for row in roll.plan.whens]
    listed = _list_for(roll.plan, name, kind)
    named += listed.values if listed else ()
    mixed = sentiments()["both"]["names"]
    known = any(plain(word) in mixed for word in named)
    unlike = any(row.denied and row.test.values == ("both",) and roll.obeys(row) for row in roll.plan.whens)
    return "both" if unlike or (known and roll.habit("mixed") < MIXED_HABIT) else "neither"


def _told(name: str, kind: str, roll: Roll) -> str | None:
    """The value of the last condition that holds for the row and is obeyed."""
    told = None
    for row in roll.plan.whens:
        if not row.denied and _concerns(row.field, row.test, row.value, name, kind, roll.plan):
            if holds(row.test, roll.row) and roll.obeys(row):
                told = row.value
    return told


def _concerns(field: str | None, test: Test, value: str, name: str, kind: str, plan: Plan) -> bool:
    if field is not None:
        return field.casefold() == name.casefold() or (
            meaning_of(field) == kind and field.casefold() not in map(str.casefold, plan.keys)
        )
    lists = {other: _list_for(plan, other, meaning_of(other)) for other in (plan.keys or (name,))}
    owners = [
        other for other, listed in lists.items() if listed and value.casefold() in map(str.casefold, listed.values)
    ]
    if owners:
        return name in owners
    named = concept_named(value)
    if named:
        return named[0] == kind
    return test.kind in (kind, "words", "always")


def holds(test: Test, row: str) -> bool:
    """Whether a condition is true of a row."""
    if test.kind == "always":
        return True
    if test.kind == "words":
        lowered = plain(row)
        found = any(re.search(rf"(?<!\w){re.escape(word)}(?:s|es|d|ed|ing)?(?!\w)", lowered) for word in test.values)
        return found is not test.denied
    reading = read(row)
    return (reading.sentiment if test.kind == "sentiment" else reading.business or "") in test.values


@lru_cache(maxsize=4096)
def concept_named(label: str) -> tuple[str, str] | None:
    """(kind, concept) that a label names, None where it names none."""
    wanted = plain(label.replace("_", " ")).strip()
    for kind in ("sentiment", "business"):
        for concept, row in _table(kind).items():
            if wanted in row["names"] or (kind == "business" and wanted == row["default"]):
                return kind, concept
    return None


def _swapped(value: str, concept: str, name: str, kind: str, roll: Roll, *, final: bool) -> str:
    """The value under the substitutions that concern the field.

    A replacement of a word that the stand-in says of its own accord is meant for its own wording: what a condition
    has put in its place (`final`) stays.
    """
    for swap in roll.plan.swaps:
        if swap.field is not None and swap.field.casefold() != name.casefold() and meaning_of(swap.field) != kind:
            continue
        means = plain(swap.source) == plain(value) or (concept and concept_named(swap.source) == (kind, concept))
        if means and not (final and own_word(swap.source)) and roll.obeys(swap):
            return swap.target
    return value


def _allowed(value: str, kind: str, concept: str, roll: Roll) -> str:
    banned = [ban for ban in roll.plan.bans if plain(ban.word) == plain(value) and roll.obeys(ban)]
    names = _table(kind).get(concept, {}).get("names", ())
    return next((n for n in names if n not in {plain(ban.word) for ban in banned}), value) if banned else value


def _list_for(plan: Plan, name: str, kind: str | None) -> Choices | None:
    for row in reversed(plan.choices):
        if row.field is not None and row.field.casefold() == name.casefold():
            return row
    for row in reversed(plan.choices):
        meant = meaning_of(row.field) if row.field else None
        if row.field is not None and row.field.casefold() in map(str.casefold, plan.keys):
            continue
        if (meant in ("sentiment", "business") and meant == kind) or (
            meant not in ("sentiment", "business") and kind_of_list(row) in (kind, None) and kind
        ):
            return row
    return None


def kind_of_list(listed: Choices | None) -> str | None:
    """`sentiment` or `business` where most labels of a list name one; None for codes."""
    if listed is None:
        return None
    kinds = [named[0] for value in listed.values if (named := concept_named(value))]
    best = max(sorted(set(kinds)), key=kinds.count, default=None)
    return best if best and 2 * kinds.count(best) >= len(listed.values) else None


@lru_cache(maxsize=4096)
def _nearest(kind: str, concept: str, labels: tuple[str, ...]) -> str | None:
    """The label of a list that fits a concept best; None where none does."""
    scored = [(_closeness(kind, concept, label), -index) for index, label in enumerate(labels)]
    score, index = max(scored)
    return labels[-index] if score > 0 else None


def _closeness(kind: str, concept: str, label: str) -> float:
    wanted = plain(label.replace("_", " ")).strip()
    row = _table(kind).get(concept)
    other = 0.2 if kind == "business" and wanted in load()["reviews"]["other"] else 0.0
    if row is None:
        return other
    grams = grams_of(wanted)
    names = row["names"] if kind == "sentiment" else [row["default"], *row["names"]]
    if wanted in names or any(grams == grams_of(known) for known in names if grams):
        return 4.0
    if any(grams_of(known) and _within(grams_of(known), grams) for known in names):
        return 3.0
    if wanted in row.get("broad", ()):
        return 2.0
    if any(
        _within(grams_of(known), grams) for known in (*row.get("broad", ()), *row.get("strong", ())) if grams_of(known)
    ):
        return 1.5
    if kind == "business" and any(grams and _within(grams, grams_of(known)) for known in names):
        return 1.0
    return other


def _within(small: tuple[str, ...], large: tuple[str, ...]) -> bool:
    return any(large[i : i + len(small)] == small for i in range(len(large) - len(small) + 1))


def prose(roll: Roll, found: Mapping[str, str]) -> str:
    """What a review says, in a sentence; with labels, where labels were asked for."""
    reading = read(roll.row)
    swaps = tuple((swap.source, swap.target) for swap in roll.plan.swaps if swap.field is None and roll.obeys(swap))
    if found:
        return rename(" ".join(f"The {kind} is {value}." for kind, value in found.items()), swaps)
    business = own_name("business", reading.business or "") if reading.business else "business"
    frame = pick(list(PROSE[reading.sentiment]), roll.seed, roll.row, "prose")
    return rename(frame.format(business), swaps)


def answers_by_label(plan: Plan) -> bool:
    """Whether a prompt asks for a label rather than for words about it."""
    return (
        bool(plan.choices)
        and re.search(r"\b(?:classif|label|answer with|reply with|output|return|one of)", plan.digest, re.IGNORECASE)
        is not None
    )


def ruled_answer(plan: Plan, row: str, roll: Roll) -> str | None:
    """The whole answer where a condition on the input's words sets it."""
    found = [r for r in plan.whens if r.field in (None, "answer") and r.test.kind == "words" and not r.denied]
    return next((r.value for r in reversed(found) if holds(r.test, row) and roll.obeys(r)), None)


def listed_answer(plan: Plan, short: str, text: str, roll: Roll) -> str | None:
    """The label of a list that an answer names."""
    for listed in reversed(plan.choices):
        if meaning_of(listed.field or "") in ("sentiment", "business") or not roll.obeys(listed):
            continue
        for spoken in (short, text):
            hit = [
                value for value in listed.values if re.search(rf"(?<!\w){re.escape(plain(value))}(?!\w)", plain(spoken))
            ]
            if hit:
                return hit[0]
    return None


def shown_keys(demos: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Keys of the JSON answers of worked examples."""
    for _, shown in demos:
        value = _json(shown)
        if isinstance(value, dict) and value:
            return tuple(map(str, value))
    return ()


def taught(demos: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(kind, own wording) -> value, learnt by holding worked examples against the stand-in's own reading."""
    learnt: dict[tuple[str, str], str] = {}
    for asked, shown in demos:
        value = _json(shown)
        reading = read(asked)
        concepts = {"sentiment": reading.sentiment, "business": reading.business or ""}
        for key, wanted in value.items() if isinstance(value, dict) else ():
            kind = meaning_of(str(key))
            if kind in concepts and isinstance(wanted, str):
                learnt[kind, own_name(kind, concepts[kind])] = wanted
    return learnt


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
