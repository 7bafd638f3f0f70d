"""The action, the hooks and the page on CI: parsed, and their shell steps run as a runner would run them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from optimizer import errors
from optimizer.cli.app import command
from tests.cli_case import PACKAGE, cli, make_workspace

PAGE = (PACKAGE / "docs" / "ci.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((PACKAGE / "action.yml").read_text(encoding="utf-8"))
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((PACKAGE / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
SETUP, INSTALL, GATE = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{ *([a-z_.-]+) *\}\}")


OPTIONS = {
    name: {option for parameter in found.params for option in parameter.opts}
    for name, found in command().commands.items()
}
"""Command -> its flags."""


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


WORKFLOW, PRE_COMMIT = map(yaml.safe_load, fenced("yaml"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("made"))


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner's temporary folder, with the command where the action installs it."""
    folder = tmp_path_factory.mktemp("runner temp")
    script(
        folder / "prompt-gate/bin/optimizer",
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(PACKAGE))} exec {shlex.quote(sys.executable)} -m optimizer "$@"\n',
    )
    return folder


class Step:
    """One run of the action's last step."""

    def __init__(self, workspace: Path, runner: Path, folder: Path, given: Mapping[str, str]) -> None:
        assert set(given) <= set(ACTION["inputs"])
        inputs = {name: str(given.get(name, spec["default"])) for name, spec in ACTION["inputs"].items()}
        files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.touch()
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(workspace),
            "RUNNER_TEMP": str(runner),
            **{name: str(path) for name, path in files.items()},
            **{
                name: EXPRESSION.sub(lambda m: inputs[m[1].removeprefix("inputs.")], v)
                for name, v in GATE["env"].items()
            },
        }
        path = folder / "step.sh"
        path.write_text(GATE["run"], encoding="utf-8")
        # How the runner starts a step whose shell is bash.
        bash = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(path)]
        done = subprocess.run(bash, cwd=workspace, env=env, capture_output=True, text=True, timeout=120, check=False)
        self.code, self.log = done.returncode, done.stdout + done.stderr
        self.outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text("utf-8").splitlines())
        self.summary = files["GITHUB_STEP_SUMMARY"].read_text("utf-8")


def test_the_action_is_documented_and_takes_nothing_into_its_scripts():
    assert ACTION["runs"]["using"] == "composite"
    for named in (*ACTION["inputs"].values(), *ACTION["outputs"].values()):
        assert named["description"].strip()
    for step in (INSTALL, GATE):
        assert step["shell"] == "bash"
        # An expression inside a script would be code of whoever can choose its value.
        assert "${{" not in step["run"] and "eval " not in step["run"].replace('"$optimizer" eval', "")
    used = {m for value in GATE["env"].values() for m in EXPRESSION.findall(value)}
    others = {"inputs.working-directory", "inputs.python-version"}
    assert used | others == {f"inputs.{name}" for name in ACTION["inputs"]}
    assert re.fullmatch(r"actions/setup-python@[0-9a-f]{40}", SETUP["uses"])


@pytest.mark.parametrize("name", ["eval", "run", "gate"])
def test_the_flags_of_the_action_are_those_of_the_commands(name):
    known = OPTIONS[name]
    words = set(re.findall(r"--[a-z]{3}[a-z-]*", GATE["run"]))
    limits = {"--min-score", "--max-errors", "--junit", "--comment", "--github"}
    wanted = {
        "eval": limits | {"--prompt", "--model", "--budget-calls", "--usd"},
        "run": {"--prompt", "--model", "--budget-calls", "--usd"},
        "gate": limits | {"--require-gain", "--max-regressions", "--max-cost-increase"},
    }
    assert wanted[name] <= known and words == set().union(*wanted.values())


@pytest.mark.parametrize(
    ("given", "code", "outputs"),
    [
        (
            {"eval-file": "evals/example.yaml", "min-score": "0.9"},
            3,
            {"passed": "false", "exit-code": "3", "verdict": "", "score": "0.0000", "gain": ""},
        ),
        (
            {"command": "gate", "target": "first", "min-score": "0.9", "require-gain": "true", "max-regressions": "0"},
            0,
            {"passed": "true", "exit-code": "0", "verdict": "GAIN SHOWN", "score": "1.0000", "gain": "1.0000"},
        ),
        ({"command": "gate", "target": "$(touch pwned) `touch pwned`; touch pwned"}, 2, {}),
        ({"command": "publish"}, 2, {}),
        ({"eval-file": "evals/example.yaml", "max-regressions": "0"}, 2, {}),
    ],
)
def test_the_last_step_runs_the_command_and_tells_the_outcome(made, runner, tmp_path, given, code, outputs):
    step = Step(made, runner, tmp_path, given)
    assert step.code == code, step.log
    assert {name: step.outputs.get(name) for name in outputs} == outputs
    assert bool(step.summary) == bool(outputs) == bool(step.outputs)
    assert set(step.outputs) in (set(), set(ACTION["outputs"]))
    assert not (made / "pwned").exists()


def test_a_run_is_made_and_judged(runner, tmp_path):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    assert cli("init", workspace).code == 0
    given = {"command": "run", "eval-file": "evals/example.yaml", "require-gain": "true", "junit": "j.xml"}
    step = Step(workspace, runner, tmp_path, given)
    assert step.code == 0 and step.outputs["verdict"] == "GAIN SHOWN", step.log
    assert ET.parse(workspace / "j.xml").getroot().get("failures") == "0"
    too_little = {**given, "budget-calls": "1"}
    broke = Step(workspace, runner, tmp_path, too_little)
    assert broke.code == 5 and "budget" in broke.log


def test_the_install_step_takes_the_lock_with_its_hashes(tmp_path):
    """With a Python that writes down what it is asked: the packages themselves are not fetched here."""
    asked = tmp_path / "asked"
    temp, action = tmp_path / "temp dir", tmp_path / "the action"
    record = f'#!/bin/sh\nprintf "%s\\n" "$*" >> {shlex.quote(str(asked))}\n'
    script(tmp_path / "python", f'{record}[ "$2" != venv ] || (mkdir -p "$3/bin" && cp "$0" "$3/bin/python")\n')
    env = {
        "PATH": "/usr/bin:/bin",
        "RUNNER_TEMP": str(temp),
        "GATE_PYTHON": str(tmp_path / "python"),
        "GATE_ACTION": str(action),
    }
    subprocess.run(["bash", "-e", "-o", "pipefail", "-c", INSTALL["run"]], env=env, check=True, timeout=60)
    venv, lock, own = asked.read_text(encoding="utf-8").splitlines()
    assert venv == f"-m venv {temp}/prompt-gate"
    assert lock.endswith(f"install --require-hashes --only-binary :all: --requirement {action}/requirements.lock")
    assert own.endswith(f"install --no-index --no-deps --no-build-isolation {action}")
    assert "hatchling==" in (PACKAGE / "requirements.lock").read_text(encoding="utf-8")


def test_hooks_say_what_pre_commit_asks_for():
    for hook in HOOKS.values():
        assert {"id", "name", "entry", "language", "description"} <= set(hook)
        assert hook["language"] == "python" and hook["pass_filenames"] is False
    files = re.compile(HOOKS["optimizer-check"]["files"])
    assert [bool(files.search(name)) for name in ("evals/a.jsonl", "prompts/a/v1.yaml", "src/evals/a.py")] == [1, 1, 0]


def hook(name: str, *args: str) -> int:
    words = [*shlex.split(HOOKS[name]["entry"]), *args]
    assert words[0] == "optimizer"
    return cli(*words[1:]).code


def test_the_hooks_pass_and_fail_where_they_should(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    assert hook("optimizer-check") == 0
    (tmp_path / "prompts/example/v1.yaml").write_text("messages: 3\n", encoding="utf-8")
    assert hook("optimizer-check") == 2


@pytest.mark.skipif("--check" not in OPTIONS["apply"], reason="apply has no --check yet")
def test_the_drift_hook_finds_a_config_that_fell_behind(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    (made / "app.yaml").write_text("llm:\n  system: an old text\n", encoding="utf-8")
    (_, drift) = PRE_COMMIT["repos"][0]["hooks"]
    assert hook(drift["id"], *drift["args"]) == 3
    assert cli("apply", *drift["args"]).code == 0
    assert hook(drift["id"], *drift["args"]) == 0


def test_the_workflow_on_the_page_names_inputs_of_the_action(made, runner, tmp_path):
    steps = WORKFLOW["jobs"]["gate"]["steps"]
    (ours,) = [step for step in steps if step.get("id") == "gate"]
    step = Step(made, runner, tmp_path, {name: str(value) for name, value in ours["with"].items()})
    assert step.code == 3 and "::error file=prompts/example/v1.yaml,title=optimizer gate::min-score failed" in step.log
    assert (made / "gate.md").read_text(encoding="utf-8") == step.summary
    assert all(re.search(r"@([0-9a-f]{40}|COMMIT)$", step["uses"]) for step in steps if "uses" in step)
    assert {hook["id"] for hook in PRE_COMMIT["repos"][0]["hooks"]} == set(HOOKS)


def commands_of_the_page() -> Iterator[tuple[list[str], int]]:
    for line in "".join(fenced("sh")).splitlines():
        asked, _, says = line.partition("#")
        yield shlex.split(asked)[1:], int(re.findall(r"exit (\d+):", says)[0])


def test_the_commands_on_the_page_end_as_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    found = list(commands_of_the_page())
    assert len(found) == 5
    for arguments, code in found:
        done = cli(*arguments)
        assert done.code == code, (arguments, done)


def test_the_tables_on_the_page_are_those_of_the_source(made, monkeypatch):
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    raised = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and hasattr(one, "exit_code")}
    assert codes == raised | {0, 1, 130}
    monkeypatch.chdir(made)
    flags = "--min-score 0 --max-regressions 0 --max-cost-increase 400 --json".split()
    facts: Any = cli("gate", "first", *flags).json
    told = re.findall(r"^\| `([a-z-]+)` \| ", PAGE.partition("## Errors")[0], re.MULTILINE)
    assert set(told) == {one["name"] for one in facts["checks"]} | {"measured"}
    outputs = re.findall(r"^\| `([a-z-]+)` \| ", PAGE.partition("| output |")[2], re.MULTILINE)
    assert set(outputs) == set(ACTION["outputs"])
