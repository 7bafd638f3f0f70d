"""Export thousands of nasty prompts in every format and count what came of it: equal, refused, changed.

    python benchmarks/fuzz_exports.py                     # 5,000 prompts, every format
    python benchmarks/fuzz_exports.py --only prompty,dotprompt --count 500 --seed 7
    python benchmarks/fuzz_exports.py --loaders           # ask the targets' own loaders as well, where installed

Equal: the file was read back and rendered for four rows, and said what the model was sent. Refused: the exporter said
why the format cannot say it. Changed: the exporter wrote something else, and only the proof caught it. A refusal is the
format's limit; a change is a fault of ours, and ends with exit code 1.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from optimizer.errors import UserError  # noqa: E402
from optimizer.export import EXPORTERS  # noqa: E402
from optimizer.export.base import Exported, exporter, proof_rows, published  # noqa: E402
from optimizer.prompt import Prompt, prepare  # noqa: E402
from tests.nasty_prompts import prompts  # noqa: E402

_VARYING = re.compile(r"the (blank )?(system|user|assistant) message|'[^']*'|\"[^\"]*\"")


def outcome(name: str, prompt: Prompt, *, loaders: bool) -> str:
    """`equal`, `refused: why` or `changed: how`."""
    try:
        exported = exporter(name).export(published(prompt), None)
    except UserError as error:
        told = str(error).split(": ", 1)[1].split(" (")[0]
        return f"refused: {_VARYING.sub(lambda found: 'the message' if found[2] else '...', told)}"
    try:
        found = difference(prompt, exported, loaders=loaders)
    except Exception as error:
        found = f"{type(error).__name__}: {str(error)[:120]}"
    return f"changed: {found} ({prompt.name})" if found else "equal"


def difference(prompt: Prompt, exported: Exported, *, loaders: bool) -> str:
    """Which row came out otherwise, and who read it; empty where none did."""
    rows = proof_rows(prompt)
    readers = {"our renderer": exported.render}
    if loaders and exported.loader is not None:
        readers[exported.loader.package] = exported.loader.render
    for row in rows:
        wanted = [(message.role, message.content) for message in prepare(prompt, row)]
        if exported.arrives is not None and row is rows[-1]:
            wanted = [(role, exported.arrives(text)) for role, text in wanted]
        for who, render in readers.items():
            if [(message.role, message.content) for message in render(exported.parts, row.inputs)] != wanted:
                return f"{row.id} by {who}"
    return ""


def report(name: str, found: Counter[str], seconds: float) -> Iterator[str]:
    """A line of figures, then one a reason."""
    total = found.total()
    refused = sum(count for told, count in found.items() if told.startswith("refused"))
    changed = sum(count for told, count in found.items() if told.startswith("changed"))
    shares = f"{found['equal']:6,} equal  {refused:6,} refused ({100 * refused / total:.1f}%)  {changed:4,} changed"
    yield f"{name:10} {shares}  {seconds:5.1f} s"
    for told, count in found.most_common():
        if told != "equal":
            yield f"{'':10} {count:6,} {told}"


def main() -> int:
    """0 where nothing was changed."""
    parser = argparse.ArgumentParser(description="Export nasty prompts in every format.")
    parser.add_argument("--count", type=int, default=5000, help="prompts (5000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the prompts (0)")
    parser.add_argument("--only", default=",".join(EXPORTERS), help="formats, with commas between")
    parser.add_argument("--loaders", action="store_true", help="ask the targets' own loaders as well")
    given = parser.parse_args()
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    made = list(prompts(given.count, given.seed))
    changed = 0
    for name in given.only.split(","):
        start = time.perf_counter()
        found = Counter(outcome(name, prompt, loaders=given.loaders) for prompt in made)
        changed += sum(count for told, count in found.items() if told.startswith("changed"))
        for line in report(name, found, time.perf_counter() - start):
            print(line, flush=True)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
