"""What the site needs beyond docs/: the pages of the repository that docs/ links to, by links that work on GitHub too.

A hook of mkdocs. A link that leaves docs/ becomes a page of the site: a Markdown file as it is, a folder as its README
or as a list of its files, a source file as a block of code. The README is the first page.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
FENCED = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".jsonl": "json", ".toml": "toml"}
TEXTS = {*LANGUAGES, ".csv", ".txt", ".lock", ""}
"""Endings of files that are shown as a block of code; what is neither these nor Markdown is copied as it is."""


def slug(heading: str, separator: str = "-") -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def uri(path: str) -> str:
    """Where a file or folder of the repository stands in the site, before it becomes HTML."""
    if path == "README.md":
        return "index.md"
    target = ROOT / path
    if target.is_dir():
        return uri(posixpath.join(path, "README.md"))
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    shown = target.suffix in TEXTS and target.name != "README.md"
    return f"repository/{path}{'.md' if shown else ''}"


def content(path: str) -> str:
    """The Markdown of a page that is no page of docs/."""
    target = ROOT / path
    if target.is_dir():
        found = (one.relative_to(target) for one in target.rglob("*") if one.is_file())
        names = sorted(one.as_posix() for one in found if not any(part[0] in "._" for part in one.parts))
        return f"# {path}\n\n" + "".join(f"- [{name}]({name})\n" for name in names)
    text = target.read_text(encoding="utf-8")
    if target.suffix in TEXTS:
        return f"# {path}\n\n```{LANGUAGES.get(target.suffix, 'text')}\n{text.rstrip()}\n```\n"
    return text


def linked(path: str, markdown: str) -> Iterator[tuple[str, str, str]]:
    """Each link of a page that leads to a file: the link, its anchor, and the file or folder of the repository."""
    folder = path if (ROOT / path).is_dir() else posixpath.dirname(path)
    for block in FENCED.split(markdown)[::2]:
        for found in LINK.finditer(block):
            link, anchor = found[1], found[2] or ""
            target = posixpath.normpath(posixpath.join(folder, link))
            if "://" not in link and not target.startswith("..") and (ROOT / target).exists():
                yield link, anchor, target


def pages() -> dict[str, str]:
    """Every page of the repository that is reached from the README and docs/, by its place in the site."""
    start = [one.relative_to(ROOT).as_posix() for one in (ROOT / "docs").rglob("*.md")]
    found: dict[str, str] = {}
    waiting = ["README.md", *start]
    while waiting:
        path = waiting.pop()
        readme = posixpath.join(path, "README.md")
        path = readme if (ROOT / readme).is_file() else path
        if uri(path) in found:
            continue
        found[uri(path)] = path
        if uri(path).endswith(".md"):
            waiting += [target for _, _, target in linked(path, content(path))]
    return found


FOUND: dict[str, str] = {}
"""Place in the site -> file or folder of the repository; filled for each build."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Anchors as on GitHub; folders of the navigation as lists of their pages."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    config.nav = [_opened(entry) for entry in config.nav or []]
    return config


def _opened(entry: object) -> object:
    if isinstance(entry, list):
        return [_opened(one) for one in entry]
    if isinstance(entry, dict):
        return {title: _opened(value) for title, value in entry.items()}
    return _folder(str(entry)) if str(entry).endswith("/") else entry


def _folder(name: str) -> list[str]:
    """Its README, then its pages in the order in which the README names them, then the others."""
    folder = ROOT / "docs" / name
    readme = (folder / "README.md").read_text(encoding="utf-8")
    named = [link for link, _, _ in linked(f"docs/{name}README.md", readme) if "/" not in link]
    rest = sorted(one.name for one in folder.glob("*.md") if one.name not in (*named, "README.md"))
    return [f"{name}{one}" for one in ("README.md", *dict.fromkeys(named), *rest)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository that are linked to."""
    FOUND.clear()
    FOUND.update(pages())
    for place, path in FOUND.items():
        if files.get_file_from_path(place) is not None:
            continue
        if place.endswith(".md"):
            files.append(File.generated(config, place, content=content(path)))
        else:
            files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    here = page.file.src_uri
    links = {(link, anchor): uri(target) for link, anchor, target in linked(FOUND[here], markdown)}
    folder = posixpath.dirname(here)

    def moved(found: re.Match[str]) -> str:
        target = links.get((found[1], found[2] or ""))
        return f"{posixpath.relpath(target, folder or '.')}{found[2] or ''}" if target else found[0]

    parts = FENCED.split(markdown)
    return "".join(part if number % 2 else LINK.sub(moved, part) for number, part in enumerate(parts))
