"""Starting is cheap: the help and the bare import load none of the heavy packages, the demo Optuna alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_layers import HEAVY

ROOT = Path(__file__).parent.parent


def start(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )


def loaded(stderr: str) -> set[str]:
    """Modules in a report of `-X importtime`: `import time: self | cumulative | name`."""
    return {line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")}


def said(stderr: str) -> str:
    """What was said on stderr beside the report."""
    return "\n".join(line for line in stderr.splitlines() if not line.startswith("import time:"))


def heavy(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[0] in HEAVY}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["export", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments):
    done = start("-m", "optimizer", *arguments)
    assert (done.returncode, said(done.stderr)) == (0, "")
    assert "Usage" in done.stdout
    modules = loaded(done.stderr)
    assert "optimizer.cli" in modules
    assert heavy(modules) == set()


def test_importing_the_package_loads_nothing_heavy():
    done = start("-c", "import optimizer")
    assert (done.returncode, said(done.stderr)) == (0, "")
    modules = loaded(done.stderr)
    assert "optimizer" in modules
    assert heavy(modules) == set()


def test_a_heavy_import_would_be_seen():
    done = start("-c", "import numpy.linalg")
    assert "numpy" in heavy(loaded(done.stderr))


def test_the_demo_loads_optuna_and_no_other_heavy_package(tmp_path):
    for folder in ("evals", "prompts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    done = start("-m", "optimizer", "run", "evals/romeo-bob.yaml", cwd=tmp_path)
    assert done.returncode == 0, said(done.stderr)
    assert "GAIN SHOWN" in done.stdout
    # Optuna brings numpy. No provider, no pandas, no scipy.
    assert {name.split(".")[0] for name in heavy(loaded(done.stderr))} == {"optuna", "numpy"}
