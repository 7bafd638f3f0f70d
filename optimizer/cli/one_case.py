"""One row of a run, with all that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.cli import out
from optimizer.dataset import Split, display
from optimizer.errors import UserError
from optimizer.prompt import Prompt, prepare
from optimizer.readers.base import near
from optimizer.report.sheet import Sheet
from optimizer.report.wording import money
from optimizer.terminal import clean

if TYPE_CHECKING:
    from rich.text import Text

    from optimizer.results import Result
    from optimizer.store import RunReader, StoredExample


def facts(reader: RunReader, wanted: str) -> dict[str, Any]:
    """The row as JSON values. Raises UserError for an unknown row, with the nearest one."""
    stored = _stored(reader, wanted)
    row = stored.example
    prompts = {"seed": reader.seed(), "winner": reader.best()}
    return {
        "run": reader.id,
        "row": row.id,
        "split": stored.split.value,
        "stand_in": reader.meta.stand_in,
        "source": row.source,
        "tags": list(row.tags),
        "group": row.group,
        "inputs": dict(row.inputs),
        "expected": row.expected,
        "clusters": [{"id": name, "label": label} for name, label in reader.query(_CAUSES, row.id)],
        **{who: _answer(reader, prompt, stored) for who, prompt in prompts.items()},
    }


_CAUSES = """
SELECT DISTINCT c.id, c.label FROM members m JOIN clusters c ON c.id = m.cluster AND c.round = m.round
WHERE m.example = ? ORDER BY c.id
"""


def _answer(reader: RunReader, prompt: Prompt | None, stored: StoredExample) -> dict[str, Any] | None:
    """What one prompt was sent and said; None where it was not run on this row."""
    if prompt is None:
        return None
    found = reader.result(prompt.fingerprint, stored.example.id)
    if found is None:
        return None
    sent = [{"role": message.role, "content": message.content} for message in prepare(prompt, stored.example)]
    return {"prompt": prompt.ref, "fingerprint": prompt.fingerprint, **_said(found.result), "messages": sent}


def _said(result: Result) -> dict[str, Any]:
    completion, error = result.completion, result.error
    return {
        "passed": result.passed,
        "score": result.score,
        "output": completion.text if completion else None,
        "scores": [
            {
                "metric": score.metric,
                "value": score.value,
                "passed": score.passed,
                "reason": score.reason,
                "place": score.place,
                "wanted": score.wanted,
                "got": score.got,
            }
            for score in result.scores
        ],
        "error": {"kind": error.kind.value, "message": error.message, "attempts": error.attempts} if error else None,
        "tokens": [completion.usage.input_tokens, completion.usage.output_tokens] if completion else None,
        "usd": completion.cost if completion else None,
        "seconds": completion.latency if completion else None,
        "finish_reason": completion.finish_reason if completion else None,
        "trace": list(result.trace),
    }


def _stored(reader: RunReader, wanted: str) -> StoredExample:
    exact = reader.example(wanted)
    if exact is not None:
        return exact
    known = [str(name) for (name,) in reader.query("SELECT id FROM examples ORDER BY position")]
    begun = [name for name in known if wanted and name.startswith(wanted)]
    found = reader.example(begun[0]) if len(begun) == 1 else None
    if found is not None:
        return found
    match = near(wanted, known)
    hint = f"did you mean {match!r}? " if match else ""
    told = f"{len(begun)} rows begin with" if begun else "no row"
    listed = ", ".join((begun or known)[:5])
    raise UserError(f"run {reader.id}: {told} {wanted[:80]!r} ({hint}rows are called {listed}, ...)")


def page(facts: dict[str, Any]) -> Text:
    """The row on a page."""
    sheet = Sheet(width=out.width(), color=out.color())
    tags = f", tags {', '.join(facts['tags'])}" if facts["tags"] else ""
    sheet.heading(f"{facts['row']}  ({facts['split']}{tags})")
    sheet.wrapped("", f"{facts['run']}, {facts['source'] or 'no source'}", "dim")
    if facts["split"] == Split.TEST.value:
        sheet.wrapped("", "A test row: mending the prompt for it would make the test worthless.", "yellow")
    for name, value in facts["inputs"].items():
        _block(sheet, f"input {name}", display(value))
    if facts["expected"] is not None:
        _block(sheet, "expected", display(facts["expected"]))
    for cluster in facts["clusters"]:
        sheet.blank()
        sheet.fact("cause", f"{cluster['label']} ({cluster['id']})")
    same = facts["seed"] is not None and facts["seed"] == facts["winner"]
    for who in ("seed",) if same else ("seed", "winner"):
        _told(sheet, "seed, which is the winner too" if same else who, facts[who], facts["stand_in"])
    for who in ("seed",) if same else ("seed", "winner"):
        for message in facts[who]["messages"] if facts[who] else ():
            _block(sheet, f"sent by the {who}: {message['role']}", message["content"], "dim")
    return sheet.text


def _told(sheet: Sheet, who: str, answer: dict[str, Any] | None, stand_in: bool) -> None:
    if answer is None:
        sheet.heading(f"{who}: was not run on this row")
        return
    mark = " (stand-in)" if stand_in else ""
    verdict = "error" if answer["error"] else "passes" if answer["passed"] else "fails"
    score = "" if answer["score"] is None else f", score {answer['score']:.2f}"
    _block(sheet, f"{who}: {verdict}{score}{mark}", answer["output"] or "")
    if answer["error"]:
        sheet.wrapped("    ", f"{answer['error']['kind']}: {answer['error']['message']}", "red")
    for score in answer["scores"]:
        if not score["passed"]:
            sheet.wrapped("  ! ", f"{score['metric']}: {score['reason']}", "red")
    for step in answer["trace"]:
        if isinstance(step, dict) and "repeat" in step:
            sheet.wrapped("    ", f"repeat {step['repeat']}: {_repeat(step)}", "dim")
    if answer["tokens"]:
        inputs, outputs = answer["tokens"]
        sheet.wrapped("    ", f"{inputs} + {outputs} tokens, {money(answer['usd'])}, {answer['seconds']:.2f} s", "dim")


def _repeat(step: dict[str, Any]) -> str:
    """How one repeat of a row came out, with what it said."""
    if "error" in step:
        return clean(str(step["error"]))
    said = clean(str(step.get("output", "")))
    return f"{'passes' if step.get('passed') else 'fails'}, score {step.get('score', 0.0):.2f}: {said}"


def _block(sheet: Sheet, heading: str, text: str, style: str = "") -> None:
    """A heading and a text of several lines under it."""
    sheet.heading(heading)
    for line in clean(text, lines=True).split("\n"):
        sheet.line((f"    {line}" if line else "", style))
