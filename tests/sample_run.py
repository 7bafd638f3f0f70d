"""A run made of invented values: events in the order in which the loop emits them."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from optimizer.dataset import EvalSet, Example, Split
from optimizer.edits import Edit, Op, apply
from optimizer.errors import ErrorKind
from optimizer.events import (
    CallEnded,
    CallSaved,
    CallSent,
    CandidateMade,
    ClustersFound,
    Decided,
    EditJudged,
    Event,
    LinePriced,
    ResultKnown,
    RunEnded,
    TrialEnded,
)
from optimizer.failures import Cluster, Failure
from optimizer.outcome import Comparison, LineWorth, Outcome, Phase, Role, Trial, Verdict
from optimizer.prompt import Prompt, build
from optimizer.results import CallError, Completion, Result, Score, Usage
from optimizer.store import RunMeta, RunWriter, open_run
from optimizer.store.meta import content_hash

RUN = "20261121-101500-triage-abc"
ADDED = Edit(op=Op.ADD_LINE, after="L2", text="Dates are day first.", cluster="c0000a1", why="dates were read as US")
REPLACED = Edit(op=Op.REPLACE_LINE, target="L2", text="Answer in one word.", cluster="c0000b2", why="too long")
SEED = build("triage", [("system", "Sort the ticket.\nAnswer briefly."), ("user", "{{ ticket }}")], version=1)
WINNER = apply(SEED, [ADDED, REPLACED])


def examples(count: int = 12) -> tuple[Example, ...]:
    return tuple(
        Example(
            id=f"r{n}", inputs={"ticket": f"ticket {n}"}, expected=f"label {n % 3}", tags=("refund",), source=f"x:{n}"
        )
        for n in range(count)
    )


def evalset(count: int = 12) -> EvalSet:
    rows = examples(count)
    names = (Split.TRAIN, Split.VAL, Split.TEST)
    return EvalSet(name="triage", examples=rows, splits={row.id: names[n % 3] for n, row in enumerate(rows)})


def meta(rows: EvalSet | None = None, *, stand_in: bool = False, model: str = "openai/gpt-4o-mini") -> RunMeta:
    rows = rows or evalset()
    return RunMeta(
        name="triage",
        eval_file="evals/triage.yaml",
        prompt="triage",
        prompt_path="prompts/triage/v1.yaml",
        prompt_version=1,
        seed_prompt=SEED.fingerprint,
        model=model,
        model_settings="{}",
        mutator="openai/gpt-4o {}",
        metrics={"equals": "{}"},
        search={"seed": 0, "mined": True, "lines": []},
        splits={split.value: rows.fingerprint(split) for split in Split},
        sizes={split.value: len(rows.split(split)) for split in Split},
        stand_in=stand_in,
        rows={row.id: f"{rows.splits[row.id].value} {content_hash(row)}" for row in rows.examples},
    )


def completion(text: str, *, cost: float | None = 0.001, cached: bool = False) -> Completion:
    usage = Usage(input_tokens=40, output_tokens=3)
    return Completion(text=text, usage=usage, cost=cost, latency=0.25, cached=cached, finish_reason="stop")


def result(prompt: Prompt, row: Example, passed: bool, *, cost: float | None = 0.001) -> Result:
    text = str(row.expected) if passed else "something else"
    reason = "" if passed else f"expected {row.expected!r}"
    score = Score(metric="equals", value=float(passed), passed=passed, reason=reason, place="text", wanted="a", got="b")
    return Result(example=row.id, candidate=prompt.fingerprint, completion=completion(text, cost=cost), scores=(score,))


def failed(prompt: Prompt, row: Example) -> Result:
    error = CallError(kind=ErrorKind.TIMEOUT, message="no answer in 60 s", status=None, attempts=4)
    return Result(example=row.id, candidate=prompt.fingerprint, error=error)


def worth(line: str, text: str, value: float | None, cluster: str) -> LineWorth:
    ci = None if value is None else (value - 0.1, value + 0.1)
    label = "not measurable" if ci is None or ci[0] <= 0 else "earns"
    return LineWorth(
        id=line,
        text=text,
        change="added" if line == "L4" else "replaced",
        worth=value,
        ci=ci,
        label=label,
        cluster=cluster,
        tokens=4,
        fixed=("r1",),
        broken=(),
        raw=value,
        rows=0 if value is None else 30,
        with_line="L2" if line == "L4" else "",
    )


def compared(split: str, look: int | None = None) -> Comparison:
    return Comparison(
        n=4,
        baseline=0.25,
        winner=1.0,
        gain=0.75,
        ci=(0.2, 0.95),
        p=0.0156,
        discordant=3,
        fixed=("r2", "r5") if split == "test" else ("r1", "r4"),
        broken=(),
        look=look,
    )


def outcome(verdict: Verdict = Verdict.GAIN_SHOWN) -> Outcome:
    return Outcome(
        verdict=verdict,
        reason="on 4 rows that the search never saw",
        test=compared("test", 1),
        val=compared("val"),
        lines=(
            worth("L2", "Answer in one word.", 0.05, "too long an answer"),
            worth("L4", "Dates are day first.", 0.25, "date read as US order"),
        ),
        seed=SEED.fingerprint,
        winner=WINNER.fingerprint,
        figures={"planned_test": 8.0},
    )


def clusters(rows: EvalSet) -> tuple[Cluster, ...]:
    train = rows.split(Split.TRAIN)
    members = tuple(Failure(example=row, result=result(SEED, row, False)) for row in train)
    return (
        Cluster(
            id="c0000a1",
            label="date read as US order",
            members=members[:3],
            share=0.75,
            place="text",
            wanted=("01.02.",),
            got=("02/01",),
            terms=("date",),
            evidence=("expected '01.02.'",),
        ),
        Cluster(id="c0000b2", label="too long an answer", members=members[3:], share=0.25),
    )


def call(
    name: str, role: Role = Role.TASK, phase: Phase = Phase.SEARCH, *, cost: float | None = 0.001
) -> Iterator[Event]:
    yield CallSent(call=name, key=f"key-{name}", role=role, phase=phase)
    yield CallEnded(call=name, key=f"key-{name}", completion=completion(f"answer {name}", cost=cost))


def events(rows: EvalSet | None = None, *, cost: float | None = 0.001) -> Iterator[Event]:
    """A complete run: the seed fails on train and most of the rest, the winner passes everywhere."""
    rows = rows or evalset()
    yield CandidateMade(prompt=SEED, round=0, origin="seed")
    yield from call("a1", cost=cost)
    yield CallSent(call="a2", key="key-a2", role=Role.TASK, phase=Phase.SEARCH)
    yield CallEnded(
        call="a2", key="key-a2", error=CallError(kind=ErrorKind.RATE_LIMIT, message="slow down", status=429)
    )
    yield CallSaved(key="key-a1", role=Role.TASK, phase=Phase.SEARCH, completion=completion("answer a1", cached=True))
    for split in (Split.TRAIN, Split.VAL):
        for n, row in enumerate(rows.split(split)):
            found = result(SEED, row, split is Split.VAL and n == 0, cost=cost)
            yield ResultKnown(result=found, split=split, phase=Phase.SEARCH, round=0)
    yield Decided(kind="baseline", round=0, reason="the prompt as it is scores 0.250 on val", figures={"val": 0.25})
    yield ClustersFound(round=1, candidate=SEED.fingerprint, clusters=clusters(rows))
    yield from call("m1", Role.MUTATOR, cost=cost)
    yield EditJudged(round=1, edit=ADDED, outcome="passed", reason="mended 3 of 3", mended=3, tried=3)
    yield EditJudged(round=1, edit=REPLACED, outcome="passed", reason="mended 1 of 1", mended=1, tried=1, broke=("r0",))
    yield CandidateMade(prompt=WINNER, round=1, origin="trial", parent=SEED.fingerprint, edits=(ADDED, REPLACED))
    for split in (Split.VAL, Split.TRAIN):
        for row in rows.split(split):
            found = result(WINNER, row, True, cost=cost)
            yield ResultKnown(result=found, split=split, phase=Phase.SEARCH, round=1)
    yield TrialEnded(
        trial=Trial(
            round=1,
            number=0,
            choices={ADDED.slot: ADDED.id, REPLACED.slot: REPLACED.id},
            candidate=WINNER.fingerprint,
            rows=4,
            score=1.0,
            gain=0.75,
            partial=False,
            reason="all edits at once",
        )
    )
    yield Decided(
        kind="accept", round=1, reason="fixed 3, broke 0", figures={"candidate": WINNER.fingerprint, "gain": 0.75}
    )
    for priced in outcome().lines:
        yield LinePriced(worth=priced)
    yield CandidateMade(prompt=WINNER, round=1, origin="winner", parent=SEED.fingerprint)
    yield from call("t1", phase=Phase.TEST, cost=cost)
    for prompt in (SEED, WINNER):
        for n, row in enumerate(rows.split(Split.TEST)):
            found = result(prompt, row, prompt is WINNER or n == 0, cost=cost)
            yield ResultKnown(result=found, split=Split.TEST, phase=Phase.TEST, round=1)
    yield Decided(kind="verdict", round=1, reason="GAIN SHOWN: on 4 rows that the search never saw")
    yield RunEnded(outcome=outcome())
    path = "prompts/triage/v2.yaml"
    yield Decided(kind="written", round=1, reason=f"wrote {path}", figures={"path": path, "version": 2})


async def emit(writer: RunWriter, happened: Iterable[Event]) -> None:
    for event in happened:
        await writer.record(event)


def begin(root: Path, *, about: RunMeta | None = None, rows: EvalSet | None = None, resume: bool = False) -> RunWriter:
    rows = rows or evalset()
    return open_run(root, RUN, "model: x\n", meta=about or meta(rows), evalset=rows, resume=resume)


def write(root: Path, happened: Iterable[Event], *, about: RunMeta | None = None, rows: EvalSet | None = None) -> None:
    """A run of these events, ended or not."""
    writer = begin(root, about=about, rows=rows)
    asyncio.run(emit(writer, happened))
    writer.close()


def until(kind: type[Event], happened: Iterable[Event]) -> list[Event]:
    """Events up to the first of a kind, that one left out."""
    found: list[Event] = []
    for event in happened:
        if isinstance(event, kind):
            break
        found.append(event)
    return found


def version(prompt: Prompt, number: int) -> Prompt:
    return replace(prompt, version=number)
