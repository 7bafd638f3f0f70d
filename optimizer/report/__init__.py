"""What a run came to: facts as values, and the screen that tells them in a minute."""

from optimizer.report.screen import one_minute
from optimizer.report.summary import summary

__all__ = ["one_minute", "summary"]
