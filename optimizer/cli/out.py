"""The only way out of a command: results to the standard output, everything else to the error stream.

A reader that closes the pipe ends the printing, and never the command. A full disk behind the standard output is a
fault, since a result that was asked for is not there.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO

from optimizer.errors import StoreError
from optimizer.terminal import NARROWEST, WIDEST, clean, defused, in_actions, wants_color

if TYPE_CHECKING:
    from rich.text import Text


def prepare() -> None:
    """Make both streams speak UTF-8, whatever the locale says; what UTF-8 cannot say is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def is_terminal() -> bool:
    """True where a live display may be drawn: both streams are terminals, and not dumb ones."""
    streams = (sys.stdout, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"


def say(text: str = "") -> None:
    """Text and a newline to the standard output; what would steer a terminal is shown as an escape."""
    _log(sys.stdout, clean(text, lines=True) + "\n")


def raw(text: str) -> None:
    """Text to the standard output to the byte, where that is no terminal; cleaned where it is one."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    _write(sys.stdout, clean(text, lines=True) if terminal else text)


def page(text: Text, *, paged: bool = True) -> None:
    """A page of styled text to the standard output; plain where colour is not wanted.

    Where a terminal is too low for it, it goes through $PAGER (`less` by default).

    Args:
        text: the page.
        paged: False for a page that ends something longer, where nobody waits at the terminal.
    """
    body = text.plain + "\n"
    if color():
        from optimizer.terminal import console

        styled = io.StringIO()
        console(styled, width=WIDEST, color=True).print(text)
        body = styled.getvalue()
    if not (paged and _is_too_long(body) and _through_pager(without_secrets(body))):
        _log(sys.stdout, body)


_SWITCHES = {"pager": True}


def without_pager() -> None:
    """Send no page of this process through a pager."""
    _SWITCHES["pager"] = False


def _is_too_long(body: str) -> bool:
    """Whether somebody sits at a terminal that cannot show all of it."""
    if not (_SWITCHES["pager"] and is_terminal()):
        return False
    return body.count("\n") >= shutil.get_terminal_size((100, 24)).lines


def _through_pager(body: str) -> bool:
    """Show a page in the user's pager; False where there is none that starts."""
    import shlex
    import subprocess

    command = shlex.split(os.environ.get("PAGER", "less -R"))
    if not command or command == ["cat"]:
        return False
    # Quit where it fits after all, pass colours, leave the text on the screen: unless the user wants otherwise.
    environ = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE, env=environ)
    except OSError:
        return False
    with contextlib.suppress(BrokenPipeError):
        pager.communicate(body.encode("utf-8", "backslashreplace"))
    return True


def color() -> bool:
    """True where the standard output wants colour."""
    return sys.stdout is not None and wants_color(sys.stdout)


def width() -> int:
    """Columns to fill: the terminal's, within reason; 100 where there is none."""
    return max(NARROWEST, min(shutil.get_terminal_size((100, 24)).columns, WIDEST))


def note(text: str) -> None:
    """A line to the error stream."""
    _log(sys.stderr, clean(text, lines=True) + "\n")


def command(text: str, *, aside: bool = False) -> None:
    """A workflow command of ours, for the runner of GitHub Actions; to the error stream where `aside`."""
    _write(sys.stderr if aside else sys.stdout, text + "\n")


def data(value: Any) -> None:
    """A value as JSON to the standard output."""
    text = as_json(value)
    # The same value in another spelling, which the runner of GitHub Actions takes for no command.
    _write(sys.stdout, (text.replace("##[", "##\\u005b") if in_actions() else text) + "\n")


def as_json(value: Any) -> str:
    """JSON for people and programs: letters as they are, what would steer a terminal as JSON's own escapes."""
    from optimizer.store.log import visible

    return visible(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def compact(value: Any) -> str:
    """A value as JSON on one line, for a page."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def one_line(text: str) -> str:
    """Clean text on one line, runs of space made one."""
    return clean(" ".join(text.split()))


def _log(stream: TextIO | None, text: str) -> None:
    """Words for people. In GitHub Actions they stand in a log whose reader obeys commands."""
    _write(stream, defused(text) if in_actions() else text)


def without_secrets(text: str) -> str:
    """The text without the values of the environment's secrets: the last net, under those of what is stored."""
    from optimizer.redaction import Scrubber

    return Scrubber().values(text)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    text = without_secrets(text)
    try:
        stream.write(text)
        stream.flush()
    except (BrokenPipeError, ValueError):
        # ValueError: the stream is closed. Nobody reads any more, and the command goes on for its exit code.
        silence(stream)
    except OSError as error:
        silence(stream)
        if stream is sys.stdout:
            told = error.strerror or type(error).__name__
            raise StoreError(
                f"the standard output cannot be written: {told} (free some space; nothing that is stored is lost)"
            ) from error


def silence(stream: TextIO) -> None:
    """Send what is still written to this stream nowhere, so that the interpreter's own last flush succeeds too."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
