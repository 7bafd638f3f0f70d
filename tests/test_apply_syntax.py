"""The template syntax of a file is found and kept, and what is written says what was measured."""

from __future__ import annotations

from pathlib import Path
from string import Template

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import UserError
from optimizer.export import apply
from optimizer.export.apply import Place
from optimizer.export.apply.detect import write
from optimizer.export.apply.syntax import SYNTAXES
from optimizer.export.base import fill_in
from optimizer.prompt import Prompt, build

NAMES = ["question", "lang"]
JSON = 'Reply with {"a": {}}: {{ question }} in {{lang}}'


@pytest.mark.parametrize(
    ("old", "text", "syntax", "new"),
    [
        ("Say {{ question }}", JSON, "double", 'Reply with {"a": {}}: {{ question }} in {{ lang }}'),
        ("Say {{question}}", JSON, "double", 'Reply with {"a": {}}: {{question}} in {{lang}}'),
        ("Say {{  question  }}", "{{ lang }}", "double", "{{  lang  }}"),
        ("{% if x %}a{% endif %}{{ question }}", "{# {{ y }} {{ question }}", "jinja", None),
        ("{{ question | trim }} {{question}}", "{%\r\n{{ lang }}\n", "jinja", None),
        ("{{- question }}", "{{{ lang }}} {#id}", "jinja", None),
        ('{{"a": 1}} {question}', JSON, "format", 'Reply with {{"a": {{}}}}: {question} in {lang}'),
        ('{"a": 1} {question}', JSON, "single", 'Reply with {"a": {}}: {question} in {lang}'),
        ("{} {question}", JSON, "single", 'Reply with {"a": {}}: {question} in {lang}'),
        ("Say {question!r:>10}", "a {{ question }}", "format", "a {question}"),
        ("Say $question for $$5", "$5: {{ question }}s, {{ lang }}.", "template", "$$5: ${question}s, $lang."),
        ("Say ${question} for $$5", "$5: {{ question }}s", "template", "$$5: ${question}s"),
        ("Say ${question} for $5", "$$5: {{ question }}", "dollar", "$$5: ${question}"),
        ("Say %(question)s", "100 %: {{ question }}", "percent", "100 %%: %(question)s"),
        ("Say %(question)-10s", "{{ question }}", "percent", "%(question)s"),
        ("{question} for ${question}, {question}", "{{ question }}", "format", "{question}"),
        ("Say nothing, {}", "Nor {{ do }} I $5 {", "", "Nor {{ do }} I $5 {"),
        ("", "{{ question }}", "double", "{{ question }}"),
    ],
)
def test_the_syntax_is_found_and_kept(old: str, text: str, syntax: str, new: str | None) -> None:
    made = write(old, text, NAMES)
    assert (made.spelling.syntax.name if made.spelling else "") == syntax
    if new is not None:
        assert made.text == new
    values = {"question": "{{ x }} {y} $z %s\\ {% a %}", "lang": "é"}
    if made.spelling:
        assert rendered(syntax, made.text, values) == fill_in(text, NAMES, values)
    assert write(made.text, text, NAMES).text == made.text, "a second run changes nothing"


def rendered(syntax: str, text: str, values: dict[str, str]) -> str:
    """What the app's own engine makes of a text; where apps replace names, any of them."""
    if syntax == "jinja":
        return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(values)
    if syntax == "format":
        return text.format(**values)
    if syntax == "template":
        return Template(text).substitute(values)
    return text % values if syntax == "percent" else SYNTAXES[syntax].render(text, values)


@pytest.mark.parametrize(
    ("old", "text", "syntax", "told"),
    [
        ("{question}", 'a {"b": {{ question }}}', "format", "assumed: {x} of str.format"),
        ("{{ question }}", "{{ other }} {{ question }}", "double", "else --syntax jinja"),
        ("{{ question }}", "{{ question }}\n", "double", "else --syntax jinja"),
        ("$question", "$5 {{ question }}", "template", "else --syntax dollar"),
        ("no variable", "a {{ question }}", "double", "the value there has none"),
        ("Ask {ticket}", "a {{ question }}", "format", "{ticket} there suggests it"),
        ("{question} {{ lang }}", "a {{ question }}", "double", "the value there has {{ lang }} and {question}"),
        ("{question} {lang}", "a {{ question }}", "format", "no longer there: {lang}"),
        ("{question}", "a {{ question }} {{ lang }}", "format", "new there, the app has to fill it in: lang"),
        ("{% if vip %}a{% endif %}{{ question }}", "a {{ question }}", "jinja", "there: {% if vip %}, {% endif %}"),
        ("{{#if vip}}a{{/if}}{{question}}", "a {{ question }}", "double", "there: {{#if vip}}, {{/if}}"),
        ("{question!r}", "a {{ question }}", "format", "{question!r} changed the value on its way"),
        ("Ask {ticket}", 'a {"b": 1}', "", "should the app fill in {ticket}, say --syntax format"),
        ('a {{"b": 1}}', 'a {"b": 1}', "format", "is taken to be written as {x} of str.format"),
    ],
)
def test_what_was_assumed_is_told(old: str, text: str, syntax: str, told: str) -> None:
    made = write(old, text, NAMES)
    assert (made.spelling.syntax.name if made.spelling else "") == syntax
    assert told in "; ".join(made.notes)


@pytest.mark.parametrize("old", ["{question}", "{{ question }}", "{{question}}", "$question", "%(question)s", "plain"])
@pytest.mark.parametrize("text", ["Say {{ question }}", "Say {{ question }}."])
def test_what_is_sure_needs_no_note(old: str, text: str) -> None:
    assert write(old, text, NAMES).notes == () or old == "plain"


@pytest.mark.parametrize(
    ("base", "old", "syntax"),
    [
        ('{"a": {{ question }}}', '{{"a": {question}}}', "format"),
        ('{"a": {{ question }}}', '{"a": {question}}', "single"),
        ("$5 {{ question }}", "$$5 $question", "template"),
        ("{#a {{ question }}", "{{ '{#' }}a {{ question }}", "jinja"),
        ("{#a {{ question }}", "{#a {{ question }}", "double"),
        ('{"a": 1}', '{{"a": 1}}', "format"),
        ("100 %", "100 %%", "percent"),
        ('{"a": 1}', '{"a": 1}', ""),
    ],
)
def test_what_the_prompt_was_made_from_tells_the_syntax(base: str, old: str, syntax: str) -> None:
    made = write(old, f"{base}, now", NAMES, base=base)
    assert (made.spelling.syntax.name if made.spelling else "") == syntax
    assert not any("assumed" in note for note in made.notes)


def test_a_dollar_that_is_text_stays_one() -> None:
    text = "Costs ${{ question }}."
    assert write(text, text, NAMES).text == text
    assert write(text, f"{text} Now.", NAMES, base=text).text == f"{text} Now."
    assert write(text, "{{ question }}", NAMES, wanted="double").text == "{{ question }}"


@pytest.mark.parametrize("wanted", SYNTAXES)
def test_a_syntax_can_be_asked_for(wanted: str) -> None:
    made = write("Old", JSON, NAMES, wanted=wanted)
    assert made.spelling and made.spelling.syntax.name == wanted
    values = {"question": "why", "lang": "de"}
    assert rendered(wanted, made.text, values) == fill_in(JSON, NAMES, values)


PROMPT = build("triage", [("system", "Rules"), ("user", "{{ question }}")], variables=["question"])


@pytest.mark.parametrize(
    ("old", "text", "told"),
    [
        ("{% if vip %}a{% endif %}{{ question }}", "{% if vip %}b{% endif %}{{ question }}", "acted on by the app"),
        ('{question} {name} {{"a": 1}}', "{name} {{ question }}", "acted on by the app"),
        ("$$5 $question $name", "$name {{ question }}", "acted on by the app"),
        ('{question} {"a": 1}', "{question} is {{ question }}", "taken for a variable"),
        ("$5 $question", "$question is {{ question }}", "taken for a variable"),
        ("Ask ${{ question }}", "Say {{ question }}", "what fills that in is not known"),
    ],
)
def test_what_the_syntax_cannot_say_is_refused(tmp_path: Path, old: str, text: str, told: str) -> None:
    prompt = build("triage", [("user", text)], variables=["question"])
    with pytest.raises(UserError, match=told):
        planned(tmp_path, prompt, old)


@pytest.mark.parametrize(
    ("name", "syntax", "told"),
    [("formt", "formt", "did you mean 'format'"), ("true", "jinja", "could not fill it in|not say what was measured")],
)
def test_a_wrong_syntax_is_refused(tmp_path: Path, name: str, syntax: str, told: str) -> None:
    prompt = build("triage", [("user", f"{{{{ {name} }}}}")], variables=[name])
    with pytest.raises(UserError, match=told):
        planned(tmp_path, prompt, "old", syntax)


def planned(folder: Path, prompt: Prompt, old: str, syntax: str | None = None) -> apply.Patch:
    path = folder / "app.py"
    path.write_text(f"USER_PROMPT = {old!r}\n", encoding="utf-8")
    return apply.plan(prompt, Place(file=path, key="USER_PROMPT", syntax=syntax))


def test_the_whole_way_through_a_file(tmp_path: Path) -> None:
    made = planned(tmp_path, PROMPT, 'Reply with {{"a": 1}}: {question}')
    assert made.after.decode() == "USER_PROMPT = '{question}'\n"
    assert (made.syntax, made.role) == ("format", "user")


SIGNS = st.text("{}$%#x'\"\n\r |.-", max_size=12) | st.sampled_from(["{{ x }}", "{x}", "${x}", "%(x)s", "{{", "{%"])


@given(parts=st.lists(SIGNS, max_size=5), wanted=st.sampled_from(sorted(SYNTAXES)))
def test_any_text_says_the_same_or_is_refused(parts: list[str], wanted: str) -> None:
    from optimizer.export.apply.syntax import prove

    text = "{{ question }}".join(parts)
    prompt = build("triage", [("user", text)], variables=["question"])
    made = write("Old", text, ["question"], wanted=wanted)
    assert made.spelling
    try:
        prove(made.spelling, made.text, text, prompt)
    except UserError:
        # Only syntaxes without escapes can fail, at a text that looks like a variable.
        assert wanted in {"double", "single", "dollar"} and "question" in "".join(parts)
        return
    values = {"question": "{{ x }} {y} $z\n"}
    assert rendered(wanted, made.text, values) == fill_in(text, ["question"], values)
