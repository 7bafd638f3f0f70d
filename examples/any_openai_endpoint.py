"""A run against an endpoint that speaks the OpenAI protocol.

    python examples/any_openai_endpoint.py

Here it is the package's own server on loopback, which answers as the stand-in does and asks for no key. For a real
endpoint the same lines do, with another name and address:

    export OPENAI_API_KEY=...

    model = {"name": "openai/my-model", "base_url": "https://llm.example.com/v1"}
    optimizer.optimize("evals/romeo-bob.yaml", overrides={"model": model, "calls": 600})

The key is read from the environment; it goes into no file. Without `base_url` the name goes to OpenAI itself, and a
name without `openai/` in front to the provider that litellm knows by it. A model named among the overrides proposes
the edits as well; `"mutator": "none"` does without.
"""

import optimizer
from optimizer.testing.server import running_server


def main() -> None:
    """Run the demo over HTTP."""
    with running_server() as server:
        model = {"name": "openai/offline:perfect", "base_url": server.base_url}
        run = optimizer.optimize("evals/romeo-bob.yaml", overrides={"model": model, "calls": 600})
        answered = server.stats()["answered"]
    print(run.verdict)
    print(run.prompt.text)
    print(f"{run.summary()['calls']['total']} calls paid, {answered} counted by the server")


if __name__ == "__main__":
    main()
