"""Commands that look at the store of paid answers."""

from __future__ import annotations

from optimizer.cli import find, options, out


def stats(as_json: options.Json = False) -> None:
    """Count the answers that are kept, and what they saved."""
    from optimizer.cli import cache_facts

    facts = cache_facts.facts(find.ROOT)
    if as_json:
        out.data(facts)
    else:
        out.page(cache_facts.page(facts))
