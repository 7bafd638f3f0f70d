"""Where the calls of one run of ours went, and which true rules it missed.

python benchmarks/search/ledger.py slots 100 600 ours
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.search.arms import ours  # noqa: E402
from benchmarks.search.endpoint import running_endpoint  # noqa: E402
from benchmarks.search.statements import read_prompt  # noqa: E402
from benchmarks.search.worlds import make_world  # noqa: E402
from benchmarks.search.worlds.world import World  # noqa: E402
from optimizer.failures import Cluster  # noqa: E402
from optimizer.store import RunReader  # noqa: E402


def causes(world: World, found: Cluster) -> Counter[str]:
    """True rule -> members of a cluster that fail for it; rows with a wrong label apart."""
    rows = {row.id: row for row in world.rows}
    counts: Counter[str] = Counter()
    for member in found.members:
        row = rows[member.example.id]
        counts.update(["(wrong label)"] if row.truth != row.expected else row.cause.values())
    return counts


def missed(world: World, prompt: str) -> list[str]:
    """Rules that a prompt does not state, word for word as they are."""
    stated = {(one.value, one.when, one.above, one.upto) for one in read_prompt(world, prompt).statements}
    return [rule.id for rule in world.rules if (rule.value, rule.when, rule.above, rule.upto) not in stated]


def tell(world: World, prompt: str, reader: RunReader) -> None:
    """Print clusters with their true causes, edits, trials and decisions."""
    for found in reader.clusters():
        print(f"round {found.round}: {len(found.clusters)} clusters")
        for one in found.clusters:
            print(f"  {one.share:.2f} {one.label}: {dict(causes(world, one).most_common(3))}")
    for judged in reader.edits():
        print(f"round {judged.round} {judged.outcome}: {judged.reason} | {judged.edit.text}")
    for trial in reader.trials():
        print(f"trial {trial.round}.{trial.number}: {trial.rows} rows, gain {trial.gain:+.3f}, {trial.reason}")
    for decision in reader.decisions():
        left = decision.decided.figures.get("plan_left", "")
        print(
            f"{decision.decided.kind} {decision.decided.round}: {decision.decided.reason} {left and f'({left} left)'}"
        )
    print(f"missed: {', '.join(missed(world, prompt)) or 'nothing'}")


def main() -> None:
    """Run once and tell."""
    family, seed, budget, arm = sys.argv[1:]
    world = make_world(family, int(seed))
    with TemporaryDirectory() as folder, running_endpoint() as endpoint:
        (reached,) = ours.run(endpoint, world, arm, int(budget), keep=Path(folder))
        with RunReader(Path(folder), "bench") as reader:
            tell(world, reached.prompt, reader)
    spent = reached.spent
    print(f"score {reached.score:.3f} for {spent.task_calls} task and {spent.reflection_calls} reflection calls")


if __name__ == "__main__":
    main()
