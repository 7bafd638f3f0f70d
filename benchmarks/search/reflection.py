"""The reflection model: finds causes in what it is shown, states them in words of its own, and errs.

A pure function of (world, messages). It knows the world's language (which concept an input shows), never its rules'
list: a rule is found only from shown failures of it, with P = 1 - (1 - p)^k for k of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from benchmarks.search.statements import Statement, frame_of, read_sentence, sentences
from benchmarks.search.wording import Finding, phrase, plainly, platitude
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
LOST_BY_CARE = 0.02
"""The same where the request asks to change little."""
REWORDED = 0.3
"""How often it says an old rule in other words."""
LEARNS = 0.7
"""How often it heeds what was tried in vain, or what it takes for wrong."""
DOUBT = 0.35
"""How often one failure that a stated rule brought about is enough to doubt the rule."""
MOST_DOUBTED = 1
"""Rules that one call doubts, at most."""
SHED = 0.1
"""How often a call leaves out a line that says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One row as a request shows it."""

    row: Row
    """The row."""
    got: Mapping[str, str]
    """What came."""
    wanted: Mapping[str, str]
    """What was wanted."""


def diagnose(
    world: World, shown: Sequence[Shown], stated: Sequence[Statement], rng: Random, most: int = MOST_FOUND
) -> list[Finding]:
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
        if rng.random() < 1 - (1 - FIND) ** len(rows) and len(found) < most:
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


def _spurious(world: World, loose: tuple[Row, str, str], rng: Random) -> Finding:
    """A rule read into one failure: another concept, or the row's own with a limit made up."""
    row, name, wanted = loose
    concept = rng.choice(sorted(row.facts) + rng.sample(sorted(world.concepts), 1))
    above = row.amount // 10 * 10 if row.amount is not None and rng.random() < 0.5 else None
    return Finding(field=name, value=wanted, when=frozenset({concept}), above=above, seen=0)


def doubted(world: World, shown: Sequence[Shown], stated: Sequence[Statement], rng: Random) -> list[Statement]:
    """Stated rules that the rows speak against: what came is what they say, it was wrong, and more often than right.

    A row whose own rule is narrower, and not stated, is an exception: it speaks against nothing.
    """
    against: Counter[Statement] = Counter()
    for item in shown:
        for name, wanted in item.wanted.items():
            got = item.got.get(name)
            rule = world.by_rule.get(item.row.cause.get(name, ""))
            held = [
                one
                for one in stated
                if (one.field, one.value) == (name, got) and one.holds(item.row) and not _excused(one, rule, stated)
            ]
            if held:
                against[held[-1]] += 1 if got != wanted else -1
    sure = sorted(against.items(), key=lambda pair: (-pair[1], pair[0].value))
    found = [one for one, net in sure if net > 0 and rng.random() < 1 - (1 - DOUBT) ** net]
    return found[:MOST_DOUBTED]


def _excused(one: Statement, rule: Rule | None, stated: Sequence[Statement]) -> bool:
    """Whether a row is an exception to a stated rule, by a narrower one that the prompt does not know yet."""
    if rule is None or one.firm or rule.narrow <= one.narrow:
        return False
    return plainly(rule).key not in {other.key for other in stated}


def is_idle(world: World, line: str) -> bool:
    """Whether a line says nothing: no rule, and no part of the task."""
    parts = sentences(line)
    frame = frame_of(world)
    return bool(parts) and "{{" not in line and not any(part in frame or read_sentence(world, part) for part in parts)


def rewritten(
    world: World,
    prompt: str,
    found: Sequence[Finding],
    wrong: Sequence[Statement],
    rng: Random,
) -> str:
    """A whole prompt written anew: old rules are kept, reworded, replaced or lost; new ones are added."""
    lines = kept(world, prompt.split("\n"), found, wrong, rng)
    lines += [phrase(world, finding, rng) for finding in found]
    if rng.random() < USELESS:
        lines.append(platitude(rng))
    return "\n".join(lines)


def kept(
    world: World,
    lines: Sequence[str],
    found: Sequence[Finding],
    wrong: Sequence[Statement],
    rng: Random,
    locked: frozenset[str] = frozenset(),
    careful: bool = False,
) -> list[str]:
    """What a rewrite leaves of the old lines; locked ones always. One that is asked to change little is careful."""
    left: list[str] = []
    frame = frame_of(world)
    for line in lines:
        parts = sentences(line)
        stated = [statement for part in parts for statement in read_sentence(world, part)]
        if line in locked or not parts or any(part in frame for part in parts):
            left.append(line)
        elif not stated:
            if rng.random() >= SHED:
                left.append(line)
        elif rng.random() >= (LOST_BY_CARE if careful else LOST):
            over = any(_overrules(finding, stated[0]) for finding in found) or any(one in wrong for one in stated)
            if not over or rng.random() >= LEARNS:
                left.append(_reworded(world, line, stated, rng))
    return left


def _overrules(finding: Finding, old: Statement) -> bool:
    same = finding.field == old.field and finding.when == old.when
    # Without a condition a rule replaces one word: another word's rule is no rival of it.
    same = same and bool(finding.when or finding.instead == old.instead)
    return same and (finding.above, finding.upto) == (old.above, old.upto) and finding.value != old.value


def _reworded(world: World, line: str, stated: Sequence[Statement], rng: Random) -> str:
    if len(stated) != 1 or not stated[0].when or stated[0].unless or rng.random() >= REWORDED:
        return line
    return phrase(world, replace(plainly(stated[0]), instead=None, firm=stated[0].firm), rng)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request for edits of single lines."""

    lines: Mapping[str, str]
    """Id -> text of the prompt's lines."""
    locked: frozenset[str]
    """Ids of lines that must stay."""
    shown: Sequence[Shown]
    """Failures, and rows that pass."""
    tried: Sequence[str]
    """Texts of edits that did not help."""
    spared: frozenset[str] = frozenset()
    """Ids of lines whose removal did not help."""


def edits(world: World, asked: Asked, rng: Random) -> str:
    """A reply of edits in JSON, as a tool asks for that changes single lines."""
    stated = {
        key: [one for part in sentences(line) for one in read_sentence(world, part)]
        for key, line in asked.lines.items()
    }
    flat = [statement for found in stated.values() for statement in found]
    failed = {one.key for text in asked.tried for part in sentences(text) for one in read_sentence(world, part)}
    free = {key: found for key, found in stated.items() if key not in asked.locked}
    findings = diagnose(world, asked.shown, flat, rng)
    doubts = doubted(world, asked.shown, flat, rng)
    proposed: list[dict[str, str | None]] = []
    replaced: set[str] = set()
    for finding in findings:
        if finding.key in failed and rng.random() < LEARNS:
            continue
        target = next((key for key, old in free.items() if _gives_way(finding, old, doubts)), None)
        replaced |= {target} if target else set()
        proposed.append(_edit(target, phrase(world, finding, rng), finding.seen))
    for key, old in free.items():
        again = key in asked.spared and rng.random() < LEARNS
        if key not in replaced and not again and any(one in doubts for one in old):
            proposed.append(_removal(key, "what this line says is wrong in the rows shown"))
    idle = [key for key, line in asked.lines.items() if key not in asked.locked and is_idle(world, line)]
    if idle and rng.random() < SHED:
        proposed.append(_removal(rng.choice(idle), "it says nothing that matters here"))
    if not proposed or rng.random() < USELESS:
        say = platitude(rng)
        proposed.append({"op": "add_line", "target": None, "after": "end", "text": say, "why": "more care may help"})
    diagnosis = "a rule of the house is not stated" if len(proposed) > 1 else "the cause is not quite clear"
    return json.dumps({"diagnosis": diagnosis, "edits": proposed})


def _gives_way(finding: Finding, old: Sequence[Statement], doubts: Sequence[Statement]) -> bool:
    """Whether a line is what a finding should stand in place of."""
    return any(_overrules(finding, one) or (one in doubts and one.when == finding.when) for one in old)


def _edit(target: str | None, text: str, seen: int) -> dict[str, str | None]:
    return {
        "op": "replace_line" if target else "add_line",
        "target": target,
        "after": None if target else "end",
        "text": text,
        "why": f"it would explain {seen} of the rows" if seen else "a guess from one row",
    }


def _removal(target: str, why: str) -> dict[str, str | None]:
    return {"op": "remove_line", "target": target, "after": None, "text": None, "why": why}
