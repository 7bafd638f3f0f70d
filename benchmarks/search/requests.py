"""What the reflection model is asked: the request forms of each tool, told apart and taken apart."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from random import Random

from benchmarks.search import data_aware, hierarchical, reflection
from benchmarks.search.reflection import Asked, Shown
from benchmarks.search.statements import read_prompt
from benchmarks.search.wording import phrase
from benchmarks.search.worlds.world import World, chance

FENCED = re.compile(r"<(prompt|failures|passing|attempts)-([0-9a-f]+)>\n(.*?)\n</\1-\2>", re.DOTALL)
LINE = re.compile(r"^(L\w+)\| (.*?)(  \(locked\))?$", re.MULTILINE)
MESSAGE = re.compile(r"^\[(system|user|assistant)\]$")
WHOLE = '"prompt": ['
"""What a request of ours for a whole prompt says of its reply."""
REFLECTIVE = re.compile(
    r"following instructions to perform a task for me:\n```\n(.*?)\n```\n\nThe following are", re.DOTALL
)
EXAMPLE = re.compile(
    r"^# Example \d+\n## Inputs\n(.*?)\n\n## Generated Outputs\n(.*?)\n\n## Feedback\n(.*?)(?=\n\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
MARKED = re.compile(r"\[\[ ## (\w+) ## \]\]\n(.*?)(?=\n\n\[\[ ## |\n\nRespond with|\Z)", re.DOTALL)


def answer(world: World, messages: Sequence[Mapping[str, str]], seed: object = None) -> str:
    """The reply to any of the request forms; of the same messages another one for another seed."""
    texts = [str(message["content"]) for message in messages]
    rng = Random(chance(world.family, world.seed, *texts, *([] if seed is None else [seed])))
    last = texts[-1]
    fences = {name: body for name, _, body in FENCED.findall(last)}
    if "failures" in fences:
        return (_whole if WHOLE in texts[0] else _edits)(world, fences, rng)
    current = REFLECTIVE.search(last)
    if current is not None:
        return _instruction(world, current.group(1), last, rng)
    marked = dict(MARKED.findall(last))
    if marked:
        return data_aware.reply(world, texts[0], marked, rng)
    told = hierarchical.reply(world, last, rng)
    if told is not None:
        return told
    return "I am sorry, I do not understand."


def _edits(world: World, fences: Mapping[str, str], rng: Random) -> str:
    attempts = [json.loads(text)["edit"] for text in fences.get("attempts", "").splitlines()]
    lines = LINE.findall(fences["prompt"])
    asked = Asked(
        lines={key: text for key, text, _ in lines},
        locked=frozenset(key for key, _, mark in lines if mark),
        shown=[*_rows(world, fences["failures"]), *_rows(world, fences.get("passing", ""))],
        tried=[str(edit["text"]) for edit in attempts if edit["text"]],
        spared=frozenset(str(edit["target"]) for edit in attempts if edit["op"] == "remove_line"),
    )
    return reflection.edits(world, asked, rng)


def _whole(world: World, fences: Mapping[str, str], rng: Random) -> str:
    """A whole prompt in JSON, message by message: lines are repeated, dropped and added, as the request asks."""
    messages: list[tuple[str, list[tuple[str, bool]]]] = []
    for text in fences["prompt"].split("\n"):
        if head := MESSAGE.match(text):
            messages.append((head.group(1), []))
        elif line := LINE.match(text):
            messages[-1][1].append((line.group(2), bool(line.group(3))))
    shown = _rows(world, fences["failures"])
    stated = read_prompt(world, "\n".join(text for _, lines in messages for text, _ in lines)).statements
    found = reflection.diagnose(world, shown, stated, rng)
    wrong = reflection.doubted(world, shown, stated, rng)
    made = []
    for number, (role, lines) in enumerate(messages):
        texts = [text for text, _ in lines]
        if role == "system":
            stays = frozenset(text for text, locked in lines if locked)
            texts = reflection.kept(world, texts, found, wrong, rng, locked=stays, careful=True)
        if number == 0:
            texts += [phrase(world, finding, rng) for finding in found]
        made.append({"role": role, "text": "\n".join(texts)})
    return json.dumps({"diagnosis": "rules of the house were not stated", "prompt": made})


def _rows(world: World, fenced: str) -> list[Shown]:
    """Rows as our own requests show them: one JSON object a line."""
    shown = []
    for text in fenced.splitlines():
        item = json.loads(text)
        row = world.find(" ".join(str(value) for value in item["input"].values()))
        if row is not None:
            wanted = _named(world, _wanted(world, item["expected"]), " ".join(item.get("reasons", ())))
            shown.append(Shown(row=row, got=world.read(item["output"]), wanted=wanted))
    return shown


def _named(world: World, wanted: dict[str, str], reasons: str) -> dict[str, str]:
    """Of several fields those that the reasons name: the request asks for this cause, not for all that is wrong."""
    named = {name: value for name, value in wanted.items() if world.paths.get(name, "?") in reasons}
    return named or wanted


def _wanted(world: World, expected: object) -> dict[str, str]:
    return world.understood(expected if isinstance(expected, str) else json.dumps(expected))


def _instruction(world: World, prompt: str, text: str, rng: Random) -> str:
    shown = []
    for inputs, output, feedback in EXAMPLE.findall(text):
        row = world.find(inputs)
        told = re.search(r"^Expected: (.*)$", feedback, re.MULTILINE)
        if row is not None and told is not None:
            shown.append(Shown(row=row, got=world.read(output), wanted=world.understood(told.group(1))))
    stated = read_prompt(world, prompt).statements
    found = reflection.diagnose(world, shown, stated, rng)
    made = reflection.rewritten(world, prompt, found, reflection.doubted(world, shown, stated, rng), rng)
    return f"The answers went wrong for reasons that the instruction should name.\n\n```\n{made}\n```"
