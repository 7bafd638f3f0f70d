"""Which release this is."""

from __future__ import annotations

DISTRIBUTION = "prompt-refinement-optimizer"


def release() -> str:
    """The installed version; `not installed` where the package runs from its source."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "not installed"
