"""A metric of your own, an eval set written by a program, and a config made in Python.

    python examples/own_metric.py

The metric is a plain function: `module:function`, importable where the run happens, or `file.py:function` relative to
the eval file. Beside the value it may say where the expectation broke, what was wanted and what came (`place`,
`wanted`, `got`): failures are grouped by these, and edits are made from them.

A metric of length alone is easy to please. In earnest, put one beside it that looks at the content.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from optimizer import BudgetSpec, DataSpec, MetricContext, MetricSpec, ModelSpec, RunConfig, optimize

MOST = 6
PEOPLE = "Romeo, Juliet, Mercutio, Benvolio, Tybalt, Paris, Rosaline, Balthasar, the Nurse, Friar Laurence".split(", ")
QUESTIONS = ("Who is {}?", "Tell me about {}.", "What does {} do in the play?", "How does {} know Juliet?")


def brief(context: MetricContext) -> bool | dict[str, Any]:
    """Whether the answer has at most six words."""
    words = len(context.output.split())
    if words <= MOST:
        return True
    return {
        "value": MOST / words,
        "reason": f"the answer has {words} words, expected at most {MOST} words",
        "place": "length",
        "wanted": f"at most {MOST} words",
        "got": f"{words} words",
    }


def config(folder: Path) -> RunConfig:
    """Write rows and prompt into a folder, and say what to do with them: an eval file in Python."""
    rows = [{"question": question.format(name)} for name in PEOPLE for question in QUESTIONS]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    (folder / "brief.txt").write_text("You answer questions about Romeo and Juliet.\n", encoding="utf-8")
    return RunConfig(
        name="brief",
        # Needs no file; paths that metrics name start in its folder, and the splits are kept beside it.
        path=folder / "brief.yaml",
        prompt=folder / "brief.txt",
        data=DataSpec(path=folder / "rows.jsonl"),
        model=ModelSpec(name="offline:perfect"),
        mutator=ModelSpec(name="offline"),
        # A value may be graded; from the threshold on, the row passes.
        metrics=(MetricSpec(name="python", args={"function": "own_metric:brief"}, threshold=1.0),),
        budget=BudgetSpec(calls=400),
    )


def main() -> None:
    """Run it in a folder that is gone afterwards."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        run = optimize(config(folder), root=folder)
        print(run.verdict)
        print(run.clusters().loc[0, "label"])
        print(run.prompt.text)


if __name__ == "__main__":
    main()
