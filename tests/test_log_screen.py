"""`log.jsonl` alone tells enough to draw the one-minute screen: here it is drawn from its lines, and compared."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from optimizer.build import Order, execute
from optimizer.errors import BudgetExceeded, ProviderError
from optimizer.outcome import Comparison, Phase, Role
from optimizer.readers.config import load_config
from optimizer.report.screen import one_minute, screen
from optimizer.report.wording import go_on
from optimizer.results import CallError, Completion, Evaluation, Result, Score
from optimizer.stats import compare
from optimizer.store import RunReader
from optimizer.testing.faults import refuse
from optimizer.testing.server import running_server
from tests.test_run import over_http, workspace

__all__ = ["workspace"]

Line = Mapping[str, Any]


class Told:
    """What the lines of a log tell, by event."""

    def __init__(self, path: Path) -> None:
        self.lines: list[Line] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.about: Line = self.of("session began")[0]["about"]
        self.ended = self.last("run ended")
        self.standing = self.of("standing")[-1]
        self.candidates: dict[str, Line] = {line["candidate"]: line for line in self.of("candidate")}
        self.seed: str = self.about["seed_prompt"][:12]
        self.best: str = self.standing["best"]

    def of(self, event: str) -> list[Line]:
        return [line for line in self.lines if line["event"] == event]

    def last(self, event: str) -> Line | None:
        found = self.of(event)
        return found[-1] if found else None

    def decided(self, kind: str) -> Line | None:
        found = [line for line in self.of("decided") if line["kind"] == kind]
        return found[-1]["figures"] if found else None

    def results(self, candidate: str, split: str) -> dict[str, Line]:
        return {
            line["example"]: line
            for line in self.of("result")
            if line["candidate"] == candidate and line["split"] == split
        }


def facts(told: Told, run: str) -> dict[str, Any]:
    """Everything that the screen shows."""
    ended = told.ended
    written = told.decided("written") if told.seed != told.best else None
    failure = told.lines[-1].get("error", "")
    status = "complete" if ended else "failed" if failure else "interrupted"
    return {
        "run": run,
        "status": status,
        "failure": failure,
        "started": at(told.lines[0]),
        "seconds": spent_time(told),
        "model": told.about["model"],
        "stand_in": told.about["stand_in"],
        "verdict": ended["verdict"] if ended else None,
        "reason": ended["reason"] if ended else "",
        "protected": {"passed": ended["protected"], "broken": ended["broken"]} if ended else None,
        "marks": None,
        "prefer": told.about["search"].get("prefer"),
        "front": front(told),
        "tries": [],
        "seed": prompt(told, told.seed, told.about["prompt_version"]),
        "prompt": prompt(told, told.best, written["version"] if written else told.about["prompt_version"]),
        "clusters": told.standing["causes"],
        "lines": priced(told),
        "next": following(told, run, status, written),
        **scores(told),
        **costs(told),
    }


def at(line: Line) -> float:
    return datetime.fromisoformat(line["at"]).timestamp()


def spent_time(told: Told) -> float:
    began, ended = told.of("session began"), told.of("session ended")
    return sum(at(end) - at(begin) for begin, end in zip(began, ended, strict=True))


def prompt(told: Told, candidate: str, version: int | None) -> dict[str, Any]:
    made = told.candidates[candidate]
    return {"name": made["name"], "version": version, "fingerprint": candidate, "lines": made["lines"]}


def scores(told: Told) -> dict[str, Any]:
    test = told.ended.get("test") if told.ended else None
    val = (told.ended.get("val") if told.ended else None) or so_far(told)
    changed = told.seed != told.best
    names = {told.best: "winner", told.seed: "seed"}
    shown = test or val
    # A row with an error is asked again by a run that goes on: the last line holds.
    last = {(line["candidate"], line["example"]): line for line in told.of("result") if line["candidate"] in names}
    errors = [last[key] for key in sorted(last) if last[key].get("error")]
    return {
        "test": compared(test),
        "val": None if val is None else compared(val) if changed else {**compared(val), "ci": None, "p": None},
        "fixed": shown["fixed"] if shown else [],
        "broken": shown["broken"] if shown else [],
        "errors": [
            {"example": line["example"], "candidate": names[line["candidate"]], "kind": line["error"]}
            for line in errors
        ],
    }


def compared(found: Line | None) -> Any:
    return None if found is None else {"groups": None, "look": None, **found}


def so_far(told: Told) -> dict[str, Any] | None:
    """Seed and best prompt on val, for a run without an end."""
    before, after = (evaluation(told, candidate) for candidate in (told.seed, told.best))
    if not before.scored:
        return None
    found = compare(before, after, seed=told.about["search"]["seed"]) if told.seed != told.best else alone(before)
    return {name: getattr(found, name) for name in Comparison.__slots__}


def alone(before: Evaluation) -> Comparison:
    mean = sum(before.scored.values()) / len(before.scored)
    return Comparison(n=len(before.scored), baseline=mean, winner=mean, gain=0.0, ci=(0.0, 0.0), p=0.5, discordant=0)


def evaluation(told: Told, candidate: str) -> Evaluation:
    found = {}
    for row, line in told.results(candidate, "val").items():
        if line.get("error"):
            error = CallError(kind=line["error"], message="", attempts=1)
            found[row] = Result(example=row, candidate=candidate, error=error)
        else:
            score = Score(metric="all", value=line["score"], passed=line["passed"], reason="")
            found[row] = Result(example=row, candidate=candidate, completion=Completion(text=""), scores=(score,))
    return Evaluation(candidate=candidate, results=found)


def costs(told: Told) -> dict[str, Any]:
    """Calls are counted from their own lines; what cannot be counted stands in the line `standing`."""
    sent, spent = told.of("call sent"), told.standing["spent"]
    failed = told.of("call failed")
    answered = told.of("call answered")
    replies = [line for line in (*answered, *failed) if "input_tokens" in line]
    assert (len(sent), len(answered), len(failed)) == (spent["calls"], spent["answered"], spent["failed"])
    tokens = sum(line["input_tokens"] + line["output_tokens"] for line in replies)
    saved = told.of("call saved")
    roles = Counter(line["role"] for line in sent)
    phases = Counter(line["phase"] for line in sent)
    return {
        "calls": {
            **{role.value: roles[role] for role in Role},
            "by_phase": {phase.value: phases[phase] for phase in Phase},
            "total": len(sent),
            "failed": len(failed),
        },
        "tokens": tokens,
        "usd": dollars(replies),
        "saved": {
            "calls": len(saved),
            "tokens": sum(line["input_tokens"] + line["output_tokens"] for line in saved),
            "usd": dollars(saved),
        },
        "lost": {"calls": len(sent) - len(answered) - len(failed)},
        "per_call": {"baseline": told.standing["per_call"]["seed"], "winner": told.standing["per_call"]["best"]},
    }


def dollars(lines: Sequence[Line]) -> float | None:
    return sum(line["usd"] for line in lines) if all("usd" in line for line in lines) else None


def priced(told: Told) -> list[dict[str, Any]]:
    last = {line["line"]: line for line in told.of("line priced")}
    names = told.ended["lines"] if told.ended else list(last)
    found = [last[name] for name in names]
    return [
        {
            **{key: line.get(key) for key in ("text", "change", "worth", "ci", "label", "cluster", "with")},
            "id": line["line"],
        }
        for line in found
    ]


def front(told: Told) -> list[dict[str, Any]]:
    decided = told.decided("front")
    if decided is None:
        return []
    winner = told.candidates[told.best]["units"]
    return [point(told, one, one["candidate"][:12], winner) for one in decided["points"]]


def point(told: Told, one: Line, candidate: str, winner: Mapping[str, str]) -> dict[str, Any]:
    mine, theirs = told.results(candidate, "val"), told.results(told.best, "val")
    rows = [row for row in theirs if row in mine and not mine[row].get("error") and not theirs[row].get("error")]
    gains = [mine[row]["score"] - theirs[row]["score"] for row in rows]
    units = told.candidates[candidate]["units"]
    return {
        **one,
        "is": "winner" if candidate == told.best else "seed" if candidate == told.seed else "",
        "gain": sum(gains) / len(gains) if gains else 0.0,
        "fixed": [row for row in rows if (theirs[row]["passed"], mine[row]["passed"]) == (False, True)],
        "broken": [row for row in rows if (theirs[row]["passed"], mine[row]["passed"]) == (True, False)],
        "lacks": [{"id": unit} for unit in winner if unit not in units],
        "other": [{"id": unit} for unit, text in units.items() if winner.get(unit) != text],
    }


def following(told: Told, run: str, status: str, written: Line | None) -> list[str]:
    if status != "complete":
        arguments = told.about.get("arguments") or ("run", told.about["eval_file"])
        return [go_on(arguments, run), f"optimizer failures {run}"]
    if written is None:
        return [f"optimizer failures {run}"]
    name = told.about["prompt"]
    steps = [f"optimizer diff {name}@v{told.about['prompt_version']} {name}@v{written['version']}"]
    return [*steps, f"optimizer failures {run}", f"optimizer apply {run} --file FILE --key KEY"]


def same_screen(root: Path, run: str) -> str:
    """Draw both; returns the page."""
    told = facts(Told(root / "runs" / run / "log.jsonl"), run)
    with RunReader(root, run) as reader:
        # The log has milliseconds: near half a second they may round another way.
        assert told["seconds"] == pytest.approx(reader.seconds, abs=0.01)
        told["seconds"] = reader.seconds
        for width in (80, 120):
            drawn = screen(told, width).plain
            assert drawn == one_minute(reader, width).plain
    return drawn


def go(workspace: Path, name: str, run: str, over: Mapping[str, object] | None = None, *, resume: bool = False) -> None:
    config = load_config(workspace / "evals" / f"{name}.yaml", over or {})
    asyncio.run(execute(Order(config=config, root=workspace, run_id=run, resume=resume)))


@pytest.mark.parametrize("eval_set", ["romeo-bob", "reviews"])
def test_a_run_that_ended(workspace, eval_set):
    go(workspace, eval_set, "r")
    assert "GAIN SHOWN" in same_screen(workspace, "r")


def test_a_run_of_which_everything_is_known(workspace):
    for run in ("r", "again"):
        go(workspace, "romeo-bob", run)
    assert "saved" in same_screen(workspace, "again")


def test_a_run_that_kept_its_seed(workspace):
    go(workspace, "romeo-bob", "r", {"metrics": [{"regex": "^never$"}]})
    assert "still sealed" in same_screen(workspace, "r")


def test_a_run_that_failed_and_went_on(workspace):
    with running_server() as server:
        over = over_http(server.base_url, "openai", "offline:perfect")
        server.faults = lambda seen: refuse(401) if seen.index >= 70 else refuse(400) if seen.index == 5 else None
        with pytest.raises(ProviderError):
            go(workspace, "romeo-bob", "r", over)
        assert "FAILED" in same_screen(workspace, "r")
        server.faults = None
        go(workspace, "romeo-bob", "r", over, resume=True)
    page = same_screen(workspace, "r")
    assert "GAIN SHOWN" in page and "failed" in page


def test_a_run_whose_budget_ended(workspace):
    over = {"mutator": "none", "budget": {"calls": 400, "tokens": 9000}}
    with pytest.raises(BudgetExceeded):
        go(workspace, "romeo-bob", "r", over)
    assert "FAILED" in same_screen(workspace, "r")
