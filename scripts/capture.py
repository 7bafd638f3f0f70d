"""Draw the README's picture: the one-minute screen of a real run of the demo, 100 columns wide.

    python scripts/capture.py [--out docs/images/demo.svg] [--png]

The run takes place in a temporary folder. With `--png` a PNG is written beside the SVG, to look at.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402
from rich.terminal_theme import SVG_EXPORT_THEME  # noqa: E402
from rich.text import Text  # noqa: E402

from optimizer.cli.entry import run as command  # noqa: E402
from optimizer.report.screen import one_minute  # noqa: E402
from optimizer.store import RunReader  # noqa: E402

WIDTH = 100
EVAL_FILE = "evals/romeo-bob.yaml"
RUN = "demo"
COMMAND = f"optimizer run {EVAL_FILE} --run-id {RUN}"
CONVERTERS = (
    ("rsvg-convert", "-w", "1600", "-o", "{png}", "{svg}"),
    ("inkscape", "-w", "1600", "-o", "{png}", "{svg}"),
)


def screen() -> Text:
    """Run the demo from scratch, and give its screen below the command that made it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in ("evals", "prompts"):
            shutil.copytree(ROOT / name, Path(folder) / name)
        for made in Path("prompts/romeo-bob").glob("v*.yaml"):
            if made.name != "v1.yaml":
                made.unlink()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
            code = command(COMMAND.split()[1:])
        if code:
            raise SystemExit(f"the demo ended with exit code {code}: {told.getvalue()}")
        with RunReader(Path(), RUN) as reader:
            page = one_minute(reader, WIDTH, True)
    return Text.assemble(("$ ", "dim"), (COMMAND, "bold"), "\n\n", page)


def svg(page: Text) -> str:
    """The page as SVG that loads nothing from anywhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False, markup=False)
    console.print(page)
    drawn = console.export_svg(title="optimizer", theme=SVG_EXPORT_THEME, unique_id="demo")
    # Rich names fonts on a server. A picture in a README fetches nothing, and the fallbacks do.
    return re.sub(r"\s*@font-face \{.*?\n\s*\}", "", drawn, flags=re.DOTALL)


def png(path: Path) -> Path:
    """A PNG beside the SVG."""
    target = path.with_suffix(".png")
    for name, *arguments in CONVERTERS:
        found = shutil.which(name)
        if found:
            subprocess.run([found, *(part.format(png=target, svg=path) for part in arguments)], check=True)
            return target
    raise SystemExit(f"a PNG needs one of: {', '.join(name for name, *_ in CONVERTERS)}")


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description="Draw the README's picture from a real run.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "demo.svg")
    parser.add_argument("--png", action="store_true", help="write a PNG beside it")
    arguments = parser.parse_args()
    out: Path = arguments.out.resolve()
    drawn = svg(screen())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(drawn, encoding="utf-8")
    print(f"wrote {out}")
    if arguments.png:
        print(f"wrote {png(out)}")


if __name__ == "__main__":
    main()
