"""One value of a TOML, JSON or Python file: it is what was asked, every other byte is what it was."""

from __future__ import annotations

import ast
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.errors import UserError
from optimizer.export.apply import patch_json, patch_python, patch_toml

MODULES: dict[str, Any] = {"toml": patch_toml, "json": patch_json, "python": patch_python}

TOML = """# settings
title = @  # behind
a.b."c.d" = 'x'
when = 1979-05-27 07:32:00
list = ["one", # why
  'two', ["x", {k = "v", n.m = 'z'}]]
[tool]
long = \"\"\"
keep \\
   this ""\"\"\"
'odd key' = '''it's'''
[[rows]]
t = "1"
[[rows]]
t = "2"
[rows.more]
deep = "3"
[[rows.parts]]
t = "4"
"""
TOML_STYLES = {
    "basic": '"Old \\"text\\""',
    "literal": "'Old text'",
    "long": '"""\nOld\ntext\n"""',
    "long on one line": '"""Old text"""',
    "long with hidden line ends": '"""\\\n   Old \\\n   text"""',
    "long and literal": "'''\nOld\ntext'''",
    "quotes at its end": '"""Old "text"""""',
}
JSON = """{
	// comments, "quotes" and commas, in comments too
	"a.b": {"c": @, /* behind */ "n": [1.0, 1e400, -0, null,],},
	"twice": 1, "twice": 2,
	"url": "http://x // y",
}
"""
JSON_STYLES = {"text": '"Old text"', "escapes": '"Old \\u0074ext \\n\\\\ \\" \\/"', "empty": '""'}
PYTHON = """\"\"\"Settings.\"\"\"
import os
é: str = "ü"; NAME = @  # behind
OTHER = f"{NAME} {{x}}"
REST = ("a"  # one
        "b")
"""
PYTHON_STYLES = {
    "single": "'Old text'",
    "double": '"Old \\"text\\""',
    "long": '"""Old\ntext"""',
    "long with hidden line ends": '"""\\\nOld\n  text\\\n"""',
    "long and single": "'''Old text\n'''",
    "raw": 'r"Old \\d"',
    "raw and long": "R'''Old\n\\d'''",
    "marked": 'u"Old"',
    "on two lines": '(\n    "Old"\n    " text"\n)',
    "empty": '""',
}
CASES = [
    *(("toml", "title", TOML.replace("@", style)) for style in TOML_STYLES.values()),
    *(("json", "a.b.c", JSON.replace("@", style)) for style in JSON_STYLES.values()),
    *(("python", "NAME", PYTHON.replace("@", style)) for style in PYTHON_STYLES.values()),
]
ENDS = {name: source.split("@") for name, source in {"toml": TOML, "json": JSON, "python": PYTHON}.items()}

TEXTS = [
    "one line",
    "",
    "\n",
    "First\n\n  second   \n\tthird\n",
    'it\'s "quoted"',
    'three """ and \'\'\' and """"" at the end "',
    "ends in a quote '",
    "C:\\new\\x \\u0041 \\",
    "a\\\n\\",
    "control \x00 \x1b \x7f \x85 \u2028 \ufeff",
    "windows\r\nline\rends\r",
    "Grüße 日本 🙂",
    '// no comment /* here */ # nor here, {"a": [1,]}',
]


def check(module: str, key: str, source: str, text: str) -> str:
    found = MODULES[module]
    made: str = found.find(source, key).put(text)
    assert found.find(made, key).text == text
    return made


@pytest.mark.parametrize(("module", "key", "source"), CASES)
def test_every_style_holds_every_text_and_nothing_else_moves(module: str, key: str, source: str) -> None:
    for newline in ("\n", "\r\n"):
        head, tail = (end.replace("\n", newline) for end in ENDS[module])
        for text in TEXTS:
            made = check(module, key, source.replace("\n", newline), text)
            assert made.startswith(head) and made.endswith(tail), text


@given(text=st.text(st.characters(codec="utf-8"), max_size=60), case=st.sampled_from(CASES))
def test_any_text_in_any_style(text: str, case: tuple[str, str, str]) -> None:
    check(*case, text)


@given(text=st.text("\"'\\\n ab{}", max_size=20), case=st.sampled_from(CASES))
def test_any_quotes_in_any_style(text: str, case: tuple[str, str, str]) -> None:
    check(*case, text)


@pytest.mark.parametrize(
    ("module", "old", "text", "new"),
    [
        ("toml", '"a"', "x 'y'", "\"x 'y'\""),
        ("toml", "'a'", 'x "y" \\', "'x \"y\" \\'"),
        ("toml", '"a"', "x\ny", '"""\nx\ny"""'),
        ("toml", '"""\na"""', "x\n", '"""\nx\n"""'),
        ("toml", '"""a"""', "x", '"""x"""'),
        ("toml", "'''\na'''", "C:\\x\ny", "'''\nC:\\x\ny'''"),
        ("toml", "'''a'''", "x'''y", '"""x\'\'\'y"""'),
        ("json", '"a"', "é\n", '"é\\n"'),
        ("json", '"\\u00fc"', "é", '"\\u00e9"'),
        ("python", "'a'", "it is", "'it is'"),
        ("python", "'a'", "it's", '"it\'s"'),
        ("python", '"a"', "x\ny", '"""x\ny"""'),
        ("python", "'''a'''", "x\n\ty", "'''x\n\ty'''"),
        ("python", '"""\\\na\\\n"""', "x\ny", '"""\\\nx\ny\\\n"""'),
        ("python", 'r"\\d"', "\\w+", 'r"\\w+"'),
        ("python", 'r"\\d"', "\\w\n\t\\", '"""\\w\n\t\\\\"""'.replace("\\w", "\\\\w")),
        ("python", 'u"a"', "é", 'u"é"'),
        ("python", '("a"\n "b\\n")', "x\ny", '("x\\n"\n "y")'),
        ("python", '"a" "b"', "c", '"c"'),
    ],
)
def test_the_quoting_of_the_file_is_kept(module: str, old: str, text: str, new: str) -> None:
    head, tail = {"toml": ("k = ", "\n"), "json": ('{"k": ', "}"), "python": ("k = ", "\n")}[module]
    assert MODULES[module].patch(f"{head}{old}{tail}", "k", text) == f"{head}{new}{tail}"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a.b.c.d", ("a", "b", "c.d")),
        ("list.1", ("list", 1)),
        ("list[2].1.n.m", ("list", 2, 1, "n", "m")),
        ("tool.long", ("tool", "long")),
        ("tool.odd key", ("tool", "odd key")),
        ("rows.1.t", ("rows", 1, "t")),
        ("rows.1.more.deep", ("rows", 1, "more", "deep")),
        ("rows.1.parts.0.t", ("rows", 1, "parts", 0, "t")),
    ],
)
def test_where_a_key_of_toml_may_lead(key: str, path: tuple[str | int, ...]) -> None:
    source = TOML.replace("@", '"x"')
    made: Any = tomllib.loads(patch_toml.patch(source, key, "new\n'''\"\"\""))
    for step in path:
        made = made[step]
    assert made == "new\n'''\"\"\""


NAMES = """
A = "a"
class S(Base):
    X = "x"
    class In:
        Y: Final = "y"
P = {"t": {"system": "s", 1: ["d", ("b", "c")]}, "u.v": "w"}
M = [{"role": "user", "content": "m"}, {"role": "system", "content": "n"}]
"""


@pytest.mark.parametrize(
    ("key", "old"),
    [
        ("A", '"a"'),
        ("S.X", '"x"'),
        ("S.In.Y", '"y"'),
        ("P.t.system", '"s"'),
        ("P.t.1.1.0", '"b"'),
        ("P.u.v", '"w"'),
        ("M[1].content", '"n"'),
    ],
)
def test_where_a_key_of_python_may_lead(key: str, old: str) -> None:
    assert patch_python.patch(NAMES, key, "new") == NAMES.replace(old, '"new"')


@pytest.mark.parametrize(("module", "source", "key"), [
    ("python", NAMES, "M.1.content"),
    ("json", '{"m": [{"role": "system", "content": "x"}]}', "m.0.content"),
    ("toml", 'm = [{role = "system", content = "x"}]', "m.0.content"),
])  # fmt: skip
def test_the_role_beside_a_text_is_told(module: str, source: str, key: str) -> None:
    assert MODULES[module].find(source, key).role == "system"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('K = f"a{1}"', "an f-string"),
        ('K = "a" f"{1}"', "an f-string"),
        ('K = "a" + "b"', "operator"),
        ('K = "%s" % 1', "operator"),
        ('K = b"a"', "bytes"),
        ('K = dedent("""a""")', "what a call returns (dedent)"),
        ('K = "a".strip()', "a call returns ('a'.strip)"),
        ("K = dict(a='b')", "what a call returns (dict)"),
        ('K = "a" if x else "b"', "a condition"),
        ("K = L", "another name, L"),
        ("K = 12", "12, not text"),
        ("K = None", "None"),
        ('K = J = "a"', "together with other names"),
        ('K = "a"\nK = "b"', "more than once (lines 1 and 2)"),
        ('K = "a"\nK += "b"', "more than once (lines 1 and 2)"),
        ('K = "a"\ndef f():\n    global K\n    K = 1', "more than once (lines 1 and 3)"),
        ('K = "a"\nfor K in x: pass', "more than once (lines 1 and 2)"),
        ('K = "a"\nfrom x import K', "more than once"),
        ('if x:\n    K = "a"', "under a condition"),
        ("def K(): pass", "a function"),
        ('K = ("a"  # why\n     "b")', "comments between them"),
        ("K = {'a': 'b'}", "a mapping, not text (add one of: a)"),
        ("K = ['a']", "a list, not text (add one of: 0)"),
        ("k = 'x'", "did you mean 'k'"),
        ("K = 'x", "the file is not Python: line 1"),
        ("# -*- coding: latin-1 -*-\nK = 'x'", "encoding is iso-8859-1"),
        ("K = 'x'\0", "Python"),
    ],
)
def test_a_constant_that_is_made_at_run_time_is_refused(source: str, told: str) -> None:
    refused(patch_python, source, "K", told)


@pytest.mark.parametrize(
    ("source", "key", "told"),
    [
        ("D = {'a': 'b', **other}", "D.a", "followed by **"),
        ("D = {**other}", "D.a", "what ** puts in there"),
        ("D = {'a': 'b'}\nD['a'] = 'c'", "D.a", "more than once"),
        ("D = {'a': 'b'}\nD.update(a='c')", "D.a", "more than once"),
        ("D = {'a': 'b', 'a': 'c'}", "D.a", "twice"),
        ("D = ['a', *b]", "D.0", "holds a value, and nothing below it"),
        ("class S:\n    a = 'b'\nS.a = 'c'", "S.a", "more than once"),
        ("class S:\n    a = 'b'\n    a = 'c'", "S.a", "more than once"),
    ],
)
def test_an_item_that_may_be_changed_elsewhere_is_refused(source: str, key: str, told: str) -> None:
    refused(patch_python, source, key, told)


def test_names_of_other_scopes_do_not_matter() -> None:
    source = "K = 'a'\ndef f(K):\n    J = [K for K in x]\nclass S:\n    K = 1\nL = [K for K in y]\nx.y = 1\n"
    assert patch_python.patch(source, "K", "b") == source.replace("'a'", "'b'")


@pytest.mark.parametrize(
    ("module", "source", "key", "told"),
    [
        ("toml", "a = 1", "a", "a number or a date (line 1"),
        ("toml", "\na = true", "a", "true or false (line 2"),
        ("toml", "[a]\nb = 'c'", "a", "a mapping, not text (add one of: b)"),
        ("toml", "a = ['b']", "a", "a list, not text"),
        ("toml", "[[a]]\nb = 'c'", "a.1.b", "they are 0 to 0"),
        ("toml", "system = 'x'", "sytem", "did you mean 'system'"),
        ("toml", "a = 'x'\na = 'y'", "a", "the file is not TOML: Cannot overwrite a value"),
        ("toml", "a = [", "a", "the file is not TOML"),
        ("toml", "", "a", "there are: none"),
        ("json", '{"a": 1}', "a", "holds a number (line 1"),
        ("json", '{"a": null}', "a", "holds nothing"),
        ("json", '{"a": [true]}', "a.0", "holds true"),
        ("json", '{"a": "x", "a": "y"}', "a", "twice (lines 1 and 1"),
        ("json", '{"system": "x"}', "sytem", "did you mean 'system'"),
        ("json", '{"a": {}}', "a.b", "there are: none"),
        ("json", '"x"', "a", "nothing below it"),
        ("json", "{a: 'x'}", "a", "JSON5"),
        ("json", '{"a": "x"', "a", "line 1: expecting"),
        ("json", '{"a": "x\n"}', "a", "the file is not JSON: line 1"),
        ("json", "", "a", "the file is not JSON"),
        ("json", "[" * 100_000, "a", "the file"),
        ("json", '{"a": "x"} // c\n}', "a", "line 2: extra data"),
    ],
)
def test_what_is_refused_and_in_which_words(module: str, source: str, key: str, told: str) -> None:
    refused(MODULES[module], source, key, told)


def refused(module: Any, source: str, key: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        module.patch(source, key, "new")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_tree_of_python_is_compared_whole() -> None:
    source = NAMES.replace("\n", "\r\n")
    made = patch_python.patch(source, "P.t.system", "two\nlines")
    assert ast.dump(ast.parse(made)) == ast.dump(ast.parse(source)).replace("value='s'", "value='two\\nlines'")


def test_strict_json_stays_strict() -> None:
    source = '{"a": "x", "b": [1, 2.0, "\\ud83d\\ude42"]}'
    assert json.loads(patch_json.patch(source, "a", TEXTS[-1])) == {**json.loads(source), "a": TEXTS[-1]}
