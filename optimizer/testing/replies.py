"""What the fake server sends: chat completions, refusals, and both of them spoilt."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from aiohttp import web

from optimizer.models.offline.model import rough_tokens
from optimizer.testing.faults import GOOD_TEXT, Fault

LOOK = 0.1
"""Seconds between two looks at whether a client that is kept waiting is still there."""


def completion(body: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A chat completion as the protocol writes it, its tokens counted as words and signs."""
    asked = sum(rough_tokens(str(message.get("content", ""))) for message in body.get("messages", ()))
    said = rough_tokens(text)
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", ""),
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
    }


def refusal(fault: Fault) -> web.Response:
    """A status with an error for its body."""
    headers = dict(fault.headers)
    if fault.date_in is not None:
        headers["Retry-After"] = formatdate(time.time() + fault.date_in, usegmt=True)
    return web.json_response(_error(fault), status=fault.status, headers=headers)


def spoilt(reply: dict[str, Any], fault: Fault) -> Any:
    """A good reply with one thing wrong; the reply as it is for forms that spoil no JSON."""
    if fault.form == "error-200":
        return _error(fault)
    if fault.form == "array":
        return [reply]
    if fault.form in _SPOIL:
        return _SPOIL[fault.form](copy.deepcopy(reply))
    return reply


def told_tokens(reply: Any) -> tuple[int, int]:
    """Input and output tokens that a reply tells; 0 for what is no sensible count."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    if not isinstance(usage, dict):
        return 0, 0
    counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
    sensible = [count if type(count) is int and count > 0 else 0 for count in counts]
    return sensible[0], sensible[1]


async def show(request: web.Request, reply: dict[str, Any], fault: Fault, over: asyncio.Event) -> web.StreamResponse:
    """Answer a request with a fault.

    Args:
        request: who asks.
        reply: the good answer that is spoilt.
        fault: how.
        over: set when the server ends: nobody is kept waiting for longer.
    """
    if fault.form == "status":
        return refusal(fault)
    if fault.form == "reset":
        return _hang_up(request)
    if fault.form == "hang":
        await _silence(request, over)
        return _hang_up(request)
    if fault.form == "html":
        return web.Response(text="<html><body>Welcome to the hotel wireless</body></html>", content_type="text/html")
    if fault.form == "garbage":
        return web.Response(body=b"\x00\xff{[" * (fault.size // 4), content_type="application/json")
    text = json.dumps(spoilt(reply, fault)).encode()
    if fault.form == "cut":
        return web.Response(body=text[: len(text) // 2], content_type="application/json")
    if fault.form in ("short", "half-open", "trickle"):
        return await _in_part(request, text, fault, over)
    return web.Response(body=text, content_type="application/json")


def right_text(fault: Fault) -> bool:
    """Whether a reply with this fault still holds the right text."""
    return fault.form in GOOD_TEXT


def _error(fault: Fault) -> dict[str, Any]:
    what = {"message": f"scripted refusal {fault.status}", "type": fault.code, "param": None, "code": fault.code}
    return {"error": what}


def _with_message(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def spoil(reply: dict[str, Any]) -> dict[str, Any]:
        reply["choices"][0]["message"].update(parts)
        return reply

    return spoil


def _with_choice(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def spoil(reply: dict[str, Any]) -> dict[str, Any]:
        reply["choices"][0].update(parts)
        return reply

    return spoil


def _with(**parts: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda reply: {**reply, **parts}


_NO_ANSWER = {"role": "assistant", "content": ""}
_SPOIL: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "empty": _with(choices=[]),
    "null": _with_message(content=None),
    "length": _with_choice(finish_reason="length"),
    "filter": _with_choice(finish_reason="content_filter", message=_NO_ANSWER),
    "refusal": _with_message(content=None, refusal="I cannot help with that."),
    "choices-object": _with(choices={"0": "Half an answer is"}),
    "choice-text": _with(choices=["Half an answer is"]),
    "message-text": _with_choice(message="Half an answer is"),
    "content-number": _with_message(content=7),
    "content-list": _with_message(content=[7, None, {"type": "image_url"}]),
    "content-object": _with_message(content={"text": "Half an answer is"}),
    "finish-number": _with_choice(finish_reason=7),
    "usage-text": _with(usage={"prompt_tokens": "many", "completion_tokens": "12"}),
    "usage-negative": _with(usage={"prompt_tokens": -5, "completion_tokens": 1e300}),
    "usage-missing": _with(usage=None),
}


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _silence(request: web.Request, over: asyncio.Event, seconds: float = float("inf")) -> None:
    """Wait, unless the client leaves or the server ends."""
    end = time.monotonic() + seconds
    while not over.is_set() and not _gone(request) and (left := end - time.monotonic()) > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), min(left, LOOK))


async def _in_part(request: web.Request, text: bytes, fault: Fault, over: asyncio.Event) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(text))})
    with suppress(ConnectionResetError):
        await response.prepare(request)
        if fault.form == "trickle":
            for place in range(len(text)):
                await response.write(text[place : place + 1])
                await _silence(request, over, fault.every)
        else:
            await response.write(text[: len(text) // 2])
        if fault.form == "half-open":
            await _silence(request, over)
    return _hang_up(request)
