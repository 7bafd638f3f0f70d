"""What the documentation shows is run: snippets print what stands below them."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import optimizer

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
