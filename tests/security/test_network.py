"""Nothing is reached but the endpoint that was named, and what the environment adds is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.endpoints import endpoints
from optimizer.cli.overrides import param
from optimizer.config import ModelSpec
from optimizer.errors import ConfigError, UserError
from optimizer.readers.config import load_config
from optimizer.readers.prompts import load_prompt
from tests.cli_case import Done, cli
from tests.security.children import bare, commands
from tests.security.provider import Asked, Reply, provider, said

WATCH = """
import json as _json, sys as _sys
_seen = set()
def _watch(event, arguments):
    if event == "socket.getaddrinfo":
        _seen.add(f"host {arguments[0]}:{arguments[1]}")
    elif event == "socket.connect":
        _seen.add(f"host {arguments[1][0]}:{arguments[1][1]}" if isinstance(arguments[1], tuple) else "")
    elif event in ("socket.gethostbyname", "socket.sendto", "urllib.Request"):
        _seen.add(f"{event} {arguments}")
    elif event == "open" and str(arguments[0]).rpartition("/")[2].startswith(".env"):
        _seen.add(f"file {arguments[0]}")
_sys.addaudithook(_watch)
import atexit as _atexit
def _tell():
    from pathlib import Path
    packages = sorted({name.partition(".")[0] for name in _sys.modules})
    Path("seen.json").write_text(_json.dumps({"seen": sorted(_seen - {""}), "packages": packages}))
_atexit.register(_tell)
"""
"""Writes down every host that is looked up or connected to, and every `.env` that is opened."""

HOSTILE = "OPENAI_BASE_URL={0}\nOPENAI_API_BASE={0}\nANTHROPIC_API_BASE={0}\nANTHROPIC_BASE_URL={0}\nHTTPS_PROXY={0}\n"
KEYS = {name: f"canary-{name}-0123456789" for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AZURE_API_KEY")}


def good(asked: Asked) -> Reply:
    return said("positive")


def to(url: str) -> Reply:
    return Reply(status=307, body=b"", headers={"Location": url})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in a folder of somebody's, both with a `.env` that sends everything elsewhere."""
    folder = tmp_path / "repository" / "workspace"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert cli("init").code == 0
    for place in (folder, folder.parent):
        (place / ".env").write_text(HOSTILE.format("http://evil.invalid:8080/v1"), "utf-8")
    return folder


def watched(asked: list[list[str]], folder: Path, **env: str) -> tuple[Done, list[str], set[str]]:
    """What commands printed, what they reached, and what they imported."""
    _, done = commands(asked, folder, bare(**{**KEYS, **env}), before=WATCH)
    told = json.loads((folder / "seen.json").read_text("utf-8"))
    return done, told["seen"], set(told["packages"])


PROVIDERS = {"aiohttp", "openai", "litellm", "httpx", "requests", "urllib3", "botocore", "google", "anthropic"}


def test_help_and_what_only_reads_reach_nothing_and_load_no_provider(workspace: Path) -> None:
    asked = [["--help"], ["run", "--help"], ["check", "evals/example.yaml"], ["runs"], ["log", "example"]]
    done, seen, packages = watched([*asked, ["export", "json", "example"]], workspace)
    assert seen == [] and packages & PROVIDERS == set(), done.err


def test_the_fast_path_reaches_the_endpoint_that_was_named_and_says_so_first(workspace: Path) -> None:
    with provider(good) as served:
        port = served.url.split(":")[2].partition("/")[0]
        flags = ["--model", "openai/m", "--base-url", served.url]
        done, seen, packages = watched([["eval", "evals/example.yaml", *flags]], workspace)
    assert {one.headers["authorization"] for one in served.asked} == {f"Bearer {KEYS['OPENAI_API_KEY']}"}
    assert set(seen) == {f"host 127.0.0.1:{port}"}
    assert done.err.splitlines()[0] == f"task model openai/m: 127.0.0.1:{port}"
    assert packages & PROVIDERS == {"aiohttp"}


SLOW = {
    "anthropic/claude-3-haiku-20240307": ("ANTHROPIC_API_BASE", "ANTHROPIC_API_KEY", "x-api-key"),
    "azure/gpt-4o": ("AZURE_API_BASE", "AZURE_API_KEY", "api-key"),
    "gemini/gemini-2.0-flash": ("GEMINI_API_BASE", "GEMINI_API_KEY", "x-goog-api-key"),
}
"""Model -> variables of its endpoint and its key, and the header that the key goes in."""


def test_the_slow_path_reaches_its_endpoint_alone_and_follows_no_redirect(workspace: Path) -> None:
    """Several clients inside litellm, answered by redirects to another host: no key and no row goes there."""
    with provider(good) as elsewhere:
        target = elsewhere.url.replace("127.0.0.1", "localhost")
        with provider(lambda asked: to(target)) as first:
            port = first.url.split(":")[2].partition("/")[0]
            env = {"AZURE_API_VERSION": "2024-06-01"}
            for base, key, _ in SLOW.values():
                env |= {base: first.url.removesuffix("/v1"), key: f"canary-{key}-0123456789"}
            asked = [["eval", "evals/example.yaml", "--split", "val", "--model", name] for name in SLOW]
            done, seen, packages = watched(asked, workspace, **env)
    assert "litellm" in packages and len(first.asked) >= len(SLOW), done.err
    assert set(seen) == {f"host 127.0.0.1:{port}"}, "a .env was read, or another host was looked for"
    assert elsewhere.asked == [], "a redirect was followed, and the key with it"
    assert all(f"or 127.0.0.1:{port} ({base})" in done.err for base, _, _ in SLOW.values())
    sent = {header for one in first.asked for header in one.headers.items()}
    assert {(header, env[key]) for _, key, header in SLOW.values()} <= sent
    written = [path.read_bytes() for path in workspace.rglob("*") if path.is_file()]
    assert not any(b"canary-" in text for text in [done.out.encode(), done.err.encode(), *written]), "a key was told"


def test_the_fast_path_follows_no_redirect(workspace: Path) -> None:
    with provider(good) as elsewhere, provider(lambda asked: to(elsewhere.url)) as first:
        flags = ["--model", "openai/m", "--base-url", first.url, "--concurrency", "1"]
        done, _, _ = watched([["eval", "evals/example.yaml", *flags]], workspace)
    assert elsewhere.asked == [] and f"redirects to {elsewhere.url}: set base_url" in done.err


# What the environment adds is told, and what it would redirect is not followed.


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_VERIFY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("model", "base_url", "environ", "lines"),
    [
        ("openai/m", None, {"OPENAI_BASE_URL": "http://evil.invalid/v1"}, ["OPENAI_BASE_URL is set and not followed"]),
        ("openai/m", None, {"OPENAI_API_BASE": "http://evil.invalid/v1"}, ["OPENAI_API_BASE is set and not followed"]),
        ("openai/m", None, {"HTTPS_PROXY": "http://me:secret@proxy.test:3128"}, ["through the proxy proxy.test:3128"]),
        ("openai/m", "http://127.0.0.1:1/v1", {"HTTP_PROXY": "http://proxy.test:3128"}, []),
        ("openai/m", "http://models.test/v1", {}, ["models.test is reached without encryption"]),
        ("openai/m", "https://models.test/v1", {}, []),
        ("litellm/x/m", "http://a.test", {"SSL_VERIFY": "0"}, ["SSL_VERIFY switches"]),
        ("anthropic/m", None, {"SSL_VERIFY": "False"}, ["SSL_VERIFY switches the check of certificates off"]),
        ("offline", None, {"OPENAI_BASE_URL": "http://evil.invalid/v1", "SSL_VERIFY": "0"}, []),
    ],
)
def test_what_the_environment_adds_is_told(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    base_url: str | None,
    environ: dict[str, str],
    lines: list[str],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    config = load_config(Path("evals/example.yaml"), {"model": ModelSpec(name=model, base_url=base_url).name})
    spec = ModelSpec(name=model, base_url=base_url)
    from dataclasses import replace

    told = endpoints(replace(config, model=spec, mutator=None))
    assert len(told) == 2 + len(lines) and all(line in told[2 + place] for place, line in enumerate(lines)), told
    assert "secret" not in "".join(told) and "evil" not in "".join(told)


@pytest.mark.parametrize(
    ("model", "environ", "told"),
    [
        ("anthropic/m", {}, "the endpoint that litellm has for anthropic"),
        ("anthropic/m", {"ANTHROPIC_API_BASE": "https://u:p@gate.test/x"}, "or gate.test (ANTHROPIC_API_BASE)"),
        ("anthropic/m", {"ANTHROPIC_BASE_URL": "https://gate.test"}, "or gate.test (ANTHROPIC_BASE_URL)"),
        ("ollama_chat/m", {"OLLAMA_API_BASE": "box.test:11434"}, "or box.test:11434 (OLLAMA_API_BASE)"),
        ("vertex_ai/m", {"VERTEXAI_API_BASE": "https://gate.test"}, "or gate.test (VERTEXAI_API_BASE)"),
        ("mistral/m", {"ANTHROPIC_API_BASE": "https://gate.test"}, "the endpoint that litellm has for mistral"),
    ],
)
def test_an_endpoint_that_a_variable_names_is_told_by_its_host(
    monkeypatch: pytest.MonkeyPatch, model: str, environ: dict[str, str], told: str
) -> None:
    from optimizer.cli.endpoints import host

    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert host(ModelSpec(name=model)).endswith(told)


# Neither an eval file nor a prompt can say where the key goes, but by the one key that is printed.

STEERING = [
    ("api_base", "http://evil.invalid"),
    ("base_url", "http://evil.invalid"),
    ("azure_endpoint", "http://evil.invalid"),
    ("aws_bedrock_runtime_endpoint", "http://evil.invalid"),
    ("custom_llm_provider", "openai"),
    ("headers", {"Host": "evil.invalid"}),
    ("extra_headers", {"Host": "evil.invalid"}),
    ("proxies", {"https": "http://evil.invalid"}),
    ("ssl_verify", False),
    ("fallbacks", ["openai/other"]),
    ("mock_response", "positive"),
    ("model", "openai/other"),
    ("messages", []),
    ("success_callback", ["langfuse"]),
    ("vertex_location", "evil.invalid/#"),
    ("aws_region_name", "x.evil.invalid/"),
    ("aws_region_name", ["us-east-1"]),
    ("timeout", 100000),
]


@pytest.mark.parametrize(("name", "value"), STEERING)
def test_parameters_steer_nothing(workspace: Path, name: str, value: object) -> None:
    line = json.dumps({name: value})
    text = Path("evals/example.yaml").read_text("utf-8")
    Path("evals/steer.yaml").write_text(
        text.replace("model: offline", f'model: {{"name": "anthropic/m", "params": {line}}}'), "utf-8"
    )
    with pytest.raises(ConfigError, match=r"no parameter of a call|no name of a region"):
        load_config(Path("evals/steer.yaml"))
    version = Path("prompts/example/v1.yaml")
    version.write_text(f"{version.read_text('utf-8')}params: {line}\n", "utf-8")
    with pytest.raises(Exception, match=r"no parameter of a call|no name of a region"):
        load_prompt(version)
    with pytest.raises(UserError, match=r"no parameter of a call|no name of a region"):
        param(f"{name}={json.dumps(value)}")


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0, "max_tokens": 5, "seed": 1, "stop": ["x"], "top_p": 0.5, "reasoning_effort": "low"},
        {"aws_region_name": "us-east-1", "vertex_location": "europe-west4", "api_version": "2024-06-01"},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"properties": {"timeout": {}}}}}},
        {"extra_body": {"guided_choice": ["a"]}, "user": "me", "logit_bias": {"1": 2}, "metadata": {"a": "b"}},
    ],
)
def test_parameters_of_calls_pass(workspace: Path, params: dict[str, object]) -> None:
    text = Path("evals/example.yaml").read_text("utf-8")
    block = json.dumps({"name": "anthropic/m", "params": params})
    Path("evals/example.yaml").write_text(text.replace("model: offline", f"model: {block}"), "utf-8")
    assert load_config(Path("evals/example.yaml")).model.params == params
