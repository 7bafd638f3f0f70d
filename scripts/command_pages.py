"""Write docs/commands/: a page a command, made from the command line itself, with an example that is run.

What the commands in the pages of concepts and in the tutorial print is made anew as well.

    python scripts/command_pages.py [--check]

The part above the mark comes from the command's help. The part below it belongs to the page: prose stays as it is, and
what the commands in its consoles print is made anew. A new command gets its page by itself, with an example that is
guessed from its arguments; write a better one into the page, and run this again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from optimizer import errors  # noqa: E402
from optimizer.cli.app import command as command_line  # noqa: E402
from optimizer.cli.interrupt import EXIT_CODE as INTERRUPTED  # noqa: E402
from scripts import transcripts  # noqa: E402

PAGES = ROOT / "docs" / "commands"
CONCEPTS = ROOT / "docs" / "concepts"
TUTORIAL = ROOT / "docs" / "tutorial.md"
MARK = "<!-- Above: the help of the command. Below: written by hand, outputs made. `make command-pages` does both. -->"
RUN = "optimizer run evals/romeo-bob.yaml --run-id demo"
"""What has been run where an example begins, unless the example runs it itself."""
CONFIG = """# The model behind /ask
llm:
  model: gpt-4o-mini    # the cheap one will do
  prompts:
    house:
      system: |
        Answer the question.
"""
GUESSES = {"format": "json", "eval_file": "evals/romeo-bob.yaml", "file": "app.yaml", "key": "llm.prompts.house.system"}
"""What a required argument or option of a name gets in the example of a new page."""
ROW = "direct-01"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of the command line."""

    path: tuple[str, ...]
    """Its words after `optimizer`."""
    node: Any
    """The command itself, as typer has it."""
    context: Any
    """A context to ask for its usage and its parameters in."""

    @property
    def page(self) -> str:
        """Name of its page."""
        return f"{'-'.join(self.path)}.md"

    @property
    def summary(self) -> str:
        """The first sentence of its help."""
        return words((self.node.help or "").split("\n\n")[0])


def words(text: str) -> str:
    """A paragraph of help on one line, none of its characters read as Markdown but backticks."""
    return " ".join(re.sub(r"([*_\[\]\\])", r"\\\1", text).replace("<", "&lt;").split())


def commands(context: Any = None, path: tuple[str, ...] = ()) -> Iterator[Command]:
    """Every command in the order of the help; a group gives its commands."""
    if context is None:
        root = command_line()
        context = root.context_class(root, info_name="optimizer", **root.context_settings)
    for name, node in context.command.commands.items():
        inner = node.context_class(node, info_name=name, parent=context, **node.context_settings)
        if hasattr(node, "commands"):
            yield from commands(inner, (*path, name))
        elif not node.hidden:
            yield Command(path=(*path, name), node=node, context=inner)


def head(command: Command) -> str:
    """What the help says, as Markdown."""
    context = command.context
    usage = " ".join((context.command_path, *command.node.collect_usage_pieces(context)))
    paragraphs = [words(one) for one in (command.node.help or "").split("\n\n")]
    parts = [f"# optimizer {' '.join(command.path)}", *paragraphs, f"```text\n{usage}\n```"]
    known = [one for one in command.node.get_params(context) if not getattr(one, "hidden", False)]
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        records = [one.get_help_record(context) for one in known if one.param_type_name == kind]
        listed = "\n".join(f"- `{name}`: {words(told)}" for name, told in filter(None, records))
        parts += [f"## {title}", listed] if listed else []
    return "\n\n".join(parts) + "\n"


def guess(command: Command) -> str:
    """An example of a command that has none yet."""
    words = ["optimizer", *command.path]
    for one in command.node.params:
        if one.required:
            first = (one.metavar or "").split("|")[0]
            value = GUESSES.get(one.name, first if first.islower() else ROW)
            words += [value] if one.param_type_name == "argument" else [one.opts[0], value]
    return f"## Example\n\n```console\n$ {' '.join(words)}\n```\n"


def page(command: Command, before: str, workspace: Path) -> str:
    """The page of a command, from what it was before."""
    below = before.partition(MARK)[2].lstrip() or guess(command)
    return f"{head(command)}\n{MARK}\n\n{played(below, workspace)}"


def played(text: str, workspace: Path) -> str:
    """A page with what its commands print in a workspace of their own, in which the demo was run."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        if RUN in transcripts.commands(text):
            prepare(folder)
        else:
            shutil.copytree(workspace, folder, dirs_exist_ok=True)
        return transcripts.played(text, folder)


def prepare(folder: Path) -> None:
    """The demo's files and a config file, before anything was run."""
    for name in ("evals", "prompts/romeo-bob"):
        (folder / name).mkdir(parents=True)
    for path in (ROOT / "evals").glob("romeo-bob.*"):
        shutil.copy(path, folder / "evals")
    shutil.copy(ROOT / "prompts" / "romeo-bob" / "v1.yaml", folder / "prompts" / "romeo-bob")
    (folder / "app.yaml").write_text(CONFIG, encoding="utf-8")


def contents(found: list[Command]) -> str:
    """The page that lists all pages, and the exit codes."""
    listed = "\n".join(f"- [{' '.join(one.path)}]({one.page}): {one.summary}" for one in found)
    codes = "\n".join(f"| {code} | {told} |" for code, told in exit_codes())
    return (
        "# Commands\n\nEach page is made from the command itself, and its example is a real run of the demo on the "
        "[offline stand-in](../offline.md): its figures say nothing of a real model. Dates, durations and sizes on "
        f"disk are written as constants.\n\n{listed}\n\n## Exit codes\n\n| code | means |\n|---:|---|\n{codes}\n"
    )


def exit_codes() -> list[tuple[int, str]]:
    """Every exit code with what it means."""
    told = {0: "All is well.", 1: "A bug of ours; the message says where the report is.", INTERRUPTED: "Interrupted."}
    waiting: list[type[errors.OptimizerError]] = [*errors.OptimizerError.__subclasses__()]
    for kind in waiting:
        told.setdefault(kind.exit_code, (kind.__doc__ or "").splitlines()[0])
    return sorted(told.items())


def written() -> dict[Path, str]:
    """Every page of a command and of a concept as it should be, from the pages that are there."""
    found = list(commands())
    made = {PAGES / "README.md": contents(found)}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder).resolve()
        prepare(workspace)
        with contextlib.chdir(workspace), contextlib.redirect_stderr(io.StringIO()):
            if transcripts.ran(RUN)[1]:
                raise SystemExit(f"{RUN}: failed")
        for one in found:
            path = PAGES / one.page
            made[path] = page(one, path.read_text(encoding="utf-8") if path.exists() else "", workspace)
        for path in CONCEPTS.glob("*.md"):
            made[path] = played(path.read_text(encoding="utf-8"), workspace)
    return made


def tutorial() -> str:
    """The tutorial, with what its commands print in a copy of its folder."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve() / "kettle-lane"
        shutil.copytree(TUTORIAL.with_suffix(""), folder)
        return transcripts.played(TUTORIAL.read_text(encoding="utf-8"), folder)


def main() -> None:
    """Write the pages, or say which ones are stale."""
    parser = argparse.ArgumentParser(description="Write docs/commands/, and what the commands in docs/ print.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    check = parser.parse_args().check
    made = written() | {TUTORIAL: tutorial()}
    there = {path: path.read_text(encoding="utf-8") for path in (*PAGES.glob("*.md"), *made) if path.exists()}
    stale = sorted(path for path in {*made, *there} if made.get(path) != there.get(path))
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'stale' if check else 'written' if path in made else 'removed'}")
        if check:
            continue
        if path in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
        else:
            path.unlink()
    raise SystemExit(bool(check and stale))


if __name__ == "__main__":
    main()
