"""Faults by name, and scripts that decide which request meets one."""

from __future__ import annotations

import pytest

from optimizer.testing.faults import FORMS, Fault, Seen, always, asking, by_rate, parse_fault, parse_script, refuse


def test_rates_are_kept_and_depend_on_nothing_but_the_request():
    def shown(seed: int) -> list[str | None]:
        script = by_rate({"429": 0.05, "hang": 0.02}, seed)
        faults = [script(Seen(index=0, key=f"{number}", attempt=1, body={})) for number in range(4000)]
        return [None if fault is None else fault.form for fault in faults]

    first = shown(1)
    assert first == shown(1) != shown(2)
    assert 140 < first.count("status") < 260 and 45 < first.count("hang") < 120


@pytest.mark.parametrize("text", ["", "status", "200", "700", "nonsense", "4.5"])
def test_unknown_faults_are_refused(text):
    with pytest.raises(ValueError, match="unknown fault"):
        parse_fault(text)


def test_known_faults_are_not():
    assert [parse_fault(form).form for form in FORMS[1:]] == list(FORMS[1:])
    assert parse_fault("429").headers == {"Retry-After": "0.2"} and parse_fault("500").headers == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("429/after=abc", refuse(429, retry_after="abc")),
        ("429/none", refuse(429)),
        ("429/ms=200", Fault(form="status", status=429, headers={"Retry-After-Ms": "200"})),
        ("503/date=2", Fault(form="status", status=503, date_in=2.0)),
        ("429/none/code=insufficient_quota", refuse(429, code="insufficient_quota")),
        ("trickle/every=0.5", Fault(form="trickle", every=0.5)),
        ("garbage/size=9", Fault(form="garbage", size=9)),
    ],
)
def test_settings_of_a_fault(text, fault):
    assert parse_fault(text) == fault
    with pytest.raises(ValueError, match="unknown setting"):
        parse_fault(f"{text}/sometimes")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("always:503", ["503"] * 4),
        ("turn:503,none,hang", ["503", None, "hang", None]),
        ("first:2:reset", ["reset", "reset", None, None]),
        ("rate:503=1.0", ["503"] * 4),
    ],
)
def test_scripts(text, shown):
    script = parse_script(text)
    faults = [script(Seen(index=at, key="0" * 64, attempt=at + 1, body={})) for at in range(4)]
    assert [fault and fault.name for fault in faults] == shown


def test_a_script_for_some_requests():
    script = asking("Romeo", always(refuse(500)))
    requests = [
        Seen(index=0, key="k", attempt=1, body={"messages": [{"role": "user", "content": text}]})
        for text in ("who is Romeo?", "who is Bob?")
    ]
    assert [script(seen) is None for seen in requests] == [False, True]


@pytest.mark.parametrize("text", ["", "503", "often:503", "turn:nonsense", "first:x:503", "rate:503"])
def test_unknown_scripts_are_refused(text):
    with pytest.raises(ValueError):
        parse_script(text)
