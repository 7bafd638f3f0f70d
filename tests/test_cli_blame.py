"""`blame`: each line with its worth and its origin, back through the versions that led to it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from optimizer.edits import END, Edit, Op, added_demo, apply
from optimizer.events import RunEnded
from optimizer.outcome import LineWorth, Outcome
from optimizer.prompt import Demo, Prompt
from optimizer.readers.provenance import Provenance
from optimizer.readers.versions import save_version
from optimizer.ship import provenance
from tests import sample_run
from tests.cli_case import cli
from tests.sample_run import RUN, SEED, WINNER

DEMO = Demo(inputs={"ticket": "Where is it?"}, output="delivery")
THIRD = replace(
    apply(
        WINNER,
        [
            Edit(op=Op.ADD_LINE, after=END, text="Say please.", cluster="c1"),
            added_demo(DEMO, cluster="c2"),
            Edit(op=Op.REMOVE_LINE, target="L1", cluster="c3"),
        ],
    ),
    version=None,
)


def price(unit: str, text: str, change: str = "added") -> LineWorth:
    found = sample_run.worth(unit, text, 0.125, f"cause of {unit}")
    return replace(found, change=change)


def later(**changes: Any) -> Outcome:
    """The outcome of a second run, which made the third version of the second."""
    lines = (price("L5", "Say please."), price("D1", DEMO.line.text), price("L1", "Sort the ticket.", "removed"))
    return replace(sample_run.outcome(), lines=lines, seed=WINNER.fingerprint, winner=THIRD.fingerprint, **changes)


def write_versions(root: Path) -> None:
    """v1 by a person, v2 by the stored run, v3 by a run that is gone."""
    first = replace(SEED, version=1)
    save_version(first, None, root / "prompts")
    save_version(WINNER, provenance(first, WINNER, sample_run.outcome(), RUN), root / "prompts")
    second = replace(WINNER, version=2)
    save_version(THIRD, provenance(second, THIRD, later(), "gone"), root / "prompts")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_versions(tmp_path)
    sample_run.write(tmp_path, sample_run.events(), about=sample_run.meta(stand_in=True))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(target: str) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in cli("blame", target, "--json").json["lines"]}


def test_every_line_names_what_brought_it_and_what_it_is_worth(workspace: Path) -> None:
    told = cli("blame", "triage@v3", "--json").json
    assert told["versions"] == ["triage@v3", "triage@v2", "triage@v1"]
    found = lines("triage@v3")
    origins = {unit: (line["origin"], line["version"], line["run"]) for unit, line in found.items()}
    assert origins == {
        "L2": ("run", "triage@v2", RUN),
        "L3": ("seed", "triage@v1", None),
        "L4": ("run", "triage@v2", RUN),
        "L5": ("run", "triage@v3", "gone"),
        "D1": ("run", "triage@v3", "gone"),
    }
    assert (found["L4"]["worth"], found["L4"]["ci"], found["L4"]["label"]) == (0.25, [0.15, 0.35], "earns")
    assert found["L4"]["cluster"] == "date read as US order" and found["L4"]["fixed"] == ["r1"]
    assert found["L4"]["stand_in"] is True and found["L5"]["stand_in"] is False
    assert (found["L5"]["worth"], found["L5"]["label"], found["L5"]["cluster"]) == (0.125, "earns", "cause of L5")
    assert found["D1"]["role"] == "demo" and found["D1"]["text"] == DEMO.line.text and found["D1"]["tokens"] > 8
    assert found["L3"]["worth"] is None and found["L3"]["tokens"] > 1
    assert [(line["id"], line["version"], line["worth"]) for line in told["removed"]] == [("L1", "triage@v3", 0.125)]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_page_fits_the_terminal(workspace: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    page = cli("blame", "triage@v3").out
    assert all(len(line) <= width for line in page.splitlines())
    assert "v1 seed  {{ ticket }}\n" in page
    assert "+25.0 [+15.0, +35.0] earns with L2 (stand-in), for:" in " ".join(page.split())
    assert "Dates are day first." in page and "removed on the way" in page


def test_a_run_and_the_version_that_it_wrote_say_the_same(workspace: Path) -> None:
    by_run, by_version = lines(RUN), lines("triage@v2")
    assert by_run == by_version
    assert cli("blame", "--json").json["run"] == RUN, "the latest run by default"


def test_a_run_that_has_not_ended_tells_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample_run.write(tmp_path, sample_run.until(RunEnded, sample_run.events()))
    found = lines(RUN)
    assert (found["L4"]["origin"], found["L4"]["worth"]) == ("run", 0.25)
    assert found["L1"]["origin"] == "seed"


def test_where_the_parents_file_is_gone_the_run_knows_its_seed(workspace: Path) -> None:
    Path("prompts/triage/v1.yaml").unlink()
    assert lines("triage@v2")["L1"] == {**lines("triage@v2")["L1"], "origin": "seed", "version": "triage@v1"}


def test_where_all_is_gone_the_origin_is_unknown(workspace: Path) -> None:
    Path("prompts/triage/v2.yaml").unlink()
    shutil.rmtree("runs")
    found = lines("triage@v3")
    assert found["L5"]["label"] == "earns", "the version's own record"
    assert {found[unit]["origin"] for unit in ("L2", "L3", "L4")} == {"unknown"}
    assert "v3 unknown" in cli("blame", "triage@v3").out


def test_a_version_says_that_a_stand_in_measured_it_when_its_run_is_gone(workspace: Path) -> None:
    second = replace(WINNER, version=2)
    save_version(
        replace(THIRD, name="other"), provenance(second, THIRD, later(), "gone", stand_in=True), Path("prompts")
    )
    told = {line["id"]: line for line in cli("blame", "other@v1", "--json").json["lines"]}
    assert told["L5"]["stand_in"] is True
    (version,) = cli("log", "other", "--json").json
    assert version["stand_in"] is True and "(stand-in)" in cli("log", "other").out


def test_a_line_that_a_person_changed_says_so(workspace: Path) -> None:
    path = Path("prompts/triage/v2.yaml")
    path.write_text(path.read_text("utf-8").replace("Dates are day first.", "Dates are month first.", 1), "utf-8")
    told = cli("blame", "triage@v2", "--json").json
    assert "edited by hand" in told["note"]
    assert {line["text"]: line["origin"] for line in told["lines"]} == {
        "Sort the ticket.": "seed",
        "Answer in one word.": "run",
        "Dates are month first.": "hand",
        "{{ ticket }}": "seed",
    }


def test_versions_that_point_at_each_other_end_the_walk(workspace: Path) -> None:
    def looped(prompt: Prompt, number: int, parent: int) -> None:
        path = Path(f"prompts/loop/v{number}.yaml")
        path.unlink(missing_ok=True)
        origin = Provenance(parent=f"loop@v{parent}", run="gone")
        save_version(replace(prompt, name="loop"), origin, Path("prompts"))

    looped(SEED, 1, 2)
    looped(WINNER, 2, 1)
    assert cli("blame", "loop@v2", "--json").json["versions"] == ["loop@v2", "loop@v1"]


def test_hostile_lines_do_not_steer_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.json").write_text(r'[{"role": "user", "content": "a\u001b]0;x\u0007\u202e {{ q }}"}]', "utf-8")
    for arguments in (["blame", "p.json"], ["blame", "p.json", "--json"]):
        done = cli(*arguments)
        assert done.code == 0 and not {"\x1b", "\x07", "\u202e"} & set(done.out)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("traige@v2", "did you mean 'triage'?"),
        ("triage@v9", "there are v1 to v3"),
        ("traige", "there is a prompt 'triage'"),
        (f"{RUN[:-1]}x", f"did you mean {RUN}?"),
    ],
)
def test_a_wrong_name_is_met_with_the_right_one(workspace: Path, name: str, hint: str) -> None:
    done = cli("blame", name)
    assert done.code == 2 and hint in done.err and done.err.count("\n") == 1
