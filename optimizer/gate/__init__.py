"""May this prompt be shipped? Limits held against the rows of a run, told to people, test reports and pull requests."""

from optimizer.gate.checks import Check, Gate, Limits, Status, judge
from optimizer.gate.evidence import Answer, Evidence, Row, of_run, of_scores

__all__ = ["Answer", "Check", "Evidence", "Gate", "Limits", "Row", "Status", "judge", "of_run", "of_scores"]
