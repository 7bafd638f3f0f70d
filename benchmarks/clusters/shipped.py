"""The eval sets that ship, answered by the offline stand-in: failures whose causes their tags and fields tell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from optimizer import evaluate
from optimizer.dataset import Example
from optimizer.failures import Cluster

ROOT = Path(__file__).parent.parent.parent
JSON_LINE = 'Answer with only a JSON object with the keys "sentiment" and "business_type", and nothing else.'
Causes = Mapping[str, frozenset[str]]
"""Id of a failing row -> its true causes."""


def romeo_bob() -> tuple[Causes, Sequence[Cluster]]:
    """The seed prompt does not say what the house calls Romeo: one cause, in questions of many kinds."""
    clusters = _clusters("romeo-bob")
    return {key: frozenset({"the name"}) for key in _rows(clusters)}, clusters


def reviews(*, json_asked: bool) -> tuple[Causes, Sequence[Cluster]]:
    """The seed prompt asks for no JSON, which is one cause; once it does, three more show themselves.

    The kinds of business have names of the house, which the prompt does not list. How a customer feels is misread in
    reviews that have two sides, that imply it, or that are ironic: their tag says which.
    """
    clusters = _clusters("reviews", JSON_LINE if json_asked else "")
    rows = _rows(clusters)
    causes: dict[str, set[str]] = {key: set() for key in rows}
    for cluster in clusters:
        for member in cluster.members:
            for score in member.failed:
                causes[member.example.id].add(_review_cause(member.example, score.place, score.reason))
    return {key: frozenset(found) for key, found in causes.items()}, clusters


def _review_cause(example: Example, place: str, reason: str) -> str:
    if place == "$.sentiment":
        return f"sentiment: {example.tags[0]}"
    return "names of businesses" if place == "$.business_type" else reason


def _rows(clusters: Sequence[Cluster]) -> dict[str, Example]:
    return {member.example.id: member.example for cluster in clusters for member in cluster.members}


def _clusters(name: str, line: str = "") -> Sequence[Cluster]:
    """Clusters of the seed prompt on train and val, with one more line at its end."""
    import yaml

    seed = yaml.safe_load((ROOT / "prompts" / name / "v1.yaml").read_text(encoding="utf-8"))["messages"]
    system, *rest = ({"role": message["role"], "content": message["content"]} for message in seed)
    system["content"] += line
    with TemporaryDirectory() as folder:
        prompt = Path(folder) / "prompt.json"
        prompt.write_text(json.dumps([system, *rest]), encoding="utf-8")
        return evaluate(ROOT / "evals" / f"{name}.yaml", overrides={"prompt": prompt}, root=folder).clusters
