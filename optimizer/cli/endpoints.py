"""Where requests will go, in words: said before the first one is sent."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from optimizer.config import ModelSpec, RunConfig
from optimizer.models.gate import specs

STAND_IN = "offline stand-in, no network"
_BASES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
"""Variables that other clients follow, and we do not: a key goes where the eval file or a flag sends it."""
_REDIRECTS = re.compile(r"(.+?)_(?:API_BASE|BASE_URL|API_BASE_URL)")
"""Variables that litellm follows, with the provider's name before."""
_OFF = frozenset({"0", "false", "no", "off"})


def endpoints(config: RunConfig) -> list[str]:
    """One line a role: model and host; then what the environment adds to that, where it does."""
    lines = [f"task model {config.model.name}: {host(config.model)}"]
    if config.mutator is None:
        lines.append("mutator: none, mined edits alone")
    elif (config.mutator.name, config.mutator.base_url) != (config.model.name, config.model.base_url):
        lines.append(f"mutator {config.mutator.name}: {host(config.mutator)}")
    return [*lines, *dict.fromkeys(line for spec in specs(config) for line in _surroundings(spec))]


def host(spec: ModelSpec) -> str:
    """Host and port of an endpoint, without path, user or password."""
    if spec.provider == "offline":
        return STAND_IN
    if spec.base_url is not None:
        return _netloc(spec.base_url)
    if spec.provider == "openai":
        from optimizer.models.openai import DEFAULT_BASE_URL

        return _netloc(DEFAULT_BASE_URL)
    # Which of them it follows differs from provider to provider, and from release to release.
    others = "".join(f", or {_netloc(value)} ({name})" for name, value in _followed(spec.model))
    return f"the endpoint that litellm has for {spec.model.partition('/')[0]}{others}"


def _surroundings(spec: ModelSpec) -> Iterator[str]:
    """What the environment does to the calls of a model, or would do if it were asked."""
    if spec.provider == "offline":
        return
    if spec.provider == "openai" and spec.base_url is None:
        yield from (f"{name} is set and not followed (write base_url, or --base-url)" for name in _BASES if _set(name))
    if spec.provider == "openai":
        from optimizer.models.openai import DEFAULT_BASE_URL, endpoint_of

        address = spec.base_url or DEFAULT_BASE_URL
        proxy = endpoint_of(address, "any").proxy
        if proxy:
            yield f"through the proxy {_netloc(proxy)} of the environment"
        parts = urlsplit(address)
        if parts.scheme == "http" and not _is_near(parts.hostname or ""):
            yield f"{_netloc(address)} is reached without encryption: others on the way can read key and rows"
    elif os.environ.get("SSL_VERIFY", "").lower() in _OFF:
        yield "SSL_VERIFY switches the check of certificates off: others on the way can read key and rows"


def _followed(model: str) -> Iterator[tuple[str, str]]:
    """(variable, address) that litellm may take for a provider's endpoint."""
    provider, slash, _ = model.partition("/")
    asked = _letters(provider if slash else "openai")
    for name, value in sorted(os.environ.items()):
        found = _REDIRECTS.fullmatch(name)
        if found and value.strip() and (asked.startswith(_letters(found[1])) or _letters(found[1]).startswith(asked)):
            yield name, value.strip()


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _is_near(name: str) -> bool:
    from optimizer.models.openai import on_this_machine

    return on_this_machine(name)


def _netloc(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url.rpartition("@")[2].partition("/")[0]
