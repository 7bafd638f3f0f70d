"""promptfoo: the prompt as a config, and the eval set as its regression suite."""

from optimizer.export.promptfoo.config import Export
from optimizer.export.promptfoo.suite import Suite, with_rows

__all__ = ["Export", "Suite", "with_rows"]
