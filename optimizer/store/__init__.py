"""A run on disk: `runs/<id>/` with `run.sqlite`, `log.jsonl`, `config.yaml` and `lock`."""

from optimizer.store.folders import RunFolder, new_run_id, run_folder, runs_folder
from optimizer.store.looks import Look, count_look, looks
from optimizer.store.meta import RunMeta, check_same, describe
from optimizer.store.opening import open_run, open_run_aside, refuse_other
from optimizer.store.reader import RunReader, RunStatus
from optimizer.store.records import Call, Decision, StoredExample, StoredResult
from optimizer.store.repair import Repaired
from optimizer.store.runs import RunInfo, find_run, list_runs, unfinished
from optimizer.store.totals import Spending, spending
from optimizer.store.writer import RunWriter

__all__ = [
    "Call",
    "Decision",
    "Look",
    "Repaired",
    "RunFolder",
    "RunInfo",
    "RunMeta",
    "RunReader",
    "RunStatus",
    "RunWriter",
    "Spending",
    "StoredExample",
    "StoredResult",
    "check_same",
    "count_look",
    "describe",
    "find_run",
    "list_runs",
    "looks",
    "new_run_id",
    "open_run",
    "open_run_aside",
    "refuse_other",
    "run_folder",
    "runs_folder",
    "spending",
    "unfinished",
]
