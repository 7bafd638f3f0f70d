"""What becomes a version file."""

from __future__ import annotations

import pytest

from optimizer.export.base import facts
from optimizer.outcome import Verdict
from optimizer.readers.prompts import load_version
from optimizer.readers.versions import list_versions
from optimizer.ship import ship
from tests.sample_run import SEED, WINNER, outcome


def test_the_winner_is_written_once_with_the_reasons_of_its_lines(tmp_path):
    first = ship(SEED, WINNER, outcome(), run_id="r1", folder=tmp_path)
    again = ship(SEED, WINNER, outcome(), run_id="r2", folder=tmp_path)
    (path,) = list_versions(tmp_path / "triage")
    assert first.kind == "written" and first.figures == again.figures == {"path": str(path), "version": 1}
    loaded = load_version(path)
    assert loaded.prompt.fingerprint == WINNER.fingerprint and not loaded.edited_by_hand
    assert loaded.provenance is not None and loaded.provenance.run == "r1"
    told = {edit.line: (edit.op, edit.cluster) for edit in loaded.provenance.edits}
    assert told == {"L2": ("replace_line", "too long an answer"), "L4": ("add_line", "date read as US order")}


@pytest.mark.parametrize("verdict", [Verdict.WORSE, Verdict.BLOCKED])
def test_a_winner_that_does_harm_is_not_written(tmp_path, verdict):
    told = ship(SEED, WINNER, outcome(verdict), run_id="r1", folder=tmp_path)
    assert told.kind == "not written" and not list(tmp_path.iterdir())


def test_a_version_that_somebody_broke_does_not_stop_the_winner(tmp_path):
    home = tmp_path / "triage"
    home.mkdir()
    (home / "v3.yaml").write_text("messages: [", encoding="utf-8")
    told = ship(SEED, WINNER, outcome(), run_id="r1", folder=tmp_path)
    assert told.figures["version"] == 4


def test_a_version_keeps_that_a_stand_in_measured_it(tmp_path):
    ship(SEED, WINNER, outcome(), run_id="r1", folder=tmp_path, stand_in=True)
    loaded = load_version(next((tmp_path / WINNER.name).iterdir()))
    assert loaded.provenance is not None and loaded.provenance.stand_in
    assert facts(loaded.prompt, loaded.provenance)["provenance"]["stand_in"] is True


def test_a_version_that_a_model_measured_says_nothing_of_a_stand_in(tmp_path):
    ship(SEED, WINNER, outcome(), run_id="r1", folder=tmp_path)
    assert "stand_in" not in next((tmp_path / WINNER.name).iterdir()).read_text(encoding="utf-8")
