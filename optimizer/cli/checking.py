"""Eval files and prompts, checked as a run would check them: nothing is sent, nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.cli import find, out
from optimizer.errors import UserError
from optimizer.readers.base import shown
from optimizer.report.wording import counted

EVALS = find.ROOT / "evals"
_YAML = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One file that was checked."""

    file: str
    """Its path."""
    kind: str
    """`eval` or `prompt`."""
    told: str = ""
    """What is in it; empty where something is wrong."""
    warnings: tuple[str, ...] = ()
    """What is odd, though nothing is wrong."""
    problem: str = ""
    """What is wrong, one line a fault; empty where nothing is."""

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "file": self.file,
            "kind": self.kind,
            "ok": not self.problem,
            "told": self.told,
            "warnings": list(self.warnings),
            "problems": self.problem.splitlines(),
        }


def checked(files: Sequence[Path] | None) -> list[Checked]:
    """Every file, checked. Raises UserError where none was named and there is none."""
    found = [_checked(path) for path in (files or _all())]
    if not found:
        raise UserError("nothing to check under evals/ and prompts/ (name a file; optimizer init makes an example)")
    return found


def say(found: Sequence[Checked]) -> None:
    """One line a file that is right, and its warnings."""
    for one in found:
        if not one.problem:
            out.say(f"ok  {one.file}: {one.told}")
        for warning in one.warnings:
            out.note(f"warning: {warning}")


def require(found: Sequence[Checked]) -> None:
    """Raise UserError with every fault of every file, if there is one."""
    wrong = [one.problem for one in found if one.problem]
    if wrong:
        raise UserError("\n".join(wrong))


def _all() -> Iterator[Path]:
    for folder in (EVALS, find.PROMPTS):
        if folder.is_dir():
            paths = folder.glob("*") if folder == EVALS else folder.rglob("*")
            yield from sorted(path for path in paths if path.suffix.lower() in _YAML and path.is_file())


def _checked(path: Path) -> Checked:
    kind = "prompt"
    try:
        if path.suffix.lower() in _YAML and _is_eval(path):
            kind = "eval"
            return _eval(path)
        return _prompt(path)
    except UserError as error:
        return Checked(file=shown(path), kind=kind, problem=str(error))


def _is_eval(path: Path) -> bool:
    """Whether a YAML file is an eval file: a prompt has messages."""
    from optimizer.readers import document
    from optimizer.readers.base import CAPS, read_text

    read = document.parse(read_text(path, CAPS.document_bytes), path).data
    return not (isinstance(read, dict) and "messages" in read)


def _eval(path: Path) -> Checked:
    from optimizer.intake import check_wishes, take_in
    from optimizer.readers.config import load_config

    loaded = take_in(load_config(path), write=False)
    check_wishes(loaded)
    return Checked(file=shown(path), kind="eval", told=loaded.told()[0].reason, warnings=loaded.warnings)


def _prompt(path: Path) -> Checked:
    from optimizer.readers.prompts import load_version

    loaded = load_version(path)
    told = f"{loaded.prompt.ref}, {counted(len(loaded.prompt.lines), 'line')}"
    if loaded.edited_by_hand:
        told += ", edited by hand since it was measured"
    return Checked(file=shown(path), kind="prompt", told=told)
