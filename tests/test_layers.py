"""The house rules of imports, read from the source and enforced.

Imports run one way, from the command line (6) down to the values (0). A new module of the package gets its place
in LAYERS; a rule that has to give way gives way here, in the open, with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "optimizer"

LAYERS: tuple[tuple[str, ...], ...] = (
    # 0 values
    (
        *("errors", "dataset", "spool", "readers", "prompt", "tokens", "edits", "alignment"),
        *("results", "failures", "outcome", "events", "config"),
    ),
    # 1 pure
    (
        *("intervals", "repeats", "unscored", "stats", "budget", "plan", "verdict", "protect", "front"),
        *("wording", "phrasing", "causes", "lifecycle", "locked", "chunks", "redaction"),
        *("health", "pace"),
    ),
    # 2 the outside world
    ("models", "metrics", "targets", "executors", "store"),
    # 3 the steps, in order
    ("evaluator", "cluster", "mutate", "search", "attribute"),
    # 4 the whole
    (
        "baseline",
        "round",
        "rebase",
        "rethink",
        "choice",
        "prune",
        "missed",
        "loop",
        "ship",
        "context_window",
        "intake",
        "marks",
        "ahead",
        "build",
        "scored",
    ),
    # 5 what is read of a run
    ("terminal", "report", "diff", "review", "gate", "frames", "export", "web"),
    # 6 the command line
    ("cli",),
)
PLACE = {name: (layer, index) for layer, names in enumerate(LAYERS) for index, name in enumerate(names)}

OUTSIDE = {"__init__": 5, "__main__": 6, "api": 5, "testing": 2}
"""Modules beside the layers, with the highest layer that they may import."""

IN_ORDER = {3, 4, 5}
"""Layers in which a module imports only what is listed before it."""

FAMILIES = {"models", "metrics", "targets", "executors", "mutate", "export"}
"""Folders of plug-ins: a file of theirs imports its base and layers 0 and 1, and never a sibling."""

SHARED = {"models.gate", "mutate.propose", "mutate.validate"}
"""Files that put their family to work, and so may import all of it: what puts the layers around a provider, what
runs the proposers, what checks every edit. No plug-in imports them."""

BESIDE_BASE = {"metrics.process", "metrics.pattern", "models.faults", "models.headers"} | {
    *("mutate.fence", "mutate.limits", "export.jinja")
}
"""Files that every plug-in of their family may import: what a refusal over HTTP means, how a request shows foreign
text, what no edit may lose, how Jinja2 is written, where work is done that may hang. They lie beside the base, and are
held to a plug-in's imports themselves."""

SANCTIONED = {("mutate", "models.base"), ("metrics", "models.base"), ("targets", "models.base")}
"""Seams that a plug-in of another family may name: it is handed a model, and never builds one."""

FORBIDDEN_NAMES = {"utils", "common", "helpers", "types", "manager"}
HEAVY = {"litellm", "openai", "optuna", "pandas", "aiohttp", "numpy", "scipy", "sklearn", "jsonschema", "ray"}
HEAVY_ALLOWED = {("testing", "aiohttp")}
"""The loopback server of the test kit is imported by tests alone."""

MOST_LINES = 350
MOST_FUNCTION_LINES = 60

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module, as the interpreter would resolve it."""

    target: str
    line: int
    at_start: bool
    """Whether it is imported when the module itself is: at top level, and not for type checking alone."""


def statements(node: ast.AST, *, at_start: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_start
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for part in child.body:
                yield from statements(ast.Module(body=[part], type_ignores=[]), at_start=False)
            for part in child.orelse:
                yield from statements(ast.Module(body=[part], type_ignores=[]), at_start=at_start)
        else:
            yield from statements(child, at_start=at_start and not isinstance(child, FUNCTIONS))


def imports_of(name: str, source: str, *, known: frozenset[str], packages: frozenset[str]) -> list[Import]:
    """What a module imports, late imports and imports for typing included."""
    found = []
    for node, at_start in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            start = node.module or ""
            if node.level:
                steps = name.split(".") if name in packages else name.split(".")[:-1]
                start = ".".join([*steps[: len(steps) - node.level + 1], *filter(None, [node.module])])
            # The version is a plain string that costs nothing: anyone may name it.
            names = [alias.name for alias in node.names if (start, alias.name) != ("optimizer", "__version__")]
            targets = [f"{start}.{n}" if f"{start}.{n}" in known else start for n in names]
        found += [Import(target=t, line=node.lineno, at_start=at_start) for t in dict.fromkeys(targets)]
    return found


def read_imports(sources: Mapping[str, str], packages: frozenset[str]) -> dict[str, list[Import]]:
    known = frozenset(sources)
    return {name: imports_of(name, text, known=known, packages=packages) for name, text in sources.items()}


def short(module: str) -> str:
    """The name within the package: `models.base` for `optimizer.models.base`."""
    return module.removeprefix("optimizer").removeprefix(".") or "__init__"


def head(module: str) -> str:
    return short(module).split(".")[0]


def is_plugin(module: str) -> bool:
    family, _, rest = short(module).partition(".")
    return family in FAMILIES and bool(rest) and rest != "base" and short(module) not in SHARED


def objection(importer: str, imported: str) -> str | None:
    """Why one module may not import another; None where it may."""
    source, target = head(importer), head(imported)
    if source in OUTSIDE:
        return outsider_objection(source, target)
    if target in OUTSIDE:
        return None if source == "cli" and target != "__main__" else "only cli and the package's face import it"
    if is_plugin(importer):
        return plugin_objection(importer, imported)
    if source == target:
        return None
    return layer_objection(source, target)


def outsider_objection(source: str, target: str) -> str | None:
    if source == target or source == "__main__" or (source == "__init__" and target == "api"):
        return None
    if target in OUTSIDE:
        return "modules beside the layers do not import each other"
    highest = OUTSIDE[source]
    return None if PLACE[target][0] <= highest else f"{source} imports nothing above layer {highest}"


def plugin_objection(importer: str, imported: str) -> str | None:
    family, plugin = short(importer).split(".")[:2]
    target = short(imported)
    own = target == f"{family}.base" or f"{target}.".startswith(f"{family}.{plugin}.")
    beside = head(imported) == family and target in BESIDE_BASE
    if own or beside or (family, target) in SANCTIONED or PLACE[head(imported)][0] <= 1:
        return None
    if head(imported) == family:
        return "a plug-in imports its family's base, never a sibling"
    return "a plug-in imports its family's base and layers 0 and 1"


def layer_objection(source: str, target: str) -> str | None:
    (layer, index), (other, other_index) = PLACE[source], PLACE[target]
    if other > layer:
        return f"imports run one way: layer {layer} does not import layer {other}"
    if other == layer and layer in IN_ORDER and other_index > index:
        return f"layer {layer} runs in order: {target} comes after {source}"
    if layer == 5 and 1 < other < 5 and target != "store":
        return "what shows a run reads the store and the values only"
    return None


def direction_faults(imports: Mapping[str, list[Import]]) -> list[str]:
    """Imports against the rules. Modules without a place are left to their own test."""
    placed = set(imports) - set(unplaced(imports))
    faults = []
    for importer in sorted(placed):
        for one in imports[importer]:
            reason = objection(importer, one.target) if one.target in placed else None
            if reason:
                faults.append(f"{importer}:{one.line} imports {one.target}: {reason}")
    return faults


def unplaced(imports: Mapping[str, list[Import]]) -> list[str]:
    return sorted(name for name in imports if head(name) not in PLACE and head(name) not in OUTSIDE)


def cycle(imports: Mapping[str, list[Import]]) -> list[str]:
    graph = {name: {i.target for i in found if i.at_start} & set(imports) for name, found in imports.items()}
    try:
        TopologicalSorter({name: targets - {name} for name, targets in graph.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def heavy_faults(imports: Mapping[str, list[Import]]) -> list[str]:
    return [
        f"{name}:{one.line} imports {one.target} at its top: import it in the function that needs it"
        for name, found in sorted(imports.items())
        for one in found
        if one.at_start and (root := one.target.split(".")[0]) in HEAVY and (head(name), root) not in HEAVY_ALLOWED
    ]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in FILES.items()}
IMPORTS = read_imports(SOURCES, frozenset(name for name, path in FILES.items() if path.name == "__init__.py"))


def test_every_module_has_a_place():
    homeless = unplaced(IMPORTS)
    assert not homeless, f"give {', '.join(homeless)} a place in LAYERS, at the top of tests/test_layers.py"


def test_imports_run_one_way():
    faults = direction_faults(IMPORTS)
    assert not faults, "\n".join(faults)


def test_no_two_modules_import_each_other():
    assert cycle(IMPORTS) == []


def test_nothing_heavy_is_imported_at_the_top_of_a_module():
    faults = heavy_faults(IMPORTS)
    assert not faults, "\n".join(faults)


def test_names_say_what_a_module_is_for():
    assert [name for name in SOURCES if FORBIDDEN_NAMES & set(name.split("."))] == []


def test_files_stay_readable():
    long = {name: text.count("\n") for name, text in SOURCES.items() if text.count("\n") > MOST_LINES}
    assert long == {}, f"over {MOST_LINES} lines: make it a folder of its name"


def test_functions_stay_readable():
    long = [
        f"{name}:{node.lineno} {node.name}"
        for name, text in SOURCES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, FUNCTIONS) and (node.end_lineno or 0) - node.lineno >= MOST_FUNCTION_LINES
    ]
    assert long == [], f"over {MOST_FUNCTION_LINES} lines"


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("prompt", "dataset", True),
        ("dataset", "stats", False),
        ("stats", "results", True),
        ("evaluator", "metrics.base", True),
        ("metrics.base", "evaluator", False),
        ("metrics.judge", "models.base", True),
        ("metrics.judge", "models.openai", False),
        ("metrics.text", "metrics.base", True),
        ("metrics.text", "metrics.json", False),
        ("metrics.text", "metrics", False),
        ("metrics.base", "metrics.text", True),
        ("models.offline.play", "models.offline.world", True),
        ("models.offline.play", "models.retry", False),
        ("models.openai", "models.faults", True),
        ("models.faults", "models.gate", False),
        ("metrics.judge", "models.faults", False),
        ("executors.local", "targets.base", False),
        ("mutate.llm", "models.base", True),
        ("mutate.llm", "cluster", False),
        ("mutate.propose", "evaluator", True),
        ("cluster", "evaluator", True),
        ("cluster", "mutate.base", False),
        ("build", "loop", True),
        ("loop", "build", False),
        ("report", "store.reader", True),
        ("report", "loop", False),
        ("report", "models.base", False),
        ("web", "report", True),
        ("diff", "export.base", False),
        ("export.litellm", "export.json", False),
        ("export.litellm", "store.reader", False),
        ("cli.run", "build", True),
        ("build", "cli.run", False),
        ("cli.run", "testing", True),
        ("loop", "api", False),
        ("loop", "", False),
        ("api", "web", True),
        ("api", "cli", False),
        ("testing.server", "models.base", True),
        ("testing.server", "loop", False),
        ("__main__", "cli", True),
        ("", "api", True),
        ("", "cli", False),
    ],
)
def test_the_rules_are_what_they_say(importer, imported, allowed):
    reason = objection(f"optimizer.{importer}".rstrip("."), f"optimizer.{imported}".rstrip("."))
    assert (reason is None) is allowed, reason


def test_imports_are_resolved_as_the_interpreter_does():
    source = (
        "from typing import TYPE_CHECKING\n"
        "from optimizer import errors, __version__\n"
        "from .base import Model\n"
        "from .. import prompt\n"
        "if TYPE_CHECKING:\n    import pandas\nelse:\n    import regex\n"
        "try:\n    import openai.types\nexcept ImportError:\n    pass\n"
        "def late():\n    import optuna\n"
    )
    known = frozenset({"optimizer.errors", "optimizer.models.base", "optimizer.prompt"})
    found = imports_of("optimizer.models.fast", source, known=known, packages=frozenset())
    assert [(one.target, one.at_start) for one in found] == [
        ("typing", True),
        ("optimizer.errors", True),
        ("optimizer.models.base", True),
        ("optimizer.prompt", True),
        ("pandas", False),
        ("regex", True),
        ("openai.types", True),
        ("optuna", False),
    ]


def test_what_breaks_a_rule_is_found():
    sources = {
        "optimizer.loop": "from optimizer.build import make\nimport numpy as np\n",
        "optimizer.build": "def make():\n    import litellm\n    from optimizer.cli import main\n",
        "optimizer.cli": "",
        "optimizer.misc": "import optimizer.loop\n",
        "optimizer.testing": "import aiohttp\n",
        "optimizer.models.base": "from optimizer.models import fast\n",
        "optimizer.models.fast": "from optimizer.models.base import Model\n",
    }
    imports = read_imports(sources, frozenset())
    assert unplaced(imports) == ["optimizer.misc"]
    assert cycle(imports)[0] in {"optimizer.models.base", "optimizer.models.fast"}
    assert [fault.split(" imports")[0] for fault in heavy_faults(imports)] == ["optimizer.loop:2"]
    assert [fault.split(":", 2)[:2] for fault in direction_faults(imports)] == [
        ["optimizer.build", "3 imports optimizer.cli"],
        ["optimizer.loop", "1 imports optimizer.build"],
    ]
