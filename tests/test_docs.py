"""What the documentation shows is run: snippets print what stands below them."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import optimizer
from optimizer.outcome import Phase, Verdict
from optimizer.plan import plan_for
from optimizer.search.again import PLACEBOS
from optimizer.stats import minimum_detectable_gain
from optimizer.verdict import USUAL_SHARE

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = FENCE.finditer(text)
    return [Block(language=m[1], text=m[2], line=text.count("\n", 0, m.start()) + 2) for m in found]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo's files as the working folder."""
    shutil.copytree(ROOT / "evals", tmp_path / "evals")
    (tmp_path / "prompts" / "romeo-bob").mkdir(parents=True)
    shutil.copy(ROOT / "prompts/romeo-bob/v1.yaml", tmp_path / "prompts/romeo-bob/v1.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_page_runs_and_prints_what_it_says(workspace):
    page = blocks("python-api.md")
    names: dict[str, Any] = {"__name__": "page"}
    snippets = 0
    for block, below in zip(page, page[1:], strict=False):
        if block.language != "python":
            continue
        assert below.language == "text", f"line {block.line}: what it prints is missing"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            # Blank lines before it: an error then names the line of the page.
            code = compile("\n" * (block.line - 1) + block.text, "python-api.md", "exec", dont_inherit=True)
            exec(code, names)  # noqa: S102
        assert printed.getvalue() == below.text, f"python-api.md, line {block.line}"
        snippets += 1
    assert snippets == sum(block.language == "python" for block in page) > 5


def test_the_python_page_names_every_public_name():
    page = (DOCS / "python-api.md").read_text(encoding="utf-8")
    prose = FENCE.sub("", page)
    assert [name for name in optimizer.__all__ if f"`{name}`" not in prose] == []


HOW = DOCS / "how-it-works.md"


def test_the_numbers_of_the_tour_are_those_of_the_source():
    rows = re.findall(r"^\| `([a-z_.]+)\.([A-Z_]+)` \| ([0-9.]+) \|", HOW.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 15
    found = {
        f"{module}.{name}": getattr(importlib.import_module(f"optimizer.{module}"), name) for module, name, _ in rows
    }
    assert found == {f"{module}.{name}": float(value) for module, name, value in rows}


def test_the_plan_of_the_tour_is_the_demos():
    page = HOW.read_text(encoding="utf-8")
    plan = plan_for(calls=600, train=53, val=40, test=39)
    shown = dict(re.findall(r"^\| (\w+) \| [^|]* \| (\d+) \|$", page, re.MULTILINE))
    assert shown == {phase.value: str(plan.limits[phase]) for phase in Phase}
    assert all(str(verdict) in page for verdict in Verdict)
    assert f"(`{PLACEBOS[0].text}`)" in page


def test_the_modules_of_the_tour_are_there():
    named = re.findall(r"`([a-z_/]+(?:\.py|/))`", HOW.read_text(encoding="utf-8").replace("`optimizer/`", ""))
    assert "search/screen.py" in named
    assert [name for name in named if not (ROOT / "optimizer" / name).exists()] == []


CONCEPTS = DOCS / "concepts"
QUOTED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "verdicts.md": {
        "1.4%, at most 2.9% at any size": ("statistics-nulls.md", "(1.41%)", "highest 2.90%"),
        "at most 4.4%": ("statistics-nulls.md", "highest 4.40%"),
        "8 of 900 claim, 0.9%": ("statistics-null-runs.md", "8 of 900, 0.9%"),
        "val rose by 3.5 points on average and test by 0.9": ("statistics-null-runs.md", "| +3.5 | +0.9 |"),
        "at least 93% of all samples": ("statistics-coverage.md", "93% everywhere"),
    },
    "clusters.md": {
        "adjusted Rand index is 0.96": ("clusters.md", "| **mean of these** |  |  |  |  | 0.96 "),
        "not tuned on it is 0.94": ("clusters.md", "| `heldout`: others | 43 | 37 | 5 | 5 | 0.94 "),
        "0.87 where causes share": ("clusters.md", "share words | 42 | 39 | 5 | 5 | 0.87 "),
    },
    "worth-of-a-line.md": {
        "99.7% have the right sign": ("line-worth.md", "right sign, all cases | 99.7% |"),
        "correlation of worth and truth is 0.86": ("line-worth.md", "worth and truth, all cases | 0.86 |"),
    },
}
"""Page -> figure as it says it -> its page of results, and how it stands there."""


@pytest.mark.parametrize("page", QUOTED)
def test_figures_of_the_concepts_are_those_of_their_sources(page):
    text = (CONCEPTS / page).read_text(encoding="utf-8")
    for figure, (source, *there) in QUOTED[page].items():
        assert figure in text and f"results/{source})" in text
        measured = (ROOT / "benchmarks" / "results" / source).read_text(encoding="utf-8")
        assert [words for words in there if words not in measured] == [], figure


def test_the_verdicts_have_their_rules_and_their_sizes():
    page = (CONCEPTS / "verdicts.md").read_text(encoding="utf-8")
    assert all(f"| {verdict} |" in page for verdict in Verdict)
    sizes = {19: "about 42 points", 39: "about 20", 160: "about 10"}
    for rows, told in sizes.items():
        assert re.search(rf"{rows}[^;.]* {told}\b", page)
        assert f"about {100 * minimum_detectable_gain(rows, USUAL_SHARE):.0f}" in told


def test_the_modules_of_the_concepts_are_there():
    text = "".join(path.read_text(encoding="utf-8") for path in CONCEPTS.glob("*.md"))
    named = re.findall(r"\(`([a-z_/]+(?:\.py|/))`\)", text)
    assert len(named) > 5 and [name for name in named if not (ROOT / "optimizer" / name).exists()] == []


PAGES = [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "evals" / "README.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lists_and_tables_begin_behind_a_blank_line(page):
    """GitHub takes them without; the site does not."""
    text = FENCE.sub(lambda block: "\n" * block[0].count("\n"), page.read_text(encoding="utf-8"))
    begins = r"(?:[-*+] |\d+\. |\|)"
    inside = rf"(?:\s|#|{begins})"
    assert re.findall(rf"^(?!{inside})[^\n]+\n{begins}[^\n]*$", text, re.MULTILINE) == []
