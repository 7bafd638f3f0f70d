"""Taking a prompt out of the workspace: files for other programs, and one key of a config file.

The list of formats is here, so that the help can name them all and load none.
"""

from __future__ import annotations

from collections.abc import Mapping

EXPORTERS: Mapping[str, str] = {
    "text": "optimizer.export.text",
    "yaml": "optimizer.export.yaml",
    "json": "optimizer.export.json",
    "markdown": "optimizer.export.markdown",
    "openai": "optimizer.export.openai",
    "prompty": "optimizer.export.prompty",
    "dotprompt": "optimizer.export.dotprompt",
    "langchain": "optimizer.export.langchain",
    "litellm": "optimizer.export.litellm",
    "python": "optimizer.export.python",
    "configmap": "optimizer.export.configmap",
    "promptfoo": "optimizer.export.promptfoo",
    "mlflow": "optimizer.export.mlflow",
    "langfuse": "optimizer.export.langfuse",
    "dspy": "optimizer.export.dspy",
}
"""Format -> module that has the class `Export`. A new one is a new file and a line here."""
