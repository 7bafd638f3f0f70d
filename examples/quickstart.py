"""Improve a prompt, and print the verdict and the prompt.

    python examples/quickstart.py

The working folder holds `evals/` and `prompts/`. The demo's model is the offline stand-in: no key, no network. The run
is kept in `runs/`, the winner in `prompts/romeo-bob/v2.yaml`; a second start sends nothing, since every answer is in
the cache.
"""

import optimizer


def main() -> None:
    """Run the demo."""
    run = optimizer.optimize("evals/romeo-bob.yaml")
    print(run.verdict)
    print(run.prompt.text)
    # All of it on one screen, as `optimizer show` prints it:
    print(run.report(width=100))


if __name__ == "__main__":
    main()
