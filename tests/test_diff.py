import json
from dataclasses import replace

import pytest
from rich.cells import cell_len

from optimizer.dataset import Split
from optimizer.diff import diff, render
from optimizer.edits import Edit, Op, added_demo, apply
from optimizer.prompt import Demo, Prompt, build
from optimizer.store import RunReader
from tests.sample_run import RUN, SEED, WINNER, events, meta, version, write


def prompt(*lines: str, ids: list[str] | None = None) -> Prompt:
    return build("p", [("system", "\n".join(lines))], line_ids=ids)


def changes(before: Prompt, after: Prompt) -> list[tuple[str, str]]:
    return [(line.change, line.id) for line in diff(before, after).changes]


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (prompt("a", "b"), prompt("a", "b"), []),
        (prompt("a", "b"), prompt("a", "b", "c"), [("added", "L3")]),
        (prompt("a", "b", "c"), prompt("a", "c", ids=["L1", "L3"]), [("removed", "L2")]),
        (prompt("Answer briefly.", "b"), prompt("Answer in full.", "b"), [("replaced", "L1")]),
        # Numbered anew: text counts more than ids.
        (prompt("one", "two", "three"), prompt("zero", "one", "two", "three"), [("added", "L1")]),
        # One id stays one line, however little it has in common.
        (prompt("a", "xyz"), prompt("a", "quite something else"), [("replaced", "L2")]),
        # No id in common: alike is replaced, unlike is removed and added.
        (
            prompt("Say Bob, never Romeo.", ids=["L1"]),
            prompt("Say Bob, and never Romeo.", ids=["L9"]),
            [("replaced", "L9")],
        ),
        (prompt("Say Bob.", ids=["L1"]), prompt("Quote the source", ids=["L9"]), [("added", "L9"), ("removed", "L1")]),
        (prompt("a <!-- keep -->"), prompt("a"), []),
    ],
)
def test_lines_are_matched(before, after, changed):
    assert changes(before, after) == changed


def test_every_line_of_both_versions_is_there_once():
    before = prompt("one", "two", "three", "four", "five")
    after = prompt("zero", "two", "3", "five", "six", "four", ids=["L9", "L2", "L3", "L5", "L10", "L4"])
    found = diff(before, after)
    assert sorted(line.before.id for line in found.lines if line.before) == [f"L{n}" for n in range(1, 6)]
    assert [line.after.id for line in found.lines if line.after] == ["L9", "L2", "L3", "L5", "L10", "L4"]


def test_words_inside_a_line_are_marked():
    (line,) = diff(prompt("Answer  briefly, please."), prompt("Answer  in one word, please.")).changes
    assert [(part.change, part.text) for part in line.words] == [
        ("same", "Answer  "),
        ("removed", "briefly"),
        ("added", "in one word"),
        ("same", ", please."),
    ]


def test_a_message_that_came_and_a_role_that_changed():
    before = build("p", [("user", "a")])
    after = build("p", [("system", "a"), ("user", "b")])
    found = diff(before, after)
    assert [(line.change, line.role, line.message) for line in found.lines] == [
        ("same", "user -> system", 0),
        ("added", "user", 1),
    ]


def test_settings_that_changed_are_told():
    before = replace(SEED, params={"temperature": 0, "stop": None})
    after = replace(SEED, params={"temperature": 0.2, "seed": 1}, variables=frozenset({"ticket", "lang"}))
    assert diff(before, after).settings == (
        "parameter seed: not set -> 1",
        "parameter stop: null -> not set",
        "parameter temperature: 0 -> 0.2",
        "variables added: lang",
    )


def test_demos_are_compared_like_lines_by_what_is_sent_of_them():
    shown = [Demo(inputs={"q": text}, output=text.upper()) for text in "abc"]
    before = build("p", [("user", "{{ q }}")], demos=shown[:2])
    after = apply(before, [Edit(op=Op.REMOVE_DEMO, target="D1"), added_demo(shown[2], cluster="")])
    found = diff(before, after)
    assert [(line.change, line.id, line.role) for line in found.changes] == [
        ("removed", "D1", "demos"),
        ("added", "D3", "demos"),
    ]
    again = [replace(demo, id=name) for demo, name in zip(shown, ("D9", "D8"), strict=False)]
    assert diff(before, build("p", [("user", "{{ q }}")], demos=again)).changes == ()
    page = render(found).plain
    assert "[demos]" in page and "- D1" in page and '"c" -> "C"' in page


def test_a_run_says_why_and_what_it_is_worth(tmp_path):
    write(tmp_path, events())
    with RunReader(tmp_path, RUN) as reader:
        found = diff(SEED, version(WINNER, 2), reader=reader)
    replaced, added = found.changes
    assert replaced.price is not None and added.price is not None
    assert (added.price.why, added.price.cluster) == ("dates were read as US", "date read as US order")
    assert (added.price.worth, added.price.ci, added.price.label) == (0.25, (0.15, 0.35), "earns")
    assert replaced.price.label == "not measurable"
    assert found.flips[Split.TEST].fixed == ("r2", "r5", "r8") and found.flips[Split.TEST].broken == ()
    told = found.to_json()
    assert json.loads(json.dumps(told)) == told
    assert told["lines"][1]["worth"] == 0.25 and told["before"]["ref"] == "triage@v1"
    assert told["flips"]["val"] == {"rows": 4, "fixed": ["r1", "r4", "r7"], "broken": []}


def test_a_run_says_nothing_of_lines_that_it_does_not_know(tmp_path):
    write(tmp_path, events())
    with RunReader(tmp_path, RUN) as reader:
        found = diff(SEED, prompt("L4 is another line here", "by hand"), reader=reader)
    assert all(line.price is None for line in found.changes) and found.flips == {}


def test_the_page_without_colour(tmp_path):
    write(tmp_path, events())
    with RunReader(tmp_path, RUN) as reader:
        page = render(diff(SEED, version(WINNER, 2), reader=reader), 80).plain
    assert (
        page.splitlines()
        == """\
triage@v1 -> triage@v2  1 added, 1 replaced, 0 removed

[system]
  L1    Sort the ticket.
- L2    Answer [-briefly-].
+ L2    Answer {+in one word+}.
        why: too long an answer; too long
        worth: +5.0 [-5.0, +15.0] not measurable (30 rows, optimistic)
        fixed by it: 1: r1
+ L4    Dates are day first.
        why: date read as US order; dates were read as US
        worth: +25.0 [+15.0, +35.0] earns with L2 (30 rows, optimistic)
        fixed by it: 1: r1

rows that flipped
 train  fixed 4, broken 0 of 4 rows
        fixed: r0, r3, r6, r9
 val    fixed 3, broken 0 of 4 rows
        fixed: r1, r4, r7
 test   fixed 3, broken 0 of 4 rows
        fixed: r2, r5, r8""".splitlines()
    )


def test_the_page_with_colour_marks_by_style():
    page = render(diff(SEED, WINNER), 80, True)
    assert "[-" not in page.plain and {"red", "green"} <= {str(span.style) for span in page.spans}


def test_lines_far_from_a_change_are_left_out():
    lines = [f"line {n}" for n in range(20)]
    page = render(diff(prompt(*lines), prompt(*lines[:10], "new", *lines[10:])), 60).plain
    assert "  ... 8 lines as before" in page and "line 8" in page and "line 7" not in page


def test_the_stand_in_is_named_on_the_page(tmp_path):
    write(tmp_path, events(), about=meta(stand_in=True))
    with RunReader(tmp_path, RUN) as reader:
        found = diff(SEED, WINNER, reader=reader)
    page = render(found, 120).plain
    assert "earns with L2 (30 rows, optimistic, stand-in)" in page and "rows that flipped (stand-in)" in page
    assert found.to_json()["stand_in"] is True


@pytest.mark.parametrize("width", [60, 80, 200])
def test_hostile_and_long_lines_stay_on_the_page(width):
    before = prompt("plain", "\x1b[2Jold \u202e text " + "word " * 60)
    after = prompt("plain", "\x1b[2Jnew \u202e text " + "wörd " * 60 + "日" * 150)
    for color in (False, True):
        page = render(diff(before, after), width, color).plain
        assert not set("\x1b\u202e") & set(page)
        assert all(cell_len(line) <= width for line in page.splitlines())
