"""Commands that are wrong: refused before the first request, with the flag and what to write instead."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from optimizer.testing.server import FakeServer
from tests.cli_case import cli, ended, process
from tests.input_case import command, write

RUN = "run evals/x.yaml "
EVAL = "eval evals/x.yaml "


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("evl evals/x.yaml", "No such command 'evl'. Did you mean 'eval'? (try: optimizer --help)"),
        ("--versio", "No such option: --versio (Possible options: --version) (try: optimizer --help)"),
        ("cache", "Usage: optimizer cache"),
        ("run", "which eval file? (optimizer run EVAL_FILE; optimizer init makes one)"),
        ("eval", "Missing argument 'EVAL_FILE'. (try: optimizer eval --help)"),
        (RUN + "--modle x", "No such option: --modle (Possible options: --model) (try: optimizer run --help)"),
        (RUN + "--budget-calls x", "Invalid value for '--budget-calls': "),
        (RUN + "--budget-calls 0", "Invalid value for '--budget-calls': "),
        (RUN + "--budget-calls", "Option '--budget-calls' requires an argument. (try: optimizer"),
        (RUN + "--usd -1", "--usd: budget.usd: must be greater than 0, not -1.0 (write a larger number)"),
        (RUN + "--usd nan", "--usd: budget.usd: must be a finite number, not nan (write a plain number)"),
        (RUN + "--concurrency 100000", "--concurrency: concurrency: must be less than or equal to 1000, not 100000"),
        (RUN + "--seed -1", "Invalid value for '--seed': "),
        (RUN + "--prefer x", "--prefer: prefer: must be 'shorter' or 'cheaper', not 'x' (write one of these)"),
        (RUN + "--model ''", "--model: model.name: is empty (give a name or a path)"),
        (RUN + "--base-url nope", "--base-url: model.base_url: not an http address (write http://host:port/v1)"),
        (RUN + "--base-url http://a:b@h", "--base-url: model.base_url: holds a password (put keys into the environm"),
        (RUN + "--mutator none --mutator-base-url http://x", "--mutator-base-url goes with --mutator (name the model"),
        (RUN + "--param x", "--param x: not KEY=VALUE (write --param temperature=0)"),
        (RUN + "--param temperature=NaN", "--param temperature: 'temperature' must be a number, not 'NaN'"),
        (RUN + "--param stream=true", "--param stream: 'stream' is no parameter of a call; the model's block has"),
        (RUN + "--param api_key=x", "--param api_key: 'api_key' looks like a secret; put keys into the environment"),
        (RUN + "--run-id ../x", "run id '../x': not usable (use 1 to 80 letters, digits"),
        (RUN + "--prompt nope@v1", "prompts: no prompt 'nope' (there are: p)"),
        (RUN + "--prompt p@v9", "prompts/p: no version v9 (there are v1 to v1)"),
        (RUN + "other", "other: goes with --resume (--run-id names a new run)"),
        (RUN + "a b", "Got unexpected extra argument(s) (b) (try: optimizer run --help)"),
        ("run --resume nope", "no runs under runs yet (`optimizer run` makes one)"),
        (EVAL + "--split tst", "--split tst: no such split (did you mean 'test'? there are: train, val, test)"),
        (EVAL + "--min-score 2", "Invalid value for '--min-score': "),
        (EVAL + "--max-errors -1", "Invalid value for '--max-errors': "),
        (EVAL + "--junit nodir/x.xml", "nodir: no such folder (make it first)"),
        (EVAL + "--junit x.xml --comment x.xml", "x.xml"),
        (EVAL + "--junit evals/x.yaml", "evals/x.yaml: the run reads this file (write the report to another one)"),
        (EVAL + "--comment prompts/p/v1.yaml", "prompts/p/v1.yaml: the run reads this file (write the report to an"),
        (EVAL + "--junit evals/x.jsonl", "evals/x.jsonl: the run reads this file (write the report to another one)"),
        ("gate nope", "no runs under runs yet (`optimizer run` makes one)"),
        ("gate --min-score x", "Invalid value for '--min-score': "),
        ("diff p@v1 p@v9", "prompts/p: no version v9 (there are v1 to v1)"),
        ("diff p@v1", "p@v1: what it was made from is not known (give two prompts: diff A B)"),
        ("compare a b", "no runs under runs yet (`optimizer run` makes one)"),
        ("export", "Missing argument 'FORMAT'. (try: optimizer export --help)"),
        ("export jsn p@v1", "jsn"),
        ("export json nope@v1", "prompts: no prompt 'nope' (there are: p)"),
        ("export json p@v1 --out nodir/x", "nodir: no such folder (make it first)"),
        ("apply p@v1", "Missing option '--file'. (try: optimizer apply --help)"),
        ("apply p@v1 --file app.yaml", "apply: --key is missing (say where in the file: --key llm.prompts."),
        ("apply p@v1 --file nope.yaml --key a", "nope.yaml: no such file ("),
        ("apply p@v1 --file app.yaml --key nope", "app.yaml: no key 'nope' at the top (there are: llm)"),
        ("apply p@v1 --file app.yaml --key llm.system --message bot", "no message has the role or number 'bot' (one"),
        ("apply p@v1 --file loop.yaml --key a", "loop.yaml: "),
        (
            "mark r1 wrong-lable because",
            "no mark 'wrong-lable' (did you mean 'wrong-label'? there are: wrong-label, re",
        ),
        ("check nope.yaml", "nope.yaml: no such file ("),
        (
            "check loop.yaml",
            "loop.yaml: cannot be read: Too many levels of symbolic links (check the path and its perm",
        ),
        ("cache prune --older-than x", "--older-than x: not an age (write 30d, say; m, h, d and w are known)"),
        ("cache stats x", "Got unexpected extra argument(s) (x) (try: optimizer cache stats --help)"),
        ("show nope", "no runs under runs yet (`optimizer run` makes one)"),
        ("blame nope", "no"),
        ("log nope", "no prompt 'nope' under prompts (there are: p)"),
        ("init x y", "Got unexpected extra argument(s) (y) (try: optimizer init --help)"),
    ],
)
def test_a_wrong_command(tmp_path: Path, endpoint: FakeServer, line: str, told: str) -> None:
    write(tmp_path, endpoint, {"app.yaml": "llm:\n  system: Answer.\n"})
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    before = len(endpoint.log)
    done = command(tmp_path, *shlex.split(line))
    assert done.code == 2, (done.out, done.err)
    assert told in done.err and "Traceback" not in done.err and not done.out
    assert len(endpoint.log) == before
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_no_command_at_all_shows_the_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli()
    assert done.code == 2 and "Usage: optimizer" in done.err


def test_a_process_of_its_own_says_the_same(tmp_path: Path, endpoint: FakeServer) -> None:
    write(tmp_path, endpoint, {"evals/x.jsonl": "[" * 100_000})
    before = len(endpoint.log)
    done = ended(process("eval", "evals/x.yaml", cwd=tmp_path))
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: evals/x.jsonl:1: nested deeper than 64 (flatten it)\n"
    assert len(endpoint.log) == before
