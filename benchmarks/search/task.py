"""The task model: a pure function of (world, messages). It does what the prompt states, most of the time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from benchmarks.search.statements import Reading, Statement, read_prompt
from benchmarks.search.worlds import make_world
from benchmarks.search.worlds.world import Row, World, chance

IDLE_COST = 0.006
"""Adherence lost for each sentence that says nothing new."""
LEAST_ADHERENCE = 0.5
NARROW = 0.85
"""How often the narrower of two rules wins, or the one that stress is laid on; else the later one does."""
FROM_DEMO = 0.45
"""How often the model does as an example of the same kind did."""
OBJECTIVE = "your objective is:"
MARKED = re.compile(r"\[\[ ## (\w+) ## \]\]\n(.*?)(?=\n\n\[\[ ## |\n\nRespond with|\Z)", re.DOTALL)
ASKED_FIELD = re.compile(r"starting with the field `\[\[ ## (\w+) ## \]\]`")


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """All of a request but its row."""

    reading: Reading
    """What the prompt states."""
    demos: tuple[Statement, ...]
    """What the examples show."""
    mark: str
    """A hash of prompt and examples: one part of what decides how the model errs."""


def answer(world: World, messages: Sequence[Mapping[str, str]]) -> str:
    """The model's output; an apology where the request holds no row of the world."""
    last = str(messages[-1]["content"])
    row = world.find(_row_text(last))
    if row is None:
        return "I am sorry, I do not understand."
    before = tuple((message["role"], str(message["content"])) for message in messages[:-1])
    around = "" if last.strip() == row.text else last.replace(row.text, "")
    output = world.write(decide(world, row, _frame(world.family, world.seed, before, around)))
    asked = ASKED_FIELD.search(last)
    return f"[[ ## {asked.group(1)} ## ]]\n{output}\n\n[[ ## completed ## ]]" if asked else output


def decide(world: World, row: Row, frame: Frame) -> dict[str, str]:
    """Field -> value."""
    adherence = max(world.adherence - IDLE_COST * frame.reading.idle, LEAST_ADHERENCE)
    values: dict[str, str] = {}
    for name in world.fields:
        said = row.base[name]
        luck = chance(world.seed, frame.mark, row.id, name)
        stated = _stated(world, row, name, frame)
        if stated is not None and luck < adherence:
            said = stated.value
        elif stated is None and luck < world.slip:
            said = world.values[name][int(luck / world.slip * len(world.values[name]))]
        elif stated is None:
            shown = next((demo for demo in frame.demos if demo.field == name and demo.holds(row)), None)
            said = shown.value if shown is not None and luck > 1 - FROM_DEMO else said
        values[name] = said
    return values


def _stated(world: World, row: Row, name: str, frame: Frame) -> Statement | None:
    """The rule that the model goes by."""
    held = [
        statement
        for statement in frame.reading.statements
        if statement.field == name
        and statement.holds(row)
        and (statement.instead is None or statement.instead == row.base[name])
    ]
    if not held:
        return None
    most = max(statement.narrow for statement in held)
    firm = [statement for statement in held if statement.firm]
    first = firm[-1] if firm else [statement for statement in held if statement.narrow == most][-1]
    return first if chance(world.seed, frame.mark, row.id, name, "which") < NARROW else held[-1]


@lru_cache(maxsize=4096)
def _frame(family: str, seed: int, before: tuple[tuple[str, str], ...], around: str) -> Frame:
    world = make_world(family, seed)
    asked = ASKED_FIELD.search(around)
    system = "\n".join(content for role, content in before if role in ("system", "developer"))
    system = system.partition(OBJECTIVE)[2] or system
    text = system if asked else f"{system}\n{around}"
    demos: list[Statement] = []
    turns = [turn for turn in before if turn[0] in ("user", "assistant")]
    for (role, shown), (_, said) in zip(turns, turns[1:], strict=False):
        row = world.find(_row_text(shown)) if role == "user" else None
        if row is not None:
            demos += _shown(world, row, _row_text(said))
    mark = blake2b(f"{text}\x1f{turns}".encode(), digest_size=8).hexdigest()
    return Frame(reading=read_prompt(world, text), demos=tuple(demos), mark=mark)


def _shown(world: World, row: Row, output: str) -> list[Statement]:
    """What an example tells of rows of its kind."""
    found = []
    for name, value in world.read(output).items():
        rule = world.by_rule.get(row.cause.get(name, ""))
        if rule is not None and value in world.values[name]:
            found.append(
                Statement(
                    field=name, value=value, when=rule.when, above=rule.above, upto=rule.upto, instead=rule.instead
                )
            )
    return found


def _row_text(content: str) -> str:
    """The first marked field's value, where a message has marked fields; else all of it."""
    marked = MARKED.search(content)
    return marked.group(2).strip() if marked else content.strip()
