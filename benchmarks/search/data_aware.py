"""What a proposer that sees data and no failures is answered: DSPy's signatures, in its marked fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from benchmarks.search.reflection import FIND_IN_DATA, LOST, MOST_FOUND, Shown, doubted, kept
from benchmarks.search.statements import Statement, read_prompt, read_sentence, sentences
from benchmarks.search.wording import phrase, plainly, platitude
from benchmarks.search.worlds.world import Row, World

OUTPUTS = re.compile(r"Your output fields are:\n\d+\. `(\w+)`")
MOST_SUMMED = 6
"""Rules that a summary of two or three sentences keeps."""


def reply(world: World, system: str, marked: Mapping[str, str], rng: Random) -> str:
    """The reply to any of the proposer's signatures."""
    wanted = OUTPUTS.search(system)
    name = wanted.group(1) if wanted else "answer"
    if name == "observations":
        text = " ".join(["The rows are texts with one answer each.", *_seen(world, marked["examples"], rng)])
    elif name == "summary":
        told = _rules(world, marked["observations"])
        kept = rng.sample(told, min(MOST_SUMMED, len(told)))
        text = " ".join(["Short texts, each with an answer of the house.", *kept])
    elif name == "proposed_instruction":
        text = _instruction(world, marked, rng)
    else:
        text = "It reads a text and gives the answer that the house expects."
    return f"[[ ## {name} ## ]]\n{text}\n\n[[ ## completed ## ]]"


def _seen(world: World, examples: str, rng: Random) -> list[str]:
    """Rules read off rows that are merely shown, in words."""
    causes: dict[str, int] = {}
    for row in world.rows:
        if _shows(examples, row):
            for name, rule in row.cause.items():
                if row.truth[name] == row.expected[name]:
                    causes[rule] = causes.get(rule, 0) + 1
    found = [key for key, count in sorted(causes.items()) if rng.random() < 1 - (1 - FIND_IN_DATA) ** count]
    return [phrase(world, plainly(world.by_rule[key]), rng) for key in found[:MOST_FOUND]]


def _contradicted(world: World, instruction: str, examples: str, rng: Random) -> list[Statement]:
    """Rules of the instruction that rows speak against."""
    stated = read_prompt(world, instruction).statements
    shown = [
        Shown(row=row, got={one.field: one.value}, wanted=row.expected)
        for row in world.rows
        if _shows(examples, row)
        for one in stated
        if one.holds(row)
    ]
    return doubted(world, shown, stated, rng)


def _shows(examples: str, row: Row) -> bool:
    return row.text in examples or repr(row.text)[1:-1] in examples


def _rules(world: World, text: str) -> list[str]:
    return [part for part in sentences(text) if read_sentence(world, part)]


def _instruction(world: World, marked: Mapping[str, str], rng: Random) -> str:
    """A new instruction: the basic one, what the summary says, what the demos show, and the tip's tone."""
    told = [rule for rule in _rules(world, marked.get("dataset_description", "")) if rng.random() >= LOST]
    demos = marked.get("task_demos", "")
    told += _seen(world, demos, rng)
    basic = marked.get("basic_instruction", world.prompt)
    old = kept(world, basic.split("\n"), (), _contradicted(world, basic, demos, rng), rng)
    lines = [*old, *dict.fromkeys(told)]
    if "tip" in marked and rng.random() < 0.5:
        lines.insert(0, platitude(rng))
    return "\n".join(lines)
