"""A run as DataFrames, for notebooks and scripts: `optimizer.load_run("latest").results()`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import UserError
from optimizer.outcome import Outcome, Verdict
from optimizer.prompt import Prompt
from optimizer.report.screen import one_minute
from optimizer.report.summary import summary
from optimizer.results import CallError, Completion
from optimizer.store.figures import cluster_changes
from optimizer.store.reader import RunReader, RunStatus
from optimizer.store.records import StoredResult
from optimizer.store.runs import find_run

if TYPE_CHECKING:
    from pandas import DataFrame


def load_run(run_id: str = "latest", *, root: str | Path = ".") -> Run:
    """A run of a workspace, running or ended.

    Args:
        run_id: its id, the beginning of it, or `latest`.
        root: the workspace.

    Raises UserError where there is no such run, with the nearest one there is; StoreError where it is damaged.
    """
    run = Run(id=find_run(Path(root), run_id), root=Path(root))
    with run.reader():
        return run


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run on disk. Every call reads it anew, so a run that goes on shows what it has so far."""

    id: str
    """Its id."""
    root: Path
    """The workspace."""

    def reader(self) -> AbstractContextManager[RunReader]:
        """The typed reader behind it; close it, or use it in a `with`."""
        return RunReader(self.root, self.id)

    @property
    def status(self) -> RunStatus:
        """Running, interrupted, complete or failed."""
        with self.reader() as reader:
            return reader.status

    @property
    def outcome(self) -> Outcome | None:
        """How it ended: comparisons on test and val, prices, verdict; None while it has not."""
        with self.reader() as reader:
            return reader.outcome()

    @property
    def verdict(self) -> Verdict | None:
        """The claim; None while the run has not ended."""
        outcome = self.outcome
        return None if outcome is None else outcome.verdict

    @property
    def prompt(self) -> Prompt:
        """The winner, or the best prompt so far. Raises UserError before any was recorded."""
        with self.reader() as reader:
            return self._recorded(reader.best())

    @property
    def seed(self) -> Prompt:
        """The prompt that it began with. Raises UserError before it was recorded."""
        with self.reader() as reader:
            return self._recorded(reader.seed())

    def _recorded(self, prompt: Prompt | None) -> Prompt:
        if prompt is None:
            raise UserError(f"run {self.id}: no prompt was recorded yet (go on with it by resume=True)")
        return prompt

    def summary(self) -> dict[str, Any]:
        """The facts that `optimizer show --json` prints."""
        with self.reader() as reader:
            return summary(reader)

    def report(self, width: int = 100) -> str:
        """The one-minute screen of `optimizer show` as plain text.

        Args:
            width: characters a line, 60 to 200.
        """
        with self.reader() as reader:
            return one_minute(reader, width).plain

    def results(self, candidate: str | None = None) -> DataFrame:
        """One row an example and candidate.

        `score` is in [0, 1] and missing for an error; `usd` is missing where the price is unknown; `which` is `seed`,
        `winner` or empty; `reasons` says what failed.

        Args:
            candidate: fingerprint; None for all.
        """
        with self.reader() as reader:
            seed, winner = reader.seed(), reader.best()
            which = {prompt.fingerprint: name for name, prompt in (("winner", winner), ("seed", seed)) if prompt}
            return _frame(_RESULTS, (_result(stored, which) for stored in reader.results(candidate)))

    def clusters(self) -> DataFrame:
        """One row a cluster of failures: members that fail under the seed (`before`) and under the winner (`after`).

        `after` is missing where a member has no score under the winner; `unknown` counts those. `stage` is what has
        become of the cause since it was found: `new`, `open`, `shrunk` or `fixed`.
        """
        with self.reader() as reader:
            seed, winner = reader.seed(), reader.best()
            found = {cluster.id: cluster for event in reader.clusters() for cluster in event.clusters}
            if seed is None or winner is None:
                return _frame(_CLUSTERS, ())
            return _frame(
                _CLUSTERS,
                (
                    {
                        "id": change.id,
                        "label": change.label,
                        "round": change.round,
                        "share": change.share,
                        "before": change.before,
                        "after": change.after,
                        "unknown": change.unknown,
                        "stage": change.stage.value,
                        "members": [row.example for row in change.rows],
                        "place": found[change.id].place,
                        "wanted": list(found[change.id].wanted),
                        "got": list(found[change.id].got),
                        "terms": list(found[change.id].terms),
                        "evidence": list(found[change.id].evidence),
                    }
                    for change in cluster_changes(reader, seed.fingerprint, winner.fingerprint)
                ),
            )

    def edits(self) -> DataFrame:
        """One row a proposed edit, with what became of it."""
        with self.reader() as reader:
            rows = (
                {
                    "round": judged.round,
                    "id": judged.edit.id,
                    "op": judged.edit.op.value,
                    "target": judged.edit.target,
                    "after": judged.edit.after,
                    "text": judged.edit.text,
                    "cluster": judged.edit.cluster,
                    "why": judged.edit.why,
                    "source": judged.edit.source,
                    "outcome": judged.outcome,
                    "reason": judged.reason,
                    "mended": judged.mended,
                    "tried": judged.tried,
                    "broke": list(judged.broke),
                }
                for judged in reader.edits()
            )
            return _frame(_EDITS, rows)

    def trials(self) -> DataFrame:
        """One row a trial; `choices` maps a slot to `keep` or the id of an edit."""
        with self.reader() as reader:
            rows = ({**asdict(trial), "choices": dict(trial.choices)} for trial in reader.trials())
            return _frame(_TRIALS, rows)

    def calls(self) -> DataFrame:
        """One row an attempt, and one a request that was answered without sending (`state` is `saved`)."""
        with self.reader() as reader:
            rows = (
                {
                    "call": call.call,
                    "session": call.session,
                    "key": call.key,
                    "role": call.role.value,
                    "phase": call.phase.value,
                    "state": call.state,
                    "sent_at": _time(call.sent_at),
                    "seconds": call.seconds,
                    **_answer(call.completion),
                    **_error(call.error),
                }
                for call in reader.calls()
            )
            return _frame(_CALLS, rows)

    def lines(self) -> DataFrame:
        """One row a changed line: what it is worth (optimistic), with its 95% interval from `low` to `high`."""
        with self.reader() as reader:
            rows = (
                {
                    **{key: value for key, value in asdict(worth).items() if key != "ci"},
                    "low": worth.ci[0] if worth.ci else None,
                    "high": worth.ci[1] if worth.ci else None,
                    "fixed": list(worth.fixed),
                    "broken": list(worth.broken),
                }
                for worth in reader.lines()
            )
            return _frame(_LINES, rows)

    def decisions(self) -> DataFrame:
        """One row a decision, with the figures that it rested on."""
        with self.reader() as reader:
            rows = (
                {
                    "seq": decision.seq,
                    "at": _time(decision.at),
                    "kind": decision.decided.kind,
                    "round": decision.decided.round,
                    "reason": decision.decided.reason,
                    "figures": dict(decision.decided.figures),
                }
                for decision in reader.decisions()
            )
            return _frame(_DECISIONS, rows)


_ANSWER = "input_tokens output_tokens usd latency cached finish_reason output"
_ERROR = "error_kind error"
_RESULTS = f"example candidate which split phase round passed score reasons {_ANSWER} {_ERROR}"
_CLUSTERS = "id label round share before after unknown stage members place wanted got terms evidence"
_EDITS = "round id op target after text cluster why source outcome reason mended tried broke"
_TRIALS = "round number candidate rows score gain partial reason choices"
_CALLS = f"call session key role phase state sent_at seconds {_ANSWER} {_ERROR}"
_LINES = "id text change worth low high label cluster tokens fixed broken raw rows with_line"
_DECISIONS = "seq at kind round reason figures"


def _frame(columns: str, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    from pandas import DataFrame

    return DataFrame(list(rows), columns=columns.split())


def _time(unix: float) -> Any:
    from pandas import Timestamp

    return Timestamp(unix, unit="s", tz="UTC")


def _result(stored: StoredResult, which: Mapping[str, str]) -> dict[str, Any]:
    result = stored.result
    return {
        "example": result.example,
        "candidate": result.candidate,
        "which": which.get(result.candidate, ""),
        "split": stored.split.value,
        "phase": stored.phase.value,
        "round": stored.round,
        "passed": result.passed if result.error is None else None,
        "score": result.score,
        "reasons": "; ".join(score.reason for score in result.scores if not score.passed),
        **_answer(result.completion),
        **_error(result.error),
    }


def _answer(completion: Completion | None) -> dict[str, Any]:
    if completion is None:
        return {}
    return {
        "input_tokens": completion.usage.input_tokens,
        "output_tokens": completion.usage.output_tokens,
        "usd": completion.cost,
        "latency": completion.latency,
        "cached": completion.cached,
        "finish_reason": completion.finish_reason,
        "output": completion.text,
    }


def _error(error: CallError | None) -> dict[str, Any]:
    return {} if error is None else {"error_kind": error.kind.value, "error": error.message}
