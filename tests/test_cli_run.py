"""Commands that send requests, and those that take prompts out: what flags mean, end to end on the stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from optimizer.cli import launch, overrides
from optimizer.cli.endpoints import endpoints
from optimizer.cli.interrupt import Interrupted
from optimizer.config import ModelSpec
from optimizer.errors import UserError
from optimizer.events import ClustersFound
from optimizer.report.wording import go_on
from tests import sample_run
from tests.cli_case import Done, cli, make_workspace

CONFIG = "evals/example.yaml"
ONE_OF = 'The answer must be exactly one of: "negative", "positive".\n'


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    return tmp_path


@pytest.fixture(scope="module")
def with_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("with-run"))


def test_init_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".gitignore").write_text("build\n/runs", encoding="utf-8")
    Path("evals").mkdir()
    Path("evals/example.yaml").write_text("mine", encoding="utf-8")
    done = cli("init", "--json").json
    assert "evals/example.yaml" in done["kept"] and "evals/example.jsonl" in done["written"]
    assert Path("evals/example.yaml").read_text("utf-8") == "mine"
    assert Path(".gitignore").read_text("utf-8") == "build\n/runs\n/.optimizer/\n.env\n"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert cli("init").code == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_init_makes_a_folder_and_says_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("init", "new place")
    assert done.code == 0 and "cd 'new place' && optimizer run evals/example.yaml" in done.out
    rows = (tmp_path / "new place/evals/example.jsonl").read_text("utf-8").splitlines()
    assert len(rows) == 20 and len({json.loads(row)["id"] for row in rows}) == 20


def test_a_run_prints_the_screen_and_tells_progress_apart(workspace: Path) -> None:
    done = cli("run", CONFIG, "--run-id", "mine")
    assert done.code == 0
    assert done.out.startswith("mine  example@v1 -> example@v2") and "GAIN SHOWN" in done.out
    assert done.err.startswith("task model offline: offline stand-in, no network\n")
    assert "baseline: the prompt as it is scores" in done.err
    assert "\x1b" not in done.out + done.err


def test_a_run_with_json_prints_facts_alone(workspace: Path) -> None:
    facts = cli("run", CONFIG, "--json", "--seed", "3", "--try", "Answer with one word.").json
    assert facts["verdict"] == "GAIN SHOWN" and facts["stand_in"] is True


def test_eval_scores_without_a_run(workspace: Path) -> None:
    facts = cli("eval", CONFIG, "--json").json
    assert set(facts["splits"]) == {"train", "val"}
    assert facts["splits"]["train"]["n"] == 8 and facts["splits"]["train"]["score"] == 0.0
    assert facts["clusters"][0]["size"] == 14 and facts["clusters"][0]["evidence"]
    assert sum(facts["faults"].values()) == 14
    assert facts["calls"]["paid"] == 14
    assert not Path("runs").exists() and not Path(".optimizer/looks.jsonl").exists()
    page = cli("eval", CONFIG)
    assert "0.0%, 0 of 8 rows pass (stand-in)" in page.out and "why it fails" in page.out


def test_eval_of_the_test_split_is_a_look(workspace: Path) -> None:
    facts = cli("eval", CONFIG, "--split", "test", "--json").json
    assert set(facts["splits"]) == {"test"}
    assert len(Path(".optimizer/looks.jsonl").read_text("utf-8").splitlines()) == 1
    assert facts["look"] == 1
    assert " look   number 1 at these test rows" in cli("eval", CONFIG, "--split", "test").out
    assert cli("eval", CONFIG, "--json").json["look"] is None


def test_eval_takes_another_prompt(workspace: Path) -> None:
    Path("better.txt").write_text("{{ note }}\nHow does the customer feel?\n" + ONE_OF, "utf-8")
    facts = cli("eval", CONFIG, "--prompt", "better.txt", "--model", "offline:perfect", "--json").json
    assert facts["prompt"]["ref"] == "better"
    assert facts["splits"]["val"]["score"] > 0.5


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("temperature=0", ("temperature", 0)),
        ('stop=["a"]', ("stop", ["a"])),
        ("flag=true", ("flag", True)),
        ("reasoning_effort=low", ("reasoning_effort", "low")),
        ("x=", ("x", "")),
        ("x=a=b", ("x", "a=b")),
        ("x=NaN", ("x", "NaN")),
    ],
)
def test_param(text: str, want: object) -> None:
    assert overrides.param(text) == want


@pytest.mark.parametrize("text", ["temperature", "=1", "a b=1", "api_key=1", "Authorization=x"])
def test_param_that_is_none(text: str) -> None:
    with pytest.raises(UserError):
        overrides.param(text)


def test_flags_take_the_place_of_settings(workspace: Path) -> None:
    flags = {"model": "openai/a", "base_url": "http://127.0.0.1:1/v1", "mutator": "openai/b", "calls": 99, "seed": 5}
    config = overrides.load(Path(CONFIG), flags, params=["temperature=0"], mutator_url="http://127.0.0.1:2/v1")
    assert config.model == ModelSpec(name="openai/a", base_url="http://127.0.0.1:1/v1", params={"temperature": 0})
    assert config.mutator == ModelSpec(name="openai/b", base_url="http://127.0.0.1:2/v1")
    assert (config.budget.calls, config.seed) == (99, 5)
    assert endpoints(config) == ["task model openai/a: 127.0.0.1:1", "mutator openai/b: 127.0.0.1:2"]


def test_a_mutator_that_is_the_task_model_has_its_params(workspace: Path) -> None:
    config = overrides.load(Path(CONFIG), {"model": "offline:perfect"}, params=["seed=4"])
    assert config.mutator == config.model and config.model.params == {"seed": 4}
    assert endpoints(config) == ["task model offline:perfect: offline stand-in, no network"]


@pytest.mark.parametrize(
    ("model", "host"),
    [
        ({"model": "openai/gpt-4o-mini"}, "api.openai.com"),
        ({"model": "anthropic/claude"}, "the endpoint that litellm has for anthropic"),
        ({"model": "x", "base_url": "https://llm.example.com:8443/v1"}, "llm.example.com:8443"),
    ],
)
def test_the_host_is_said(workspace: Path, model: dict[str, str], host: str) -> None:
    assert endpoints(overrides.load(Path(CONFIG), {**model, "mutator": "none"})) == [
        f"task model {model['model']}: {host}",
        "mutator: none, mined edits alone",
    ]


def test_resume_finds_the_run_and_its_eval_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("evals/triage.yaml")
    sample_run.write(tmp_path, sample_run.until(ClustersFound, sample_run.events()))
    asked = launch.wanted(None, None, None, resume=True)
    assert (asked.eval_file, asked.run_id) == (path, sample_run.RUN)
    assert launch.wanted(Path(sample_run.RUN[:12]), None, None, resume=True) == asked
    path.parent.mkdir()
    path.touch()
    assert launch.wanted(path, sample_run.RUN, None, resume=True) == asked
    assert launch.wanted(Path(sample_run.RUN), str(path), None, resume=True) == asked
    assert launch.wanted(path, None, None, resume=True).run_id is None, "found once the eval file is read"
    assert launch.wanted(path, None, "new", resume=True).run_id == "new"


def test_resume_starts_a_run_where_there_is_none(workspace: Path) -> None:
    assert cli("run", CONFIG, "--resume", "--run-id", "ci").code == 0
    (before,) = cli("runs", "--json").json
    again = cli("run", CONFIG, "--resume", "--run-id", "ci")
    assert again.code == 0 and "GAIN SHOWN" in again.out
    assert cli("runs", "--json").json == [before], "a run that has ended is not run again"


def test_a_run_that_did_not_end_is_spoken_of_until_a_later_one_does(workspace: Path) -> None:
    refused = ("--base-url", "http://127.0.0.1:1/v1", "--model", "openai/x")
    assert cli("run", CONFIG, *refused, "--run-id", "stuck").code == 6
    again = f"optimizer run {CONFIG} {' '.join(refused)} --run-id stuck --resume"
    assert cli("show", "--json").json["next"][0] == again, "with its flags: another model would be another run"
    assert "note: run stuck of this eval file did not end" in cli("run", CONFIG).err
    assert "note: " not in cli("run", CONFIG).err


def test_an_interrupted_run_is_gone_on_with(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:

        def stop(*_: object) -> Done:
            raise Interrupted("go on with: that")

        patched.setattr(launch, "_watched", lambda work, *_: (work.close(), stop()))
        done = cli("run", CONFIG)
    assert (done.code, done.err) == (130, "go on with: that\n")
    assert cli("run", CONFIG, "--resume").code == 0


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (["run", "e.yaml"], "optimizer run e.yaml --resume --run-id r1"),
        (["run", "e.yaml", "--try", "say Bob"], "optimizer run e.yaml --try 'say Bob' --resume --run-id r1"),
        (["run", "e.yaml", "--resume", "--run-id", "r1"], "optimizer run e.yaml --resume --run-id r1"),
        (["run", "--resume", "r1"], "optimizer run --resume r1"),
        (["run", "e.yaml", "--run-id=r1"], "optimizer run e.yaml --run-id=r1 --resume"),
    ],
)
def test_the_resume_line_is_the_same_command(arguments: list[str], want: str) -> None:
    assert go_on(arguments, "r1") == want


def test_export_writes_or_prints(with_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(with_run)
    text = cli("show", "--json").json["prompt"]["text"]
    printed = cli("export", "text")
    assert printed.out == text and "2 messages" in printed.err
    assert cli("export", "json").json["messages"][1] == {"role": "user", "content": "{{ note }}"}
    assert cli("export", "json").json["provenance"]["run"] == "first"
    assert yaml.safe_load(cli("export", "yaml", "example@v2").out)["provenance"]["parent"] == "example@v1"
    done = cli("export", "text", "first", "--out", tmp_path / "p.txt")
    assert done.out == "" and done.err.count("wrote ") == 3
    assert (tmp_path / "p.system.txt").read_text("utf-8") + "\n{{ note }}" == text


def test_apply_prints_the_diff_and_writes(with_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(with_run)
    app = tmp_path / "app.yaml"
    before = "# ours\nllm:\n  triage:\n    system: |-\n      Old.\n    user: '{{ note }}'  # asked\n"
    app.write_text(before, encoding="utf-8")
    place = ("--file", app, "--key", "llm.triage.system")
    dry = cli("apply", *place, "--dry-run")
    assert dry.code == 0 and "-      Old." in dry.out and "would write" in dry.err
    assert app.read_text("utf-8") == before
    done = cli("apply", *place)
    assert done.code == 0 and done.out == dry.out and "wrote" in done.err
    system = cli("export", "json").json["messages"][0]["content"]
    assert yaml.safe_load(app.read_text("utf-8"))["llm"]["triage"] == {"system": system, "user": "{{ note }}"}
    assert app.read_text("utf-8").startswith("# ours\n") and app.read_text("utf-8").endswith("# asked\n")
    facts = cli("apply", "example@v2", *place, "--json").json
    assert (facts["changed"], facts["written"], facts["message"]) == (False, False, "system")


def test_apply_warns_of_what_is_not_proved(with_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample_run.write(tmp_path, sample_run.until(ClustersFound, sample_run.events()))
    Path("app.yaml").write_text("system: old\n", encoding="utf-8")
    place = ("--file", "app.yaml", "--key", "system")
    refused = cli("apply", *place)
    assert refused.code == 2 and f"the latest run, {sample_run.RUN}, has not ended (name a run" in refused.err
    assert Path("app.yaml").read_text("utf-8") == "system: old\n", "only a run that is named goes there unproved"
    done = cli("apply", sample_run.RUN, *place)
    assert done.code == 0 and "has not ended" in done.err


def test_secrets_beside_the_key_are_not_printed(
    with_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(with_run)
    monkeypatch.setenv("SOME_API_KEY", "canary-4711-canary")
    app = tmp_path / "app.yaml"
    app.write_text("key: canary-4711-canary\nsystem: old\n", encoding="utf-8")
    done = cli("apply", "--file", app, "--key", "system")
    assert "canary" not in done.out + done.err and "[redacted]" in done.out
    assert "canary-4711-canary" in app.read_text("utf-8")
