"""Worked examples as edits: rows of a cluster with the answers that they expect. No model is called.

A demo shows what a rule would have to say. It is taken from the middle of its cluster, where a wrong label is least
likely, and only where what it shows as an answer has the form of answers that pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.dataset import Example, canonical_json, display
from optimizer.edits import Edit, added_demo, lacking
from optimizer.failures import Failure
from optimizer.mutate.base import Proposal
from optimizer.mutate.limits import MOST_DEMO_CHARACTERS, MOST_DEMOS, demo_size, variables_of
from optimizer.prompt import Demo, Prompt, demo_template
from optimizer.wording import input_words

LEAST_MEMBERS = 2
"""A cluster of one row may be a wrong label."""
SECOND_FROM = 4
"""Members from which a cluster is given a second choice."""
MOST_COMPARED = 80
"""Members that are compared with each other."""
FENCE = "```"


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoMutator:
    """Proposes demos for a cluster."""

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        """At most two edits: the row most like the other members, then the one that stands for the rest of them.

        None where the prompt asks with no variable, is full, or shows answers in a form that cannot be told.
        """
        prompt, cluster = proposal.prompt, proposal.cluster
        if len(prompt.demos) >= MOST_DEMOS or not variables_of(demo_template(prompt), prompt):
            return ()
        if len(cluster.members) < LEAST_MEMBERS:
            return ()
        members = cluster.members[:MOST_COMPARED]
        known = answers([*cluster.members, *proposal.passing])
        made = [
            _demo(member.example, proposal) if len(known.get(input_words(member.example), ())) == 1 else None
            for member in members
        ]
        chosen = chosen_rows([member.example for member in members], [demo is not None for demo in made])
        why = f"a worked example of {len(cluster.members)} failures"
        return tuple(added_demo(demo, cluster=cluster.id, why=why) for index in chosen if (demo := made[index]))


def chosen_rows(rows: Sequence[Example], usable: Sequence[bool]) -> list[int]:
    """Indices of the rows to show: the medoid among the usable ones, then the row that adds most to it.

    Args:
        rows: members of a cluster.
        usable: whether each may be shown.
    """
    words = [input_words(row) for row in rows]
    alike = [[_jaccard(one, two) for two in words] for one in words]
    candidates = sorted((index for index, fit in enumerate(usable) if fit), key=lambda index: rows[index].id)
    if not candidates:
        return []
    first = max(candidates, key=lambda index: sum(alike[index]))
    others = [index for index in candidates if index != first]
    if len(rows) < SECOND_FROM or not others:
        return [first]

    def covered(index: int) -> float:
        return sum(max(pair) for pair in zip(alike[first], alike[index], strict=True))

    return [first, max(others, key=covered)]


def _demo(example: Example, proposal: Proposal) -> Demo | None:
    """The demo that a member makes; None where it may not be shown."""
    prompt = proposal.prompt
    output = rendered(example.expected, proposal.passing)
    if example.id in prompt.demo_rows or not output or not output.strip():
        return None
    demo = Demo(inputs=_used_inputs(example, prompt), output=output, row=example.id)
    if lacking(prompt, demo) or demo_size(prompt, demo) > MOST_DEMO_CHARACTERS or not _writable(demo):
        return None
    return demo


def _used_inputs(example: Example, prompt: Prompt) -> dict[str, Any]:
    used = variables_of("\n".join(line.content for line in prompt.lines), prompt)
    return {name: value for name, value in example.inputs.items() if name in used}


def _writable(demo: Demo) -> bool:
    try:
        canonical_json([dict(demo.inputs), demo.output])
    except (TypeError, ValueError):
        return False
    return True


def answers(rows: Iterable[Failure]) -> dict[frozenset[str], frozenset[str]]:
    """Words of a question -> what rows that ask with these words expect: two answers mean that a label is wrong."""
    found: dict[frozenset[str], frozenset[str]] = {}
    for row in rows:
        if row.example.expected is not None:
            words = input_words(row.example)
            found[words] = found.get(words, frozenset()) | {display(row.example.expected)}
    return found


def rendered(expected: Any, passing: Sequence[Failure]) -> str | None:
    """An expected value in the form of answers that pass; None where they have a form that it does not fill.

    A text is taken as it is, where passing answers are hardly longer than what their rows expect. JSON takes the
    layout, the order of keys and the code fence of the nearest passing answer that has the same keys.
    """
    if expected is None:
        return None
    if isinstance(expected, Mapping | list):
        return _json(expected, passing)
    like = [row for row in passing if row.example.expected is not None]
    if like and 2 * sum(_is_bare(row) for row in like) < len(like):
        return None
    return display(expected)


def _is_bare(row: Failure) -> bool:
    """Whether an answer is about as long as what its row expects, and no JSON around it."""
    output, expected = row.result.output, row.example.expected
    if isinstance(expected, Mapping | list) or isinstance(_parsed(output), Mapping | list):
        return False
    return len(output.split()) <= 2 * len(display(expected).split()) + 2


def _json(expected: Any, passing: Sequence[Failure]) -> str | None:
    if not passing:
        return json.dumps(expected, ensure_ascii=False)
    for row in passing:
        shown = _parsed(row.result.output)
        if _same_shape(shown, expected):
            return _laid_out(_ordered(expected, shown), row.result.output.strip())
    return None


def _same_shape(shown: Any, expected: Any) -> bool:
    if isinstance(expected, Mapping):
        return isinstance(shown, Mapping) and shown.keys() == expected.keys()
    return isinstance(shown, list)


def _ordered(value: Any, like: Any) -> Any:
    """The value, keys in the order in which the other one has them."""
    if not isinstance(value, Mapping) or not isinstance(like, Mapping):
        return value
    keys = [*(key for key in like if key in value), *(key for key in value if key not in like)]
    return {key: _ordered(value[key], like.get(key)) for key in keys}


def _laid_out(value: Any, like: str) -> str:
    """JSON text with the indents, spaces and code fence of another one."""
    head, body, tail = _unfenced(like)
    second = body.split("\n")[1] if "\n" in body else None
    indent = (len(second) - len(second.lstrip(" ")) or None) if second is not None else None
    tight = indent is None and '": ' not in body
    separators = (",", ":") if tight else None
    return head + json.dumps(value, ensure_ascii=False, indent=indent, separators=separators) + tail


def _unfenced(text: str) -> tuple[str, str, str]:
    """(opening of a code fence with its line end, what it holds, its closing); empty where there is none."""
    if text.startswith(FENCE) and text.endswith(FENCE) and text.count("\n") >= 2:
        head, _, rest = text.partition("\n")
        body, _, tail = rest.rpartition("\n")
        return f"{head}\n", body, f"\n{tail}"
    return "", text, ""


def _parsed(output: str) -> Any:
    try:
        return json.loads(_unfenced(output.strip())[1])
    except (ValueError, RecursionError):
        return None


def _jaccard(one: frozenset[str], two: frozenset[str]) -> float:
    return len(one & two) / max(len(one | two), 1)
