"""Exports held against the programs that they are for, where these are installed: `make test-loaders`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from optimizer.dataset import Example, Split
from optimizer.errors import UserError
from optimizer.export.base import EXPORTERS, WHOLE, Exported, Proved, export, exporter, proof_rows, published, texts
from optimizer.export.promptfoo import Suite, with_rows
from optimizer.export.promptfoo.values import written
from optimizer.metrics import MetricContext, build_metric, metric_key
from optimizer.prompt import Prompt, build, prepare
from optimizer.results import Completion
from tests.nasty_prompts import prompts
from tests.promptfoo_checks import CHECKS

pytestmark = pytest.mark.loaders

TINY = build("tiny", [("system", "Answer briefly."), ("user", "{{ question }}")])
NASTY = tuple(prompts(60, seed=4))
FEWEST = 8
"""Of the nasty prompts, each format can say at least these."""


# A program that wants a table of prices must not ask for it over the network.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def loader_of(name: str) -> str:
    loader = exporter(name).export(TINY, None).loader
    return loader.package if loader else ""


LOADED = {name: package for name in EXPORTERS if (package := loader_of(name))}


def outcome(render: Any, exported: Exported, values: Mapping[str, Any]) -> Any:
    """The messages, or that there are none: a program may raise what it likes."""
    try:
        return render(exported.parts, values)
    except Exception:
        return "nothing"


@pytest.mark.parametrize(("name", "package"), LOADED.items(), ids=LOADED)
@pytest.mark.filterwarnings("ignore")
def test_the_small_renderer_does_what_the_program_does(name: str, package: str) -> None:
    pytest.importorskip(package)
    held = 0
    for prompt in NASTY:
        try:
            exported = exporter(name).export(published(prompt), None)
        except UserError:
            continue
        assert exported.loader is not None
        for row in proof_rows(prompt):
            ours = outcome(exported.render, exported, row.inputs)
            assert outcome(exported.loader.render, exported, row.inputs) == ours, (prompt.name, row.id)
            held += ours != "nothing"
    assert held >= 4 * FEWEST


@pytest.mark.parametrize(("name", "package"), LOADED.items(), ids=LOADED)
@pytest.mark.filterwarnings("ignore")
def test_nasty_prompts_are_proved_by_the_program_or_refused(name: str, package: str) -> None:
    pytest.importorskip(package)
    proved = 0
    for prompt in NASTY:
        try:
            assert export(name, prompt).loader == package
        except UserError:
            continue
        proved += 1
    assert proved >= FEWEST


@cache
def promptfoo() -> tuple[str, ...]:
    """The command: `PROMPTFOO`, or what is on the path."""
    named = os.environ.get("PROMPTFOO", "")
    found = named.split() if named else [shutil.which("promptfoo") or ""]
    if not found[0]:
        pytest.skip("promptfoo is not installed (PROMPTFOO names its command)")
    return tuple(found)


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1", "NO_COLOR": "1"}
    environment = {**os.environ, **quiet, "PROMPTFOO_CONFIG_DIR": str(folder / "home")}
    command = [*promptfoo(), *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def evaluated(folder: Path, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What promptfoo makes of a config: one result a test."""
    file = folder / "promptfooconfig.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    out = ran(folder, "eval", "-c", file.name, "-o", "out.json", "--no-cache", "--no-table", "--no-progress-bar")
    assert (folder / "out.json").is_file(), out.stdout + out.stderr
    results: list[dict[str, Any]] = json.loads((folder / "out.json").read_text("utf-8"))["results"]["results"]
    return results


def test_promptfoo_renders_what_was_measured(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {}
    merged: dict[str, Any] = {"prompts": [], "providers": ["echo"], "tests": []}
    for prompt in NASTY:
        config = yaml.safe_load(export("promptfoo", prompt).parts[WHOLE])
        merged["prompts"] += [{**one, "label": prompt.name} for one in config["prompts"]]
        for row in proof_rows(prompt):
            name = f"{prompt.name}: {row.id}"
            wanted[name] = [{"role": one.role, "content": one.content} for one in prepare(prompt, row)]
            merged["tests"].append(
                {
                    "description": name,
                    "prompts": [prompt.name],
                    "vars": dict(written(texts(row.inputs))),
                    "options": {"disableVarExpansion": True},
                }
            )
    found = {
        one["testCase"]["description"]: json.loads(one["response"]["output"]) for one in evaluated(tmp_path, merged)
    }
    assert found == wanted


def suite_of(prompt: Prompt, proved: Proved, rows: list[Example]) -> Proved:
    spec = CHECKS[0].spec
    suite = Suite(rows=tuple((row, Split.TRAIN) for row in rows), metrics={"contains": spec}, root=Path())
    return with_rows(proved, prompt, suite)


def test_promptfoo_takes_the_file_as_it_is_written(tmp_path: Path) -> None:
    prompt = build("triage", [("system", 'Say {"a": {}} and {{ no }} ---\n---'), ("user", "{{ question }} {{lang}}\n")],
                   variables=["question", "lang"])  # fmt: skip
    rows = [Example(id=row.id, inputs=row.inputs, expected="x", tags=("{{ tag }}",)) for row in proof_rows(prompt)]
    proved = suite_of(prompt, export("promptfoo", prompt), rows)
    file = tmp_path / "any name.yaml"
    file.write_text(proved.parts[WHOLE], encoding="utf-8")
    assert "Configuration is valid" in ran(tmp_path, "validate", "-c", file.name).stdout
    ran(tmp_path, "eval", "-c", file.name, "-o", "out.json", "--no-cache", "--no-table", "--no-progress-bar")
    results = json.loads((tmp_path / "out.json").read_text("utf-8"))["results"]["results"]
    found = {one["testCase"]["description"]: json.loads(one["response"]["output"]) for one in results}
    assert found == {
        row.id: [{"role": one.role, "content": one.content} for one in prepare(prompt, row)] for row in rows
    }


def test_promptfoo_passes_and_fails_what_our_metrics_do(tmp_path: Path) -> None:
    import asyncio

    prompt = build("echo", [("user", "{{ answer }}")])
    merged: dict[str, Any] = {"prompts": [{"label": "echo", "raw": "{{ answer }}"}], "providers": ["echo"], "tests": []}
    ours: dict[str, bool] = {}
    for number, check in enumerate(CHECKS):
        metric = build_metric(check.spec, Path())
        for place, output in enumerate(check.outputs):
            row = Example(id=f"{number}.{place}", inputs={"answer": output}, expected=check.expected)
            suite = Suite(rows=((row, Split.TRAIN),), metrics={metric_key(check.spec): check.spec}, root=Path())
            (test,) = yaml.safe_load(with_rows(export("promptfoo", prompt), prompt, suite).parts[WHOLE])["tests"]
            # A list of one, so that no answer is changed on its way.
            test |= {"vars": {"answer": [output]}, "options": {"disableVarExpansion": True}}
            merged["tests"].append(test)
            score = asyncio.run(metric.score(MetricContext(example=row, completion=Completion(text=output))))
            ours[row.id] = score.passed
    theirs = {one["testCase"]["metadata"]["row"]: one["success"] for one in evaluated(tmp_path, merged)}
    assert theirs == ours


@pytest.mark.filterwarnings("ignore")
def test_mlflow_registers_and_gives_back_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.setenv(name, "true")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(tmp_path.as_uri())
    mlflow.set_registry_uri(tmp_path.as_uri())
    try:
        for prompt in NASTY[:8]:
            arguments = json.loads(export("mlflow", prompt).parts[WHOLE])
            mlflow.genai.register_prompt(**arguments)
            stored = mlflow.genai.load_prompt(f"prompts:/{arguments['name']}@latest")
            assert stored.tags["sha256"] == published(prompt).fingerprint
            for row in proof_rows(prompt):
                wanted = [{"role": one.role, "content": one.content} for one in prepare(prompt, row)]
                assert stored.format(**texts(row.inputs)) == wanted
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])


@pytest.mark.filterwarnings("ignore")
def test_langfuse_is_sent_and_gives_back_what_was_measured() -> None:
    langfuse = pytest.importorskip("langfuse")
    sent: list[dict[str, Any]] = []

    class Registry(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sent.append(body)
            answer = json.dumps({**body, "version": 1}).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    Thread(target=server.serve_forever, daemon=True).start()
    client = langfuse.Langfuse(
        public_key="pk-test",
        secret_key="sk-test",
        host=f"http://127.0.0.1:{server.server_port}",
        tracing_enabled=False,
    )
    try:
        for prompt in NASTY[:20]:
            try:
                arguments = json.loads(export("langfuse", prompt).parts[WHOLE])
            except UserError:
                continue
            created = client.create_prompt(**arguments)
            assert (sent[-1]["name"], sent[-1]["labels"]) == (prompt.name, ["candidate"])
            for row in proof_rows(prompt):
                wanted = [{"role": one.role, "content": one.content} for one in prepare(prompt, row)]
                assert created.compile(**texts(row.inputs)) == wanted
    finally:
        client.shutdown()
        server.shutdown()
        server.server_close()
    assert len(sent) >= 5
