"""The site of docs/ builds strictly, loads nothing from a network, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "link": "href",
}
"""Elements that a browser loads something for, and the attribute that names it."""
NAMES_ONLY = {"canonical", "prev", "next", "alternate"}
"""Kinds of <link> that load nothing."""


@dataclass(kw_only=True)
class Seen(HTMLParser):
    """What a page loads, links to and can be linked at."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        self.classes |= set(found.get("class", "").split())
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif LOADS.get(tag, "") in found and found.get("rel") not in NAMES_ONLY:
            self.loads.append(found[LOADS[tag]])


def build(project: Path, target: Path) -> subprocess.CompletedProcess[str]:
    # Not --quiet, which also silences what --strict counts.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> Mapping[str, Seen]:
    found = {}
    for path in site.rglob("*.html"):
        seen = Seen()
        seen.feed(path.read_text(encoding="utf-8"))
        found[path.relative_to(site).as_posix()] = seen
    return found


def styles(site: Path) -> Iterator[str]:
    """What style sheets load."""
    for path in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        yield from re.findall(r"""(?:url\(|@import\s+)["']?([^"')\s]+)""", text)


def test_the_site_loads_nothing_from_a_network(site, pages):
    loads = [*(one for seen in pages.values() for one in seen.loads), *styles(site)]
    assert len(loads) > 100
    assert [one for one in loads if "//" in one.partition("data:")[0]] == []
    # What the theme's own script would fetch: a program for diagrams, facts of a repository.
    assert not {"mermaid", "md-source"} & set().union(*(seen.classes for seen in pages.values()))


def test_links_of_the_site_lead_somewhere(site, pages):
    broken = []
    for place, seen in pages.items():
        if place == "404.html":  # its links begin at the root of the server
            continue
        for link in (*seen.links, *seen.loads):
            parts = urlsplit(urljoin(place, link))
            target = unquote(parts.path) or place
            if parts.scheme or link.startswith("//"):
                continue
            if parts.fragment and target in pages:
                # The theme writes "#" plus the place of a page's own head line.
                exists = unquote(parts.fragment) in pages[target].ids or parts.fragment.startswith("__")
            else:
                exists = (site / target).exists()
            if not exists:
                broken.append((place, link))
    assert broken == []


def test_every_page_of_the_docs_is_in_the_site_and_the_repositorys_pages_that_they_link_to(pages):
    docs = ROOT / "docs"
    wanted = {
        path.relative_to(docs).as_posix().replace("README.md", "index.md").replace(".md", ".html")
        for path in docs.rglob("*.md")
    }
    assert wanted <= set(pages)
    assert {"index.html", "repository/CONTRIBUTING.html", "repository/examples/quickstart.py.html"} <= set(pages)
    assert "repository/benchmarks/results/search.html" in pages


def test_broken_links_fail_the_build(tmp_path):
    links = ("gone.md", "../benchmarks/gone.md", "metrics.md#gone", "../evals/README.md#gone")
    files = {
        "docs/index.md": "# Page\n\n[good](metrics.md), [good](../evals/README.md#title)\n",
        "docs/page.md": "# Page\n\n" + "".join(f"[broken]({link})\n" for link in links),
        "docs/metrics.md": "# Metrics\n",
        "README.md": "# Title\n",
        "evals/README.md": "# Title\n",
        "scripts/docs_site.py": (ROOT / "scripts" / "docs_site.py").read_text(encoding="utf-8"),
        "mkdocs.yml": f"INHERIT: {ROOT}/mkdocs.yml\ntheme: {{name: mkdocs}}\nplugins: []\nextra_css: []\nnav: []\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "WARNING" in line and "nav" not in line]
    assert len(told) == len(links) and all("'page.md'" in line for line in told)
    assert all(any(link.rpartition("/")[2] in line for line in told) for link in ("gone.md", "#gone"))
