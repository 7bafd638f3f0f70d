"""Other published intervals for (up - down) / n of paired rows: what ours is compared with, and checked against."""

from __future__ import annotations

import math

Z95 = 1.959963984540054


def agresti_min(up: float, down: float, n: float) -> tuple[float, float]:
    """Wald with half a row added to each of the four cells. Agresti and Min, Statistics in Medicine 24 (2005)."""
    rows = n + 2
    gain = (up - down) / rows
    half = Z95 * math.sqrt(max(up + down + 1 - (up - down) ** 2 / rows, 0.0)) / rows
    return max(gain - half, -1.0), min(gain + half, 1.0)


def bonett_price(up: float, down: float, n: float) -> tuple[float, float]:
    """Wald with a row added to each way of differing. Bonett and Price, J. Educ. Behav. Stat. 37 (2012)."""
    first, second = (up + 1) / (n + 2), (down + 1) / (n + 2)
    gain = first - second
    half = Z95 * math.sqrt((first + second - gain**2) / (n + 2))
    return max(gain - half, -1.0), min(gain + half, 1.0)


def tango(up: float, down: float, n: float) -> tuple[float, float]:
    """Score interval: gains that a score test would not reject. Tango, Statistics in Medicine 17 (1998)."""
    gain = (up - down) / n
    return _where(up, down, n, Z95, (-1.0, gain)), _where(up, down, n, -Z95, (gain, 1.0))


def _where(up: float, down: float, n: float, wanted: float, within: tuple[float, float]) -> float:
    """The gain at which the score statistic, which falls as the gain grows, has this value."""
    low, high = within
    for _ in range(50):
        middle = (low + high) / 2
        if _score(up, down, n, middle) > wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _score(up: float, down: float, n: float, gain: float) -> float:
    """Score statistic of this gain, the share of rows down being what is likeliest under it."""
    linear = -up - down + (2 * n - up + down) * gain
    root = math.sqrt(max(linear**2 + 8 * n * down * gain * (1 - gain), 0.0))
    share_down = (root - linear) / (4 * n)
    variance = n * (2 * share_down + gain * (1 - gain))
    difference = up - down - n * gain
    if variance <= 0:
        return math.copysign(math.inf, difference) if difference else 0.0
    return difference / math.sqrt(variance)
