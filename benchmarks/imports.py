"""What each runtime dependency costs at import.

Every figure is the wall time of a fresh interpreter that imports one package and ends, median of several runs after
one that warms the disk cache and the bytecode. The row `(nothing)` is the interpreter alone; it is part of every
other row. Run it on a quiet machine:

    python benchmarks/imports.py --repeats 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import version

PACKAGES = {
    "aiohttp": "aiohttp",
    "diskcache": "diskcache",
    "jsonschema": "jsonschema",
    "litellm": "litellm",
    "openai": "openai",
    "optuna": "optuna",
    "pandas": "pandas",
    "pydantic": "pydantic",
    "pyyaml": "yaml",
    "regex": "regex",
    "rich": "rich.console",
    "typer": "typer",
}
"""Distribution -> the module that is imported."""

ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
"""As the optimizer sets it before it imports litellm: no price map from the network, no .env of the folder."""

COUNT = "import sys; before = len(sys.modules); {statement}; print(len(sys.modules) - before)"


def wall_ms(statement: str) -> float:
    """Milliseconds from the start of a fresh interpreter to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=os.environ | ENVIRONMENT)
    return (time.perf_counter() - start) * 1000


def modules(statement: str) -> int:
    """Number of modules that the statement loads."""
    code = COUNT.format(statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return int(done.stdout.split()[-1])


def main() -> None:
    """Print the table, cheapest first."""
    parser = argparse.ArgumentParser(description="Time the import of every runtime dependency.")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each (5)")
    parser.add_argument("packages", nargs="*", metavar="package", help="only these (all)")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats needs at least 1")
    unknown = sorted(set(options.packages) - set(PACKAGES))
    if unknown:
        parser.error(f"no such dependency: {', '.join(unknown)} (there are: {', '.join(PACKAGES)})")

    wanted = options.packages or list(PACKAGES)
    rows = {"(nothing)": "pass"} | {f"{name} {version(name)}": f"import {PACKAGES[name]}" for name in wanted}
    loaded = {label: modules(statement) for label, statement in rows.items()}
    # Interleaved: a busy moment of the machine then touches every row alike.
    times: dict[str, list[float]] = {label: [] for label in rows}
    for _ in range(options.repeats):
        for label, statement in rows.items():
            times[label].append(wall_ms(statement))

    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, median of {options.repeats}\n")
    print("| import | ms | modules |")
    print("|---|---:|---:|")
    for label in sorted(rows, key=lambda row: statistics.median(times[row])):
        print(f"| {label} | {statistics.median(times[label]):,.0f} | {loaded[label]:,} |")


if __name__ == "__main__":
    main()
