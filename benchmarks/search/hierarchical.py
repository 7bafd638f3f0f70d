"""What HRPO is answered: failures of a batch, batches put together, a prompt mended for one failure mode."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from benchmarks.search.reflection import DOUBT, USELESS, Shown, diagnose, kept
from benchmarks.search.statements import Statement, read_prompt, read_sentence
from benchmarks.search.wording import Finding, phrase, plainly, platitude
from benchmarks.search.worlds.world import World

BATCH = "You are analyzing evaluation results to identify failure patterns."
SYNTHESIS = "You are synthesizing root cause analyses from multiple batches of evaluation results."
IMPROVE = "You are an expert prompt engineer. You are given one or more prompts and a failure mode"
MOST_IN_BATCH = 5
"""Rules that the analysis of a batch states, at most: it is asked for all distinct failures."""
DROPPED = 0.7
"""How often a mode that at most one row shows is eliminated, as its request asks."""
ROW = re.compile(r"^Input: (.*)\nExpected: (.*)\nOutput: (.*)$", re.MULTILINE)
MODE = re.compile(r"^  - (.*)\n    Description: (.*)\n    Root Cause: (.*)$", re.MULTILINE)
PROMPT = re.compile(r"^--- Prompt: (.*) ---\n```\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
ASKED = re.compile(r"^ - Description: (.*)\n - Root Cause: (.*)$", re.MULTILINE)
INSTEAD = re.compile(r'the answer was "(.*?)"')
CASES = re.compile(r"\(Test Cases \d+-(\d+)\)")


def reply(world: World, text: str, rng: Random) -> str | None:
    """The reply to any of its three requests; None for another text."""
    if text.startswith(BATCH):
        return _batch(world, text, rng)
    if text.startswith(SYNTHESIS):
        return _synthesis(world, text, rng)
    return _improved(world, text, rng) if text.startswith(IMPROVE) else None


def _batch(world: World, text: str, rng: Random) -> str:
    """Failure modes of some rows. The prompt is not shown: a rule that it states already is found again."""
    shown = []
    for said, expected, output in ROW.findall(text):
        row = world.find(said)
        if row is not None:
            shown.append(Shown(row=row, got=world.read(output), wanted=world.understood(expected)))
    modes = []
    for finding in diagnose(world, shown, (), rng, MOST_IN_BATCH):
        came = Counter(item.got.get(finding.field) for item in shown if _fails(item, finding))
        instead = came.most_common(1)[0][0] if came else None
        modes.append(
            {
                "name": f"Wrong answers where {finding.value} is right",
                "description": f'{finding.seen} of the rows fail so; the answer was "{instead or "missing"}".',
                "root_cause": phrase(world, finding, rng),
            }
        )
    return json.dumps({"failure_modes": modes})


def _fails(item: Shown, finding: Finding) -> bool:
    wanted = item.wanted.get(finding.field)
    return wanted == finding.value != item.got.get(finding.field) and finding.when <= item.row.facts


def _synthesis(world: World, text: str, rng: Random) -> str:
    """The modes of all batches, the same rule once, the frequent ones first; most of those seen once are dropped."""
    seen: Counter[object] = Counter()
    modes: dict[object, dict[str, str]] = {}
    for name, description, cause in MODE.findall(text):
        stated = read_sentence(world, cause)
        key = stated[0].key if stated else cause
        seen[key] += int(description.split(" ")[0])
        modes.setdefault(key, {"name": name, "description": description, "root_cause": cause})
    cases = [int(last) for last in CASES.findall(text)]
    kept_modes = [key for key, count in seen.most_common() if count > 1 or rng.random() >= DROPPED]
    return json.dumps(
        {
            "total_test_cases": max(cases, default=0),
            "num_batches": len(cases),
            "unified_failure_modes": [modes[key] for key in kept_modes or list(modes)],
            "synthesis_notes": "- The same causes in several batches were merged.",
        }
    )


def _improved(world: World, text: str, rng: Random) -> str:
    """Every prompt, mended for one failure mode."""
    description, cause = ASKED.findall(text)[0]
    made = {}
    for name, shown in PROMPT.findall(text):
        messages = ast.literal_eval(shown)
        for message in messages:
            if message["role"] == "system":
                message["content"] = _mended(world, message["content"], description, cause, rng)
        made[name] = {
            "reasoning": "The rule behind the failures is now stated.",
            "messages": messages,
            "tool_descriptions": None,
            "parameter_descriptions": None,
        }
    return json.dumps(made)


def _mended(world: World, prompt: str, description: str, cause: str, rng: Random) -> str:
    stated = read_prompt(world, prompt).statements
    known = {one.key for one in stated}
    found = [replace(plainly(one), firm=False) for one in read_sentence(world, cause)]
    fresh = [finding for finding in found if finding.key not in known]
    instead = INSTEAD.search(description)
    wrong = _doubted(stated, found, instead.group(1), rng) if instead else []
    lines = kept(world, prompt.split("\n"), fresh, wrong, rng, careful=True)
    lines += [phrase(world, finding, rng) for finding in fresh]
    if rng.random() < USELESS:
        lines.append(platitude(rng))
    return "\n".join(lines)


def _doubted(stated: Sequence[Statement], found: Sequence[Finding], value: str, rng: Random) -> list[Statement]:
    """Stated rules that give what came instead, for rows of the same kind."""
    near = [
        one
        for one in stated
        for finding in found
        if (one.field, one.value) == (finding.field, value) and one.value != finding.value and one.when <= finding.when
    ]
    return [one for one in near if rng.random() < DOUBT][:1]
