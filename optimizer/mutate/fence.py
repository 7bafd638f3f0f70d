"""How a request shows what others wrote, and how its reply is read: the same for every proposer that asks a model.

What is shown stands in tags whose nonce is a hash of the content: text inside a row cannot close a fence, and the
same request has the same cache key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from optimizer.failures import Failure
from optimizer.mutate.base import Attempt
from optimizer.prompt import Prompt

BRACE_TRIES = 64
"""Places at which a JSON object is looked for in a reply with text around it."""


def fenced(parts: Mapping[str, str]) -> str:
    """Texts by the name of their tag, each in its own fence, empty ones left out."""
    # Half a surrogate pair in an output is no text that could be sent.
    sent = {name: text.encode("utf-8", "replace").decode() for name, text in parts.items()}
    nonce = hashlib.sha256("\x00".join(sent.values()).encode()).hexdigest()[:12]
    return "\n\n".join(f"<{name}-{nonce}>\n{text}\n</{name}-{nonce}>" for name, text in sent.items() if text)


def prompt_lines(prompt: Prompt) -> str:
    """The prompt, `[role]` before each message and `L7| text` a line."""
    lines: list[str] = []
    for message in prompt.messages:
        lines.append(f"[{message.role}]")
        lines += [f"{line.id}| {line.content}" + ("  (locked)" if line.locked else "") for line in message.lines]
    return "\n".join(lines)


def row_line(row: Failure, *, most: int, metrics: Sequence[str] = (), **more: str) -> str:
    """One row as JSON on one line; of a member, the reasons of this cause alone: it may fail for another one too.

    Args:
        row: a failure, or a row that passes.
        most: characters of a value that are shown.
        metrics: keys of the metrics whose reasons are told; empty for all.
        more: further facts.
    """
    shown = {
        **more,
        "id": row.example.id,
        "input": {name: _cut(value, most) for name, value in row.example.inputs.items()},
        "output": _cut(row.result.output, most),
        "expected": _cut(row.example.expected, most),
        "reasons": [score.reason for score in row.failed if not metrics or score.metric in metrics],
    }
    return json.dumps(shown, ensure_ascii=False)


def attempt_line(attempt: Attempt) -> str:
    """An earlier try as JSON on one line."""
    edit = attempt.edit
    shown = {
        "edit": {"op": edit.op.value, "target": edit.target, "after": edit.after, "text": edit.text},
        "outcome": attempt.outcome,
        "broke": list(attempt.broke),
    }
    return json.dumps(shown, ensure_ascii=False)


def json_object(text: str, key: str) -> Mapping[str, Any] | None:
    """The first JSON object with this key in a reply: alone, in a code fence, or with words around it."""
    decoder = json.JSONDecoder()
    starts = [index for index, character in enumerate(text) if character == "{"][:BRACE_TRIES]
    for start in starts:
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and key in value:
            return value
    return None


def _cut(value: Any, most: int) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= most else text[:most] + "…"
