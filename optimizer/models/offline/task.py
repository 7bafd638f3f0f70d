"""The task side: one request in, one answer out, obeying the rules that its prompt holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from optimizer.models.offline import play, values
from optimizer.models.offline.plan import Plan, plan_of, with_format
from optimizer.models.offline.request import Parts
from optimizer.models.offline.reviews import read
from optimizer.models.offline.rules import Rule, Swap, key
from optimizer.models.offline.terms import meaning_of
from optimizer.models.offline.wording import finish, rename
from optimizer.models.offline.world import chance, load, pick, plain

ADHERENCE = 0.97
"""Probability that a rule is obeyed on a row."""
DILUTION = 0.01
"""What each useless line takes from it."""
FLOOR = 0.70
"""Least adherence."""
FENCE_HABIT = 0.25
"""Share of JSON answers in a code fence, unless nothing else is asked for."""
CHAT_HABIT = 0.10
"""Share of JSON answers behind a sentence, unless nothing else is asked for."""
REVIEW_WORDS = re.compile(r"\b(?:reviews?|customers?|sentiment|business|feedback|reviewers?|polarity)\b", re.IGNORECASE)
PLAY_WORDS = re.compile(
    r"\b(?:romeo|juliet|shakespeare\w*|play|characters?|tragedy|verona|literature)\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dice:
    """Decides by hash what the model does with a rule on a row."""

    seed: int
    """Of the request."""
    plan: Plan
    """Of the prompt."""
    row: str
    """Text of the row."""
    perfect: bool
    """Whether every rule is obeyed."""

    def obeys(self, rule: Rule) -> bool:
        """Whether the model obeys a rule on this row."""
        if self.perfect:
            return True
        adherence = max(FLOOR, ADHERENCE - DILUTION * self.plan.useless)
        return chance(self.seed, self.plan.digest, self.row, key(rule)) < adherence

    def habit(self, what: str) -> float:
        """A number in [0, 1) for a habit that no rule speaks of; the prompt's wording does not move it."""
        return chance(self.seed, self.row, what)


def answer(parts: Parts, *, seed: int, perfect: bool, response_format: Mapping[str, Any] | None) -> str:
    """Answer a task request."""
    plan = with_format(plan_of(parts.lines), response_format)
    dice = Dice(seed=seed, plan=plan, row=parts.row, perfect=perfect)
    text = _play_answer(parts, dice) if about_play(parts, plan) else _review_answer(parts, dice)
    return text


def about_play(parts: Parts, plan: Plan) -> bool:
    """Whether a row is about the play rather than a business review."""
    review, tale = _leaning(plan.digest, plan.wants("sentiment") or plan.wants("business"))
    reading = read(parts.row)
    review += bool(reading.praise or reading.complaint) + bool(reading.business)
    return tale + play.belongs(parts.row) > review


@lru_cache(maxsize=1024)
def _leaning(prompt: str, labelled: bool) -> tuple[int, int]:
    return (3 if REVIEW_WORDS.search(prompt) else 0) + 3 * labelled, 3 if PLAY_WORDS.search(prompt) else 0


@lru_cache(maxsize=2048)
def person_meant(phrase: str) -> str | None:
    """Id of the person whom a source of a substitution means."""
    return play.resolve(phrase)


def _known_people(plan: Plan) -> dict[str, str]:
    """Other name -> id of the person, as the prompt's substitutions tell."""
    known = load()["play"]["people"]
    names = {form for person in known.values() for form in person["forms"]}
    found: dict[str, str] = {}
    for swap in plan.swaps:
        who = person_meant(swap.source) if swap.field is None else None
        if who is not None:
            found[swap.target] = who
    return {other: who for other, who in found.items() if plain(other) not in names}


def _play_answer(parts: Parts, dice: Dice) -> str:
    plan = dice.plan
    aliases = _known_people(plan)
    row = parts.row
    for other, who in aliases.items():
        row = re.sub(rf"\b{re.escape(other)}\b", play.name(who), row)
    said = play.ask(row, aliases, f"{dice.seed}|{parts.row}")
    obeyed = [swap for swap in plan.swaps if swap.field is None and dice.obeys(swap)]
    pairs = tuple((_called(swap), swap.target) for swap in obeyed)
    wanted = plan.shape if plan.shape and (plan.forced or dice.obeys(plan.shape)) else None
    ruled = values.ruled_answer(plan, parts.row, dice)
    short, text = ruled or rename(said.short, pairs), ruled or rename(said.text, pairs)
    short = values.listed_answer(plan, short, text, dice) or short
    if wanted and wanted.kind == "json":
        rows = {name: _play_value(name, short, text) for name in (plan.keys or ("answer",))}
        return _as_json({name: finish_value(value, dice) for name, value in rows.items()}, dice)
    if (wanted and wanted.kind in ("value", "word")) or short != (ruled or rename(said.short, pairs)):
        text = short
    return finish(text, short, plan, dice.obeys, bulleted=bool(wanted and wanted.kind == "bullets"))


def _called(swap: Swap) -> str:
    who = person_meant(swap.source)
    return play.name(who) if who is not None else swap.source


def _play_value(name: str, short: str, text: str) -> Any:
    kind = meaning_of(name)
    if kind == "confidence":
        return 0.9
    if kind == "language":
        return "en"
    return text if kind == "text" else short


def finish_value(value: Any, dice: Dice) -> Any:
    """A JSON value under the rules on words and case; other values pass."""
    return finish(value, value, dice.plan, dice.obeys, inside=True) if isinstance(value, str) else value


def _review_answer(parts: Parts, dice: Dice) -> str:
    plan = dice.plan
    wanted = plan.shape if plan.shape and (plan.forced or dice.obeys(plan.shape)) else None
    taught = values.taught(parts.demos) if parts.demos else {}
    if wanted and wanted.kind == "json" or (wanted is None and plan.shape is None and values.shown_keys(parts.demos)):
        keys = plan.keys or values.shown_keys(parts.demos) or ("sentiment", "business")
        return _as_json({name: finish_value(values.field_value(name, dice, taught), dice) for name in keys}, dice)
    kinds = [kind for kind in ("sentiment", "business") if plan.wants(kind)]
    if not kinds and plan.choices:
        kinds = [values.kind_of_list(plan.choices[-1]) or "sentiment"]
    found = {kind: str(values.field_value(kind, dice, taught)) for kind in kinds}
    short = ", ".join(found.values()) or str(values.field_value("sentiment", dice, taught))
    if (wanted and wanted.kind in ("value", "word")) or (found and values.answers_by_label(plan)):
        text = short
    else:
        text = values.prose(dice, found)
    return finish(text, short, plan, dice.obeys, bulleted=bool(wanted and wanted.kind == "bullets"))


def _as_json(rows: Mapping[str, Any], dice: Dice) -> str:
    text = json.dumps(rows, ensure_ascii=False)
    if dice.plan.forced or (dice.plan.bare and dice.obeys(dice.plan.bare)):
        return text
    habit = dice.habit("wrapping")
    if habit < FENCE_HABIT:
        return f"```json\n{text}\n```"
    if habit < FENCE_HABIT + CHAT_HABIT:
        lead = pick(["Here is the result:", "This is what I found:", "Sure, here you go:"], dice.seed, dice.row, "lead")
        return f"{lead}\n{text}"
    return text
