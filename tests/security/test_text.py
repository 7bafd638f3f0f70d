"""What others wrote stays text: on a terminal, in reports, in templates, in files that are made to burst."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from optimizer.dataset import Example
from optimizer.errors import DataError, ModelError
from optimizer.mutate.llm import parse_reply
from optimizer.prompt import build, prepare
from optimizer.readers import document
from tests.cli_case import PACKAGE, all_of, cli
from tests.security.children import bare, commands
from tests.security.provider import Asked, Reply, provider, said

STEERING = (
    "\x1b[2J\x1b[H\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b]8;;https://evil.invalid\x1b\\link\x1b]8;;\x1b\\"
    "\x9b31m\x90q\x9c\rover\x08\x08\x7f\u202eevil\u202c\u2066x\u2069\u200b\ufeff\U000e0041\u2028"
    "\n::error file=x::hostile\n::set-output name=passed::true\n##[command]rm\n]]></failure><x>&lt;"
    "`````<img src=x onerror=alert(1)> @everyone [a](javascript:x) {{ note }} {% x %}"
)
SGR = re.compile(r"\x1b\[[0-9;]*m")
LIVE = re.compile(r"\x1b\[(?:\?25[hl]|[0-9]*[AGK]|2K)|\r")
"""What the live display moves: the cursor, on its own lines."""


def harm(text: str) -> list[str]:
    """Characters that steer or hide, but for line ends."""
    kinds = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return sorted({ascii(c) for c in text if c not in "\n\u200c\u200d" and unicodedata.category(c) in kinds})


def hostile(asked: Asked) -> Reply:
    messages = asked.body["messages"]
    now = {"retry-after-ms": "1"}
    if asked.number % 9 == 4:
        return Reply(status=500, body=json.dumps({"error": {"message": STEERING}}).encode(), headers=now)
    if "<failures-" in messages[-1]["content"]:
        edit = {"op": "add_line", "target": None, "after": "end", "text": "Answer in one word.", "why": STEERING}
        bad = {**edit, "text": f"Say {STEERING}"}
        return said(json.dumps({"diagnosis": STEERING, "edits": [edit, bad]}))
    right = "one word" in messages[0]["content"]
    return said("positive" if right and "note 1" not in messages[-1]["content"] else f"hm {STEERING}")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run about hostile rows, by a hostile model."""
    folder = tmp_path_factory.mktemp("hostile")
    os.chdir(folder)
    assert cli("init").code == 0
    rows = [
        {"id": f"row-{n}", "note": f"note {n} {STEERING}", "expected": "positive", "tags": ["<b>::warning::x"]}
        for n in range(20)
    ]
    Path("evals/example.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with provider(hostile) as served:
        flags = ["--model", f"openai/m-{STEERING[:40]}", "--base-url", served.url, "--run-id", "hostile"]
        codes, done = commands([["run", "evals/example.yaml", *flags]], folder, bare())
    assert codes == [0], done.err
    assert harm(done.out + done.err) == []
    return folder


VIEWS = """show|show --json|failures|failures --json|case row-3|case row-3 --raw|case row-3 --json|blame|log example|
runs|compare example@v1 hostile|cache explain row-3|
diff example@v1 hostile|export markdown hostile|gate --min-score 0"""


@pytest.mark.parametrize("view", [view.strip().split() for view in VIEWS.split("|")], ids=lambda view: "-".join(view))
def test_no_command_prints_what_steers(workspace: Path, monkeypatch: pytest.MonkeyPatch, view: list[str]) -> None:
    monkeypatch.chdir(workspace)
    done = cli(*view)
    assert done.code in (0, 2, 3) and harm(done.out + done.err) == [], done.err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    listened = cli(*view)
    if view[0] != "export":
        assert not re.search(r"^\s*::|##\[", listened.out + listened.err, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["show", STEERING], [STEERING], ["--" + STEERING], ["run", STEERING + ".yaml"]])
def test_what_was_typed_is_told_without_steering(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(workspace)
    done = cli(*arguments)
    assert done.code == 2 and done.err and harm(done.out + done.err) == []


def test_at_a_terminal_there_is_our_own_colour_and_nothing_else(workspace: Path) -> None:
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    ours, theirs = pty.openpty()
    each = "import json,sys\nfrom optimizer.cli.entry import run\nfor one in json.loads(sys.argv[1]): run(one)\n"
    asked = [["show"], ["case", "row-3"], ["failures"], ["export", "text", "hostile"], ["eval", "evals/example.yaml"]]
    started = subprocess.Popen(
        [sys.executable, "-c", each, json.dumps(asked)],
        cwd=workspace,
        env=bare(TERM="xterm", PAGER="cat", LINES="500", COLUMNS="100"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = all_of(ours)
    assert started.wait(timeout=60) == 0
    text = shown.decode()
    assert SGR.search(text), "no colour, so perhaps no terminal"
    assert harm(LIVE.sub("", SGR.sub("", text))) == []


def test_reports_hold_it_as_text(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    summary, output = workspace / "summary.md", workspace / "output"
    for name, path in (("GITHUB_STEP_SUMMARY", summary), ("GITHUB_OUTPUT", output)):
        path.touch()
        monkeypatch.setenv(name, str(path))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = cli("gate", "--min-score", "0.99", "--junit", "g.xml", "--comment", "g.md", "--github")
    assert done.code == 3, done.err
    ET.fromstring(Path("g.xml").read_text("utf-8"))
    for path in (Path("g.xml"), Path("g.md"), summary, output):
        assert harm(path.read_text("utf-8")) == [], path
    prose = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", Path("g.md").read_text("utf-8"))
    assert not re.search(r"<img|@everyone|javascript:|::error", prose), "outside a code span"
    told = [line for line in done.out.splitlines() if line.startswith("::")]
    assert told and all(re.match(r"::(error|warning) (file=|title=)", line) for line in told)
    assert {line.partition("=")[0] for line in output.read_text("utf-8").splitlines()} == {
        *("passed", "exit-code", "verdict", "score", "gain")
    }


def test_the_log_holds_one_event_a_line_and_nothing_that_steers(workspace: Path) -> None:
    text = (workspace / "runs/hostile/log.jsonl").read_text("utf-8")
    assert harm(text) == [] and all(isinstance(json.loads(line), dict) for line in text.splitlines())
    assert len(text.split("\n")) == len(text.splitlines()) + 1
    for path in (workspace / "prompts").rglob("*.yaml"):
        assert harm(path.read_text("utf-8")) == [], path


def test_no_table_for_spreadsheets_is_written() -> None:
    """CSV is read and never written, so no cell of ours can be a formula; JSON keeps text and numbers apart."""
    for path in (PACKAGE / "optimizer").rglob("*.py"):
        assert not re.search(r"csv\.(writer|DictWriter)|to_csv|to_excel", path.read_text("utf-8")), path


# Templates

VALUES = [
    "{{ other }}",
    "{{ note }}{{ note }}",
    "{note.__class__.__mro__}",
    "{note:>10000000}",
    "{0} {} {{}} %s %(note)s $note ${HOME} $(id) `id`",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}{% for x in range(9**9) %}x{% endfor %}",
    "<%= system('id') %> #{7*7} {{7*7}} [[7*7]]",
    "\\1 \\g<0> \\",
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_put_in_once_and_never_read_as_a_template(value: str) -> None:
    text = f"{value.replace('{{ note }}', '')} [{{{{ note }}}}] [{{{{ other }}}}] {{note}} {{{{ note.upper }}}}"
    prompt = build("p", [("user", text)], variables=["note", "other"])
    (message,) = prepare(prompt, Example(id="r", inputs={"note": value, "other": "{{ note }}"}, expected=None))
    fixed = value.replace("{{ note }}", "").replace("{{ other }}", "{{ note }}")
    assert message.content == f"{fixed} [{value}] [{{{{ note }}}}] {{note}} {{{{ note.upper }}}}"


# What is made to burst

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "[" * 100_000 + "]" * 100_000
BURSTS = {
    "aliases": BOMB,
    "an alias": "a: &a x\nb: *a\n",
    "a tag": "a: !!python/object/apply:os.system [id]\n",
    "any tag": "a: !!binary aGk=\n",
    "a doubled key": "a: 1\na: 2\n",
    "merge keys": "a: {<<: {b: 1}}\n",
    "depth": DEEP,
    "depth in blocks": "".join(" " * n + "-\n" for n in range(300)),
    "values": "[" + "1," * 100_000 + "]",
    "size": "x" * 2_000_000,
    "digits": "a: " + "9" * 5000,
    "no number": "a: .inf",
    "two documents": "a: 1\n---\na: 2\n",
}


@pytest.mark.parametrize("name", BURSTS)
def test_no_yaml_of_anyones_bursts(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        document.parse(BURSTS[name], tmp_path / "x.yaml")


@pytest.mark.parametrize("text", ["a: no", "a: 012", "a: 2026-11-21", "a: 1_000", "a: 0x1f", "a: 12:30:45", "a: yes"])
def test_plain_words_stay_words(text: str) -> None:
    assert document.parse(text, Path("x.yaml")).data == {"a": text.removeprefix("a: ")}


JSON_BURSTS = [
    DEEP,
    "9" * 5000,
    '{"a": 1e999}',
    '{"a": NaN}',
    '{"a": "\\ud800"}',
    '{"a": 1, "a": 2}',
    '{"a":' * 100_000,
]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli("init").code == 0
    return tmp_path


@pytest.mark.parametrize(
    "file", ["evals/example.yaml", "prompts/example/v1.yaml", "evals/example.jsonl", "evals/example.splits.json"]
)
def test_every_file_that_bursts_is_told_in_one_line_each(fresh: Path, file: str) -> None:
    bursts = JSON_BURSTS if ".json" in file else [BURSTS["aliases"], BURSTS["a tag"], DEEP, BURSTS["size"]]
    path = fresh / file
    if file.endswith(".splits.json"):
        assert cli("eval", "evals/example.yaml").code == 0
    right = path.read_text("utf-8")
    for number, burst in enumerate(bursts):
        for text in (burst, right + burst + "\n")[number % 2 :]:
            path.write_text(text, "utf-8")
            done = cli("eval", "evals/example.yaml")
            assert done.code == 2 and "Traceback" not in done.err and len(done.err) < 20_000, (
                burst[:40],
                done.err[:400],
            )


def test_marks_that_burst_are_told(fresh: Path) -> None:
    for burst in (*JSON_BURSTS, BOMB):
        (fresh / "evals/example.marks.jsonl").write_text(burst + "\n", "utf-8")
        done = cli("run", "evals/example.yaml")
        assert done.code == 2 and "example.marks.jsonl:1" in done.err and len(done.err) < 5_000, burst[:40]


@pytest.mark.parametrize(("ending", "text"), [("yaml", BOMB), ("yaml", DEEP), ("json", DEEP), ("json", "9" * 5000)])
def test_a_config_that_bursts_is_not_patched(fresh: Path, ending: str, text: str) -> None:
    path = fresh / f"app.{ending}"
    path.write_text(text, "utf-8")
    done = cli("apply", "example@v1", "--file", path, "--key", "a", "--message", "system")
    assert done.code == 2 and "Traceback" not in done.err and path.read_text("utf-8") == text


def burst(asked: Asked) -> Reply:
    bodies = [
        DEEP.encode(),
        b'{"choices": ' + DEEP.encode(),
        b'{"choices": [], "n": ' + b"9" * 5000 + b"}",
        b" " * 17_000_000,
        b"",
        b"\xff\xfe" * 100,
        b"null",
        b'{"choices": [{"message": {"content": {"a": 1}}}]}',
        b'{"choices": [{"message": 7}], "usage": {"prompt_tokens": 1e400}}',
        json.dumps({"error": {"message": "x" * 100_000, "code": DEEP[:1000]}}).encode(),
    ]
    body = bodies[asked.number % len(bodies)]
    if not body:
        return Reply(body=zlib.compress(b" " * 40_000_000), headers={"Content-Encoding": "deflate"})
    return Reply(body=body, status=200 if asked.number % 3 else 422)


def test_no_answer_bursts(fresh: Path) -> None:
    with provider(burst) as served:
        flags = ["--model", "openai/m", "--base-url", served.url, "--concurrency", "1"]
        quick = "import optimizer.models.retry as retry\nretry.backoff = lambda key, attempts: 0.001\n"
        codes, done = commands([["eval", "evals/example.yaml", *flags]], fresh, bare(), before=quick)
    assert codes[0] in (0, 6) and len(served.asked) >= 10, (codes, done.err)
    assert "Traceback" not in done.err and "bug of the optimizer" not in done.err
    assert max(map(len, done.err.splitlines())) < 1000


@pytest.mark.parametrize(
    "text", [DEEP, '{"edits": ' + DEEP, '{"edits": ' * 50_000, "{" * 100_000, '{"edits": 1e999}', "9" * 5000]
)
def test_no_reply_of_a_mutator_bursts(text: str) -> None:
    try:
        assert len(parse_reply(text, "c")) == 0
    except ModelError:
        return


# Metrics

PEEP = """
import json, os
def peep(context):
    from pathlib import Path
    Path(__file__).with_name("seen.json").write_text(json.dumps(dict(os.environ)))
    return True
"""


def test_a_metric_sees_no_key(fresh: Path) -> None:
    path = fresh / "evals/example.yaml"
    (fresh / "evals/peep.py").write_text(PEEP, "utf-8")
    path.write_text(path.read_text("utf-8").replace("- label:", "- python: peep.py:peep\n  - label:"), "utf-8")
    keys = {name: f"canary-{name}" for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DB_PASSWORD", "GITHUB_TOKEN")}
    more = {"DATABASE_URL": "postgres://me:hunter2@db/x", "AWS_SECRET_ACCESS_KEY": "canary-aws", "HARMLESS": "stays"}
    codes, done = commands([["eval", "evals/example.yaml"]], fresh, bare(**keys, **more))
    assert codes == [0], done.err
    seen = json.loads((fresh / "evals/seen.json").read_text("utf-8"))
    assert "canary" not in json.dumps(seen) and "hunter2" not in json.dumps(seen)
