"""The fast path: any endpoint that speaks the OpenAI protocol, by one POST of our own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from optimizer.errors import ConfigError, ErrorKind, ModelError
from optimizer.models.base import Request, check_usable, usage_of
from optimizer.models.faults import kind_of, one_line, redirected, retry_after
from optimizer.models.headers import listen
from optimizer.results import Completion, Usage

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

DEFAULT_BASE_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
CONNECT_SECONDS = 10.0
"""How long a connection may take to come about; the answer's time is the retry loop's affair."""
KEEPALIVE_SECONDS = 30.0
MOST_BYTES = 16 * 1024 * 1024
"""Size of an answer, unpacked, beyond which it is not read on."""
_START = 4000
"""Bytes of a body that is quoted; more than are shown, so that no key in it is cut before it is known for one."""
USER_AGENT = "prompt-refinement-optimizer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where calls go, and with what key."""

    url: str
    """Address of `chat/completions`."""
    host: str
    """Host and port, for messages."""
    key: str | None = field(repr=False)
    """The API key; None for an endpoint on this machine that wants none."""
    proxy: str | None = None
    """Proxy that the environment asks for."""


class OpenAIModel:
    """Sends single attempts to one endpoint. Made by `open_openai`."""

    def __init__(self, session: ClientSession, endpoint: Endpoint) -> None:
        self._session = session
        self._endpoint = endpoint

    async def complete(self, request: Request) -> Completion:
        """Send one request and read its answer. Raises ModelError; never repeats anything."""
        from aiohttp import ClientError

        started = time.perf_counter()
        fault: ModelError | None = None
        try:
            posted = self._session.post(
                self._endpoint.url, data=_body(request), proxy=self._endpoint.proxy, allow_redirects=False
            )
            async with posted as response:
                status, headers, raw = response.status, response.headers, await _body_of(response)
        except TimeoutError:
            fault = self._fault(ErrorKind.TIMEOUT, f"no connection within {CONNECT_SECONDS:.0f} s")
        except (ClientError, OSError) as error:
            fault = self._fault(ErrorKind.CONNECTION, _why(error))
        # Raised out here: aiohttp's errors carry the request's headers, and so the key.
        if fault is not None:
            raise fault
        listen(headers)
        if raw is None:
            raise self._fault(ErrorKind.MALFORMED, f"an answer of more than {MOST_BYTES:,} bytes", status=status)
        if status != 200:
            raise self._refusal(status, raw, headers)
        return self._read(raw, time.perf_counter() - started)

    def _read(self, raw: bytes, latency: float) -> Completion:
        try:
            reply = json.loads(raw)
        except (ValueError, RecursionError):
            raise self._fault(ErrorKind.MALFORMED, f"not JSON: {_start(raw)}", status=200) from None
        if isinstance(reply, dict) and reply.get("error") and not reply.get("choices"):
            # Some gateways wrap a failure into a 200.
            error = reply["error"]
            code = error.get("code") if isinstance(error, dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
            raise self._refusal(status, raw, {})
        completion = parse(reply, latency)
        if completion is None:
            raise self._fault(ErrorKind.MALFORMED, f"not a chat completion: {_start(raw)}", status=200)
        return check_usable(completion)

    def _refusal(self, status: int, raw: bytes, headers: Mapping[str, str]) -> ModelError:
        message, code = _complaint(raw)
        if 300 <= status < 400:
            message = redirected(headers)
        kind = kind_of(status, code)
        return self._fault(kind, message, status=status, wait=retry_after(headers))

    def _fault(
        self, kind: ErrorKind, message: str, *, status: int | None = None, wait: float | None = None
    ) -> ModelError:
        shown = f"{self._endpoint.host}: {'' if status is None else f'{status} '}{message}"
        secrets = (self._endpoint.key,) if self._endpoint.key else ()
        return ModelError(kind, one_line(shown, secrets), status=status, retry_after=wait)


@asynccontextmanager
async def open_openai(
    *, base_url: str | None = None, concurrency: int = 16, key: str | None = None
) -> AsyncIterator[OpenAIModel]:
    """Connections to one endpoint, closed at the end.

    Args:
        base_url: the address before `/chat/completions`; None is OpenAI's own.
        concurrency: calls in flight, at most.
        key: the API key; None takes it from OPENAI_API_KEY. An endpoint on this machine may go without.

    Raises:
        ConfigError: the address is none, or the key is missing.
    """
    import aiohttp

    endpoint = endpoint_of(base_url, key)
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": USER_AGENT}
    if endpoint.key is not None:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    connector = aiohttp.TCPConnector(limit=max(concurrency, 1), keepalive_timeout=KEEPALIVE_SECONDS)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield OpenAIModel(session, endpoint)


def endpoint_of(base_url: str | None, key: str | None = None) -> Endpoint:
    """Check an address and find its key; see `open_openai`."""
    address = (base_url or DEFAULT_BASE_URL).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"base_url {address!r} is no address: write http://host:port/v1 or https://host/v1")
    if parts.username or parts.password:
        raise ConfigError(f"base_url holds a password: put the key for {parts.hostname} into {KEY_VARIABLE}")
    key = (key if key is not None else os.environ.get(KEY_VARIABLE, "")).strip() or None
    if key is None and not on_this_machine(parts.hostname):
        raise ConfigError(f"{KEY_VARIABLE} is not set: {parts.hostname} needs an API key in that variable")
    if key is not None and not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{KEY_VARIABLE} holds characters that no API key has: set it anew")
    host = parts.netloc.rpartition("@")[2]
    return Endpoint(url=f"{address}/chat/completions", host=host, key=key, proxy=_proxy(parts))


def parse(reply: Any, latency: float) -> Completion | None:
    """A chat completion from its JSON, its text empty where there is none; None where it is something else."""
    if not isinstance(reply, dict) or not isinstance(reply.get("choices"), list):
        return None
    usage = _usage(reply.get("usage"))
    if not reply["choices"]:
        return Completion(text="", usage=usage, latency=latency, finish_reason="none")
    choice = reply["choices"][0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return None
    finish = choice.get("finish_reason")
    finish = finish if isinstance(finish, str) and finish else "stop"
    text = _text(message.get("content"))
    if text is None:
        return None
    if not text and isinstance(message.get("refusal"), str):
        text, finish = message["refusal"], "content_filter"
    return Completion(text=text, usage=usage, latency=latency, finish_reason=finish)


async def _body_of(response: ClientResponse) -> bytes | None:
    """The whole body; None where it is too long."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MOST_BYTES:
            response.close()
            return None
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _body(request: Request) -> bytes:
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    return json.dumps({**request.params, "model": request.model, "messages": messages}).encode()


def _text(content: Any) -> str | None:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(part for part in parts if isinstance(part, str))


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    return usage_of(usage.get("prompt_tokens"), usage.get("completion_tokens"))


def _complaint(raw: bytes) -> tuple[str, object]:
    """What a refusal's body says, and its code."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return _start(raw), None
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return str(error), None
    return str(error.get("message") or _start(raw)), error.get("code") or error.get("type")


def _why(error: Exception) -> str:
    """Why there is no connection, in the system's words where it has some: `cannot be reached: Connection refused`."""
    inner = getattr(error, "os_error", error)
    if not isinstance(inner, OSError) or inner.errno is None:
        return str(error) or type(error).__name__
    # A name that cannot be resolved has a negative number and words of its own.
    return f"cannot be reached: {os.strerror(inner.errno) if inner.errno > 0 else inner.strerror}"


def _start(raw: bytes) -> str:
    return raw[:_START].decode("utf-8", "replace") or "an empty body"


def on_this_machine(host: str) -> bool:
    """True for an address that no packet to leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    if on_this_machine(host) or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)
