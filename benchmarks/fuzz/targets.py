"""All targets by name, and how one is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypothesis import HealthCheck, Phase, example, given, seed, settings

from benchmarks.fuzz.files import FILES
from benchmarks.fuzz.material import Target
from benchmarks.fuzz.prompts import PROMPTS
from benchmarks.fuzz.replies import REPLIES
from benchmarks.fuzz.writers import WRITERS

TARGETS: Mapping[str, Target] = {**FILES, **PROMPTS, **REPLIES, **WRITERS}


def attempt_of(target: Target, cases: int, start: int | None = None) -> Callable[[], None]:
    """A function that tries the target: first what once broke it, then so many cases.

    Args:
        target: what is fuzzed.
        cases: how many.
        start: seed of what is drawn; None draws the same cases each time.
    """
    test = given(target.given)(target.check)
    for found in target.found:
        test = example(found)(test)
    chosen = settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=start is None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )
    if start is not None:
        test = seed(start)(test)
    made: Callable[[], None] = chosen(test)
    return made
