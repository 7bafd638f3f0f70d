"""What a run asked its model for a row: the request again, and what became of it. Sends nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.config import ModelSpec
from optimizer.models.base import Request
from optimizer.prompt import Prompt, prepare
from optimizer.redaction import Scrubber

if TYPE_CHECKING:
    from optimizer.dataset import Example
    from optimizer.store import RunReader
    from optimizer.store.meta import RunMeta


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """How a run's task model is called."""

    spec: ModelSpec
    """The model."""

    @classmethod
    def of(cls, meta: RunMeta) -> Account:
        """As the run kept it."""
        settings = json.loads(meta.model_settings or "{}")
        return cls(
            spec=ModelSpec(name=meta.model, base_url=settings.get("base_url"), params=settings.get("params") or {})
        )

    def request(self, prompt: Prompt, example: Example, sample: int = 0) -> Request:
        """The request for one row; its `key` is the cache's."""
        return Request(
            provider=self.spec.provider,
            model=self.spec.model,
            messages=prepare(prompt, example),
            params={**self.spec.params, **prompt.params},
            base_url=self.spec.base_url,
            sample=sample,
        )


def raw_calls(reader: RunReader, prompt: Prompt, example: Example) -> list[dict[str, Any]]:
    """One a repeat: the request as it was sent, what came back, and every attempt. Secrets are taken out."""
    account = Account.of(reader.meta)
    requests = [account.request(prompt, example, sample) for sample in range(reader.meta.repeats)]
    keys = [request.key for request in requests]
    attempts = _attempts(reader, keys)
    return [_call(reader, request, attempts.get(request.key, [])) for request in requests]


def _call(reader: RunReader, request: Request, attempts: list[dict[str, Any]]) -> dict[str, Any]:
    answer = reader.completion(request.key)
    return {
        "key": request.key,
        "sample": request.sample,
        "request": redacted(request),
        "response": None
        if answer is None
        else {
            "text": answer.text,
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "usd": answer.cost,
            "seconds": answer.latency,
            "finish_reason": answer.finish_reason,
        },
        "cache_hit": any(attempt["state"] == "saved" for attempt in attempts),
        "attempts": attempts,
    }


def redacted(request: Request) -> dict[str, Any]:
    """A request as plain values: the parts of its key, without what looks like a secret."""
    scrub = Scrubber()
    messages = [{"role": message.role, "content": scrub.text(message.content)} for message in request.messages]
    told: dict[str, Any] = {
        "provider": request.provider,
        "base_url": request.base_url,
        "model": request.model,
        "messages": messages,
        "params": json.loads(scrub.json(json.dumps(dict(request.params), ensure_ascii=False))),
        "sample": request.sample,
    }
    return told


_ATTEMPTS = """
SELECT key, session, call, role, phase, state, sent_at, seconds, error_kind, error FROM calls
WHERE key IN ({marks}) ORDER BY seq
"""


def _attempts(reader: RunReader, keys: list[str]) -> dict[str, list[dict[str, Any]]]:
    rows = reader.query(_ATTEMPTS.format(marks=", ".join("?" * len(keys))), *keys)
    found: dict[str, list[dict[str, Any]]] = {}
    for key, session, call, role, phase, state, sent_at, seconds, kind, error in rows:
        told = {
            "call": call,
            "session": session,
            "role": role,
            "phase": phase,
            "state": state,
            "sent_at": sent_at,
            "seconds": seconds,
            "error": f"{kind}: {json.loads(error).get('message', '')}" if error else None,
        }
        found.setdefault(key, []).append(told)
    return found
