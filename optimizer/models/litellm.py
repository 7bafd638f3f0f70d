"""Every other provider, through litellm. Imported only where a model needs it: the import alone takes seconds."""

from __future__ import annotations

import difflib
import functools
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from optimizer.errors import ConfigError, ErrorKind, ModelError
from optimizer.models.base import Request, check_usable, usage_of
from optimizer.models.faults import kind_of, one_line, redirected, retry_after
from optimizer.models.headers import listen
from optimizer.redaction import SHORTEST
from optimizer.results import Completion

_STAND_IN = ("offline", "offline:perfect")
"""Names that are no provider's: a slip in one of them ends up here."""
_ENVIRONMENT = {
    # Prices come from the table that is installed, not from one that is fetched while importing.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # Otherwise a `.env` of the working folder is loaded, which could send the key elsewhere.
    "LITELLM_MODE": "PRODUCTION",
}
_CALLBACKS = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_input_callback",
    "_async_success_callback",
    "_async_failure_callback",
)
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_THEIRS = "llm_provider-"
"""What litellm puts before the names of a provider's own headers."""
_NOT_A_REPLY = "Empty or invalid response"
"""How litellm begins to say that a 200 was no chat completion."""
_OURS: ContextVar[bool] = ContextVar("a call of ours", default=False)


class LiteLLMModel:
    """Sends single attempts through litellm. Made by `open_litellm`."""

    def __init__(self, module: Any, base_url: str | None, secrets: Sequence[str]) -> None:
        self._litellm = module
        self._base_url = base_url
        self._secrets = secrets

    async def complete(self, request: Request) -> Completion:
        """Send one request and read its answer. Raises ModelError; never repeats anything."""
        started = time.perf_counter()
        fault: ModelError | None = None
        ours = _OURS.set(True)
        try:
            reply = await self._litellm.acompletion(
                **request.params,
                model=request.model,
                messages=[{"role": message.role, "content": message.content} for message in request.messages],
                base_url=self._base_url,
                num_retries=0,
                max_retries=0,
            )
        except Exception as error:  # its own classes, the openai package's, httpx's and bare ones
            fault = fault_of(error, self._secrets)
        finally:
            _OURS.reset(ours)
        # Raised out here: the exceptions carry the request's headers, and so the key.
        if fault is not None:
            raise fault
        listen(_headers(reply))
        return check_usable(_read(reply, time.perf_counter() - started))


@asynccontextmanager
async def open_litellm(*, base_url: str | None = None) -> AsyncIterator[LiteLLMModel]:
    """Import litellm, quiet and without its own retries; close its connections at the end.

    Args:
        base_url: endpoint; None is the provider's own. Keys come from the variables that litellm reads.
    """
    litellm = _imported()
    for name in _CALLBACKS:
        setattr(litellm, name, [])
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield LiteLLMModel(litellm, base_url, _secrets())
    finally:
        from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

        await close_litellm_async_clients()
        # Clients belong to their event loop; the next one makes its own.
        litellm.in_memory_llm_clients_cache.flush_cache()


def check_name(model: str) -> None:
    """Raise ConfigError for a name of which litellm knows no provider: it would find out with every call."""
    litellm = _imported()
    try:
        litellm.get_llm_provider(model)
    except litellm.exceptions.BadRequestError:
        near = difflib.get_close_matches(model, _STAND_IN, n=1, cutoff=0.75)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"model {one_line(model)!r}: litellm knows no provider of that name ({hint}write PROVIDER/MODEL, such as "
            "openai/gpt-4o-mini or ollama_chat/llama3.2)"
        ) from None


def _imported() -> Any:
    os.environ.update(_ENVIRONMENT)
    import litellm

    litellm.suppress_debug_info = True
    _stay_put()
    return litellm


def _stay_put() -> None:
    """Let no call of ours be redirected: httpx takes `Authorization` off at another host, and no other key's header."""
    import httpx

    for client in (httpx.AsyncClient, httpx.Client):
        if not hasattr(client.send, "stays_put"):
            client.send = _staying(client.send)  # type: ignore[method-assign]


def _staying(send: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(send)
    def stay(client: Any, request: Any, **options: Any) -> Any:
        return send(client, request, **(options | {"follow_redirects": False} if _OURS.get() else options))

    stay.stays_put = True  # type: ignore[attr-defined]
    return stay


def fault_of(error: BaseException, secrets: Sequence[str] = ()) -> ModelError:
    """What an exception out of litellm means.

    litellm makes up a status where there was none, and blurs some that there were, so what it wraps is asked first.
    """
    chain = list(_chain(error))
    message = one_line(_told(error), secrets)
    for inner in reversed(chain):
        response = _response(inner)
        if response is not None:
            listen(response.headers)
            if 300 <= response.status_code < 400:
                message = one_line(f"{response.status_code} {redirected(response.headers)}", secrets)
            kind = kind_of(response.status_code, _code(response))
            return ModelError(kind, message, status=response.status_code, retry_after=retry_after(response.headers))
    kind, status = _without_response(error, chain)
    return ModelError(kind, message, status=status)


def _without_response(error: BaseException, chain: Sequence[BaseException]) -> tuple[ErrorKind, int | None]:
    import httpx
    import openai

    if any(isinstance(inner, json.JSONDecodeError) for inner in chain) or _NOT_A_REPLY in str(error):
        return ErrorKind.MALFORMED, 200
    if any(isinstance(inner, TimeoutError | httpx.TimeoutException | openai.APITimeoutError) for inner in chain):
        return ErrorKind.TIMEOUT, None
    if any(isinstance(inner, OSError | httpx.TransportError | openai.APIConnectionError) for inner in chain):
        return ErrorKind.CONNECTION, None
    if type(error).__name__ == "ContentPolicyViolationError":
        return ErrorKind.CONTENT_FILTER, None
    if any(type(inner) is openai.OpenAIError for inner in chain):
        # Raised where a client is made: there is no key. litellm calls it a server's fault.
        return ErrorKind.AUTHENTICATION, None
    status = getattr(error, "status_code", None)
    # A bare exception is litellm refusing the request itself: a parameter, a missing package.
    return (kind_of(status), status) if isinstance(status, int) else (ErrorKind.BAD_REQUEST, None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, and what it was raised from."""
    seen: set[int] = set()
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        yield inner
        inner = inner.__cause__ or inner.__context__


def _response(error: BaseException) -> Any:
    """The HTTP response that an exception of httpx or of the openai package holds; None for litellm's made-up ones."""
    import httpx
    import openai

    if type(error).__module__.startswith("litellm"):
        return None
    return error.response if isinstance(error, httpx.HTTPStatusError | openai.APIStatusError) else None


def _code(response: Any) -> object:
    try:
        body = response.json()
    except (ValueError, RuntimeError, RecursionError):
        return None
    error = body.get("error", body) if isinstance(body, Mapping) else None
    return (error.get("code") or error.get("type")) if isinstance(error, Mapping) else None


def _told(error: BaseException) -> str:
    """The provider's words, without the class names that litellm puts before them."""
    # Some of its messages end in a traceback.
    text = str(error).partition("Traceback (most recent call last)")[0].strip() or type(error).__name__
    _, mark, rest = text.partition("Exception - ")
    return rest if mark and text.startswith("litellm.") else text


def _read(reply: Any, latency: float) -> Completion:
    """A completion from litellm's, its text empty where there is none."""
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list):
        raise ModelError(ErrorKind.MALFORMED, "litellm gave no chat completion", status=200)
    counted = getattr(reply, "usage", None)
    usage = usage_of(getattr(counted, "prompt_tokens", 0), getattr(counted, "completion_tokens", 0))
    if not choices:
        return Completion(text="", usage=usage, latency=latency, finish_reason="none")
    message = getattr(choices[0], "message", None)
    text = getattr(message, "content", None)
    text = text if isinstance(text, str) else ""
    finish = getattr(choices[0], "finish_reason", None)
    finish = finish if isinstance(finish, str) and finish else "stop"
    if not text and (refusal := _refusal(message)):
        text, finish = refusal, "content_filter"
    return Completion(text=text, usage=usage, latency=latency, finish_reason=finish)


def _refusal(message: Any) -> str:
    """Why the model would not answer, wherever this version of litellm keeps it."""
    extra = getattr(message, "provider_specific_fields", None)
    kept = extra.get("refusal") if isinstance(extra, Mapping) else None
    found = getattr(message, "refusal", None) or kept
    return found if isinstance(found, str) else ""


def _headers(reply: Any) -> dict[str, str]:
    """The provider's headers, out of the place where litellm keeps them."""
    hidden = getattr(reply, "_hidden_params", None)
    found = hidden.get("additional_headers") if isinstance(hidden, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {str(name).lower().removeprefix(_THEIRS): str(value) for name, value in found.items()}


def _secrets() -> tuple[str, ...]:
    """Values of variables whose name says that they are secret: kept out of messages."""
    return tuple(
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and any(word in name.upper() for word in _SECRET_NAMES)
    )
