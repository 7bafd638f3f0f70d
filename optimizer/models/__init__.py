"""Models behind one gate: `cache(single_flight(retry(limit(budget(provider)))))`."""
