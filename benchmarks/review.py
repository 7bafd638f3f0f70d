"""How long the review commands take on a run of 500,000 results, each as a whole process.

    python benchmarks/review.py                    # build the run (a minute or two), time every command 5 times
    python benchmarks/review.py --write            # and keep the table in benchmarks/results/review.md
    python benchmarks/review.py --workspace DIR    # keep the workspace there, or use the one that is there

The run has 10,000 rows of invented tickets: seed and winner on all of them, other candidates on train and val, one
stored call and completion a result, four rounds of clusters. Its rows go in through the store's own statements and
checksums. `python -c pass` runs between the commands, so that the machine's load is seen: the last column is the
ratio. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from optimizer.dataset import EvalSet, Example, Split  # noqa: E402
from optimizer.edits import Edit, Op, apply  # noqa: E402
from optimizer.errors import ErrorKind  # noqa: E402
from optimizer.events import CandidateMade, ClustersFound, Decided, Event, ResultKnown, RunEnded, TrialEnded  # noqa: E402
from optimizer.failures import Cluster, Failure  # noqa: E402
from optimizer.models.base import Request  # noqa: E402
from optimizer.outcome import LineWorth, Outcome, Phase, Role, Trial, Verdict  # noqa: E402
from optimizer.prompt import Prompt, build, prepare  # noqa: E402
from optimizer.redaction import Scrubber  # noqa: E402
from optimizer.results import CallError, Completion, Evaluation, Result, Score, Usage  # noqa: E402
from optimizer.ship import ship  # noqa: E402
from optimizer.stats import compare  # noqa: E402
from optimizer.store import RunMeta, open_run, run_folder  # noqa: E402
from optimizer.store.commits import execute  # noqa: E402
from optimizer.store.meta import content_hash  # noqa: E402
from optimizer.store.rows import ANSWERED, Rows  # noqa: E402
from optimizer.store.schema import Statement  # noqa: E402
from optimizer.store.totals import kept_totals  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "review.md"
RUN = "20261121-101500-triage-big"
ROWS = 10_000
WANTED = 500_000
"""Results of the run."""
LABELS = ("billing", "refund", "login", "delivery", "praise", "bug")
TAGS = ("short", "long", "angry", "typos", "vip")
LIMITS = {"show": 1.0}
"""Seconds that a command may take; 2 for the others."""
ADDED = tuple(
    Edit(op=Op.ADD_LINE, after="L2", text=f"A ticket about {label} goes to the {label} queue.", cluster=f"c0000{n}0")
    for n, label in enumerate(LABELS)
)
SEED = build("triage", [("system", "Sort the ticket.\nAnswer with a queue."), ("user", "{{ ticket }}")], version=1)
WINNER = apply(SEED, ADDED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One command, several times."""

    command: str
    """As a user types it."""
    took: tuple[tuple[float, float], ...]
    """Wall and CPU seconds of each process."""
    idle: tuple[tuple[float, float], ...]
    """The same of `python -c pass` right before each."""


def rows() -> EvalSet:
    """Tickets with labels, tags and a few groups; 40% train, 30% val, 30% test."""
    rng = random.Random(0)
    examples = []
    for number in range(ROWS):
        label = rng.choice(LABELS)
        words = " ".join(
            rng.choice(("my", "order", "page", "card", "again", "late", "broken", label)) for _ in range(40)
        )
        examples.append(
            Example(
                id=f"ticket-{number:05}",
                inputs={"ticket": f"{number}: {words}"},
                expected=label,
                tags=(rng.choice(TAGS), f"about-{label}"),
                group=f"customer-{number // 3}" if number < 900 else None,
                source=f"evals/triage.jsonl:{number + 1}",
            )
        )
    shares = [Split.TRAIN] * 4 + [Split.VAL] * 3 + [Split.TEST] * 3
    # Rows of one group share a split.
    return EvalSet(
        name="triage",
        examples=tuple(examples),
        splits={row.id: shares[(int(row.group[9:]) if row.group else n) % 10] for n, row in enumerate(examples)},
    )


def result(prompt: Prompt, row: Example, quality: float) -> Result:
    """An answer that is right with that chance, fixed by prompt and row; 1 of 2,000 is an error."""
    rng = random.Random(f"{prompt.fingerprint} {row.id}")
    if rng.random() < 0.0005:
        error = CallError(kind=ErrorKind.TIMEOUT, message="no answer in 60 s", attempts=4)
        return Result(example=row.id, candidate=prompt.fingerprint, error=error)
    # The same rows are hard under every prompt.
    right = random.Random(row.id).random() * 0.5 + rng.random() * 0.5 < quality
    expected = str(row.expected)
    said = expected if right else rng.choice([label for label in LABELS if label != expected])
    fault = "" if right else f'the label is "{said}", expected "{expected}"'
    style = rng.random()
    scores = (
        Score(metric="label", value=float(right), passed=right, reason=fault, place="label", wanted=expected, got=said),
        Score(
            metric="python: tone",
            value=style,
            passed=style > 0.1,
            reason="" if style > 0.1 else "the tone is 2",
            place="text",
            required=False,
        ),
    )
    completion = Completion(
        text=said,
        usage=Usage(input_tokens=90, output_tokens=3),
        cost=0.00002,
        latency=0.2 + rng.random(),
        finish_reason="stop",
    )
    return Result(example=row.id, candidate=prompt.fingerprint, completion=completion, scores=scores)


def candidates() -> Iterator[tuple[Prompt, float]]:
    """Seed, winner, and prompts that lost, with the share that each gets right."""
    yield SEED, 0.55
    yield WINNER, 0.8
    rng = random.Random(1)
    for number in range(10_000):
        edits = [
            *rng.sample(ADDED, 3),
            Edit(op=Op.ADD_LINE, after="L2", text=f"Try number {number}.", cluster="c000000"),
        ]
        yield apply(SEED, edits), 0.55 + 0.2 * rng.random()


def meta(evalset: EvalSet) -> RunMeta:
    """What the run is about."""
    return RunMeta(
        name="triage",
        eval_file="evals/triage.yaml",
        prompt="triage",
        prompt_path="prompts/triage/v1.yaml",
        prompt_version=1,
        seed_prompt=SEED.fingerprint,
        model="openai/gpt-4o-mini",
        model_settings='{"base_url":null,"params":{}}',
        metrics={"label": "{}", "python: tone": "{}"},
        search={"seed": 0, "mined": True, "lines": []},
        splits={split.value: evalset.fingerprint(split) for split in Split},
        sizes={split.value: len(evalset.split(split)) for split in Split},
        rows={row.id: f"{evalset.splits[row.id].value} {content_hash(row)}" for row in evalset.examples},
    )


def answers(
    evalset: EvalSet, kept: dict[str, dict[str, Result]], wanted: int
) -> Iterator[tuple[Prompt, Example, Result]]:
    """Results until there are enough; those of seed and winner are kept for the outcome."""
    made = 0
    for prompt, quality in candidates():
        whole = prompt in (SEED, WINNER)
        for row in evalset.examples:
            if not whole and evalset.splits[row.id] is Split.TEST:
                continue
            if made == wanted:
                return
            made += 1
            found = result(prompt, row, quality)
            if whole:
                kept.setdefault(prompt.fingerprint, {})[row.id] = found
            yield prompt, row, found


def statements(writes: Rows, evalset: EvalSet, found: tuple[Prompt, Example, Result]) -> Iterator[Statement]:
    """A result with the call and the completion behind it."""
    prompt, row, came = found
    split = evalset.splits[row.id]
    phase = Phase.TEST if split is Split.TEST else Phase.SEARCH
    for work in writes.of(ResultKnown(result=came, split=split, phase=phase, round=1), 0.0, 0.0):
        assert not callable(work)
        yield work
    if came.completion is not None:
        key = Request(provider="openai", model="gpt-4o-mini", messages=prepare(prompt, row)).key
        head = (1, key[:16], key, Role.TASK.value, phase.value, ANSWERED, 1.0, came.completion.latency)
        yield writes.call(head, came.completion, None)
        yield writes.completion(key, came.completion)


def clusters(evalset: EvalSet, results: dict[str, Result]) -> tuple[Cluster, ...]:
    """Failures by the label that is wanted."""
    found = []
    for number, label in enumerate(LABELS):
        members = tuple(
            Failure(example=row, result=results[row.id])
            for row in evalset.split(Split.TRAIN)
            if row.expected == label and results[row.id].error is None and not results[row.id].passed
        )
        found.append(
            Cluster(
                id=f"c0000{number}0",
                label=f'label: others where "{label}" is wanted',
                members=members,
                share=1 / 6,
                place="label",
                wanted=(label,),
                evidence=(members[0].result.scores[0].reason,),
            )
        )
    return tuple(found)


def ending(evalset: EvalSet, kept: dict[str, dict[str, Result]]) -> Iterator[Event]:
    """Clusters of four rounds, trials, and the outcome."""
    for number in range(1, 5):
        prompt = SEED if number < 4 else WINNER
        yield ClustersFound(
            round=number, candidate=prompt.fingerprint, clusters=clusters(evalset, kept[prompt.fingerprint])
        )
    for number, (prompt, quality) in enumerate(islice(candidates(), 2, 60), start=1):
        yield TrialEnded(
            trial=Trial(
                round=1,
                number=number,
                choices={},
                candidate=prompt.fingerprint,
                rows=3000,
                score=quality,
                gain=0.1,
                partial=False,
                reason="lost",
            )
        )
    yield Decided(kind="accept", round=3, reason="better", figures={"candidate": WINNER.fingerprint})
    compared = {
        split: compare(
            *(
                Evaluation(candidate=name, results={row.id: kept[name][row.id] for row in evalset.split(split)})
                for name in (SEED.fingerprint, WINNER.fingerprint)
            ),
            look=1 if split is Split.TEST else None,
        )
        for split in (Split.VAL, Split.TEST)
    }
    lines = tuple(
        LineWorth(
            id=line.id,
            text=line.text,
            change="added",
            worth=0.04,
            ci=(0.02, 0.06),
            label="earns",
            cluster=f'label: others where "{label}" is wanted',
            tokens=9,
            fixed=compared[Split.VAL].fixed[:40],
            rows=3000,
        )
        for line, label in zip(WINNER.lines[2:8], LABELS, strict=True)
    )
    yield RunEnded(
        outcome=Outcome(
            verdict=Verdict.GAIN_SHOWN,
            reason="on 3,000 rows that the search never saw",
            test=compared[Split.TEST],
            val=compared[Split.VAL],
            lines=lines,
            seed=SEED.fingerprint,
            winner=WINNER.fingerprint,
        )
    )


def make(root: Path, wanted: int) -> None:
    """Write the workspace: eval file, rows, prompts and the run."""
    evalset = rows()
    (root / "evals").mkdir(parents=True)
    (root / "evals" / "triage.yaml").write_text(
        "prompt: ../prompts/triage/v1.yaml\ndata: triage.jsonl\nmodel: openai/gpt-4o-mini\nmetrics: [label]\n",
        encoding="utf-8",
    )
    with (root / "evals" / "triage.jsonl").open("w", encoding="utf-8") as file:
        for row in evalset.examples:
            told = {"id": row.id, **row.inputs, "expected": row.expected, "tags": list(row.tags)}
            file.write(json.dumps({**told, "group": row.group} if row.group else told) + "\n")
    (root / "prompts" / "triage").mkdir(parents=True)
    from optimizer.readers.versions import dump_prompt

    (root / "prompts" / "triage" / "v1.yaml").write_text(dump_prompt(SEED), encoding="utf-8")
    open_run(root, RUN, "model: openai/gpt-4o-mini\n", meta=meta(evalset), evalset=evalset).close()
    writes = Rows(scrubber=Scrubber({}), session=1)
    kept: dict[str, dict[str, Result]] = {}
    with closing(sqlite3.connect(run_folder(root, RUN).database, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        found_all = answers(evalset, kept, wanted)
        while many := list(islice(found_all, 5000)):
            by_table: dict[str, list[tuple[object, ...]]] = {}
            for found in many:
                for sql, cells in statements(writes, evalset, found):
                    by_table.setdefault(sql, []).append(cells)
            db.execute("BEGIN")
            for sql, cells_of_all in by_table.items():
                db.executemany(sql, cells_of_all)
            db.execute("COMMIT")
        origins = [
            ("seed", 0, SEED),
            *(("trial", 1, prompt) for prompt, _ in islice(candidates(), 2, 80)),
            ("winner", 4, WINNER),
        ]
        outcome = list(ending(evalset, kept))
        ended = next(event.outcome for event in outcome if isinstance(event, RunEnded))
        written = ship(replace(SEED, version=1), WINNER, ended, run_id=RUN, folder=root / "prompts")
        made = [CandidateMade(prompt=prompt, round=number, origin=origin) for origin, number, prompt in origins]
        db.execute("BEGIN")
        for event in (*made, *outcome, written):
            apply_event(db, writes, event)
        # As the end of a session does.
        execute(db, *kept_totals(db, 1))
        db.execute("COMMIT")


def apply_event(db: sqlite3.Connection, writes: Rows, event: Event) -> None:
    """Write one event as the store would."""
    for work in writes.of(event, 1.0, 1.0):
        for sql, cells in work(db) if callable(work) else (work,):
            execute(db, sql, cells)


def commands() -> dict[str, tuple[str, ...]]:
    """What is timed."""
    row = "ticket-04002"
    return {
        command: tuple(command.split())
        for command in (
            "show",
            "show --json",
            "runs",
            "failures",
            "failures --cluster c000010",
            "failures --version triage@v1",
            f"case {row}",
            f"case {row} --raw",
            "diff",
            "compare",
            "compare --broken --split val",
            "compare --json",
            "log",
            "blame",
            f"cache explain {row}",
            "cache stats",
        )
    }


def timed(arguments: Iterable[str], folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one process. Raises where it fails."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - began, cpu


def measure(root: Path, repeats: int) -> list[Timing]:
    """Every command several times, the interpreter alone before each."""
    found = []
    for command, arguments in commands().items():
        timed(("-m", "optimizer", *arguments), root)
        pairs = [(timed(("-c", "pass"), root), timed(("-m", "optimizer", *arguments), root)) for _ in range(repeats)]
        found.append(Timing(command=command, idle=tuple(a for a, _ in pairs), took=tuple(b for _, b in pairs)))
        print(told(found[-1]), flush=True)
    return found


def told(timing: Timing) -> str:
    """One line of the table."""
    wall, cpu = (statistics.median(values) for values in zip(*timing.took, strict=True))
    idle_wall, idle_cpu = (statistics.median(values) for values in zip(*timing.idle, strict=True))
    limit = LIMITS.get(timing.command.split()[0], 2.0)
    mark = "" if wall < limit else " (over)"
    least = min(value for value, _ in timing.took)
    return (
        f"| `{timing.command}` | {cpu:.2f} s | {wall:.2f} s{mark} | {least:.2f} s | {limit:.0f} s "
        f"| {idle_wall * 1000:.0f} ms | {cpu / idle_cpu:.0f} |"
    )


def page(found: list[Timing], root: Path, wanted: int) -> str:
    """The results as Markdown."""
    size = run_folder(root, RUN).database.stat().st_size / 1e6
    about = (
        f"`make bench-review`: a run of {wanted:,} results, as many calls and completions, {ROWS:,} rows "
        f"({size:,.0f} MB). Each command is a whole process, the interpreter's start included: medians over "
        f"{len(found[0].took)} processes, and the least wall time. The run lies in the system's cache of files. "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} shared cores: "
        "`python -c pass` beside each command tells how busy they were; the ratio is that of CPU times."
    )
    head = "| command | CPU | wall | least wall | limit | `python -c pass`, wall | CPU ratio |"
    lines = [
        "# Review commands on a large run",
        "",
        about,
        "",
        head,
        "|---|---|---|---|---|---|---|",
        *map(told, found),
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Build, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the table")
    parser.add_argument("--workspace", type=Path, help="where the run is kept")
    parser.add_argument("--results", type=int, default=WANTED, help="results of the run")
    parser.add_argument("--repeats", type=int, default=5, help="processes a command")
    asked = parser.parse_args()
    with nullcontext(asked.workspace) if asked.workspace else tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if not run_folder(root, RUN).database.exists():
            began = time.perf_counter()
            make(root, asked.results)
            print(f"built in {time.perf_counter() - began:.0f} s", flush=True)
        text = page(measure(root, asked.repeats), root, asked.results)
    if asked.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
