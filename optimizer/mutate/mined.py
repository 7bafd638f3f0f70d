"""Edits found without a model call: read off the difference between what came back and what was wanted.

Each miner below looks at one cluster and writes the plainest line that would mend it. They know no domain: all words
of an edit come from the rows' expected values, the outputs and the inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from optimizer.edits import END, Edit, Op
from optimizer.mutate.base import Proposal
from optimizer.wording import LABEL_LENGTH, WORD, input_words

MOST_EDITS = 4
"""Edits a cluster."""
MOST_PAIRS = 14
"""Replacements named in one line."""
CONTESTED = 0.2
"""Rows of other causes with the same wrong word, as a share of the members, from which one replacement cannot do."""
COMMON = 0.5
"""Share of members whose output holds a word before it counts as the word to replace."""


Found = Sequence[tuple[str, str]]
"""(text, why) pairs."""
Miner = Callable[[Proposal], Found]
"""Looks at one cluster and writes lines that would mend it."""


def mine_format(proposal: Proposal) -> Found:
    """JSON is wanted and something else came, or a field is missing: name the keys."""
    cluster = proposal.cluster
    expected = [member.example.expected for member in cluster.members]
    missing = cluster.place.startswith("$.") and not cluster.wanted and not cluster.got
    if not (cluster.place == "format" or missing) or not all(
        isinstance(value, Mapping) and value for value in expected
    ):
        return ()
    counts = Counter(key for value in expected for key in value)
    keys = [key for key, count in counts.items() if count == len(expected)]
    if not keys:
        return ()
    named = ", ".join(quoted(key) for key in keys)
    why = f"{len(expected)} outputs are not the JSON object that the rows expect"
    word = "key" if len(keys) == 1 else "keys"
    return ((f"Answer with only a JSON object with the {word} {named}, and nothing else.", why),)


def mine_substitution(proposal: Proposal) -> Found:
    """One word comes where another is wanted: say which replaces which."""
    cluster = proposal.cluster
    if cluster.place != "text" or len(cluster.wanted) > 1:
        return ()
    wrong = cluster.got[0] if cluster.got and short(cluster.got[0]) else common_word(proposal)
    right = next((value for value in cluster.wanted if short(value)), None)
    if wrong is None or is_contested(proposal, wrong, right):
        return ()
    never = (
        f"Never write {quoted(wrong)}.",
        f"{quoted(wrong)} stands in outputs of {len(cluster.members)} failures",
    )
    if right is None or right.casefold() == wrong.casefold():
        return (never,)
    why = f"outputs say {quoted(wrong)} where {quoted(right)} is wanted"
    return (
        (f"Write {quoted(right)} instead of {quoted(wrong)}.", why),
        (
            f"Write {quoted(right)} instead of {quoted(wrong)}, wherever the name comes up, quotations included.",
            why,
        ),
        never,
    )


def mine_label_set(proposal: Proposal) -> Found:
    """Values outside the expected labels came: list the labels, and say which replaces which."""
    cluster = proposal.cluster
    labels = proposal.labels.get(cluster.place, ())
    came = {
        score.got
        for member in cluster.members
        for score in member.failed
        if score.place == cluster.place and score.wanted is not None and score.got is not None
    }
    outside = [value for value in cluster.got if value in came and value not in labels and short(value)]
    if cluster.place == "length" or len(labels) < 2 or not outside or not all(map(short, labels)):
        return ()
    subject, inside = spoken_place(cluster.place)
    listed = ", ".join(quoted(label) for label in labels)
    others = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
    why = f"{quoted(outside[0])}{others}: none of the expected labels"
    set_line = f"{subject} must be exactly one of: {listed}."
    pairs = replacements(proposal)
    if not pairs:
        return ((set_line, why),)
    swaps = ", ".join(f"{quoted(right)} instead of {quoted(wrong)}" for wrong, right in pairs)
    swap_line = f"{inside}write {swaps}."
    swap_line = swap_line[0].upper() + swap_line[1:]
    return ((set_line, why), (swap_line, why), (f"{set_line} {swap_line}", why))


def mine_confusion(proposal: Proposal) -> Found:
    """One label comes where another is wanted: name the input words that give it away."""
    cluster = proposal.cluster
    labels = proposal.labels.get(cluster.place, ())
    if len(cluster.wanted) != 1 or not labels or any(value not in labels for value in cluster.got):
        return ()
    right = cluster.wanted[0]
    subject, _ = spoken_place(cluster.place)
    why = f"{quoted(cluster.got[0])} came where {quoted(right)} is wanted" if cluster.got else "a label is missing"
    return [
        (f"If the input mentions {either(terms)}, {subject} is {quoted(right)}.", why) for terms in giveaways(proposal)
    ]


def giveaways(proposal: Proposal) -> list[tuple[str, ...]]:
    """Sets of input terms that stand in the members and hardly in rows that pass: short, then longer."""
    members = [input_words(member.example) for member in proposal.cluster.members]
    others = [input_words(row.example) for row in proposal.passing]
    chosen: list[str] = []
    open_rows = list(range(len(members)))
    for term in proposal.cluster.terms:
        misfires = sum(term in words for words in others) / max(len(others), 1)
        covers = [row for row in open_rows if term in members[row]]
        if covers and misfires <= len(covers) / len(members):
            chosen.append(term)
            open_rows = [row for row in open_rows if row not in covers]
    return [tuple(chosen[:size]) for size in dict.fromkeys((3, 8)) if chosen[:size]]


def mine_length(proposal: Proposal) -> Found:
    """The answer is too long or too short: say the limit."""
    cluster = proposal.cluster
    if cluster.place != "length" or not cluster.wanted:
        return ()
    return ((f"Answer in {cluster.wanted[0]}.", f"{len(cluster.members)} answers miss the limit of length"),)


def mine_shape(proposal: Proposal) -> Found:
    """The right answer came in another case, or with words around it: ask for the bare answer."""
    cluster = proposal.cluster
    pairs = [
        (score.wanted, member.result.output)
        for member in cluster.members
        for score in member.failed
        if score.place == cluster.place in ("text", "label") and score.wanted is not None
    ]
    if not pairs:
        return ()
    found: list[tuple[str, str]] = []
    if all(wanted != output.strip() and wanted.casefold() == output.strip().casefold() for wanted, output in pairs):
        for case, made in (("lower", str.lower), ("upper", str.upper), ("title", str.title)):
            if all(made(wanted) == wanted for wanted, _ in pairs):
                found.append((f"Answer in {case} case.", "outputs differ from what is wanted in case alone"))
    exact = all(any(s.metric.startswith(("exact", "label")) for s in m.failed) for m in cluster.members)
    if exact and all(wanted.casefold() in output.casefold() for wanted, output in pairs):
        found.append(("Answer with only the value that is asked for, and nothing else.", "words stand around it"))
    return found


PLAIN: tuple[Miner, ...] = (mine_format, mine_label_set, mine_substitution, mine_length, mine_shape)
"""What can be read off the outputs."""
GUESSES: tuple[Miner, ...] = (mine_confusion,)
"""What words of the inputs seem to tell: tried behind what a model has understood."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MinedMutator:
    """Proposes lines without asking a model."""

    miners: tuple[Miner, ...] = (*PLAIN, *GUESSES)
    """In the order of their lines."""

    async def propose(self, proposal: Proposal) -> tuple[Edit, ...]:
        """At most four edits, the likeliest first."""
        texts: dict[str, str] = {}
        for miner in self.miners:
            for text, why in miner(proposal):
                texts.setdefault(text, why)
        return tuple(
            Edit(op=Op.ADD_LINE, after=END, text=text, cluster=proposal.cluster.id, why=why, source="mined")
            for text, why in list(texts.items())[:MOST_EDITS]
        )


def common_word(proposal: Proposal) -> str | None:
    """The word that most members' outputs share, that no expected value holds and few passing outputs do."""
    members = proposal.cluster.members
    inside = Counter(word for member in members for word in set(WORD.findall(member.result.output)))
    outside = Counter(word for row in proposal.passing for word in set(WORD.findall(row.result.output)))
    wanted = {word for value in proposal.cluster.wanted for word in WORD.findall(value)}
    best: tuple[float, str] | None = None
    for word, count in inside.items():
        rare = outside[word] / max(len(proposal.passing), 1)
        share = count / len(members)
        if word in wanted or share < COMMON or len(members) < 2:
            continue
        worth = share - rare + (0.1 if word[:1].isupper() else 0.0)
        best = max(best or (0.0, ""), (worth, word))
    return best[1] if best and best[0] > COMMON else None


def is_contested(proposal: Proposal, wrong: str, right: str | None) -> bool:
    """Whether rows of other causes say the same word and want another one in its place."""
    rivals = [
        row
        for row in proposal.others
        if wrong in WORD.findall(row.result.output) and (right is None or right not in str(row.example.expected))
    ]
    return len(rivals) >= max(2, CONTESTED * len(proposal.cluster.members))


def replacements(proposal: Proposal) -> list[tuple[str, str]]:
    """(wrong, right) pairs at the cluster's place on which all failing rows agree."""
    cluster = proposal.cluster
    own = {score.got for member in cluster.members for score in member.failed if score.place == cluster.place}
    pairs: dict[str, Counter[str]] = {}
    for row in (*cluster.members, *proposal.others):
        for score in row.failed:
            if score.place == cluster.place and score.got in own and score.got and score.wanted and short(score.got):
                pairs.setdefault(score.got, Counter())[score.wanted] += 1
    agreed = [
        (counts.total(), wrong, counts.most_common(1)[0][0])
        for wrong, counts in pairs.items()
        if counts.most_common(1)[0][1] >= 0.8 * counts.total()
    ]
    agreed.sort(key=lambda item: (-item[0], item[1]))
    return [(wrong, right) for _, wrong, right in agreed[:MOST_PAIRS]]


def spoken_place(place: str) -> tuple[str, str]:
    """(subject of a sentence, how a line about it begins): a JSON field by its name, or the answer."""
    if place.startswith("$."):
        return quoted(place[2:]), f"in {quoted(place[2:])}, "
    return "The answer", ""


def quoted(value: str) -> str:
    """A value in double quotes, as a line of a prompt shows it."""
    return '"' + value.replace('"', "'") + '"'


def either(terms: Sequence[str]) -> str:
    """`"a"`, `"a" or "b"`, `"a", "b" or "c"`."""
    named = [quoted(term) for term in terms]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def short(value: str) -> bool:
    """Whether a value is a label or a name rather than a text."""
    return 0 < len(value) <= LABEL_LENGTH and "\n" not in value
