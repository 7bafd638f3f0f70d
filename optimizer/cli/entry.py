"""From arguments to an exit code: the one place where faults become words and numbers.

0 ok, 1 our bug, 2 bad usage, input or config, 3 gate failed or BLOCKED, 4 gain not shown, 5 budget, 6 provider,
7 storage, 130 interrupted. The codes of foreseen faults stand on their classes in `errors`.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence

import typer

from optimizer.cli import interrupt, out
from optimizer.cli.app import command
from optimizer.errors import OptimizerError, UserError

BUG = 1
USAGE = 2
NEWLINE = "\n"
_NO_NAME = frozenset({errno.ENAMETOOLONG, errno.ELOOP})
"""What the system says of a name that can be no file's, whatever was asked of it."""
INTERRUPTED = interrupt.EXIT_CODE
# typer's own base class of usage errors has moved between its releases.
_USAGE_ERROR: type[Exception] = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Never raises; returns the exit code."""
    out.prepare()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        ended = command().main(args=given, prog_name="optimizer", standalone_mode=False, obj=tuple(given))
        code = ended if isinstance(ended, int) else 0
        if code == INTERRUPTED:
            # typer turns Ctrl-C into this number where no run was there to be stopped.
            out.note("interrupted")
    except BaseException as error:
        code = told(error, given)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _flush(stream)
    return code


def told(error: BaseException, arguments: Sequence[str]) -> int:
    """Say what happened on the error stream; returns the exit code."""
    fault = foreseen(error)
    if fault is not None:
        out.note(f"error: {_scrubbed(str(fault)).replace(NEWLINE, NEWLINE + ' ' * 7)}")
        for line in getattr(fault, "__notes__", ()):
            out.note(_scrubbed(line))
        return fault.exit_code
    if isinstance(error, _USAGE_ERROR):
        return _usage(error)
    if isinstance(error, interrupt.Interrupted):
        out.note(str(error))
        return INTERRUPTED
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        out.note("interrupted")
        return INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else BUG
    if isinstance(error, BrokenPipeError):
        return 0
    from optimizer.cli.crash import report

    out.note(f"error: {report(error, arguments)}")
    return BUG


def _scrubbed(text: str) -> str:
    from optimizer.redaction import Scrubber

    return Scrubber().text(text)


def foreseen(error: BaseException) -> OptimizerError | None:
    """The fault itself, also where a group of tasks wrapped it."""
    if isinstance(error, OptimizerError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_NAME:
        return UserError(f"{str(error.filename)[:80]}: {error.strerror} (no file can be called so)")
    if isinstance(error, BaseExceptionGroup):
        found = [foreseen(inner) for inner in error.exceptions]
        return found[0] if found and all(found) else None
    return None


def _usage(error: Exception) -> int:
    message = getattr(error, "format_message", lambda: str(error))()
    context = getattr(error, "ctx", None)
    if context is not None and message == context.get_help():
        # No command was given: the help is what is wanted.
        out.note(message)
        return USAGE
    path = context.command_path if context is not None else "optimizer"
    out.note(f"error: {out.one_line(message)} (try: {path} --help)")
    return USAGE


def _flush(stream: object) -> None:
    try:
        stream.flush()  # type: ignore[attr-defined]
    except (OSError, ValueError):
        out.silence(stream)  # type: ignore[arg-type]
