"""What each changed line is worth: the winner against the winner without it, paired by row.

Rows of val, and rows of train that the line's proposer did not see, judge it. What does not earn is dropped, and the
drop is verified. All of it stays within the plan's reserve for attribution.
"""

from __future__ import annotations

from optimizer.attribute.cause import NO_CAUSE, Cause, Priced
from optimizer.attribute.run import attribute
from optimizer.attribute.survey import Known

__all__ = ["NO_CAUSE", "Cause", "Known", "Priced", "attribute"]
