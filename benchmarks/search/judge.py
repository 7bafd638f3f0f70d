"""How an output is scored: the same for every arm, with reasons as our own metrics word them."""

from __future__ import annotations

from benchmarks.search.worlds.world import ANSWER, Row, World


def score(world: World, row: Row, output: str, *, true: bool = False) -> tuple[float, str]:
    """(share of right fields, in words what is wrong).

    Args:
        world: the task.
        row: the row.
        output: what the model said.
        true: whether to compare with the truth rather than with the row's label.
    """
    wanted = row.truth if true else row.expected
    if world.form == "label":
        if output.strip() == wanted[ANSWER]:
            return 1.0, ""
        return 0.0, f'the label is "{output.strip()}", expected "{wanted[ANSWER]}"'
    if world.form == "reply":
        told = f'the output does not contain "{wanted[ANSWER]}"'
        return (1.0, "") if wanted[ANSWER] in output else (0.0, told)
    got = world.read(output)
    wrong = [name for name in world.fields if got.get(name) != wanted[name]]
    reasons = [_reason(world, name, got.get(name), wanted[name]) for name in wrong]
    return 1 - len(wrong) / len(world.fields), "; ".join(reasons)


def _reason(world: World, name: str, got: str | None, wanted: str) -> str:
    path = world.paths[name]
    return f'field "{path}" is missing' if got is None else f'field "{path}" is "{got}", expected "{wanted}"'
