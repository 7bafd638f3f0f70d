"""A gate as JUnit XML: one test case a row, and the checks as a suite of their own.

Of the format's many dialects this writes what the schema of Jenkins' xUnit plugin allows and all readers know: no
attribute is used that only some have. A row that failed has a `failure`; one that ended in an error has an `error`; one
that was not asked is `skipped`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from optimizer.gate.checks import Check, Gate, Status
from optimizer.gate.evidence import Evidence, Row
from optimizer.report.sheet import STAND_IN
from optimizer.terminal import clean

MOST_TEXT = 4000
"""Characters of one text that are written."""
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


def junit(gate: Gate) -> str:
    """The XML, with its declaration; valid for any text of rows, models and prompts."""
    evidence = gate.evidence
    root = ET.Element("testsuites", name=_text(f"optimizer: {evidence.subject}"))
    cases = []
    for split, rows in groupby(evidence.rows, key=lambda row: row.split):
        found = [_row(evidence, row) for row in rows]
        root.append(_suite(f"{evidence.prompt} on {split.value}", found))
        cases += found
    checks = [_check(check) for check in gate.checks]
    suite = _suite("gate", checks)
    suite.insert(0, _properties(evidence))
    root.append(suite)
    _count(root, [*cases, *checks])
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(name: str, cases: Sequence[ET.Element]) -> ET.Element:
    suite = ET.Element("testsuite", name=_text(name))
    _count(suite, cases)
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.extend(cases)
    return suite


def _count(element: ET.Element, cases: Sequence[ET.Element]) -> None:
    element.set("tests", str(len(cases)))
    for name, attribute in (("failure", "failures"), ("error", "errors")):
        element.set(attribute, str(sum(case.find(name) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _properties(evidence: Evidence) -> ET.Element:
    told = {
        "model": evidence.model,
        "prompt": evidence.prompt,
        "rows": evidence.on,
        **({"verdict": evidence.verdict.value} if evidence.verdict else {}),
        **({"figures": f"{STAND_IN}, no real model"} if evidence.stand_in else {}),
    }
    properties = ET.Element("properties")
    for name, value in told.items():
        ET.SubElement(properties, "property", name=name, value=_text(value))
    return properties


def _row(evidence: Evidence, row: Row) -> ET.Element:
    answer = row.after
    seconds = answer.seconds if answer else 0.0
    name = _text(f"{evidence.prompt}.{row.split.value}")
    case = ET.Element("testcase", classname=name, name=_text(row.id), time=f"{seconds:.3f}")
    if answer is None:
        ET.SubElement(case, "skipped", message="was not asked")
    elif answer.error:
        error = ET.SubElement(case, "error", type=answer.error, message=_text(answer.message))
        error.text = "The row has no score: an error is no wrong answer."
    elif not answer.passed:
        fell = " (passed with the old prompt)" if row.before is not None and row.before.passed else ""
        reasons = answer.reasons or ("a required metric failed",)
        failure = ET.SubElement(case, "failure", type="failed", message=_text(f"{reasons[0]}{fell}"))
        failure.text = _text("\n".join(reasons), lines=True)
    return case


def _check(check: Check) -> ET.Element:
    case = ET.Element("testcase", classname="gate", name=check.name, time="0.000")
    if check.status is Status.FAILED:
        ET.SubElement(case, "failure", type=check.status.value, message=_text(check.told))
    elif check.status is Status.CANNOT_SAY:
        ET.SubElement(case, "error", type=check.status.value, message=_text(check.told))
    else:
        ET.SubElement(case, "system-out").text = _text(check.told)
    return case


def _text(text: str, *, lines: bool = False) -> str:
    """Text that XML can hold: what it cannot, and what no reader should obey, is written as an escape."""
    cut = text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}..."
    return _ILLEGAL.sub(lambda found: ascii(found[0])[1:-1], clean(cut, lines=lines))
