"""One row of a run, with all that is known of it, as values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.cli import find
from optimizer.cli.asked import raw_calls
from optimizer.diff import words
from optimizer.errors import UserError
from optimizer.prompt import Prompt, prepare
from optimizer.readers.base import near
from optimizer.readers.marks import marks_path, read_marks

if TYPE_CHECKING:
    from optimizer.results import Result
    from optimizer.store import RunReader, StoredExample


def facts(reader: RunReader, wanted: str) -> dict[str, Any]:
    """The row as JSON values. Raises UserError for an unknown row, with the nearest one."""
    stored = _stored(reader, wanted)
    row = stored.example
    prompts = {"seed": reader.seed(), "winner": reader.best()}
    answers = {who: _answer(reader, prompt, stored) for who, prompt in prompts.items()}
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
        "clusters": _causes(reader, row.id),
        **answers,
        "words": _words(answers["seed"], answers["winner"]),
        "marks": marks_of(reader.meta.eval_file, row.id),
        "set_aside": row.id in (reader.marks or {}).get("set_aside", ()),
    }


def marks_of(eval_file: str, row: str) -> list[dict[str, Any]]:
    """Every mark of a row, the first one first."""
    path = marks_path(Path(eval_file)) if eval_file else None
    return [mark.to_json() for mark in (read_marks(path) if path else ()) if mark.row == row]


def _causes(reader: RunReader, row: str) -> list[dict[str, str]]:
    """Clusters that the row was ever in, each by its first label."""
    found: dict[str, str] = {}
    for name, label in reader.query(_CAUSES, row):
        found.setdefault(name, label)
    return [{"id": name, "label": label} for name, label in found.items()]


_CAUSES = """
SELECT c.id, c.label FROM members m JOIN clusters c ON c.id = m.cluster AND c.round = m.round
WHERE m.example = ? ORDER BY c.round, c.id
"""


def _words(seed: dict[str, Any] | None, winner: dict[str, Any] | None) -> list[dict[str, str]]:
    """What changed between the two outputs, word by word; empty where one is missing, or they are the same."""
    texts = [answer["output"] if answer else None for answer in (seed, winner)]
    if texts[0] is None or texts[1] is None or texts[0] == texts[1]:
        return []
    return [{"change": part.change, "text": part.text} for part in words(texts[0], texts[1])]


def _answer(reader: RunReader, prompt: Prompt | None, stored: StoredExample) -> dict[str, Any] | None:
    """What one prompt was sent and said; None where it was not run on this row."""
    if prompt is None:
        return None
    found = reader.result(prompt.fingerprint, stored.example.id)
    if found is None:
        return None
    sent = [{"role": message.role, "content": message.content} for message in prepare(prompt, stored.example)]
    return {
        "prompt": prompt.ref,
        "fingerprint": prompt.fingerprint,
        **_said(found.result),
        "messages": sent,
        "calls": raw_calls(reader, prompt, stored.example),
    }


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
        "cache_hit": completion.cached if completion else None,
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
    elsewhere = find.run_with_row(wanted)
    if elsewhere is not None:
        raise UserError(f"run {reader.id}: no row {wanted[:80]!r} (run {elsewhere} has it: name that run)")
    match = None if begun else near(wanted, known)
    hint = f"did you mean {match!r}? " if match else ""
    told = f"{len(begun)} rows begin with" if begun else "no row"
    listed = ", ".join((begun or known)[:5])
    raise UserError(f"run {reader.id}: {told} {wanted[:80]!r} ({hint}rows are called {listed}, ...)")
