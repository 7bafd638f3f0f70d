"""How a file writes variables: found in the text that it holds now, and kept.

A syntax has a spelling for a variable and a rule for signs that are only text. A text that was written is filled in
again for rows of values, by the engine itself where there is one: it has to say what was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import Template

from optimizer.errors import UserError
from optimizer.export.base import Piece, Variable, fill_in, proof_rows
from optimizer.prompt import Prompt

NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, kw_only=True, slots=True)
class Syntax:
    """One way to write variables."""

    name: str
    """What `--syntax` calls it."""
    told: str
    """What a message calls it."""
    escape: Callable[[str, bool], str]
    """A text as it has to be written; True where a variable comes behind it."""
    render: Callable[[str, Mapping[str, str]], str]
    """What the app does. Raises ValueError, KeyError or TypeError where it cannot."""
    live: str = ""
    """What the app acts on besides declared variables: a pattern."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spelling:
    """A syntax, with the habits of a file."""

    syntax: Syntax
    """The syntax."""
    before: str
    """What stands before a name."""
    after: str
    """What stands behind it."""

    def write(self, text: Sequence[Piece]) -> str:
        """The text in this syntax."""
        parts = []
        for index, piece in enumerate(text):
            following = text[index + 1] if index + 1 < len(text) else ""
            if isinstance(piece, Variable):
                parts.append(self._variable(piece.name, following))
            else:
                parts.append(self.syntax.escape(piece, isinstance(following, Variable)))
        return "".join(parts)

    def _variable(self, name: str, following: Piece) -> str:
        if self.before == "$" and isinstance(following, str) and re.match(r"\w", following):
            return f"${{{name}}}"
        return f"{self.before}{name}{self.after}"


def _same(text: str, before_variable: bool) -> str:
    return text


def _jinja(text: str, before_variable: bool) -> str:
    # Only the last part has no variable behind it; Jinja drops a line end there.
    odd = r"\{\{+[%#]?|\{[%#]|\{?\r|" + (r"\{\Z" if before_variable else r"\{?\n\Z")
    return re.sub(odd, lambda found: f"{{{{ {found[0]!r} }}}}", text)


def _by_name(pattern: str) -> Callable[[str, Mapping[str, str]], str]:
    """Replaces names alone, in every spelling that a careless app may know."""

    def render(text: str, values: Mapping[str, str]) -> str:
        names = "|".join(map(re.escape, values))
        wanted = pattern.replace("NAME", f"({names})")
        return re.sub(wanted, lambda found: values[str(found[found.lastindex or 0])], text) if names else text

    return render


def _render_jinja(text: str, values: Mapping[str, str]) -> str:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        return ImmutableSandboxedEnvironment().from_string(text).render(values)
    except TemplateError as error:
        raise ValueError(str(error)) from None


SYNTAXES: Mapping[str, Syntax] = {
    one.name: one
    for one in (
        Syntax(
            name="double",
            told="{{x}}, all other braces text",
            escape=_same,
            render=_by_name(r"\{\{\s*NAME\s*\}\}"),
        ),
        Syntax(
            name="jinja",
            told="Jinja, signs that it acts on quoted",
            escape=_jinja,
            render=_render_jinja,
            live=r"\{%-?\s*\w+|\{\{-?\s*[A-Za-z_][\w.]*|\{#(?!')",
        ),
        Syntax(
            name="format",
            told="{x} of str.format, braces of the text doubled",
            escape=lambda text, _: text.replace("{", "{{").replace("}", "}}"),
            render=lambda text, values: text.format(**values),
            live=rf"(?<!\{{)(?:\{{\{{)*(\{{{NAME}\}})",
        ),
        Syntax(
            name="single",
            told="{x}, all other braces text",
            escape=_same,
            render=_by_name(r"\{NAME\}"),
        ),
        Syntax(
            name="template",
            told="$x of string.Template, $ in the text doubled",
            escape=lambda text, _: text.replace("$", "$$"),
            render=lambda text, values: Template(text).substitute(values),
            live=rf"(?<!\$)(?:\$\$)*(\$(?:{NAME}|\{{{NAME}\}}))",
        ),
        Syntax(
            name="dollar",
            told="$x or ${x}, any other $ text",
            escape=_same,
            render=_by_name(r"\$\{NAME\}|\$NAME(?![A-Za-z0-9_])"),
        ),
        Syntax(
            name="percent",
            told="%(x)s, % in the text doubled",
            escape=lambda text, _: text.replace("%", "%%"),
            render=lambda text, values: text % values,
            live=rf"(?<!%)(?:%%)*(%\({NAME}\))",
        ),
    )
}
"""Every syntax by name."""


def prove(spelling: Spelling, written: str, text: str, prompt: Prompt) -> None:
    """Fill a written text in for four rows, one of them hostile. Raises UserError where it says anything else."""
    names = sorted(prompt.variables)
    told = f"prompt {prompt.ref}: written as {spelling.syntax.told}, it would not say what was measured"
    for row in proof_rows(prompt):
        shown = {name: fill_in(f"{{{{ {name} }}}}", [name], row.inputs) for name in names}
        try:
            said = spelling.syntax.render(written, shown)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise UserError(f"{told} (the app could not fill it in; try another --syntax)") from None
        if said != fill_in(text, names, row.inputs):
            raise UserError(f"{told} (part of the text would be taken for a variable; try another --syntax)")
