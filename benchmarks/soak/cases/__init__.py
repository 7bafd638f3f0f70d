"""One file a kind of fault, each with `CASES`."""
