"""The user's own check: `python`."""

from optimizer.metrics.python.check import Python

__all__ = ["Python"]
