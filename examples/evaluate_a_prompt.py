"""Score one prompt without a search, and say why it fails.

    python examples/evaluate_a_prompt.py

Nothing but the cache is written. `overrides` takes keys of the eval file with other values, here the prompt; scoring
the `test` split is possible, and counts as a look at it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import optimizer

BY_HAND = 'Answer in one sentence. Write "Bob" instead of "Romeo".\n'


def score(prompt: Path) -> None:
    """Print a prompt's score, and the causes of its failures, largest first."""
    scored = optimizer.evaluate("evals/romeo-bob.yaml", overrides={"prompt": prompt}, splits=["train", "val"])
    for split, evaluation in scored.evaluations.items():
        passed = sum(result.passed for result in evaluation.results.values())
        print(f"{prompt.name} on {split}: {evaluation.mean:.1%}, {passed} of {len(evaluation.results)} rows pass")
    for cluster in scored.clusters:
        rows = ", ".join(failure.example.id for failure in cluster.members[:3])
        print(f"  {len(cluster.members)} rows: {cluster.label} ({rows}, ...)")


def main() -> None:
    """Score the demo's prompt, and one that a person wrote."""
    score(Path("prompts/romeo-bob/v1.yaml"))
    with TemporaryDirectory() as folder:
        by_hand = Path(folder) / "by-hand.txt"
        by_hand.write_text(BY_HAND, encoding="utf-8")
        score(by_hand)


if __name__ == "__main__":
    main()
