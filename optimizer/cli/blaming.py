"""What each line of a prompt is worth, and where it comes from: back through the versions that led to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from optimizer.cli import find, out
from optimizer.cli.find import Taken
from optimizer.edits import changed_lines
from optimizer.errors import StoreError, UserError
from optimizer.outcome import LineWorth
from optimizer.prompt import Line, Prompt
from optimizer.readers.prompts import load_version
from optimizer.readers.provenance import EditRecord, Provenance
from optimizer.readers.versions import find_prompt
from optimizer.report.sheet import STAND_IN, Sheet
from optimizer.report.wording import counted, interval, points
from optimizer.store import RunReader
from optimizer.terminal import clip
from optimizer.tokens import prompt_tokens, unit_tokens

if TYPE_CHECKING:
    from rich.text import Text

MOST_STEPS = 1000
"""Versions that are walked back, at most."""
FROM = {"seed": "seed", "hand": "by hand", "unknown": "unknown"}
"""Origin of a line that no run brought -> how the page calls it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One version on the way back."""

    prompt: Prompt
    """The version."""
    edits: tuple[EditRecord, ...] = ()
    """What its run made of its parent."""
    run: str = ""
    """The run that made it; empty for one that a person wrote."""
    prices: Mapping[tuple[str, str], LineWorth] = field(default_factory=dict)
    """(unit, text) -> what the run says of it; empty where the run is gone."""
    stand_in: bool = False
    """Whether these figures come from the stand-in."""


def facts(target: str | None) -> dict[str, Any]:
    """Every line and demo of a prompt with its worth and its origin. Raises UserError for an unknown prompt."""
    taken = find.taken(target)
    steps, whole = _way_back(taken)
    prompt = taken.prompt
    units = [(message.role, line) for message in prompt.messages for line in message.lines]
    units += [("demo", demo.line) for demo in prompt.demos]
    return {
        "prompt": prompt.ref,
        "run": taken.run or None,
        "proven": taken.proven,
        "tokens": prompt_tokens(prompt),
        "versions": [step.prompt.ref for step in steps],
        "lines": [_line(prompt, role, line, steps, whole=whole) for role, line in units],
        "removed": [_removed(step, edit) for step in steps for edit in step.edits if edit.op.startswith("remove_")],
        "note": taken.warning,
    }


def _way_back(taken: Taken) -> tuple[list[Step], bool]:
    """Versions from this one to the first, and whether the first is one that nothing was made from."""
    steps = [_first(taken)]
    provenance, base = taken.provenance, taken.base
    seen = {taken.prompt.fingerprint}
    while len(steps) < MOST_STEPS:
        parent, origin = _parent(provenance, base)
        if parent is None or parent.fingerprint in seen:
            return steps, provenance is None or not provenance.run
        seen.add(parent.fingerprint)
        steps.append(_step(parent, origin))
        provenance, base = origin, None
    return steps, False


def _first(taken: Taken) -> Step:
    if taken.provenance is None and taken.run and taken.base is not None:
        # A run that has not ended: what changed is known, and as much of the prices as there is.
        changed = changed_lines(taken.base, taken.prompt)
        edits = tuple(
            EditRecord(op="remove_line" if new is None else "add_line", line=unit, text=new.text if new else None)
            for unit, _, new in changed
        )
        return _with_run(Step(prompt=taken.prompt, edits=edits, run=taken.run))
    return _step(taken.prompt, taken.provenance)


def _step(prompt: Prompt, origin: Provenance | None) -> Step:
    if origin is None:
        return Step(prompt=prompt)
    return _with_run(Step(prompt=prompt, edits=origin.edits, run=origin.run, stand_in=origin.stand_in))


def _with_run(step: Step) -> Step:
    """The step with what its run knows of it, where the run is there."""
    try:
        with RunReader(find.ROOT, step.run) as reader:
            prices = {(worth.id, worth.text): worth for worth in reader.lines()}
            return replace(step, prices=prices, stand_in=reader.meta.stand_in)
    except (UserError, StoreError):
        # Gone, damaged, or of another workspace: the version's own record is all that is known.
        return step


def _parent(origin: Provenance | None, base: Prompt | None) -> tuple[Prompt | None, Provenance | None]:
    """The version before: its file, else what is known of it, else the seed of the run."""
    if origin is not None and "@v" in origin.parent:
        try:
            found = load_version(find_prompt(origin.parent, find.PROMPTS))
        except UserError:
            # Gone, or broken since: the run may know what it was.
            pass
        else:
            return found.prompt, found.provenance
    if base is not None:
        return base, None
    return (_seed_of(origin.run) if origin is not None and origin.run else None), None


def _seed_of(run: str) -> Prompt | None:
    try:
        with RunReader(find.ROOT, run) as reader:
            seed = reader.seed()
            return None if seed is None else replace(seed, version=reader.meta.prompt_version)
    except (UserError, StoreError):
        return None


def _line(prompt: Prompt, role: str, line: Line, steps: Sequence[Step], *, whole: bool) -> dict[str, Any]:
    told = {"id": line.id, "role": role, "text": line.content, "tokens": unit_tokens(prompt, line.id)}
    for step in steps:
        edit = _record(step.edits, line)
        if edit is not None:
            return {**told, "origin": "run", "version": step.prompt.ref, **_worth(step, edit, line.content)}
    had = [step for step in steps if line.content in _texts(step.prompt)]
    origin = "hand" if not had or had[-1] is not steps[-1] else "seed" if whole else "unknown"
    return {**told, "origin": origin, "version": (had or steps)[-1].prompt.ref, "run": None, **_no_worth()}


def _record(edits: Iterable[EditRecord], line: Line) -> EditRecord | None:
    """The edit that brought a line: the one with its text, by its id where several have that."""
    same = [edit for edit in edits if edit.text is not None and Line(id="", text=edit.text).content == line.content]
    return next((edit for edit in same if edit.line == line.id), same[0] if same else None)


def _texts(prompt: Prompt) -> set[str]:
    return {line.content for line in (*prompt.lines, *(demo.line for demo in prompt.demos))}


def _worth(step: Step, edit: EditRecord, text: str) -> dict[str, Any]:
    known = step.prices.get((edit.line, text))
    if known is None:
        label = edit.label or ("" if edit.ci is None else _label(edit.ci))
        told = {**_no_worth(), "worth": edit.worth, "ci": edit.ci, "label": label, "cluster": edit.cluster}
    else:
        told = {
            **_no_worth(),
            "worth": known.worth,
            "ci": known.ci,
            "label": known.label,
            "cluster": known.cluster,
            "fixed": list(known.fixed),
            "broken": list(known.broken),
            "with": known.with_line or None,
        }
    ci = told["ci"]
    return {**told, "ci": None if ci is None else list(ci), "run": step.run, "stand_in": step.stand_in}


def _no_worth() -> dict[str, Any]:
    return {
        "worth": None,
        "ci": None,
        "label": "",
        "cluster": "",
        "fixed": [],
        "broken": [],
        "with": None,
        "stand_in": False,
    }


def _label(ci: tuple[float, float]) -> str:
    """For versions that earlier releases wrote."""
    return "earns" if ci[0] > 0 else "hurts" if ci[1] < 0 else "not measurable"


def _removed(step: Step, edit: EditRecord) -> dict[str, Any]:
    text = next((text for unit, text in step.prices if unit == edit.line), "")
    return {"id": edit.line, "text": text, "version": step.prompt.ref, **_worth(step, edit, text)}


def page(told: Mapping[str, Any]) -> Text:
    """The lines on a page."""
    sheet = Sheet(width=out.width(), color=out.color())
    size = f"{counted(len(told['lines']), 'line')}, about {counted(told['tokens'], 'token')}"
    sheet.wrapped("", f"{told['prompt']}  {size}", "bold")
    if told["note"]:
        sheet.wrapped("", told["note"], "yellow")
    sheet.heading("worth: score with the line - without it on train and val, optimistic")
    width = max((len(name) for name in map(_from, told["lines"])), default=4)
    sheet.line((f" {'line':<5} {'tokens':>6}  {'from':<{width}}", "dim"))
    for line in told["lines"]:
        _draw(sheet, line, width)
    if told["removed"]:
        sheet.heading("removed on the way")
        for line in told["removed"]:
            _draw(sheet, {"tokens": None, **line}, width)
    return sheet.text


def _from(line: Mapping[str, Any]) -> str:
    version = str(line["version"]).rpartition("@")[2]
    origin = FROM.get(line.get("origin", "run"))
    return version if origin is None else f"{version} {origin}"


def _draw(sheet: Sheet, line: Mapping[str, Any], width: int) -> None:
    tokens = "-" if line["tokens"] is None else f"{line['tokens']:,}"
    start = f" {line['id']:<5} {tokens:>6}  {clip(_from(line), width):<{width}}  "
    sheet.wrapped(start, line["text"] or "(text unknown)", prefix_style="bold")
    parts = list(_told(line))
    if parts:
        style = {"earns": "green", "hurts": "red"}.get(line["label"], "")
        sheet.wrapped(" " * 15, ", ".join(parts), style)


def _told(line: Mapping[str, Any]) -> Iterator[str]:
    if not line["run"]:
        return
    mark = f" ({STAND_IN})" if line["stand_in"] else ""
    if line["worth"] is None:
        yield f"worth not measured{mark}"
    else:
        beside = f" with {line['with']}" if line["with"] else ""
        yield f"{points(line['worth'])} {interval(line['ci'])} {line['label']}{beside}{mark}".replace("  ", " ")
    if line["cluster"]:
        yield f"for: {line['cluster']}"
    yield f"run {line['run']}"
