"""Put nasty texts into config files of real-world shape, and hold the result against readers of its own.

For each file and text one of two things has to happen: the file says what the prompt says and every other byte and
every other value is what it was, or `apply` refuses. `python benchmarks/fuzz_configs.py --files 200` prints the counts
and ends with exit code 1 where anything was changed silently.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.configs.readers import read, taken_out
from benchmarks.configs.shapes import SHAPES, Config, configs
from benchmarks.configs.texts import APPS, App, text_of
from optimizer.errors import UserError
from optimizer.export import apply
from optimizer.export.apply import Place
from optimizer.export.base import fill_in
from optimizer.prompt import build

VALUES = {"question": 'Is "{x}" {{ y }} $5 %s\n\\ {% z %} fine?', "vip": ""}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file, who reads it, and the text that is put there."""

    config: Config
    """The file."""
    app: App
    """What reads the value."""
    sure: bool
    """Whether the old value tells how the app fills it in."""
    text: str
    """The message."""


def cases(files: int, texts: int, seed: int) -> Iterator[Case]:
    """`files` files, spread over all shapes, syntaxes and ways to write the old text; `texts` texts for each."""
    rng = random.Random(seed)
    made = 0
    while made < files:
        shape = SHAPES[made % len(SHAPES)]
        app = rng.choice(APPS)
        old = rng.choice(app.old + app.vague)
        found = [one for one in configs(rng, old, shape) if _holds(one, old)]
        if not found:
            continue
        config = rng.choice(found)
        made += 1
        for _ in range(texts):
            text = text_of(rng, variable=app.syntax != "none" and rng.random() < 0.9)
            yield Case(config=config, app=app, sure=old in app.old, text=text)


def _holds(config: Config, old: str) -> bool:
    """True where the file is sound and has the text, its final line end aside."""
    try:
        value, _ = taken_out(read(config.ending, config.raw), config.path)
    except (ValueError, SyntaxError, KeyError, IndexError, TypeError):
        return False
    except Exception as error:  # the readers' own classes have no common base
        if type(error).__module__.startswith("yaml"):
            return False
        raise
    return isinstance(value, str) and value.rstrip() == old.rstrip()


def tried(case: Case, folder: Path) -> str:
    """What became of one case: `written`, `refused: ...`, or `WRONG: ...`."""
    path = folder / f"config{case.config.ending}"
    path.write_bytes(case.config.raw)
    variables = ["question"] if case.app.syntax != "none" else []
    prompt = build("fuzz", [("system", case.text)], variables=variables)
    try:
        patch = apply.plan(prompt, Place(file=path, key=case.config.key, message="1"))
        apply.write(patch, folder)
    except UserError as error:
        return "WRONG: a refusal that wrote" if path.read_bytes() != case.config.raw else f"refused: {_reason(error)}"
    made = path.read_bytes()
    fault = _fault(case, made, patch.notes)
    if fault:
        return f"WRONG: {fault}"
    try:
        if apply.plan(prompt, Place(file=path, key=case.config.key, message="1")).changes:
            return "WRONG: a second run changes it again"
    except UserError as error:
        return f"WRONG: a second run is refused ({error})"
    if made != case.config.raw:
        apply.undo(apply.plan_undo(Place(file=path, key=""), folder))
        if path.read_bytes() != case.config.raw:
            return "WRONG: undo does not restore the bytes"
    return "written, with a note" if patch.notes else "written"


def _fault(case: Case, made: bytes, notes: Sequence[str]) -> str:
    config = case.config
    if not made.startswith(config.before) or not made.endswith(config.after):
        return "bytes outside of the value changed"
    if len(made) < len(config.before) + len(config.after):
        return "bytes outside of the value are gone"
    try:
        value, others = taken_out(read(config.ending, made), config.path)
    except Exception as error:  # whatever the reader says, the file was sound before
        return f"the file cannot be read any more ({type(error).__name__})"
    if repr(others) != repr(taken_out(read(config.ending, config.raw), config.path)[1]):
        return "another value changed"
    # A value that does not tell how it is filled in is a guess, and a guess has to be told.
    told = not case.sure and any("--syntax" in note for note in notes)
    return "" if told or _said(case, value) else f"as {case.app.syntax} it says something else"


def _said(case: Case, value: Any) -> bool:
    wanted = fill_in(case.text, ["question"] if case.app.syntax != "none" else [], VALUES)
    try:
        return bool(case.app.fill(value, VALUES) == wanted)
    except Exception:  # every engine has errors of its own; none of them says what was wanted
        return False


def _reason(error: UserError) -> str:
    told = str(error)
    known = ("cannot hold this text", "taken for a variable", "could not fill it in", "acted on by the app", "broken")
    return next((one for one in known if one in told), told[-60:])


def main() -> int:
    """Run the cases and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--texts", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(asked.files, asked.texts, asked.seed):
            told = tried(case, Path(folder))
            kind, _, reason = told.partition(": ")
            counts.setdefault(case.config.kind, Counter())[kind] += 1
            reasons[f"{case.app.syntax}: {reason}"] += kind == "refused"
            if kind == "WRONG":
                wrong += 1
                print(f"{case.config.kind}: {reason}\n  old {case.config.value!r}\n  new {case.text!r}")
    for kind, found in sorted(counts.items()):
        print(f"{kind:14}" + "".join(f"{name} {number:6}   " for name, number in sorted(found.items())))
    print("refused:", ", ".join(f"{reason} ({number})" for reason, number in reasons.most_common() if number))
    print(f"{asked.files} files, {sum(sum(found.values()) for found in counts.values())} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
