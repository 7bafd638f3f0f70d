"""Keys stay in the environment: whatever fails, no artefact holds one, in any form."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from optimizer.models.base import Request
from optimizer.models.redacted import Redacted
from optimizer.redaction import REDACTED, Scrubber, forms, namer
from optimizer.results import Completion
from optimizer.testing.models import FunctionModel
from tests.cli_case import cli
from tests.security.children import bare, commands, start, wait
from tests.security.provider import Asked, Reply, provider, said

KEYS = {
    "OPENAI_API_KEY": "canary+openai/0123=weird&key-7f3a9c",
    "ANTHROPIC_API_KEY": "canary-anthropic-0a1b2c3d4e5f6071",
    "DB_PASSWORD": 'canary"quoted\\pass-9f8e7d6c5b',
    "SERVICE_TOKEN_2": "cänary-tökén-ßß-1234567890",
}
KEY = KEYS["OPENAI_API_KEY"]
CRASH = """
import optimizer.evaluator as evaluator

def broken(*arguments, **named):
    import os
    secret = os.environ["DB_PASSWORD"]
    raise LookupError("a bug of ours quotes " + secret + " and " + os.environ["OPENAI_API_KEY"])

evaluator.Evaluator.__init__ = broken
"""


def written(secret: str) -> dict[str, bytes]:
    """Forms of a secret, made here and not by what is tested."""
    raw = secret.encode()
    found = {
        "as it is": raw,
        "first half": raw[:18],
        "second half": raw[-18:],
        "in JSON": json.dumps(secret)[1:-1].encode(),
        "in JSON, letters as they are": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "in an address": urllib.parse.quote(secret, safe="").encode(),
        "in a form": urllib.parse.quote_plus(secret).encode(),
        "in UTF-16": secret.encode("utf-16-le"),
    }
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw)
        found[f"in base64, {offset} bytes before"] = text[4:-4]
        found[f"in base64 for addresses, {offset} bytes before"] = text[4:-4].translate(bytes.maketrans(b"+/", b"-_"))
    return found


FORMS = {(name, form): raw for name, secret in KEYS.items() for form, raw in written(secret).items()}


def leaks(data: bytes) -> list[str]:
    """What of a key stands there, and where."""
    found = []
    for (name, form), raw in FORMS.items():
        at = data.find(raw)
        if at >= 0:
            found.append(f"{name} {form}: ...{data[max(at - 80, 0) : at + len(raw) + 20]!r}")
    return found


def found_in(folder: Path) -> list[str]:
    """Every file of the workspace that is not the user's own and holds a key."""
    own = {path for path in (folder / "evals").rglob("*") if not path.name.endswith(".splits.json")}
    files = [path for path in folder.rglob("*") if path.is_file() and path not in own]
    assert len(files) >= 3, "nothing was written that could be searched"
    return [f"{path.relative_to(folder)}: {which}" for path in files for which in leaks(path.read_bytes())]


def every_form() -> str:
    """All keys in all forms, as an endpoint would say them that echoes what it was sent."""
    texts = []
    for secret in KEYS.values():
        texts += [secret, json.dumps(secret), json.dumps({"key": secret}, ensure_ascii=False)]
        texts += [f"?key={urllib.parse.quote(secret, safe='')}&x", f"key={urllib.parse.quote_plus(secret)}"]
        for user in ("", "u", "us", "user:"):
            basic = f"{user}{secret}{user}".encode()
            texts += [base64.b64encode(basic).decode(), base64.urlsafe_b64encode(basic).decode()]
    return " ".join(texts)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    return tmp_path


def scripted(asked: Asked) -> Reply:
    """Fails in every way that quotes the key now and then, and else answers with the key in its words."""
    now = {"retry-after-ms": "1"}
    echo = every_form()
    turn = asked.number % 12
    if turn == 1:
        return Reply(status=500, body=b"x" * 190 + echo.encode(), headers=now)
    if turn == 3:
        return Reply(status=429, body=json.dumps({"error": {"message": f"slow down, {echo}"}}).encode(), headers=now)
    if turn == 5:
        return Reply(status=200, body=json.dumps({"error": {"message": echo, "code": 503}}).encode(), headers=now)
    if turn == 7:
        return Reply(status=503, body=json.dumps({"error": echo}).encode(), headers=now)
    messages = asked.body["messages"]
    text = messages[-1]["content"]
    if "<failures-" in text:
        line = f"Answer with positive or negative alone. Never say {KEY}."
        edits = [{"op": "add_line", "target": None, "after": "end", "text": line, "why": f"since {echo}"}]
        good = {"op": "add_line", "target": None, "after": "end", "text": "Answer with one word.", "why": echo}
        return said(json.dumps({"diagnosis": f"leaks {KEY}", "edits": [*edits, good]}))
    sad = any(word in text for word in ("Stale", "disappoint", "burnt", "cold", "sorry", "rude"))
    label = "negative" if sad else "positive"
    return said(label if "one word" in messages[0]["content"] else f"{label}, by the way {echo}")


VIEWS = (
    "show|show --json|failures --json|case note-02 --raw --json|case note-02|diff example@v1 example@v2|log example|"
    "blame|gate --junit gate.xml --comment gate.md --github --min-score 0|cache explain note-02 --json|cache stats|"
    "runs --json|compare example@v1 example@v2 --json|export json|export promptfoo --with-rows --out suite.yaml|"
    "apply --file app.yaml --key prompt --message system"
)


def test_a_run_with_every_fault_leaves_no_key_anywhere(workspace: Path) -> None:
    (workspace / "app.yaml").write_text("prompt: old\n", "utf-8")
    env = bare(**KEYS, GITHUB_STEP_SUMMARY=str(workspace / "summary.md"), GITHUB_ACTIONS="true")
    with provider(scripted) as served:
        flags = ["--model", "openai/canary", "--base-url", served.url, "--concurrency", "4"]
        scored = ["eval", "evals/example.yaml", *flags, "--junit", "eval.xml", "--comment", "eval.md", "--github"]
        asked = [
            ["run", "evals/example.yaml", *flags],
            [*scored, "--min-score", "0"],
            *map(str.split, VIEWS.split("|")),
        ]
        codes, done = commands(asked, workspace, env)
    assert all(code in (0, 2, 3) for code in codes) and codes[0] == 0, (codes, done.err)
    assert sum(code == 2 for code in codes) <= 3, (codes, done.err)
    assert any(f"Bearer {KEY}" == one.headers["authorization"] for one in served.asked), "the key was not even used"
    assert leaks((done.out + done.err).encode()) == []
    assert found_in(workspace) == []
    assert REDACTED in done.out + done.err
    assert (workspace / "summary.md").exists() and (workspace / "gate.xml").exists()


def refusing(asked: Asked) -> Reply:
    told = {"error": {"message": f"Incorrect API key provided: {asked.headers['authorization']} {every_form()}"}}
    return Reply(status=401, body=json.dumps(told).encode())


def redirecting(asked: Asked) -> Reply:
    return Reply(status=307, body=b"", headers={"Location": f"http://user:{KEY}@elsewhere.invalid/{KEY}"})


def nonsense(asked: Asked) -> Reply:
    return Reply(body=b"<html>" + every_form().encode())


@pytest.mark.parametrize("answer", [refusing, redirecting, nonsense])
def test_what_ends_a_run_quotes_no_key(workspace: Path, answer: Any) -> None:
    with provider(answer) as served:
        flags = ["--model", "openai/canary", "--base-url", served.url, "--concurrency", "2"]
        runs = [["run", "evals/example.yaml", *flags], ["runs", "--json"]]
        codes, done = commands(runs, workspace, bare(**KEYS), before=QUICK)
    assert codes[0] == 6, done.err
    assert leaks((done.out + done.err).encode()) == [] and found_in(workspace) == []


QUICK = "import optimizer.models.retry as retry\nretry.backoff = lambda key, attempts: 0.001\n"
"""Waits of our own choosing take no time."""


def test_a_bug_and_a_dead_provider_tell_no_key(workspace: Path) -> None:
    dead = ["eval", "evals/example.yaml", "--model", "openai/x", "--base-url", "http://127.0.0.1:9/v1"]
    words = ["eval", "evals/example.yaml", "--param", f"stop={KEY}", "--base-url", f"http://127.0.0.1:9/{KEY}/v1"]
    wrong = ["run", "evals/example.yaml", "--model", "openai/x", "--base-url", f"ftp://someone:{KEY}@127.0.0.1/v1"]
    tried = ["run", "evals/example.yaml", "--try", f"Say {KEY}."]
    bug = ["eval", "evals/example.yaml", "--model", "offline", "--param", f"stop={KEY}"]
    codes, done = commands([dead, words, wrong, tried], workspace, bare(**KEYS), before=QUICK)
    assert codes[0] == 6 and codes[2:] == [2, 2], (codes, done.err)
    codes, crashed = commands([bug], workspace, bare(**KEYS), before=CRASH)
    assert codes == [1], crashed.err
    (report,) = (workspace / ".optimizer").glob("crash-*.txt")
    assert "a bug of ours quotes [redacted]" in report.read_text("utf-8")
    assert leaks((done.out + done.err + crashed.out + crashed.err).encode()) == [] and found_in(workspace) == []


def test_an_interrupt_tells_no_key(workspace: Path) -> None:
    def slow(asked: Asked) -> Reply:
        if asked.number == 2:
            os.kill(started.pid, signal.SIGINT)
        return scripted(asked)

    with provider(slow) as served:
        flags = ["--model", "openai/canary", "--base-url", served.url, "--concurrency", "2"]
        started = start(
            [["run", "evals/example.yaml", *flags, "--param", f"stop={KEY}"], ["show"]], workspace, bare(**KEYS)
        )
        done = wait(started)
    assert "codes [130" in done.err, done.err
    assert leaks((done.out + done.err).encode()) == [] and found_in(workspace) == []


def test_a_prompt_that_holds_a_key_is_refused_before_any_request(workspace: Path) -> None:
    prompt = workspace / "prompts/example/v1.yaml"
    prompt.write_text(prompt.read_text("utf-8").replace("bakery", f"bakery ({KEY})"), "utf-8")
    codes, done = commands([["run", "evals/example.yaml"]], workspace, bare(**KEYS))
    assert codes == [2]
    assert "prompts/example/v1.yaml: holds the value of OPENAI_API_KEY (take it out" in done.err
    assert leaks(done.err.encode()) == [] and not (workspace / "runs").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", f"note {KEY}"),
        ("note", f"My key is {KEYS['DB_PASSWORD']}."),
        ("note", base64.b64encode(f"user:{KEY}".encode()).decode()),
        ("tags", [KEYS["ANTHROPIC_API_KEY"]]),
        ("group", urllib.parse.quote(KEY, safe="")),
    ],
)
def test_a_row_that_holds_a_key_is_refused(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: object
) -> None:
    rows = [json.loads(line) for line in Path("evals/example.jsonl").read_text("utf-8").splitlines()]
    rows[4][field] = value
    Path("evals/example.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for name, secret in KEYS.items():
        monkeypatch.setenv(name, secret)
    done = cli("run", "evals/example.yaml")
    assert done.code == 2 and "holds the value of" in done.err and leaks(done.err.encode()) == []
    assert not Path("runs").exists() and not list(Path("evals").glob("*.splits.json"))


@pytest.mark.parametrize(
    "lines",
    [
        "model: {name: openai/x, base_url: 'http://u:hunter2hunter2@127.0.0.1/v1'}",
        "model: {name: openai/x, base_url: 'http://127.0.0.1/v1?api_key=hunter2hunter2'}",
        "model: {name: openai/x, params: {api_key: hunter2hunter2}}",
        "model: {name: openai/x, params: {extra_headers: {Authorization: hunter2hunter2}}}",
        "model: {name: openai/x, params: {a: [{x-api-key: hunter2hunter2}]}}",
        "mutator: {name: openai/x, params: {password: hunter2hunter2}}",
    ],
)
def test_a_key_in_the_eval_file_is_refused_and_not_quoted(workspace: Path, lines: str) -> None:
    path = workspace / "evals/example.yaml"
    name = lines.partition(":")[0]
    kept = [line for line in path.read_text("utf-8").splitlines() if not line.startswith(f"{name}:")]
    path.write_text("\n".join([*kept, lines]), "utf-8")
    done = cli("run", path)
    assert done.code == 2 and "hunter2" not in done.out + done.err
    assert "environment" in done.err and not Path("runs").exists()


def test_every_form_is_known() -> None:
    assert len({leak.split(": ")[0] for leak in leaks(every_form().encode())}) >= 8 * len(KEYS), "the search is blind"
    assert leaks(Scrubber(KEYS).text(every_form()).encode()) == []
    assert [namer(KEYS)(f"x{secret}y") for secret in KEYS.values()] == list(KEYS)
    assert namer(KEYS)("nothing") is None


@pytest.mark.parametrize(
    ("environ", "kept"),
    [
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/home/me/keys/project.json"}, "/home/me/keys/project.json"),
        ({"OPENAI_API_KEY": "dummy"}, "a dummy"),
        ({"PATH": "/usr/bin:/usr/local/bin"}, "/usr/bin:/usr/local/bin"),
        ({"KEYBOARD": "qwerty-layout"}, "qwerty-layout"),
        ({"MONKEY": "banana-eater"}, "banana-eater"),
        ({"MAX_TOKENS": "12345678"}, "12345678"),
    ],
)
def test_what_is_no_secret_stays(environ: Mapping[str, str], kept: str) -> None:
    assert Scrubber(environ).text(kept) == kept


@pytest.mark.parametrize("name", ["X_API_KEY", "API_KEY_2", "HF_TOKEN", "PGPASSWORD", "MY_CLIENT_SECRET", "GITLAB_PAT"])
def test_names_of_secrets(name: str) -> None:
    assert Scrubber({name: "hunter2-hunter2"}).text("say hunter2-hunter2") == "say [redacted]"


def test_a_short_word_of_a_password_refuses_no_prompt() -> None:
    assert namer({"PGPASSWORD": "postgres"})("You know postgres.") is None


def test_forms_hold_nothing_short_and_the_longest_first() -> None:
    found = forms(["abc", "a-longer-secret", "another/secret+with=signs"])
    assert all(len(form) >= 8 for form in found) and "abc" not in found
    assert [len(form) for form in found] == sorted((len(form) for form in found), reverse=True)


def test_an_answer_loses_a_key_before_anyone_sees_it() -> None:
    import asyncio

    inner = FunctionModel(lambda request: Completion(text=f"hello {KEY}, sk-not-a-key-of-ours-123456"))
    model = Redacted(inner, Scrubber(KEYS))
    request = Request(provider="openai", model="m", messages=())
    answer = asyncio.run(model.complete(request))
    assert answer.text == "hello [redacted], sk-not-a-key-of-ours-123456"


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    assert not any(name in os.environ for name in ("ANTHROPIC_API_KEY", "SERVICE_TOKEN_2")), sys.argv
    yield
