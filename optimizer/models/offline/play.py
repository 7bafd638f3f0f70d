"""Answers about the play, in the stand-in's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from optimizer.models.offline.recall import Query, best_bag, identify, query, subject_of, verse
from optimizer.models.offline.world import chance, concepts, load, pick

SURE = 1.6
"""Least score of a person who is named as the answer."""
GUESS = 7.0
"""The same where the question does not ask for a person."""
SPOKEN = 5.5
"""Least weight of the words shared with a famous line, where the question speaks of words."""
SPOKEN_UNASKED = 10.0
"""The same where it does not."""
INITIAL = re.compile(
    r"\b(?:start|begin|initial|first letter|letter)\w*\b(?:(?!\bor\b)[^?.,;]){0,40}?(?:\b|[\"'])([a-z])(?:\b|"
    r"[\"'])(?!')"
    r"|\b([a-z])[_.*]{2,}|\b([a-z])\s+(?:is|as) (?:the|his|her) (?:initial|first letter)"
)
BLANK = re.compile(r"_{2,}|\[ ?(?:blank|\?|…|name|\.+|missing)? ?\]|\(blank\)|\.\.\.\.+|<blank>|\*{3,}|-{3,}|\bblank\b")
SPEECH = re.compile(
    r"\b(?:say|says|said|speaks?|spoke|spoken|speaker|utter\w*|lines?|quot\w+|words|recit\w+|exclaim\w*|cries|"
    r"declar\w+|"
    r"speech|verse|complete|finish|fill|fill in|passage|soliloquy|asks|proclaim\w*|whispers?|laments?|remark\w*|"
    r"talks?)\b|[\"]"
)
HEARER = re.compile(
    r"\b(?:to whom|whom is .* (?:address|speak)|(?:speaking|spoken|talking|said|addressed|says this) to)\b"
)
SUMMARY = re.compile(
    r"\b(?:summar\w+|recap|sum up|synopsis|outline|in (?:one|a single|1) sentence|what happens (?:in|at|on|during|"
    r"when)|"
    r"retell|gist|plot|narrate|describe (?:the )?(?:scene|fight|duel|brawl|wedding|party|feast|ending|plot|events?|"
    r"balcony|\w+ scene|what))\b"
)
ABOUT = re.compile(
    r"^\W*(?:who (?:is|was|are)|describe|introduce|tell (?:me|us) about|what (?:do you know|can you "
    r"tell)[^?]*about)\s+(?:the |about )?"
)
YES_NO = re.compile(r"^\W*(?:did|does|do|is|was|has|had|were|are|can|could|true or false)\b")
WHO = re.compile(
    r"\b(?:who|whom|whose|which (?:\w+ )?(?:character|person|man|woman|lover|servant|friar|lord|lady|young|figure|hero|"
    r"montague|capulet|kinsman|cousin|role|boy|girl|youth|friend|of)|what (?:is|was)? ?(?:the |his |her |this \w+'s "
    r")?(?:first )?name|name (?:the|of|his|her|one|that|a)|"
    r"identify|what character|whose|which name|what young|named|what (?:is|was) [^?]* called)\b"
)
WHAT = re.compile(r"\b(?:what|where|when|why|how|explain|list)\b")
HOUSE_PAIR = re.compile(r"\b(?:a |the )?(?:montague|capulet)s? or (?:a |the )?(?:montague|capulet)s?\b")
PAIRED = re.compile(
    r"(?:_{2,}|\[[^\]]*\]|\bblank|\bwho|\bwhom)\W+(?:and|&)\W+(\w+)\b|\b(\w+)\W+(?:and|&)\W+(?:_{2,}|\[)"
)
MEMBER = re.compile(r"^\W*(?:is|was)\b.*\ba (montague|capulet)\W*$")
MOST_TITLE_WORDS = 4
"""Content words of a question that is about a title and no more."""
SLOTS = {"where": "place", "why": "why", "when": "when"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """An answer, long and short."""

    text: str
    """A sentence or two."""
    short: str
    """The bare value: a name, a place, a few words."""
    kind: str
    """`who`, `scene`, `what` or `unsure`."""


def ask(question: str, aliases: Mapping[str, str], dice: str) -> Said:
    """Answer a question about the play, with the names of the data file.

    Args:
        question: the row's text, with other names for people already turned back.
        aliases: other name -> id of the person, as the prompt tells.
        dice: decides which of several wordings is taken.
    """
    asked = query(question)
    steps: tuple[Callable[[], Said | None], ...] = (
        lambda: _initial(asked, aliases, dice),
        lambda: _scene(asked) if SUMMARY.search(asked.text) else None,
        lambda: _partner(asked, dice),
        lambda: _quoted(asked, dice),
        lambda: _choice(asked, dice),
        lambda: _membership(asked),
        lambda: _introduction(asked, dice),
        lambda: _person(asked, dice) if _wants_person(asked) else None,
        lambda: _event(asked, dice),
        lambda: _person(asked, dice, GUESS),
        lambda: _unsure(asked),
    )
    return next(said for said in (step() for step in steps) if said is not None)


def resolve(phrase: str) -> str | None:
    """Id of the person whom a name or a description means, or None."""
    asked = query(phrase)
    if asked.people and len(asked.bag) == 1:
        return asked.people[0]
    if INITIAL.search(asked.text) and (said := _initial(asked, {}, "")) is not None:
        return next((who for who in load()["play"]["people"] if name(who) == said.short), None)
    found = identify(asked, leave_out=asked.people)
    return found[0][1] if found and found[0][0] >= 2 * SURE else None


def name(who: str) -> str:
    """How the stand-in calls a person."""
    person: dict[str, Any] = load()["play"]["people"][who]
    return str(person["name"])


def belongs(text: str) -> float:
    """How much a text speaks of the play: people and topic words in it."""
    asked = query(text)
    return 2.0 * len(asked.people) + len(asked.bag & _topic())


@lru_cache(maxsize=1)
def _topic() -> frozenset[str]:
    return frozenset(concepts(" ".join(load()["play"]["topic"])))


def _who(who: str, dice: str, tail: str = "") -> Said:
    called = name(who)
    frame = pick(["That is {}.", "It is {}.", "The answer is {}.", "This would be {}.", "{}."], dice, "frame")
    text = frame.format(called)
    return Said(text=(text[0].upper() + text[1:] + tail), short=called, kind="who")


def _wants_person(asked: Query) -> bool:
    if BLANK.search(asked.text) or WHO.search(asked.text):
        return True
    return not (WHAT.search(asked.text) or YES_NO.search(asked.text))


def _initial(asked: Query, aliases: Mapping[str, str], dice: str) -> Said | None:
    match = INITIAL.search(asked.text)
    if not match:
        return None
    letter = next(group for group in match.groups() if group)
    people = load()["play"]["people"]
    fits = {who for who in people if name(who).removeprefix("the ").lower().startswith(letter)}
    fits |= {who for other, who in aliases.items() if other.lower().startswith(letter)}
    if not fits:
        return Said(text="I am not sure that anyone fits.", short="nobody", kind="unsure")
    rest = query(asked.text[: match.start()] + " " + asked.text[match.end() :])
    found = identify(rest, among=fits, leave_out=[who for who in rest.people if len(fits) > 1])
    if found and found[0][0] >= SURE:
        return _who(found[0][1], dice)
    return _who(min(fits, key=lambda who: int(people[who]["rank"])), dice)


def _quoted(asked: Query, dice: str) -> Said | None:
    found = verse(asked)
    if found is None:
        return None
    score, line = found
    if score < (SPOKEN if SPEECH.search(asked.text) else SPOKEN_UNASKED):
        return None
    meant = identify(asked, leave_out=asked.people)
    if meant and meant[0][0] > 1.5 * score:
        return None
    named = [who for who in line.get("names", ()) if who not in asked.people]
    if named and (BLANK.search(asked.text) or line["by"] in asked.people):
        return _who(named[0], dice)
    hearer = load()["play"]["hearers"].get(line["by"])
    if hearer and (HEARER.search(asked.text) or line["by"] in asked.people):
        return _who(hearer, dice)
    return _who(line["by"], dice)


def _partner(asked: Query, dice: str) -> Said | None:
    """The other half of a title with a gap: `___ and ...`."""
    match = PAIRED.search(asked.text)
    other = load()["play"]["partners"].get(match.group(1) or match.group(2)) if match else None
    return _who(other, dice) if other and len(asked.bag) <= MOST_TITLE_WORDS else None


def _membership(asked: Query) -> Said | None:
    match = MEMBER.search(asked.text)
    if not match or len(asked.people) != 1:
        return None
    house = load()["play"]["people"][asked.people[0]]["house"].capitalize()
    verdict = "Yes" if house.lower() == match.group(1) else "No"
    return Said(text=f"{verdict}, {name(asked.people[0])} is a {house}.", short=verdict, kind="what")


def _choice(asked: Query, dice: str) -> Said | None:
    sides = HOUSE_PAIR.search(asked.text)
    if sides:
        found = identify(query(asked.text.replace(sides.group(0), " ")), leave_out=asked.people)
        who = asked.people[0] if asked.people else found[0][1] if found else "romeo"
        house = load()["play"]["people"][who]["house"].capitalize()
        return Said(text=_sentence(f"{name(who)} is a {house}"), short=house, kind="what")
    pair = re.search(rf"\b({'|'.join(asked.people)}),?\s+or\s+(?:the )?({'|'.join(asked.people)})\b", asked.text)
    if not asked.people or not pair:
        return None
    rest = query(asked.text.replace(pair.group(0), " "))
    found = identify(rest, among=set(pair.groups()))
    return _who(found[0][1], dice) if found else None


def _introduction(asked: Query, dice: str) -> Said | None:
    match = ABOUT.search(asked.text)
    if not match or not asked.people:
        return None
    last = max(asked.people, key=asked.text.rfind)
    if asked.bag == {last} and "'s" not in asked.text:
        return _intro(last)
    titled = re.search(r"\bwho (?:is|was)\b.*\b" + last + r"\W*$", asked.text)
    return _who(last, dice) if titled and asked.bag <= set(asked.people) else None


def _intro(who: str) -> Said:
    person = load()["play"]["people"][who]
    text = _sentence(" ".join((person["name"], *person["intro"])))
    return Said(text=text, short=" ".join(person["intro"]).removeprefix("is "), kind="what")


def _person(asked: Query, dice: str, least: float = SURE) -> Said | None:
    found = identify(asked, leave_out=asked.people)
    return _who(found[0][1], dice) if found and found[0][0] >= least else None


def _scene(asked: Query) -> Said | None:
    found = best_bag(load()["play"]["scenes"], asked.bag - _asking(), 0.5)
    scenes = load()["play"]["scenes"]
    scene = found[1] if found else next(row for row in scenes if row["id"] == "whole")
    clauses = [
        _fill(" ".join((name(row["who"]), *(row[key] for key in ("does", "what", "tail") if key in row))))
        for row in scene["clauses"]
    ]
    text = _sentence(", and ".join(clauses))
    return Said(text=text, short=text, kind="scene")


@lru_cache(maxsize=1)
def _asking() -> frozenset[str]:
    """Concepts of words that ask for a summary and tell nothing of its scene."""
    return frozenset(concepts("write line sentence summary summarize describe scene words short tell happens"))


def _fill(text: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: name(match.group(1)), text)


def _event(asked: Query, dice: str) -> Said | None:
    play = load()["play"]
    slot = next((SLOTS[word] for word in SLOTS if re.search(rf"\b{word}\b", asked.text)), None)
    fact = best_bag(play["facts"], asked.bag, 1.2)
    actor = subject_of(asked)
    scored = [
        (_event_fit(index, asked, actor) + (0.8 if slot and slot in row else 0.0), -index)
        for index, row in enumerate(play["events"])
    ]
    score, index = max(scored)
    if fact and fact[0] * 1.6 >= score and (fact[1].get("about") is None or fact[1]["about"] in asked.people):
        text = _sentence(" ".join(fact[1]["say"]))
        return Said(text=text, short=text.rstrip("."), kind="what")
    if score < 2.4:
        return None
    return _told(play["events"][-index], slot, asked, dice)


@lru_cache(maxsize=1)
def _event_terms() -> tuple[tuple[frozenset[str], frozenset[str], frozenset[str]], ...]:
    """For each event: its people, the concepts of its verbs, everything else that speaks for it."""
    found = []
    for row in load()["play"]["events"]:
        told = (*row.get("more", ()), row.get("what", ""), row.get("place", ""), row["past"])
        verbs = frozenset(concepts(" ".join(row["verbs"])))
        found.append((frozenset({row["by"], row.get("to", row["by"])}), verbs, frozenset(concepts(" ".join(told)))))
    return tuple(found)


def _event_fit(index: int, asked: Query, actor: str | None) -> float:
    people, verbs, more = _event_terms()[index]
    strangers = sum(who not in people and who not in more for who in asked.people)
    score = 1.2 * len(people & set(asked.people)) + 1.5 * bool(verbs & asked.bag) - 0.8 * strangers
    score += 0.7 * len((more - verbs - people) & asked.bag)
    doer = load()["play"]["events"][index]["by"]
    return score + (0.6 if actor == doer else -0.8 if actor is not None else 0.0)


def _told(row: Mapping[str, Any], slot: str | None, asked: Query, dice: str) -> Said:
    parts = [
        name(row["by"]),
        row["past"],
        name(row["to"]) if "to" in row else "",
        row.get("what", ""),
        row.get("tail", ""),
    ]
    core = " ".join(part for part in parts if part)
    value = row.get(slot or "")
    short = value or row.get("what") or (name(row["to"]) if "to" in row else core)
    if slot == "place" and value:
        text = f"That was {value}, where {core}."
    elif slot == "why" and value:
        text = f"{core}. The reason: {value}."
    elif slot == "when" and value:
        text = f"In {value}, {core}."
    elif YES_NO.search(asked.text) and slot is None:
        fits = row["by"] in asked.people or not asked.people
        text = f"{'Yes' if fits else 'No'}, {core}."
    else:
        text = f"{core}." if chance(dice, "told") < 0.7 else f"In short, {core}."
    return Said(text=_sentence(text), short=short, kind="what")


def _unsure(asked: Query) -> Said:
    if not asked.people:
        return Said(text="I am not sure.", short="unsure", kind="unsure")
    known = _intro(asked.people[0])
    return replace(known, text=f"I am not sure, but {known.text}", kind="unsure")


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[0].upper() + text[1:] + "."
