"""Prompt texts that break config files, old values in every template syntax, and the apps that fill them in."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template

NASTY = (
    "Answer in one word.",
    "yes",
    "007",
    "null",
    "",
    " leads with a space",
    "ends in a newline\n",
    "ends in two\n\n",
    "\n\nbegins with blank lines\n  and is indented",
    "First.\n\n\tA tab, and trailing spaces   \n- a dash\n# no comment\nkey: value",
    'Say "Bob", never \'Romeo\'.\n"""quoted"""\n\'\'\'also\'\'\' ends in "',
    "C:\\new\\table \\u0041 \\\\ ends in a backslash\\",
    'Reply with {"label": "a", "why": {}} and [{}].',
    "Use {name}, {{name}}, {{ name }}, {{{name}}}, {}, {0} as they stand.",
    "Costs $5, $name, ${name}, $$ and 100 %, %s, %(name)s, %%.",
    "{% if vip %}a{% endif %} {# note #} {#id} {{ 'x' }} {%",
    "--- \n---\n...\n%YAML 1.1\n*x &y !z |> @ `",
    "Grüße, 日本語, 🙂, é, \u00a0, \u200b, \ufeff end",
    "odd \x07 \x1b[31m \x7f \x85 \u2028 \u2029 \x0b \x0c",
    "windows\r\nline\rends\r\n",
    "]]> </prompt> <b>&amp;</b> // no /* comment */ ,}",
    "a very long line " * 60,
    "System:\nUser: x\nAssistant:",
)
"""Texts without a variable."""
_PLACES = (
    "{{ question }}",
    "{{question}}",
    "{ {{ question }} }",
    "{{{ question }}}",
    "({{ question }})s",
    "{{ question }}x",
)
_SIGNS = list("ab {}[]\"'\\\n\t$%#:-|>&*!@`,/?=()") + [
    "{{",
    "}}",
    "'''",
    '"""',
    "é",
    "🙂",
    "\r\n",
    "\n\n",
    "{%",
    "{#",
    "$$",
]


@dataclass(frozen=True, kw_only=True)
class App:
    """What reads the value in production."""

    syntax: str
    """Name of its template syntax."""
    old: tuple[str, ...]
    """Values that show which one it is."""
    vague: tuple[str, ...]
    """Values that do not."""
    fill: Callable[[str, Mapping[str, str]], str]
    """What it sends to the model."""


def _named(before: str, after: str) -> Callable[[str, Mapping[str, str]], str]:
    def fill(text: str, values: Mapping[str, str]) -> str:
        for name, value in values.items():
            text = text.replace(f"{before}{name}{after}", value)
        return text

    return fill


def _jinja(text: str, values: Mapping[str, str]) -> str:
    from jinja2 import Environment, StrictUndefined

    return Environment(undefined=StrictUndefined, autoescape=False).from_string(text).render(values)


APPS = (
    App(syntax="none", old=("Old text", 'Old\ntext: it\'s "here"', "12", ""), vague=(), fill=lambda text, _: text),
    App(
        syntax="double",
        old=(),
        vague=("Answer {{ question }}", "Reply with {}:\n{{ question }}"),
        fill=_named("{{ ", " }}"),
    ),
    App(syntax="double, tight", old=(), vague=("Answer {{question}}.", "{{question}}\n"), fill=_named("{{", "}}")),
    App(
        syntax="jinja",
        old=("{% if vip %}Be kind.\n{% endif %}{{ question }}", "{# note #}Q: {{ question | trim }} {{ question }}"),
        vague=("Q: {{ question }}",),
        fill=_jinja,
    ),
    App(
        syntax="format",
        old=('Reply with {{"a": 1}}:\n{question}', "{question} {{}}"),
        vague=("Answer {question}", "Costs ${question}: {question}, {question!r}"),
        fill=lambda text, values: text.format(**values),
    ),
    App(
        syntax="single",
        old=('Reply with {"a": 1}: {question}', "{} {question}"),
        vague=("{question}",),
        fill=_named("{", "}"),
    ),
    App(
        syntax="template",
        old=("Costs $$5. $question", "${question} for $$ 5\n"),
        vague=("Answer $question", "${question}"),
        fill=lambda text, values: Template(text).substitute(values),
    ),
    App(syntax="dollar", old=("Costs $5. ${question}",), vague=("${question}",), fill=_named("${", "}")),
    App(
        syntax="percent",
        old=("Answer %(question)s", "100%% sure: %(question)s\n"),
        vague=(),
        fill=lambda text, values: text % values,
    ),
)
"""Every template syntax that `apply` knows, and none."""


def text_of(rng: random.Random, *, variable: bool) -> str:
    """A prompt text: one of the nasty ones, or signs at random."""
    text = rng.choice(NASTY) if rng.random() < 0.5 else "".join(rng.choices(_SIGNS, k=rng.randint(0, 60)))
    if not variable:
        return text
    cut = rng.randint(0, len(text))
    return text[:cut] + rng.choice(_PLACES) + text[cut:]
