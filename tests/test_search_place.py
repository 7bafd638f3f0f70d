"""What an output says of one cause."""

from __future__ import annotations

from optimizer.results import Completion, Result, Score
from optimizer.search.place import told_of


def scored(output: str, *scores: tuple[str, str | None]) -> Result:
    told = tuple(Score(metric=key, value=0.0, passed=False, reason="no", got=got) for key, got in scores)
    done = Completion(text=output)
    return Result(example="r", candidate="c", completion=done, scores=told)


def test_of_several_fields_one_tells_of_itself_alone():
    answer = scored('{"desk": "lagoon", "mood": "drum"}', ("desk", "lagoon"), ("mood", "drum"))
    assert told_of(answer, ("mood",)) == "drum"
    assert told_of(answer, ("desk", "mood")) == "lagoon\ndrum"
    assert told_of(scored("all of it", ("mood", None)), ("mood",)) == "all of it"
    assert told_of(scored("all of it", ("mood", "drum")), ("other",)) == "all of it"
