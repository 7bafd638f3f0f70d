"""Last touches on an answer's words: substitutions, banned words, length, case."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from optimizer.models.offline.plan import Plan
from optimizer.models.offline.play import name, resolve
from optimizer.models.offline.rules import Rule
from optimizer.models.offline.world import alternatives, load, plain

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def rename(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """Replace words in one pass, so that what was put in is not replaced again."""
    if not pairs or not text:
        return text
    pattern, targets = _pattern(pairs)

    def put(match: re.Match[str]) -> str:
        target = targets[plain(match.group("word"))]
        opens = match.start() == 0 or text[: match.start()].rstrip().endswith((".", "!", "?"))
        return target[0].upper() + target[1:] if opens and match.group(0)[0].isupper() and target.islower() else target

    return pattern.sub(put, text)


@lru_cache(maxsize=1024)
def _pattern(pairs: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    targets: dict[str, str] = {}
    for source, target in pairs:
        for form in {source, source.removeprefix("the ")}:
            targets[plain(form)] = target
    words = alternatives(targets)
    return re.compile(rf"(?<!\w)(?:the )?(?P<word>{words})(?!\w)", re.IGNORECASE), targets


def finish(
    text: str, short: str, plan: Plan, obeys: Callable[[Rule], bool], *, bulleted: bool = False, inside: bool = False
) -> str:
    """Apply bans, length and case to an answer, or to one value of a JSON answer.

    Args:
        text: the answer.
        short: its bare value, taken where the limit of length is tight.
        plan: the prompt's rules.
        obeys: decides rule by rule.
        bulleted: whether sentences become bullets.
        inside: whether the text is a value inside JSON, to which no limit of length applies.
    """
    for ban in plan.bans:
        if re.search(rf"(?<!\w){re.escape(ban.word)}(?!\w)", f"{text}\n{short}", re.IGNORECASE) and obeys(ban):
            text, short = _without(text, ban.word, plan), _without(short, ban.word, plan)
    if not inside:
        for limit in plan.limits.values():
            if obeys(limit):
                text = _shorten(text, short, limit.unit, limit.most)
    if plan.case and obeys(plan.case):
        text = {"upper": str.upper, "lower": str.lower, "title": str.title}[plan.case.kind](text)
    if bulleted:
        text = "\n".join(f"- {part}" for part in SENTENCE_END.split(text))
    return text


def _without(text: str, word: str, plan: Plan) -> str:
    """The text reworded without a banned word: a person is described, another word is left out."""
    who = _person_called(word, plan)
    instead = _description(who, plan) if who else ""
    text = re.sub(rf"(?:(?<!\w)the )?(?<!\w){re.escape(word)}(?!\w)", instead, text, flags=re.IGNORECASE)
    text = re.sub(r"\s+([.,;!?])", r"\1", " ".join(text.split()))
    return text[:1].upper() + text[1:] if instead and text.startswith(instead) and text.endswith(".") else text


def _person_called(word: str, plan: Plan) -> str | None:
    for swap in plan.swaps:
        if plain(swap.target) == plain(word):
            return resolve(swap.source)
    known = load()["play"]["people"]
    return next((who for who, person in known.items() if plain(word) in (plain(name(who)), *person["forms"])), None)


def _description(who: str, plan: Plan) -> str:
    person = load()["play"]["people"][who]
    described = str(person["describe"])
    banned = {plain(ban.word) for ban in plan.bans}
    if banned & set(plain(described).split()):
        return {"m": "that man", "f": "that woman"}.get(person["gender"], "that one")
    return described


def _shorten(text: str, short: str, unit: str, most: int) -> str:
    if unit == "sentences":
        return " ".join(SENTENCE_END.split(text)[:most])
    if unit == "characters":
        return text if len(text) <= most else short if len(short) <= most else short[:most]
    if len(text.split()) <= most and most > 1:
        return text
    if len(short.split()) <= most:
        return short
    kept = short.split()
    return kept[-1] if most == 1 else " ".join(kept[:most])
