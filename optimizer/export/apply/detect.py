"""Which template syntax the value of a key is written in now."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from string import Formatter, Template

from optimizer.errors import UserError
from optimizer.export.apply.syntax import NAME, SYNTAXES, Spelling
from optimizer.export.base import Piece, Variable, pieces
from optimizer.readers.base import nearest


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Syntaxes that spell a variable in the same way, and differ in what other signs mean."""

    rules: tuple[str, ...]
    """Their names, the likeliest first."""
    pattern: str
    """A variable; NAME stands for the names that may be meant. Group 1 is what stands before the name."""
    before: str
    """What stands before a name where the file does not say."""
    after: str
    """What stands behind it."""


FAMILIES = (
    Family(
        rules=("double", "jinja"),
        pattern=r"(\{\{-?[ \t]*)NAME(?![A-Za-z0-9_])([^{}\n]*\}\})",
        before="{{ ",
        after=" }}",
    ),
    Family(rules=("format", "single"), pattern=r"(?<![$#%])(\{)NAME((?:[!:.\[][^{}\n]*)?\})", before="{", after="}"),
    Family(
        rules=("template", "dollar"),
        pattern=r"(?<!\$)(?:\$\$)*(\$\{?)NAME(?![A-Za-z0-9_])(\}?)",
        before="${",
        after="}",
    ),
    Family(
        rules=("percent",), pattern=r"(?<!%)(?:%%)*(%\()NAME(\)[-#0 +]*\d*(?:\.\d+)?[a-z])", before="%(", after=")s"
    ),
)
_TRIPLE = re.compile(rf"(?<!\{{)\{{\{{(\{{{NAME}\}})\}}\}}(?!\}})")
_JINJA = re.compile(
    rf"\{{%.*?%\}}|\{{#.*?#\}}|\{{\{{-|-\}}\}}|\{{\{{ *(['\"])[^'\"\n]*\1 *\}}\}}|\{{\{{\s*{NAME}\s*[|.(\[]", re.DOTALL
)


_LOGIC = re.compile(r"\{%-?\s*\w+[^{}]*%\}|\{\{[#/^>][^{}]*\}\}")
"""Statements of Jinja; sections of Mustache and Handlebars."""
_EXPRESSION = re.compile(r"\$\{\{")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A variable in the old value."""

    written: str
    """As it is written."""
    before: str
    """What stands before its name."""
    name: str
    """Its name."""
    after: str
    """What stands behind it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A message in the syntax of the file."""

    text: str
    """What the key shall say."""
    spelling: Spelling | None
    """How variables are written; None where neither text has any, and everything stands as it is."""
    notes: tuple[str, ...] = ()
    """What was assumed, and what the app has to know."""


def write(
    old: str, text: str, names: Collection[str], *, base: str | None = None, wanted: str | None = None
) -> Written:
    """A message in the syntax of the value that it takes the place of.

    Args:
        old: the value now.
        text: the message, with `{{ name }}` for variables.
        names: the declared variables.
        base: the message that the old value may have been made from; None where none is known.
        wanted: a key of `SYNTAXES`, in place of what would be found.

    Raises UserError for an unknown syntax, and for a text whose sense would change.
    """
    new = pieces(text, names)
    found: Spelling | None
    found, notes = _found(old, new, names, base) if wanted is None else (_asked(old, names, wanted), ())
    if found is None:
        return Written(text=text, spelling=None, notes=notes)
    made = found.write(new)
    if made != old:
        _refuse_live(old, new, names, found)
        notes = (*notes, *_differences(old, new, names, found))
    return Written(text=made, spelling=found, notes=notes)


def _asked(old: str, names: Collection[str], wanted: str) -> Spelling:
    if wanted not in SYNTAXES:
        raise UserError(f"no syntax {wanted!r} ({nearest(wanted, SYNTAXES)}there are: {', '.join(SYNTAXES)})")
    family = next(family for family in FAMILIES if wanted in family.rules)
    return _spelled(family, wanted, hits(old, family, names))


def _found(
    old: str, new: Sequence[Piece], names: Collection[str], base: str | None
) -> tuple[Spelling | None, tuple[str, ...]]:
    known = [(family, found) for family in FAMILIES if (found := hits(old, family, names))]
    if earlier := _earlier(old, new, names, base):
        doubled = f"the value there is taken to be written as {earlier.syntax.told} (--syntax chooses another)"
        return earlier, () if known else (doubled,)
    # Names that the prompt does not declare say how the file writes variables, but not that it has any.
    other = known or [(family, found) for family in FAMILIES if (found := hits(old, family))]
    has = any(isinstance(piece, Variable) for piece in new)
    if not known and not has:
        return None, tuple(_unfilled(new, other))
    family, found = max(other, key=lambda one: len(one[1])) if other else (FAMILIES[0], [])
    if "double" in family.rules and found and len(_EXPRESSION.findall(old)) >= len(found):
        raise UserError(
            f"the value there has ${found[0].written}, and what fills that in is not known here (--syntax double takes "
            "the $ for text)"
        )
    rule, sure = _rule(family, old, new, names)
    spelling = _spelled(family, rule, found)
    if not known:
        shown = f"{found[0].written} there suggests it" if found else "the value there has none"
        return spelling, (f"variables are written as {spelling.syntax.told}: {shown} (--syntax chooses another)",)
    if len(known) > 1:
        both = " and ".join(one[0].written for _, one in known[:2])
        return spelling, (f"the value there has {both}: written as {spelling.syntax.told} (--syntax chooses another)",)
    if not sure:
        others = " or ".join(one for one in family.rules if one != rule)
        return spelling, (
            f"assumed: {spelling.syntax.told}, for the value there does not tell (else --syntax {others})",
        )
    return spelling, ()


def _earlier(old: str, new: Sequence[Piece], names: Collection[str], base: str | None) -> Spelling | None:
    """The syntax in which the old value is this message already, or the one that it was made from.

    None where it is so in several that differ for the new text: then it does not tell. A text without variables
    tells by what is doubled in it.
    """
    for known in [tuple(new)] if base is None else [tuple(new), pieces(base, names)]:
        plain = "".join(piece for piece in known if isinstance(piece, str))
        found = [
            spelling
            for family in FAMILIES
            for rule in family.rules
            if (spelling := _spelled(family, rule, hits(old, family, names))).write(known) == old != plain
        ]
        if len({spelling.write(new) for spelling in found}) == 1:
            return found[0]
    return None


def hits(old: str, family: Family, names: Collection[str] | None = None) -> list[Hit]:
    """Variables of one family in a text, with one of the names; None is any name."""
    if names is not None and not names:
        return []
    if "format" in family.rules:
        # {{{x}}} is a brace of str.format around a variable.
        old = _TRIPLE.sub(r" \1 ", old)
        old = re.sub(FAMILIES[0].pattern.replace("NAME", f"({NAME})"), " ", old)
    choice = NAME if names is None else "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    found = re.finditer(family.pattern.replace("NAME", f"({choice})"), old)
    made = []
    for one in found:
        # The brace behind a bare $x is text.
        before, name, after = one[1], one[2], "" if one[1] == "$" else one[3]
        if after or before == "$":
            made.append(Hit(written=before + name + after, before=before, name=name, after=after))
    return made


def _spelled(family: Family, rule: str, found: Sequence[Hit]) -> Spelling:
    """A rule in the spelling of the first variable that nothing changes on its way."""
    plain = [one for one in found if re.fullmatch(r"[ \t]*\}*|\)s", one.after) and not one.before.endswith("-")]
    # Letters behind a name force ${x} on a file that has $x elsewhere.
    plain.sort(key=lambda one: one.before != "$")
    before, after = (plain[0].before, plain[0].after) if plain else (family.before, family.after)
    return Spelling(syntax=SYNTAXES[rule], before=before, after=after)


def _rule(family: Family, old: str, new: Sequence[Piece], names: Collection[str]) -> tuple[str, bool]:
    """The rule for other signs, and whether the old value tells; also where it makes no difference."""
    told = _told(family, old)
    if told:
        return told, True
    found = hits(old, family, names)
    return family.rules[0], len({_spelled(family, rule, found).write(new) for rule in family.rules}) == 1


def _told(family: Family, old: str) -> str:
    """The rule that the old value itself shows; empty where it shows none."""
    if "jinja" in family.rules:
        return "jinja" if _JINJA.search(old) else ""
    if "format" in family.rules:
        return _braces(old)
    if "template" in family.rules:
        return "dollar" if not Template(old).is_valid() else "template" if "$$" in old else ""
    return family.rules[0]


def _braces(old: str) -> str:
    try:
        fields = [name for _, name, _, _ in Formatter().parse(old) if name is not None]
    except ValueError:
        return "single"
    if not all(re.fullmatch(rf"(?:{NAME}|\d+)(?:[.\[].*)?", name) for name in fields):
        return "single"
    return "format" if "{{" in old or "}}" in old else ""


def _unfilled(new: Sequence[Piece], found: Sequence[tuple[Family, Sequence[Hit]]]) -> Iterator[str]:
    """What to say where the old value may have variables that the prompt does not know of."""
    for family, one in found:
        spelling = _spelled(family, family.rules[0], one)
        if spelling.write(new) != "".join(piece for piece in new if isinstance(piece, str)):
            yield (
                f"written as it stands, for neither text has a variable of the prompt; should the app fill in "
                f"{one[0].written}, say --syntax {family.rules[0]}"
            )
            return


def _refuse_live(old: str, new: Sequence[Piece], names: Collection[str], found: Spelling) -> None:
    """Refuse a text that has, as text, what the app acts on now."""
    if not found.syntax.live:
        return
    said = "".join(piece if isinstance(piece, str) else "\0" for piece in new)
    for one in re.finditer(found.syntax.live, old):
        live = one[one.lastindex or 0]
        name = re.search(rf"{NAME}\Z", live.rstrip("}) "))
        if live in said and (name is None or name[0] not in names):
            raise UserError(
                f"{live!r} in the file is acted on by the app, and in the prompt it is text, as it was measured "
                "(declare it as a variable of the prompt, or say --syntax double, single or dollar to keep it as it is)"
            )


def _differences(old: str, new: Sequence[Piece], names: Collection[str], found: Spelling) -> Iterator[str]:
    """Variables that come or go, or that the app changes on the way."""
    family = next(family for family in FAMILIES if found.syntax.name in family.rules)
    before = hits(old, family)
    has = {piece.name for piece in new if isinstance(piece, Variable)}
    gone = sorted({one.name: one.written for one in before if one.name not in has}.values())
    said = "".join(piece for piece in new if isinstance(piece, str))
    gone += dict.fromkeys(one for one in _LOGIC.findall(old) if one not in said)
    if gone:
        yield f"no longer there: {', '.join(gone[:5])}"
    fresh = sorted(has - {one.name for one in before})
    if fresh and before:
        yield f"new there, the app has to fill it in: {', '.join(fresh)}"
    changed = [one.written for one in before if one.name in has and not re.fullmatch(r"[ \t]*\}*|\)s", one.after)]
    if changed:
        yield f"{changed[0]} changed the value on its way; it is written as it was measured"
