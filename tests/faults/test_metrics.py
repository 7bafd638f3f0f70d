"""Functions of the user that fail in every way there is: their rows have an error, the run and all other rows go on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from optimizer import Result, evaluate
from optimizer.errors import ErrorKind
from tests.faults.lab import CANARY, Lab, lab

LATE = "did not end within 3 s"
FAULTS: dict[str, tuple[str, str]] = {
    "raises": ("raise KeyError('x')", "raised KeyError at checks.py line"),
    "sleeps": ("time.sleep(600)", LATE),
    "holds the interpreter": ("re.match('(a+)+$', 'a' * 60 + '!')", LATE),
    "exits": ("os._exit(3)", "ended its process (exit code 3)"),
    "exits politely": ("sys.exit(0)", "raised SystemExit at checks.py line"),
    "nan": ("return float('nan')", "gave not a number"),
    "infinite": ("return 1e400", "gave a number outside 0 to 1"),
    "huge": ("return 10 ** 400", "gave a number outside 0 to 1"),
    "none": ("return None", "gave NoneType"),
    "text": ("return '1.0'", "gave str"),
    "floods": (
        "for _ in range(20_000): print('x' * 1000); os.write(1, b'y' * 1000)\nraise OSError",
        "raised OSError at",
    ),
    "eats memory": ("hoard = [bytes(10_000_000) for _ in range(1_000)]", "ran out of memory: it may take 400 MB"),
    "recurses": ("score(context)", "raised RecursionError at checks.py line"),
    "recurses without limit": (
        "sys.setrecursionlimit(10 ** 9); a = []\nfor _ in range(10 ** 6): a = [a]\njson.dumps(a, check_circular=False)",
        "process (SIGSEGV)",
    ),
    "crashes": ("ctypes.string_at(0)", "crashed its process (SIGSEGV)"),
    "kills itself": ("os.kill(os.getpid(), 9)", "crashed its process (SIGKILL)"),
    "closes everything": ("os.closerange(0, 4096); time.sleep(600)", "closed the connection of its process"),
    "lies on the line": (
        "for descriptor in range(3, 4096):\n    try: os.write(descriptor, bytes(64))\n    except OSError: pass",
        "gave an answer that is none",
    ),
}
"""What one row's function does -> what the row's error says."""
HARMLESS: dict[str, tuple[str, float, str]] = {
    "passes": ("return True", 1.0, ""),
    "fails": ("return 0.25, 'too rude'", 0.25, "too rude"),
    "says much": ("return 0, 'x' * 50_000_000", 0.0, "x" * 299 + "…"),
    "changes its row": ("context.example.inputs.clear(); return 1", 1.0, ""),
    "prints": ("print('hello', flush=True); sys.stderr.write('there'); return 1", 1.0, ""),
    "reads": ("return sys.stdin.read() == ''", 1.0, ""),
    "forks": (
        "pid = os.fork()\nif pid: Path(HERE, 'forked').write_text(str(pid)); return 1\ntime.sleep(600)",
        1.0,
        "",
    ),
    "forks and comes back twice": ("os.fork(); return 1", 1.0, ""),
    "starts a program": (
        "Path(HERE, 'started').write_text(str(subprocess.Popen(['sleep', '600']).pid)); return 1",
        1.0,
        "",
    ),
}
"""What one row's function does -> its value and reason."""


def source(bodies: list[str], folder: Path) -> str:
    """A metric that does for row n what body n says."""
    head = "import ctypes, json, os, re, subprocess, sys, time\nfrom pathlib import Path\n\n"
    functions = []
    for number, body in enumerate(bodies):
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        functions.append(f"def do_{number}(context):\n{lines}\n")
    late = {number for number, (_, says) in enumerate(FAULTS.values()) if says == LATE}
    choose = (
        "def row(context):\n    return int(context.example.id.rpartition('-')[2])\n\n"
        "def do(context):\n    return globals()[f'do_{row(context)}'](context)\n\n"
        f"LATE = {late}\n\n"
        "def hang(context):\n    return do(context) if row(context) in LATE else 1\n\n"
        "def score(context):\n    return 1 if row(context) in LATE else do(context)\n"
    )
    return f"{head}HERE = {str(folder)!r}\n\n{choose}\n" + "\n".join(functions)


def with_metric(here: Lab, text: str, *, name: str = "score", settings: str = "", required: bool = True) -> None:
    """Put a function into the eval set as one more metric."""
    (here.folder / "evals" / "checks.py").write_text(text, encoding="utf-8")
    config = here.eval_file.read_text("utf-8")
    metric = f"  - python: {{function: 'checks.py:{name}'{settings}, required: {str(required).lower()}}}\n"
    here.eval_file.write_text(config.replace("splits:", f"{metric}splits:"), "utf-8")


def named(here: Lab) -> None:
    """Give the rows the ids r-0, r-1..."""
    rows = here.folder / "evals" / "rows.jsonl"
    lines = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    texts = [json.dumps({**line, "id": f"r-{number}"}) for number, line in enumerate(lines)]
    rows.write_text("\n".join(texts) + "\n", "utf-8")


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be asked for its exit code does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" not in status.read_text(encoding="utf-8")


def scored(here: Lab) -> dict[str, Result]:
    """Row -> its result with the prompt as it is."""
    found = evaluate(here.eval_file, root=here.folder, splits=["train", "val", "test"])
    return {row: result for one in found.evaluations.values() for row, result in one.results.items()}


def test_every_fault_of_a_metric_is_the_error_of_its_row_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [body for body, _ in FAULTS.values()] + [body for body, _, _ in HARMLESS.values()]
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with lab(tmp_path, rows=len(bodies), concurrency=8) as here:
        named(here)
        without = scored(here)
        # On a busy machine all but the two that wait take their time.
        with_metric(here, source(bodies, here.folder), name="hang", settings=", deadline: 3")
        with_metric(here, source(bodies, here.folder), settings=", deadline: 100, memory: 400")
        results = scored(here)
        assert len(here.meter.log) == len(bodies)
        for number, (what, (_, says)) in enumerate(FAULTS.items()):
            error = results[f"r-{number}"].error
            assert error is not None and error.kind is ErrorKind.METRIC, what
            assert says in error.message and results[f"r-{number}"].score is None, f"{what}: {error.message}"
        for number, (what, (_, value, reason)) in enumerate(HARMLESS.items(), start=len(FAULTS)):
            result = results[f"r-{number}"]
            assert result.error is None, f"{what}: {result.error}"
            assert (result.scores[-1].value, result.scores[-1].reason) == (value, reason), what
            assert result.scores[:-2] == without[f"r-{number}"].scores
        for left in ("forked", "started"):
            assert not alive(int((here.folder / left).read_text(encoding="utf-8"))), left


def test_a_run_goes_on_without_the_rows_that_a_metric_failed_on(tmp_path: Path) -> None:
    body = "if context.example.id in ('r-1', 'r-2', 'r-3'): raise KeyError(context.output)\nreturn True"
    with lab(tmp_path, rows=30, calls=120) as here:
        named(here)
        with_metric(here, "def score(context):\n" + "\n".join(f"    {line}" for line in body.splitlines()) + "\n")
        done = here.run()
        here.check(done, code=0, says=("verdict:", "code: evals/checks.py runs in a process of its own"))
        baseline, _, _ = done.err.partition("baseline: ")
        assert 'rows: "python: checks.py:score" raised KeyError at checks.py line 2 (rows "r-' in baseline
        assert done.err.index("code: ") < done.err.index("data: "), "the file is told before anything of it runs"


def test_a_metric_that_fails_on_every_row_ends_the_run(tmp_path: Path) -> None:
    says = 'metric failed on 20 rows: "python: checks.py:score" raised ZeroDivisionError at checks.py line 2 (rows'
    with lab(tmp_path, rows=80, concurrency=4) as here:
        with_metric(here, "def score(context):\n    return 1 / 0\n")
        done = here.run()
        here.check(done, code=2, says=(says, "Mend the metric and run again"))
        assert len(here.meter.log) < 40, "it goes on for a while with rows under way alone"
        _mended(here)


def _mended(here: Lab) -> None:
    """Another metric is another run, and no answer is paid for again."""
    (here.folder / "evals" / "checks.py").write_text("def score(context):\n    return 1\n", encoding="utf-8")
    here.check(here.run(), code=2, says=("metric", "checks.py"))
    here.check(here.eval(), code=0)


def test_a_few_rows_that_no_metric_could_score_end_it_too(tmp_path: Path) -> None:
    with lab(tmp_path, rows=6) as here:
        with_metric(here, "def score(context):\n    return 'good'\n")
        here.check(here.eval(), code=2, says='"python: checks.py:score" gave str; a bool or a number')


def test_a_metric_sees_no_key_and_ends_with_the_command(tmp_path: Path) -> None:
    text = (
        "import os, time\nfrom pathlib import Path\n\ndef score(context):\n"
        "    Path(__file__).with_name('seen').write_text(repr(dict(os.environ)) + '\\n' + str(os.getpid()) + '\\n')\n"
        "    time.sleep(600)\n"
    )
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "w" * 20,
        "DB_URL": "postgres://me:hunter2hunter2@host/db",
        "PGPASSWORD": "p" * 9,
    }
    with lab(tmp_path, rows=6) as here:
        with_metric(here, text)
        seen = here.folder / "evals" / "seen"
        child = here.start(command="eval", env={**secrets, "PLAIN": "kept"})
        here.wait(lambda: seen.exists() and seen.read_text(encoding="utf-8").count("\n") == 2, child)
        child.interrupt()
        here.check(child.end(), code=130)
        environ, _, pid = seen.read_text(encoding="utf-8").partition("\n")
        assert "'PLAIN': 'kept'" in environ and "'PATH'" in environ
        assert [value for value in (CANARY, *secrets.values()) if value in environ] == []
        here.wait(lambda: not alive(int(pid)))
