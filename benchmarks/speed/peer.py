"""One peer evaluates the rows once. Runs where the peer is installed, not our package.

    python -m benchmarks.speed.peer dspy URL ROWS IN_FLIGHT
    python -m benchmarks.speed.peer dspy-cached URL ROWS IN_FLIGHT FOLDER
    python -m benchmarks.speed.peer gepa URL ROWS IN_FLIGHT

Each is used as its documentation shows it, retries off, after one call that warms it up. Imports and set-up are not
counted. `dspy-cached` keeps DSPy's disk cache in FOLDER; a second time, in a new process, it answers from there.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed.task import EXPECTED, INSTRUCTION, Clock, reviews, tell

MODEL = "openai/gpt-4o-mini"
Work = Callable[[], float]
"""Evaluates all rows; the mean score."""


def dspy_evaluate(url: str, rows: int, in_flight: int, cache: Path | None) -> Work:
    """`dspy.Evaluate` over `dspy.Predict`."""
    import dspy

    logging.getLogger("dspy").setLevel(logging.ERROR)
    dspy.configure_cache(
        enable_disk_cache=cache is not None, enable_memory_cache=cache is not None, disk_cache_dir=str(cache)
    )
    asked: dict[str, Any] = {"api_base": f"{url}/v1", "api_key": "none", "num_retries": 0}
    dspy.configure(lm=dspy.LM(MODEL, cache=cache is not None, temperature=0.0, max_tokens=100, **asked))
    program = dspy.Predict(dspy.Signature("review -> answer", INSTRUCTION))
    examples = [dspy.Example(review=text, answer=EXPECTED).with_inputs("review") for text in reviews(rows)]

    def right(gold: Any, said: Any, trace: Any = None) -> bool:
        return gold.answer in said.answer

    evaluate = dspy.Evaluate(devset=examples, num_threads=in_flight, display_progress=False, metric=right)
    program(review="a review to warm up with")
    return lambda: float(evaluate(program).score) / 100


def gepa_adapter(url: str, rows: int, in_flight: int, cache: Path | None) -> Work:
    """The default adapter of GEPA, in one batch."""
    from gepa.adapters.default_adapter.default_adapter import DefaultAdapter

    asked = {"api_base": f"{url}/v1", "api_key": "none"}
    adapter = DefaultAdapter(MODEL, max_litellm_workers=in_flight, litellm_batch_completion_kwargs=asked)
    batch: Any = [{"input": text, "additional_context": {}, "answer": EXPECTED} for text in reviews(rows)]
    adapter.evaluate(batch[:2], {"prompt": INSTRUCTION})
    return lambda: sum(adapter.evaluate(batch, {"prompt": INSTRUCTION}).scores) / rows


PEERS = {"dspy": dspy_evaluate, "dspy-cached": dspy_evaluate, "gepa": gepa_adapter}


def main() -> None:
    """Set up, warm up, measure."""
    kind, url, rows, in_flight = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    cache = Path(sys.argv[5]) if len(sys.argv) > 5 else None
    work = PEERS[kind](url, rows, in_flight, cache)
    clock = Clock()
    tell(clock.took(rows, work()))
    sys.stdout.flush()
    os._exit(0)  # The peers' own threads would hold the process for seconds.


if __name__ == "__main__":
    main()
