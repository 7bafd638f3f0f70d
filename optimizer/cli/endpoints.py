"""Where requests will go, in words: said before the first one is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from optimizer.config import ModelSpec, RunConfig

STAND_IN = "offline stand-in, no network"


def endpoints(config: RunConfig) -> list[str]:
    """One line a role: model and host."""
    lines = [f"task model {config.model.name}: {host(config.model)}"]
    if config.mutator is None:
        lines.append("mutator: none, mined edits alone")
    elif (config.mutator.name, config.mutator.base_url) != (config.model.name, config.model.base_url):
        lines.append(f"mutator {config.mutator.name}: {host(config.mutator)}")
    return lines


def host(spec: ModelSpec) -> str:
    """Host and port of an endpoint, without path, user or password."""
    if spec.provider == "offline":
        return STAND_IN
    if spec.base_url is None and spec.provider == "openai":
        from optimizer.models.openai import DEFAULT_BASE_URL

        return _netloc(DEFAULT_BASE_URL)
    if spec.base_url is None:
        return f"the endpoint that litellm has for {spec.model.partition('/')[0]}"
    return _netloc(spec.base_url)


def _netloc(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
