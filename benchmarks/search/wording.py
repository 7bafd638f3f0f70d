"""How a rule is put into words, and what says nothing: the reflection model's pen."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.search.statements import Statement
    from benchmarks.search.worlds.world import Rule, World

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
EMPHASIS = "Most important:"
PLATITUDES = (
    "Read every message with great care before you answer.",
    "Consider the whole context and think about what is really meant.",
    "Be precise and consistent in all answers.",
    "Pay attention to details, since small differences matter.",
    "Stay neutral and do not guess without a reason.",
    "Check the answer once more before giving it.",
)


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
    firm: bool = False
    """Whether it is said with emphasis."""
    seen: int = 1
    """Failures that it explains."""

    @property
    def key(self) -> tuple[object, ...]:
        """As `Statement.key`."""
        return (self.field, self.value, self.when, frozenset(), self.above, self.upto, ())


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
    text = rng.choice(SHAPES).format(when=when, then=then, Then=then[:1].upper() + then[1:])
    return f"{EMPHASIS} {text[:1].lower()}{text[1:]}" if finding.firm else text


def platitude(rng: Random) -> str:
    """A sentence that says nothing."""
    return rng.choice(PLATITUDES)
