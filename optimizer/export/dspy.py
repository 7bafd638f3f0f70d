"""DSPy: the saved state of a program of one predictor, as `dspy.Predict(...).load(FILE)` reads it.

DSPy writes messages of its own around the instructions, so no render of it can equal what was measured, and the notes
say so. What is proved is what DSPy holds: the messages as they were measured can be built again, byte for byte, from
the instructions and the demos that come out of its own loader. `metadata` says at which characters to cut.
"""

from __future__ import annotations

import inspect
import json
import keyword
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from optimizer.dataset import display
from optimizer.export.base import WHOLE, Exported, Loader, Parts, cannot, facts, fill_in
from optimizer.prompt import VARIABLE, Demo, Message, Prompt

if TYPE_CHECKING:
    from optimizer.readers.provenance import Provenance

OUTPUT: Final = ("answer", "output", "completion", "model_answer")
"""Names for the output field; the first that is no variable."""
OURS: Final = "prompt_refinement_optimizer"
BETWEEN: Final = "\n\n"
_TAKEN = frozenset({"new_signature", "signature", "demos", "config", "lm", "self", "prediction", "reasoning"})


class Export:
    """One file: instructions, demos, fields; `lm` is left to the program."""

    def export(self, prompt: Prompt, provenance: Provenance | None) -> Exported:
        """Raises UserError for a prompt that one predictor cannot hold, or whose text DSPy would change."""
        fields = sorted(prompt.variables)
        _refuse(prompt, fields)
        output = next(name for name in OUTPUT if name not in prompt.variables)
        instructions, layout = _instructions(prompt)
        if inspect.cleandoc(instructions) != instructions:
            what = "DSPy takes tabs out of instructions, and indentation that all lines but the first share"
            raise cannot(prompt, what, "write it without, or use another format")
        signature = {
            "instructions": instructions,
            "fields": [
                {"prefix": f"{name.replace('_', ' ').capitalize()}:", "description": f"${{{name}}}"}
                for name in (*fields, output)
            ],
        }
        state = {
            "traces": [],
            "train": [],
            "demos": [_demo(prompt, demo, output) for demo in prompt.demos],
            "signature": signature,
            "lm": None,
            "metadata": {
                "dependency_versions": {},
                OURS: {"layout": layout, "output": output, **facts(prompt, provenance)},
            },
        }
        text = json.dumps(state, ensure_ascii=False, indent=2) + "\n"
        loader = Loader(package="dspy", render=_load)
        return Exported(parts={WHOLE: text}, render=_render, loader=loader, notes=_notes(fields, output))


def _notes(fields: Sequence[str], output: str) -> tuple[str, ...]:
    return (
        f"load it with: program = dspy.Predict({_signature(fields, output)!r}); program.load('FILE')",
        "DSPy writes text of its own around the instructions: the measured score does not carry over, measure it there",
        "proved here is that instructions and demos are what was measured, not the messages that DSPy sends",
    )


def _signature(fields: Sequence[str], output: str) -> str:
    return f"{', '.join(fields)} -> {output}"


def _refuse(prompt: Prompt, fields: Sequence[str]) -> None:
    if not fields:
        raise cannot(prompt, "a DSPy program needs an input, and it has no variable", "use another format")
    for name in fields:
        if name in _TAKEN or name.startswith("_") or keyword.iskeyword(name):
            raise cannot(prompt, f"DSPy takes no field that is called {name!r}", "rename the variable")
    for demo in prompt.demos:
        missing = [name for name in fields if name not in demo.inputs]
        if missing:
            raise cannot(prompt, f"the demo {demo.id} has no {missing[0]!r}, and DSPy shows all", "fill it in")


def _instructions(prompt: Prompt) -> tuple[str, list[dict[str, Any]]]:
    """All text of the prompt, and where each message stands in it.

    Whitespace at the ends of a message, which DSPy would strip, and messages that are variables alone stand in the
    layout.
    """
    found: list[str] = []
    layout: list[dict[str, Any]] = []
    at = 0
    for message in (message for message in prompt.messages if message.lines):
        text = message.text
        bare = "" if VARIABLE.sub("", text).strip() == "" else text.strip()
        before, after = text.split(bare, 1) if bare else (text, "")
        layout.append({"role": message.role, "before": before, "start": at, "end": at + len(bare), "after": after})
        if bare:
            found.append(bare)
            at += len(bare) + len(BETWEEN)
    return BETWEEN.join(found), layout


def _demo(prompt: Prompt, demo: Demo, output: str) -> dict[str, str]:
    inputs = {name: display(value) for name, value in demo.inputs.items() if name in prompt.variables}
    return {**inputs, output: display(demo.output)}


def _render(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    state = json.loads(parts[WHOLE])
    return _messages(state["signature"]["instructions"], state["demos"], state["metadata"][OURS], inputs)


def _messages(
    instructions: str, demos: Sequence[Mapping[str, str]], ours: Mapping[str, Any], inputs: Mapping[str, Any]
) -> tuple[Message, ...]:
    """The messages that were measured, from what the program holds."""
    texts = [
        (one["role"], f"{one['before']}{instructions[one['start'] : one['end']]}{one['after']}")
        for one in ours["layout"]
    ]
    sent = [Message(role=role, content=fill_in(text, ours["variables"], inputs)) for role, text in texts]
    users = [place for place, (role, _) in enumerate(texts) if role == "user"]
    asked = texts[users[-1]][1] if users else ""
    shown = [
        message
        for demo in demos
        for message in (
            Message(role="user", content=fill_in(asked, ours["variables"], demo)),
            Message(role="assistant", content=demo[ours["output"]]),
        )
    ]
    place = users[-1] if users else len(sent)
    return tuple(sent[:place] + shown + sent[place:])


def _load(parts: Parts, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
    import os
    import tempfile
    import warnings
    from pathlib import Path

    # DSPy would fetch a table of prices.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import dspy

    state = json.loads(parts[WHOLE])
    ours = state["metadata"][OURS]
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # It warns of fields that share a name with something of its own, and goes on.
        warnings.simplefilter("ignore")
        program = dspy.Predict(_signature(ours["variables"], ours["output"]))
        file = Path(folder) / "program.json"
        file.write_text(parts[WHOLE], encoding="utf-8")
        program.load(file)
    demos = [dict(demo) for demo in program.demos]
    return _messages(program.signature.instructions, demos, ours, inputs)
