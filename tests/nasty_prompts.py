"""Prompts made of what breaks templates, files and parsers. The same seed gives the same prompts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from optimizer.prompt import Prompt, build

NAMES = ("question", "lang", "a", "x1", "_tag", "role", "name", "json", "user", "this_one", "Text", "each")
SIGNS = (
    *("{", "}", "{{", "}}", "{{{", "}}}", "{}", "{%", "%}", "{#", "#}", "{{!", "{{~", "~}}", "{{#if}}", "{{> p}}"),
    *("\\", "\\\\", "\\{{", "\\n", "\\u0041", '"', "'", '"""', "'''", "`", "```", "````", "$", "$$", "$5", "${x}"),
    *("%s", "%(a)s", "<", ">", "&", "&amp;", "</s>", "#", "|", ":", "-", "*", "~", "@", "!", "\t", "  ", " ", "-->"),
)
WORDS = (
    *(
        "Answer",
        "the",
        "question",
        "briefly",
        "in",
        "JSON",
        "Zoë",
        "日本語",
        "🙂",
        "e\u0301",
        "\u202e",
        "\ufeff",
        "\xa0",
    ),
    *("yes", "null", "~", "010", "1.10", "12:30", "system", "User", "assistant", "role", "name", "None", "True"),
)
LINES = (
    *("---", "+++", "...", "***", "===", "# Title", "## System", "## Provenance", "- item", "> quote", "%YAML 1.2"),
    *("key: value", "messages:", "  - role: user", "```json", "```", "````", "~~~", "<!-- note -->", "[link](url)"),
    *('{"label": "billing", "tags": ["a", {"b": {}}]}', "body { color: #fff; } #id{margin:0}", "@media {a{}}"),
    *("\\frac{a}{b} $x_{1}$ \\textbf{x}", "\\begin{equation}", "if (a) { return {}; }", "f'{x!r:>{w}}'", "SELECT $1;"),
    *("{{ undeclared }}", "{{undeclared.part}}", "{% for x in y %}", "{# note #}", "{%- raw -%}", "{{{{raw}}}}"),
    *("Q: what?", "A: that", "Rules:", "Note that user: means you", "  indented", "\ttabbed", "trailing  ", ""),
)
RARE = (
    *("user:", "System:", "# assistant:", "User: hi", "Assistant: ok", 'user[name="x"]:', "developer :", "  User:  "),
    *(
        "<<<dotprompt:role:system>>>",
        "<<<dotprompt:history>>>",
        "a\r",
        "\r",
        "\x0b",
        "\x85",
        "\u2028",
        "\x1b[31m",
        "\x7f",
    ),
)
"""What some formats cannot say; in one prompt of twelve."""


def prompts(count: int, seed: int = 0) -> Iterator[Prompt]:
    """That many prompts."""
    for number in range(count):
        yield one(random.Random(f"{seed}:{number}"), number)


def one(draw: random.Random, number: int) -> Prompt:
    """One prompt: one to four messages, none to three variables, sometimes demos."""
    names = draw.sample(NAMES, draw.choice((0, 1, 1, 2, 3)))
    rare = draw.random() < 1 / 12
    roles = draw.choice((["user"], ["system", "user"], ["system", "user"], ["system", "user", "assistant", "user"]))
    messages = [(role, text(draw, names, rare=rare)) for role in roles]
    if names:
        # As in most prompts, the inputs come last.
        role, last = messages[-1]
        messages[-1] = (role, f"{last}{draw.choice(('', ' ', chr(10), '{', '}', 'x'))}{{{{ {names[0]} }}}}")
    demos = []
    if names and draw.random() < 0.15:
        # What stands in a demo is text; where it looks like a variable, formats that an app fills in cannot say it.
        inputs = {name: text(draw, names if draw.random() < 0.02 else [], rare=False) for name in NAMES}
        demos = [{"inputs": inputs, "output": draw.choice(("billing", {"a": [1, None]}, "{x}"))}]
    params = draw.choice(({}, {"temperature": 0}, {"temperature": 0.5, "max_tokens": 10, "stop": ["---", "\n"]}))
    made = build(f"nasty{number}", messages, variables=names, demos=demos, params=params)
    return replace(made, version=draw.choice((None, 3)))


def text(draw: random.Random, names: list[str], *, rare: bool) -> str:
    """Some lines; a newline or a blank at either end now and then."""
    lines = [line(draw, names) for _ in range(draw.choice((1, 1, 2, 3, 5, 9)))]
    if rare:
        lines.insert(draw.randrange(len(lines) + 1), draw.choice(RARE))
    end = draw.choice(("\n", " ", "\n\n", "\t")) if draw.random() < 0.05 else ""
    start = draw.choice(("\n", " ", "\n  ")) if draw.random() < 0.04 else ""
    ends = "\r\n" if draw.random() < 0.02 else "\n"
    found = ends.join(lines).strip() or draw.choice(WORDS)
    return start + found + end


def line(draw: random.Random, names: list[str]) -> str:
    """A line of words and signs, or one that is known for what it breaks."""
    if draw.random() < 0.35:
        return draw.choice(LINES)
    variables = [f"{{{{{gap}{name}{gap}}}}}" for name in names for gap in ("", " ")]
    pools = [WORDS, WORDS, SIGNS, variables or WORDS]
    return "".join(
        draw.choice(draw.choice(pools)) + draw.choice(("", " ", " ")) for _ in range(draw.choice((1, 3, 6, 12)))
    )
