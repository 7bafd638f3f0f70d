import asyncio
import json
from dataclasses import replace

import pytest

from optimizer.events import CallEnded, CallSaved, CallSent, CandidateMade, Decided, ResultKnown
from optimizer.outcome import Phase, Role
from optimizer.prompt import build
from optimizer.redaction import Scrubber
from optimizer.store import RunReader, open_run
from tests.sample_run import RUN, completion, emit, evalset, events, meta, result

KEY = "canary-value-0123456789"
ENVIRON = {
    "OPENAI_API_KEY": KEY,
    "GITHUB_TOKEN": 'quo"ted\\token\nline',
    "DB_PASSWORD": "pässwörd-pg",
    "AWS_SECRET_ACCESS_KEY": "aws-canary-0123456789",
    "AZURE_OPENAI_KEY": "azure-canary-0123456789",
    "SORT_KEY": "position",
    "APP_SECRET": "short",
    "HOME": "/home/someone",
}


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (f"key {KEY}!", "key [redacted]!"),
        ("pässwörd-pg", "[redacted]"),
        ("aws-canary-0123456789 and azure-canary-0123456789", "[redacted] and [redacted]"),
        ("its position", "its position"),
        ("a short one stays, and so does /home/someone", "a short one stays, and so does /home/someone"),
        ("sk-proj-abcdEFGH1234567890", "[redacted]"),
        ("risk-assessment-and-mitigation-plan2", "risk-assessment-and-mitigation-plan2"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("ghp_" + "a1" * 18, "[redacted]"),
        ("a weight and a height", "a weight and a height"),
        ("postgres://user:pass@host/db", "postgres://[redacted]@host/db"),
        ("https://example.org/a@b", "https://example.org/a@b"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer [redacted]"),
    ],
)
def test_secrets_are_taken_out_of_text(text, scrubbed):
    assert Scrubber(ENVIRON).text(text) == scrubbed


def test_json_stays_json_whatever_the_secret_looks_like():
    scrubber = Scrubber({**ENVIRON, "ODD_TOKEN": "completion"})
    value = {"completion": ['say quo"ted\\token\nline', {"completion": "the completion"}]}
    scrubbed = json.loads(scrubber.json(json.dumps(value)))
    assert scrubbed == {"completion": ["say [redacted]", {"completion": "the [redacted]"}]}


def test_no_secret_reaches_a_file_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY_API_KEY", KEY)
    rows = evalset()
    prompt = build("leaky", [("system", f"Use {KEY}.")])
    said = completion(f"the key is {KEY}")
    leaky = [
        *events(rows),
        CandidateMade(prompt=prompt, round=2, origin=f"from {KEY}"),
        CallSent(call="x", key="key-x", role=Role.TASK, phase=Phase.SEARCH),
        CallEnded(call="x", key="k", completion=said),
        CallSaved(key="key-y", role=Role.TASK, phase=Phase.SEARCH, completion=said),
        ResultKnown(
            result=result(prompt, rows.examples[0], True), split=rows.splits["r0"], phase=Phase.SEARCH, round=2
        ),
        Decided(kind="accept", round=2, reason=KEY, figures={"key": KEY, "deep": [{"a": (KEY,)}]}),
    ]
    writer = open_run(tmp_path, RUN, f"model: x\nkey: {KEY}\n", meta=meta(rows, model=KEY), evalset=rows)
    asyncio.run(emit(writer, leaky))
    # While it runs, the journal beside the file counts too.
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert [path.name for path in files if KEY.encode() in path.read_bytes()] == []
    known = writer.known_completions()
    writer.close()
    assert [path.name for path in files if path.exists() and KEY.encode() in path.read_bytes()] == []
    # An answer that lost a part is not the answer any more.
    assert "key-x" not in known and "key-y" not in known and "key-a1" in known
    with RunReader(tmp_path, RUN) as reader:
        assert reader.decisions("accept")[-1].decided.figures == {"key": "[redacted]", "deep": [{"a": ("[redacted]",)}]}


def test_a_run_with_a_secret_in_its_settings_goes_on(tmp_path):
    rows = evalset()
    about = replace(meta(rows), metrics={"not-contains": '["sk-proj-abcdEFGH1234567890"]'})
    for resume in (False, True):
        open_run(tmp_path, RUN, "", meta=about, evalset=rows, resume=resume).close()
    with RunReader(tmp_path, RUN) as reader:
        assert reader.meta.metrics == {"not-contains": '["[redacted]"]'}
