"""What refusals at random cost: `python -m benchmarks.refusals`, in virtual time, so the figures are the same anywhere.

An account refuses a share of the calls with 429, whatever is sent. Each run is held against the same calls with the
same refusals where no call waits for another: what its repeats take, and no more.
"""

from __future__ import annotations

import argparse
from statistics import mean

from tests.refusals import Account, Ended, by_chance, through_the_gate, with_retries_alone

SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
SHAPES = ((0.02, 0.02), (1.0, 1.0), (1.0, 0.05), (10.0, 0.1))
"""Seconds of an answer, and of a refusal."""
CALLS = 300


def pair(share: float, answer: float, refusal: float, told: float | None, seed: int) -> tuple[Ended, Ended]:
    """One run through the gate, and with repeats alone."""

    def account() -> Account:
        return Account(refuses=by_chance(share), answer=answer, refusal=refusal, told=told, seed=seed)

    return through_the_gate(account(), calls=CALLS), with_retries_alone(account(), calls=CALLS)


def cell(runs: list[tuple[Ended, Ended]]) -> str:
    """Seconds of the gate, how many times the seconds of repeats alone these are, and calls that failed beyond them."""
    gate, alone = (mean(one[which].seconds for one in runs) for which in (0, 1))
    worse = sum(len(one.failed) - len(other.failed) for one, other in runs)
    return f"{gate:,.0f} s, {gate / alone:.1f}x" + (f", {worse:+} failed" if worse else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="runs a cell (10)")
    parser.add_argument("--told", type=float, help="seconds of a Retry-After; none where it is left out")
    chosen = parser.parse_args()
    print("| an answer, a refusal | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |")
    print("| --- " * (1 + len(SHARES)) + "|")
    for answer, refusal in SHAPES:
        rows = ([pair(share, answer, refusal, chosen.told, seed) for seed in range(chosen.seeds)] for share in SHARES)
        print(f"| {answer:g} s, {refusal:g} s | " + " | ".join(map(cell, rows)) + " |", flush=True)


if __name__ == "__main__":
    main()
