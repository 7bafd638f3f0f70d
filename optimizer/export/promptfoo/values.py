"""Row values in promptfoo, which reads them before it puts them in.

Of a value that is text it loads `file://...` and `package:...`, drops a newline at the end, and fills in the name of
any other value. A list of one text is put in as that text and is left alone, where `disableVarExpansion` keeps it from
being one test an item. What nothing keeps from being filled in is `{{ env.NAME }}`, in any text of a config.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

Values = Mapping[str, str | list[str]]
"""`vars` of a test."""

STEPS: Final = 5
"""Times that promptfoo fills names in."""
_NAME = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
_TAG = re.compile(r"\{\{(?:[^}]|\}(?!\}))*\}\}")
_LOADED = ("file://", "package:")


def written(values: Mapping[str, str]) -> Values:
    """A row's values as a test has to hold them: text, or a list of one where promptfoo would change the text."""
    return {name: [text] if _changes(text) else text for name, text in values.items()}


def _changes(text: str) -> bool:
    # Any name: promptfoo also finds those that every JavaScript object has, such as `constructor`.
    return bool(_NAME.search(text)) or text.endswith("\n") or text.startswith(_LOADED)


def arrived(held: Values) -> dict[str, str]:
    """The same values as promptfoo puts them into a prompt. Raises ValueError for one that it would load."""
    texts = {name: value for name, value in held.items() if isinstance(value, str)}
    for name, text in texts.items():
        if text.startswith(_LOADED):
            raise ValueError(f"promptfoo would load the value of {name}")
        texts[name] = text.removesuffix("\n")
    known = {**texts, **{name: ",".join(value) for name, value in held.items() if not isinstance(value, str)}}
    for _ in range(STEPS):
        for name in texts:
            found = _NAME.search(known[name])
            if found and found.group(1) in known:
                known[name] = known[name].replace(found.group(), known[found.group(1)], 1)
    return known


def filled_from_environment(value: Any) -> bool:
    """Whether a text in there names a variable of the environment: promptfoo fills it in when it reads a config."""
    if isinstance(value, str):
        return any("env." in tag or "env[" in tag for tag in _TAG.findall(value))
    if isinstance(value, Mapping):
        return any(filled_from_environment(part) for pair in value.items() for part in pair)
    return isinstance(value, list | tuple) and any(filled_from_environment(part) for part in value)


def inert(text: str) -> str:
    """Text that people read, with nothing left in it that a template engine would read."""
    return re.sub(r"\{(?=[{%#])", "{ ", text)
