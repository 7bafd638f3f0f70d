import io

import pytest
from rich.text import Text

from optimizer.terminal import clean, clip, console, wants_color

HOSTILE = [
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x90q\x9c",
    "before\rafter",
    "back\x08\x08\x08\x7f",
    "bell\x07\x00\x0b\x0c",
    "rtl \u202eevil\u202c",
    "isolate \u2066x\u2069 mark \u200e\u200f\u061c",
    "zero\u200bwidth\ufeff\u2060",
    "tag \U000e0041\U000e007f",
    "lines\u2028and\u2029paragraphs\x85",
    "half a pair \ud83d",
    "private \ue000",
    "a\nb\r\nc",
    "tab\there",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("lines", [False, True])
def test_hostile_text_becomes_plain_text(text, lines):
    shown = clean(text, lines=lines)
    assert all(char.isprintable() or (lines and char == "\n") for char in shown)
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb", r"a\u202eb"),
        ("a\nb", r"a\nb"),
        ("a\tb", "a b"),
        ("\U000e0041", r"\U000e0041"),
        ("naïve 日本語\u3000𝒇 é", "naïve 日本語\u3000𝒇 é"),
        ("family 👨\u200d👩\u200d👧", "family 👨\u200d👩\u200d👧"),
        ("[bold]not markup[/bold] :smile:", "[bold]not markup[/bold] :smile:"),
    ],
)
def test_what_is_shown(text, shown):
    assert clean(text) == shown


def test_line_ends_are_kept_where_asked():
    assert clean("a\r\nb\rc\n", lines=True) == "a\nb\\rc\n"


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("short", 10, "short"),
        ("rather long", 9, "rather..."),
        ("日本語日本語", 8, "日本..."),
        ("a\nb", 9, "a\\nb"),
        ("abcdef", 2, ".."),
    ],
)
def test_text_is_cut_by_cells(text, cells, shown):
    assert clip(text, cells) == shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "colored"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(stream, environ, colored):
    assert wants_color(stream, environ) is colored


def test_a_console_without_colour_writes_plain_text_and_reads_no_markup():
    stream = io.StringIO()
    console(stream, width=60).print(Text("styled [red]x[/red] :smile:", "bold red"))
    assert stream.getvalue() == "styled [red]x[/red] :smile:\n"
    stream = io.StringIO()
    console(stream, width=60, color=False).print("[red]x[/red] " + "long " * 30)
    assert stream.getvalue().startswith("[red]x[/red] ") and stream.getvalue().count("\n") == 1


def test_a_console_with_colour_writes_styles():
    stream = Terminal()
    console(stream, color=True).print(Text("x", "red"))
    assert "\x1b[31m" in stream.getvalue()
