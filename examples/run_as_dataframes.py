"""A run as pandas DataFrames: the rows that are still wrong, what each line bought, where the calls went.

    python examples/run_as_dataframes.py

`load_run` takes the id of a run, the beginning of one, or `latest`; a run that goes on shows what it has so far.
"""

import optimizer


def main() -> None:
    """Make a run, and look into it."""
    optimizer.optimize("evals/reviews.yaml", run_id="looked-into", resume=True)
    run = optimizer.load_run("looked-into")

    results = run.results()
    winner = results[results["which"] == "winner"]
    print("worst rows under the winner")
    print(winner.nsmallest(5, "score")[["example", "split", "score", "output"]].to_string(index=False))

    print("\nmean score")
    print(results[results["which"] != ""].pivot_table("score", "split", "which").round(3))

    print("\nwhat each line bought on val (optimistic: val chose)")
    print(run.lines()[["id", "worth", "low", "high", "label", "tokens"]].round(3).to_string(index=False))

    calls = run.calls()
    print("\ncalls by phase and role; `saved` needed no sending")
    print(calls.groupby(["phase", "role", "state"]).agg(calls=("call", "size"), tokens=("input_tokens", "sum")))


if __name__ == "__main__":
    main()
