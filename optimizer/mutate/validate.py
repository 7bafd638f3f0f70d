"""What an edit may not do, whoever proposed it. A proposal is untrusted text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.alignment import edits_between
from optimizer.dataset import Example, display
from optimizer.edits import ADDS, END, START, Edit, Op, apply, lacking
from optimizer.errors import UserError
from optimizer.mutate.limits import (
    MOST_CHARACTERS,
    MOST_DEMO_CHARACTERS,
    MOST_DEMOS,
    demo_size,
    loss,
    variables_of,
)
from optimizer.prompt import KEEP, Demo, Prompt, demo_messages, demo_template, seen
from optimizer.redaction import LOOKS, Scrubber
from optimizer.tokens import prompt_tokens

COPIED_WORDS = 8
"""So many words in a row of eval text count as a copy."""
NEAR = 0.5
"""Jaccard likeness of two rows' word pairs from which one is nearly a copy of the other, in [0, 1]."""
LONGEST_REWRITE = 1500
"""Tokens that a rewrite may have, or twice those of the prompt where that is more."""
WORD = re.compile(r"\w+(?:['’]\w+)*")
PIECE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]|[^\W\u2e80-\u9fff\uf900-\ufaff]+")
"""A word, or one sign of a script that writes no spaces."""
LINK = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{0,30}:)?//[\w\[]\S*|\bwww\.\S*|\b(?:data|file|javascript|mailto|tel|vbscript):\S+|"
    r"\b[\w.+-]{1,64}@[\w-]+\.\w{2,}|\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[\w-]{1,63}\.){1,8}"
    r"(?:[a-z]{2,}/\w|(?:ai|app|biz|cn|co|com|dev|eu|example|info|io|me|net|org|ru|tk|top|uk|xyz)\b)\S*",
    re.IGNORECASE,
)
KEY_LIKE = re.compile(r"\b(?:sk|pk|rk|ghp|gho|xox[abp])[-_][A-Za-z0-9_-]{8,}|\bAKIA[0-9A-Z]{12,}|\b[0-9a-f]{32,}\b")
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
UNSEEN = re.compile(
    # Selectors of variants: one behind a letter or an emoji is honest, several are a message.
    "[\ufe00-\ufe0f][\ufe00-\ufe0f]|[\U000e0100-\U000e01ef]|"
    # Joiners are part of emoji and of several scripts, and nothing joins Latin letters.
    "[\u200c\u200d][\u200c\u200d]|[\\x00-\\x7f][\u200c\u200d]|[\u200c\u200d](?:[\\x00-\\x7f]|\\Z)|"
    # Letters and marks that are drawn as nothing.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0]"
)
"""What hides text, though Unicode does not class it with controls."""
JOINERS = frozenset("\u200c\u200d")
LINE_ENDS = frozenset("\n\r")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedRewrite:
    """What is left of a rewrite once every change in it was checked."""

    prompt: Prompt | None
    """The prompt with the changes that are fit; None where the rewrite is refused."""
    reason: str = ""
    """Why it is refused; empty where it is not."""
    edits: tuple[Edit, ...] = ()
    """The changes that were made."""
    refused: tuple[tuple[Edit, str], ...] = ()
    """The changes that were left out, and why."""


def copied_runs(texts: Iterable[str], examples: Iterable[Example]) -> frozenset[tuple[str, ...]]:
    """Those runs of 8 words of the texts that stand in the eval set, too: what a prompt must not copy.

    The texts are few and short; all runs of a large eval set would fill the memory.
    """
    wanted = {run for text in texts for run in _runs(text)}
    found: set[tuple[str, ...]] = set()
    for example in examples if wanted else ():
        for value in (*example.inputs.values(), example.expected):
            if value is not None:
                found.update(run for run in _runs(display(value)) if run in wanted)
    return frozenset(found)


def near_copies(edits: Iterable[Edit], examples: Iterable[Example]) -> frozenset[str]:
    """Ids of the edits whose demo asks nearly what one of the examples asks: hand in the rows of val and test.

    Two rows are near where the word pairs of their inputs have a Jaccard likeness of at least 0.5: about three
    words of ten may differ. What they expect does not matter.
    """
    demos = {edit.id: edit.demo for edit in edits if edit.demo is not None}
    names = frozenset(name for demo in demos.values() for name in demo.inputs)
    shingles = {key: _word_pairs(demo.inputs, names) for key, demo in demos.items()}
    holders: dict[tuple[str, str], list[str]] = {}
    for key, pairs in shingles.items():
        for pair in pairs:
            holders.setdefault(pair, []).append(key)
    near: set[str] = set()
    for example in examples if demos else ():
        pairs = _word_pairs(example.inputs, names)
        shared: dict[str, int] = {}
        for pair in pairs & holders.keys():
            for key in holders[pair]:
                shared[key] = shared.get(key, 0) + 1
        near.update(key for key, both in shared.items() if both >= NEAR * (len(pairs) + len(shingles[key]) - both))
    return frozenset(near)


def within_demo_limit(prompt: Prompt, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """The edits, with as many demos as the prompt has room for if all are taken; every slot's first before seconds."""
    room = max(MOST_DEMOS - len(prompt.demos), 0)
    turns: dict[str, int] = {}
    order: list[tuple[int, int]] = []
    for place, edit in enumerate(edits):
        if edit.op is Op.ADD_DEMO:
            turns[edit.slot] = turns.get(edit.slot, 0) + 1
            order.append((turns[edit.slot], place))
    kept = {place for _, place in sorted(order)[:room]}
    return tuple(edit for place, edit in enumerate(edits) if edit.op is not Op.ADD_DEMO or place in kept)


def objection(
    edit: Edit, prompt: Prompt, copied: frozenset[tuple[str, ...]], near: frozenset[str] = frozenset()
) -> str | None:
    """Why an edit is refused, in words; None where it is fit to be tried.

    Args:
        edit: the proposal.
        prompt: the champion that it would change.
        copied: runs of eval words from `copied_runs`.
        near: ids of edits from `near_copies`; they matter for demos alone.
    """
    if told := _objection(edit, prompt, copied, near, frozenset()):
        return told
    try:
        apply(prompt, [edit])
    except UserError as error:
        return str(error)
    return None


def check_rewrite(prompt: Prompt, rewritten: Prompt, copied: frozenset[tuple[str, ...]]) -> CheckedRewrite:
    """Take a rewrite apart into edits, leave out those that are refused, and make the others.

    So locked lines, variables and output-format lines stay whatever the rewrite did to them.

    Args:
        prompt: the champion.
        rewritten: what a proposer made of it.
        copied: runs of eval words from `copied_runs` for the lines of the rewrite.
    """
    try:
        wanted = edits_between(prompt, rewritten)
    except UserError as error:
        return CheckedRewrite(prompt=None, reason=str(error))
    refused: list[tuple[Edit, str]] = []
    kept: dict[int, Edit] = {}
    # What a moved line leaves must be known before the place that it goes to is looked at.
    for place, edit in sorted(enumerate(wanted), key=lambda item: item[1].op in ADDS):
        gone = frozenset(other.target for other in kept.values() if other.target is not None)
        blank = edit.op is Op.ADD_LINE and not (edit.text or "").strip(" \t\r")
        if not blank and (told := _objection(edit, prompt, copied, frozenset(), gone)):
            refused.append((edit, told))
        else:
            kept[place] = edit
    edits = tuple(kept[place] for place in sorted(kept))
    return _made(prompt, edits, tuple(refused))


def _made(prompt: Prompt, edits: tuple[Edit, ...], refused: tuple[tuple[Edit, str], ...]) -> CheckedRewrite:
    try:
        made = apply(prompt, edits)
    except UserError as error:
        return CheckedRewrite(prompt=None, reason=str(error), refused=refused)
    most = max(LONGEST_REWRITE, 2 * prompt_tokens(prompt))
    if made.fingerprint == prompt.fingerprint:
        first = f" ({refused[0][1]})" if refused else ""
        return CheckedRewrite(prompt=None, reason=f"no change in it is fit to be tried{first}", refused=refused)
    if prompt_tokens(made) > most:
        return CheckedRewrite(prompt=None, reason=f"it is longer than {most} tokens", refused=refused)
    return CheckedRewrite(prompt=made, edits=edits, refused=refused)


def _objection(
    edit: Edit, prompt: Prompt, copied: frozenset[tuple[str, ...]], near: frozenset[str], gone: frozenset[str]
) -> str | None:
    """Like `objection`, where the lines of the ids in `gone` go as well."""
    if edit.op is Op.ADD_DEMO:
        return _demo(edit, prompt, near)
    return _place(edit, prompt) or (None if edit.text is None else _text(edit.text, edit, prompt, copied, gone))


def _place(edit: Edit, prompt: Prompt) -> str | None:
    lines = {line.id: line for line in prompt.lines}
    if edit.op is Op.REMOVE_DEMO:
        known = any(demo.id == edit.target for demo in prompt.demos)
        return None if known else f"it removes demo {edit.target}, which is not there"
    if edit.op is Op.ADD_LINE:
        known = edit.after in (None, END) or edit.after in lines or START.fullmatch(edit.after or "") is not None
        return None if known else f"it names line {edit.after}, which is not there"
    old = lines.get(edit.target or "")
    if old is None:
        return f"it changes line {edit.target}, which is not there"
    return loss(old, edit.text if edit.op is Op.REPLACE_LINE else None, prompt)


def _text(
    text: str, edit: Edit, prompt: Prompt, copied: frozenset[tuple[str, ...]], gone: frozenset[str]
) -> str | None:
    content = KEEP.sub("", text)
    if not content.strip():
        return "it is empty"
    if content != text and edit.source != "user":
        return "it holds the mark by which users lock a line"
    if "\n" in text or len(text) > MOST_CHARACTERS:
        return f"it is longer than one line of {MOST_CHARACTERS} characters"
    if told := _unsafe(text, prompt):
        return told
    # A line that is added has no target; one that names one all the same is refused where it would be made.
    old = next((line.content for line in prompt.lines if line.id == edit.target), "")
    if not variables_of(text, prompt) <= variables_of(old, prompt):
        return "it repeats a variable of the prompt"
    if any(run in copied for run in _runs(text)):
        return f"it copies {COPIED_WORDS} words in a row from the eval set"
    there = (line.content.strip() for line in prompt.lines if line.id not in gone)
    if edit.op is Op.ADD_LINE and content.strip() in there:
        return "the prompt says it already"
    return None


def _demo(edit: Edit, prompt: Prompt, near: frozenset[str]) -> str | None:
    demo = edit.demo
    if demo is None:
        return "it brings no demo"
    if len(prompt.demos) >= MOST_DEMOS:
        return f"the prompt has {len(prompt.demos)} demos already"
    if not variables_of(demo_template(prompt), prompt):
        return "the prompt has no user message with a variable, in which a demo could ask"
    if missing := lacking(prompt, demo):
        return f"its demo has no input {missing[0]!r}"
    if edit.id in near:
        return "its demo is nearly a row of val or test"
    shown = seen(demo, prompt.variables)
    if any(seen(other, prompt.variables) == shown for other in prompt.demos):
        return "the prompt shows it already"
    return _demo_text(demo, prompt)


def _demo_text(demo: Demo, prompt: Prompt) -> str | None:
    if demo_size(prompt, demo) > MOST_DEMO_CHARACTERS:
        return f"its demo is longer than {MOST_DEMO_CHARACTERS} characters"
    answer = demo_messages(prompt, demo)[1].content
    if not answer.strip():
        return "its demo shows no answer"
    for value in (*demo.inputs.values(), demo.output):
        if told := _unsafe(display(value), prompt, within=LINE_ENDS):
            return told
    return None


def _unsafe(text: str, prompt: Prompt, within: frozenset[str] = frozenset()) -> str | None:
    """What no proposed text may bring into a prompt.

    Args:
        text: the text.
        prompt: what stands in it may be said again.
        within: control characters that are fit here.
    """
    if any(_hidden(character) for character in text if character not in within) or UNSEEN.search(text):
        return "it holds invisible or control characters"
    for pattern, what in ((LINK, "a link or address"), (KEY_LIKE, "something like a key"), (LOOKS, "a key")):
        found = _found(pattern, text)
        if found and found - _found(pattern, prompt.text):
            return f"it brings in {what}"
    return "it holds a secret of the environment" if Scrubber().values(text) != text else None


def _found(pattern: re.Pattern[str], text: str) -> set[str]:
    """Whole matches, without the punctuation that a sentence puts behind them; in wide letters too."""
    plain = unicodedata.normalize("NFKC", text)
    return {match.group(0).rstrip(".,;:!?)]}>'\"`") for match in pattern.finditer(plain)}


def _runs(text: str) -> Iterable[tuple[str, ...]]:
    words = [word.lower() for word in WORD.findall(text)]
    return (tuple(words[i : i + COPIED_WORDS]) for i in range(len(words) - COPIED_WORDS + 1))


def _word_pairs(inputs: Mapping[str, Any], names: frozenset[str]) -> set[tuple[str, str]]:
    """Each two neighbouring words of the named inputs, the ends of a value counting as words."""
    pairs: set[tuple[str, str]] = set()
    for name, value in inputs.items():
        if name in names:
            words = PIECE.findall(display(value).lower())
            pairs.update(zip(("", *words), (*words, ""), strict=True))
    return pairs


def _hidden(character: str) -> bool:
    if character in JOINERS:
        return False
    return character in BIDI or (character != "\t" and unicodedata.category(character) in INVISIBLE)
