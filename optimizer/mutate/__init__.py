"""Clusters -> edits: who proposes, and what is refused."""
