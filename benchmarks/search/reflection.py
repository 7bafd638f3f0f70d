"""The reflection model: finds causes in what it is shown, states them in words of its own, and errs.

A pure function of (world, messages). It knows the world's language (which concept an input shows), never its rules'
list: a rule is found only from shown failures of it, with P = 1 - (1 - p)^k for k of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.search.statements import Statement, read_sentence, sentences
from benchmarks.search.worlds.world import Row, Rule, World, chance

FIND = 0.55
"""How often one failure is enough to see its cause."""
FIND_IN_DATA = 0.12
"""The same for a row that is shown as data, not as a failure."""
MOST_FOUND = 3
"""Rules that one call states, at most."""
SPURIOUS = 0.15
"""How often a call states a rule that is none."""
OVER_GENERAL = 0.3
"""How often a limit or a second condition is left out, for a rule seen once; less often when seen more."""
WRONG_LIMIT = 0.25
"""The same for a limit that is not quite right."""
USELESS = 0.25
"""How often a call adds a sentence that says nothing."""
LOST = 0.06
"""How often a rewrite of a whole prompt loses one of its rules."""
REWORDED = 0.3
"""How often it says an old rule in other words."""
LEARNS = 0.7
"""How often it heeds what was tried in vain."""

SHAPES = (
    "If {when}, {then}.",
    "When {when}, {then}.",
    "{Then} whenever {when}.",
    "For messages where {when}, {then}.",
    "In case {when}, {then}.",
    "{Then} if {when}.",
    "Where {when}, always {then}.",
)
CONDITIONS = (
    "it is about {name}",
    "the text points to {name}",
    "the sender's matter is {name}",
    "it comes down to {name}",
)
CONSEQUENCES = ("answer {value}", "the answer is {value}", "use {value}", "choose {value}", "give {value}")
OVER = ("the amount is more than {limit}", "the sum is over {limit}", "the amount exceeds {limit}")
UPTO = ("the amount is at most {limit}", "the sum is up to {limit}", "the amount is no more than {limit}")
SUBSTITUTIONS = (
    "Write {value} instead of {instead}.",
    "Our word is {value} rather than {instead}.",
    "Say {value}, never {instead}.",
    "The house speaks of {value}, not {instead}.",
)
PLATITUDES = (
    "Read every message with great care before you answer.",
    "Consider the whole context and think about what is really meant.",
    "Be precise and consistent in all answers.",
    "Pay attention to details, since small differences matter.",
    "Stay neutral and do not guess without a reason.",
    "Check the answer once more before giving it.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One row as a request shows it."""

    row: Row
    """The row."""
    got: Mapping[str, str]
    """What came."""
    wanted: Mapping[str, str]
    """What was wanted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A rule that the model believes in."""

    field: str
    """What it decides."""
    value: str
    """The consequence."""
    when: frozenset[str]
    """The condition."""
    above: int | None = None
    """A limit."""
    upto: int | None = None
    """A limit."""
    instead: str | None = None
    """What is said without it; told where it has no other condition."""
    seen: int = 1
    """Failures that it explains."""

    @property
    def key(self) -> tuple[object, ...]:
        """As `Statement.key`."""
        return (self.field, self.value, self.when, frozenset(), self.above, self.upto, ())


def diagnose(world: World, shown: Sequence[Shown], stated: Sequence[Statement], rng: Random) -> list[Finding]:
    """Rules found in failures, the surest first; then perhaps one that is none."""
    causes: dict[str, list[Row]] = {}
    loose: list[tuple[Row, str, str]] = []
    for item in shown:
        for name in world.fields:
            wanted = item.wanted.get(name)
            if wanted is None or item.got.get(name) == wanted:
                continue
            rule = item.row.cause.get(name)
            if rule is not None and item.row.truth[name] == wanted:
                causes.setdefault(rule, []).append(item.row)
            loose.append((item.row, name, wanted))
    found: list[Finding] = []
    for rule_id, rows in sorted(causes.items(), key=lambda pair: (-len(pair[1]), chance(rng.random(), pair[0]))):
        if rng.random() < 1 - (1 - FIND) ** len(rows) and len(found) < MOST_FOUND:
            found.append(_finding(world.by_rule[rule_id], rows, rng))
    if loose and rng.random() < SPURIOUS:
        found.append(_spurious(world, rng.choice(loose), rng))
    known = {statement.key for statement in stated}
    return [finding for finding in found if finding.key not in known]


def _finding(rule: Rule, rows: Sequence[Row], rng: Random) -> Finding:
    """A rule as the model understands it: a limit or a second condition may get lost, a limit may be off."""
    above, upto, when = rule.above, rule.upto, rule.when
    careless = OVER_GENERAL / len(rows)
    if (above, upto) != (None, None):
        if rng.random() < careless:
            above = upto = None
        elif rng.random() < WRONG_LIMIT:
            amounts = [row.amount for row in rows if row.amount is not None]
            above = min(amounts) // 10 * 10 if above is not None and amounts else above
            upto = (max(amounts) // 10 + 1) * 10 if upto is not None and amounts else upto
    elif (len(when) > 1 or (when and rule.instead)) and rng.random() < careless:
        when = when - {rng.choice(sorted(when))}
    return Finding(
        field=rule.field,
        value=rule.value,
        when=when,
        above=above,
        upto=upto,
        instead=rule.instead,
        seen=len(rows),
    )


def plainly(rule: Rule | Statement) -> Finding:
    """A rule, understood rightly."""
    return Finding(
        field=rule.field,
        value=rule.value,
        when=rule.when,
        above=rule.above,
        upto=rule.upto,
        instead=rule.instead,
    )


def _spurious(world: World, loose: tuple[Row, str, str], rng: Random) -> Finding:
    """A rule read into one failure: another concept, or the row's own with a limit made up."""
    row, name, wanted = loose
    concept = rng.choice(sorted(row.facts) + rng.sample(sorted(world.concepts), 1))
    above = row.amount // 10 * 10 if row.amount is not None and rng.random() < 0.5 else None
    return Finding(field=name, value=wanted, when=frozenset({concept}), above=above, seen=0)


def phrase(world: World, finding: Finding, rng: Random) -> str:
    """A rule in words."""
    parts = []
    for key in sorted(finding.when):
        names = world.concepts[key].names
        parts.append(rng.choice(CONDITIONS).format(name=rng.choice(names)))
    if finding.above is not None:
        parts.append(rng.choice(OVER).format(limit=finding.above))
    if finding.upto is not None:
        parts.append(rng.choice(UPTO).format(limit=finding.upto))
    if not parts:
        shapes = SUBSTITUTIONS if finding.instead else ("Always {value}.",)
        return rng.choice(shapes).format(value=finding.value, instead=finding.instead)
    then = rng.choice(CONSEQUENCES).format(value=finding.value)
    when = " and ".join(parts)
    return rng.choice(SHAPES).format(when=when, then=then, Then=then[:1].upper() + then[1:])


def platitude(rng: Random) -> str:
    """A sentence that says nothing."""
    return rng.choice(PLATITUDES)


def rewritten(world: World, prompt: str, found: Sequence[Finding], rng: Random) -> str:
    """A whole prompt written anew: old rules are kept, reworded, replaced or lost; new ones are added."""
    known = set(sentences(world.prompt))
    lines: list[str] = []
    for line in prompt.split("\n"):
        stated = [statement for part in sentences(line) for statement in read_sentence(world, part)]
        if not stated or any(part in known for part in sentences(line)):
            lines.append(line)
            continue
        if rng.random() < LOST:
            continue
        if any(_overrules(finding, stated[0]) for finding in found) and rng.random() < LEARNS:
            continue
        lines.append(_reworded(world, line, stated, rng))
    lines += [phrase(world, finding, rng) for finding in found]
    if rng.random() < USELESS:
        lines.append(platitude(rng))
    return "\n".join(lines)


def _overrules(finding: Finding, old: Statement) -> bool:
    same = finding.field == old.field and finding.when == old.when
    return same and (finding.above, finding.upto) == (old.above, old.upto) and finding.value != old.value


def _reworded(world: World, line: str, stated: Sequence[Statement], rng: Random) -> str:
    if len(stated) != 1 or not stated[0].when or stated[0].unless or rng.random() >= REWORDED:
        return line
    old = stated[0]
    return phrase(world, Finding(field=old.field, value=old.value, when=old.when, above=old.above, upto=old.upto), rng)


def edits(world: World, lines: Mapping[str, str], shown: Sequence[Shown], tried: Sequence[str], rng: Random) -> str:
    """A reply of edits in JSON, as a tool asks for that changes single lines.

    Args:
        world: the task.
        lines: id -> text of the prompt's lines.
        shown: failures.
        tried: texts of edits that did not help.
        rng: decides what is seen and how it is said.
    """
    stated = {key: read_sentence(world, part) for key, line in lines.items() for part in sentences(line)}
    flat = [statement for found in stated.values() for statement in found]
    failed = {statement.key for text in tried for part in sentences(text) for statement in read_sentence(world, part)}
    proposed: list[dict[str, str | None]] = []
    for finding in diagnose(world, shown, flat, rng):
        if finding.key in failed and rng.random() < LEARNS:
            continue
        target = next((key for key, old in stated.items() if any(_overrules(finding, one) for one in old)), None)
        proposed.append(
            {
                "op": "replace_line" if target else "add_line",
                "target": target,
                "after": None if target else "end",
                "text": phrase(world, finding, rng),
                "why": f"it would explain {finding.seen} of the rows" if finding.seen else "a guess from one row",
            }
        )
    if not proposed or rng.random() < USELESS:
        say = platitude(rng)
        proposed.append({"op": "add_line", "target": None, "after": "end", "text": say, "why": "more care may help"})
    diagnosis = "a rule of the house is not stated" if len(proposed) > 1 else "the cause is not quite clear"
    return json.dumps({"diagnosis": diagnosis, "edits": proposed})
