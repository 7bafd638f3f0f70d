"""`log.jsonl`: one event a line, for people and scripts. The texts of answers and of prompts stay in `run.sqlite`.

The lines tell enough to draw the one-minute screen without that file.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optimizer.edits import Edit
from optimizer.events import (
    CallEnded,
    CallSaved,
    CallSent,
    CandidateMade,
    ClustersFound,
    Decided,
    EditJudged,
    Event,
    Held,
    LinePriced,
    ResultKnown,
    RunEnded,
    TrialEnded,
)
from optimizer.outcome import Comparison
from optimizer.prompt import Prompt
from optimizer.results import Completion
from optimizer.store.codec import plain
from optimizer.tokens import prompt_tokens

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
# A log is read with `cat` and `tail -f`: what would steer a terminal or hide text is written as an escape.
_UNSEEN = re.compile(
    "[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


class Log:
    """The file, open for adding to it. A line that a kill cut short is ended first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab+", buffering=0)
        if self._file.seek(0, os.SEEK_END) > 0:
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")

    def write(self, lines: Iterable[str]) -> None:
        """Add lines. Raises OSError where the disk refuses."""
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def log_line(event: Event, at: float) -> str:
    """One event that happened at Unix time `at`, as a line of JSON; empty for what is not kept."""
    # Found by its type: `_told` itself takes as long to find it as it takes to tell.
    name, told = _told.registry.get(type(event), _told)(event)
    return line(name, told, at) if name else ""


def line(name: str, told: Mapping[str, Any], at: float) -> str:
    """One line of JSON without its newline: time, name of the event, what it tells (None left out)."""
    second, micros = divmod(round(at * 1e6), 1_000_000)
    parts = [f'{{"at":"{_second(second)}.{micros // 1000:03}Z","event":"{name}"']
    for key, value in told.items():
        if value is not None:
            parts.append(f'"{key}":{_json(value)}')
    return ",".join(parts) + "}"


def _json(value: Any) -> str:
    # Three lines a call come by here. The encoder is quick with text alone: for all else it is made anew each time.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return repr(value)
    if type(value) is bool:
        return "true" if value else "false"
    return _ENCODER.encode(value if isinstance(value, str) else plain(value))


@functools.lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().removesuffix("+00:00")


def visible(json_text: str) -> str:
    """The same JSON, with every character escaped that would steer a terminal, hide text or not fit UTF-8."""
    if json_text.isascii() and "\x7f" not in json_text:
        return json_text
    return _UNSEEN.sub(_escaped, json_text)


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match.group())[1:-1]


def short(fingerprint: str | None) -> str | None:
    """Enough of a fingerprint to tell candidates of one run apart."""
    return None if fingerprint is None else fingerprint[:12]


@functools.singledispatch
def _told(event: Any) -> tuple[str, Mapping[str, Any]]:
    return "", {}


@_told.register
def _(event: CallSent) -> tuple[str, Mapping[str, Any]]:
    return "call sent", {"call": event.call, "key": short(event.key), "role": event.role, "phase": event.phase}


@_told.register
def _(event: CallEnded) -> tuple[str, Mapping[str, Any]]:
    answer, error = event.completion, event.error
    if answer is None or error is not None:
        kind, message = (error.kind, error.message) if error else (None, None)
        paid = _used(answer) if answer else {}
        return "call failed", {"call": event.call, "kind": kind, "message": message, **paid}
    return "call answered", {"call": event.call, **_used(answer), "seconds": round(answer.latency, 4)}


def _used(answer: Completion) -> dict[str, Any]:
    usage = answer.usage
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "usd": answer.cost}


@_told.register
def _(event: CallSaved) -> tuple[str, Mapping[str, Any]]:
    asked = {"key": short(event.key), "role": event.role, "phase": event.phase}
    return "call saved", {**asked, **_used(event.completion)}


@_told.register
def _(event: Held) -> tuple[str, Mapping[str, Any]]:
    return "held", {"account": event.account, "why": event.why, "seconds": round(event.seconds, 3)}


@_told.register
def _(event: CandidateMade) -> tuple[str, Mapping[str, Any]]:
    return "candidate", {
        "candidate": short(event.prompt.fingerprint),
        "name": event.prompt.name,
        "lines": len(event.prompt.lines),
        "units": _units(event.prompt),
        "tokens": prompt_tokens(event.prompt),
        "round": event.round,
        "origin": event.origin,
        "parent": short(event.parent),
        "edits": [_change(edit) for edit in event.edits],
    }


def _units(prompt: Prompt) -> dict[str, str]:
    """Line or demo -> a mark of its text: enough to tell in what two prompts differ, without the texts."""
    units = (*prompt.lines, *(demo.line for demo in prompt.demos))
    return {unit.id: hashlib.sha256(unit.content.encode("utf-8", "surrogatepass")).hexdigest()[:6] for unit in units}


@_told.register
def _(event: ResultKnown) -> tuple[str, Mapping[str, Any]]:
    result = event.result
    return "result", {
        "example": result.example,
        "candidate": short(result.candidate),
        "split": event.split,
        "phase": event.phase,
        "score": result.score,
        "passed": result.passed if result.error is None else None,
        "error": result.error.kind if result.error else None,
    }


@_told.register
def _(event: ClustersFound) -> tuple[str, Mapping[str, Any]]:
    clusters = [
        {"id": found.id, "label": found.label, "members": len(found.members), "share": round(found.share, 4)}
        for found in event.clusters
    ]
    return "clusters", {"round": event.round, "candidate": short(event.candidate), "clusters": clusters}


@_told.register
def _(event: EditJudged) -> tuple[str, Mapping[str, Any]]:
    return "edit", {
        "round": event.round,
        **_change(event.edit),
        "cluster": event.edit.cluster,
        "why": event.edit.why,
        "outcome": event.outcome,
        "reason": event.reason,
        "mended": event.mended,
        "tried": event.tried,
        "broke": list(event.broke),
    }


@_told.register
def _(event: TrialEnded) -> tuple[str, Mapping[str, Any]]:
    return "trial", {**plain(event.trial), "candidate": short(event.trial.candidate)}


@_told.register
def _(event: Decided) -> tuple[str, Mapping[str, Any]]:
    return "decided", {
        "kind": event.kind,
        "round": event.round,
        "reason": event.reason,
        "figures": dict(event.figures),
    }


@_told.register
def _(event: LinePriced) -> tuple[str, Mapping[str, Any]]:
    worth = event.worth
    return "line priced", {
        "line": worth.id,
        "text": worth.text,
        "change": worth.change,
        "worth": worth.worth,
        "ci": list(worth.ci) if worth.ci else None,
        "label": worth.label,
        "cluster": worth.cluster,
        "tokens": worth.tokens,
        "rows": worth.rows,
        "with": worth.with_line or None,
    }


@_told.register
def _(event: RunEnded) -> tuple[str, Mapping[str, Any]]:
    outcome = event.outcome
    return "run ended", {
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "seed": short(outcome.seed),
        "winner": short(outcome.winner),
        "test": _compared(outcome.test),
        "val": _compared(outcome.val),
        "lines": [worth.id for worth in outcome.lines],
        "protected": outcome.protected,
        "broken": list(outcome.broken),
        "figures": dict(outcome.figures),
    }


def _compared(found: Comparison | None) -> dict[str, Any] | None:
    return None if found is None else listed(asdict(found))


def listed(told: Mapping[str, Any]) -> dict[str, Any]:
    """A value's fields as JSON has them: tuples as lists, what is not known left out."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in told.items() if value is not None}


def _change(edit: Edit) -> dict[str, Any]:
    told = {"edit": edit.id, "op": edit.op, "target": edit.target, "after": edit.after, "text": edit.text}
    return {key: value for key, value in told.items() if value is not None}
