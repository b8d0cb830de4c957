"""Systems that work by prompt alone: `vanilla` (no persona) and `prompt` (name, date, profile, voice, relations).

`icl` adds training dialogues of the stage as earlier turns, `rag` materials near to what the user said last.
"""

from __future__ import annotations

from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from persbench.retrieval import TextIndex
from persbench.systems.base import Situation, text_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.models.chat import Message
    from persbench.packs.schema import Material, MaterialKind, TrainDialogue
    from persbench.retrieval import TextMemory

INSTRUCTION: Final = (
    "You are {name}. It is {date}. Answer as {name}, in the first person, as {name} speaks and thinks "
    "at this moment of life, knowing nothing of what comes later."
)
EXAMPLES: Final = 4
TOKENS_A_WORD: Final = 1.4
"""English words in this kind of prose against the tokens of small models' tokenizers. A system knows no tokenizer; the
harness, which does, leaves retrieved units out where a context would not fit the model."""
Budget = tuple[str, "tuple[MaterialKind, ...]", int]
MEMORY: Final = "What comes to your mind:"
SAID: Final = "What you have said or written:"
USUAL_BUDGET: Final[tuple[Budget, ...]] = ((MEMORY, ("experience", "knowledge", "speech"), int(600 / TOKENS_A_WORD)),)
# PersLLM, arXiv 2407.12393: 1,500 words of objective material and 500 of conversation; its code has 1,300 and 350.
PAPER_BUDGET: Final[tuple[Budget, ...]] = ((MEMORY, ("experience", "knowledge"), 1500), (SAID, ("speech",), 500))


class Vanilla:
    """The bare model: the user's turn alone. Whatever a chat template adds of its own is stored as rendered."""

    name: Final = "vanilla"
    fingerprint: Final = text_fingerprint("vanilla")
    analysis: Final = False

    def messages(self, situation: Situation, turns: list[Message], less: int = 0) -> list[Message]:  # noqa: ARG002
        """Return the conversation unchanged."""
        return list(turns)


class Prompt:
    """The profile in the system message: name, date, who the persona is, how it talks, whom it knows."""

    name: Final = "prompt"
    fingerprint: Final = text_fingerprint("prompt", INSTRUCTION, "profile/voice/relations")
    analysis: Final = False

    def messages(self, situation: Situation, turns: list[Message], less: int = 0) -> list[Message]:  # noqa: ARG002
        """Put the persona's sheet before the conversation."""
        return [{"role": "system", "content": persona_sheet(situation)}, *turns]


class InContext:
    """`prompt`, and training dialogues of this very stage as earlier turns: their responses, without the analysis."""

    name: Final = "icl"
    analysis: Final = False

    def __init__(self, examples: int = EXAMPLES) -> None:
        self.examples = examples

    @property
    def fingerprint(self) -> str:
        """Digest of instruction and number of dialogues; which ones they are follows from the pack."""
        return text_fingerprint("icl", INSTRUCTION, "profile/voice/relations", str(self.examples), "patterns in turn")

    def messages(self, situation: Situation, turns: list[Message], less: int = 0) -> list[Message]:
        """Put the persona's sheet and the dialogues before the conversation; the last dialogues go first."""
        rows, shown = chosen_dialogues(situation, self.examples), list["Message"]()
        for row in rows[: max(0, len(rows) - less)]:
            shown += [{"role": "user", "content": row.prompt}, {"role": "assistant", "content": row.response}]
        # A conversation may bring a system message of its own, which belongs before all turns.
        own = [turn for turn in turns[:1] if turn["role"] == "system"]
        return [{"role": "system", "content": persona_sheet(situation)}, *own, *shown, *turns[len(own) :]]


def chosen_dialogues(situation: Situation, most: int) -> list[TrainDialogue]:
    """Choose training dialogues of the stage: the patterns take turns, and a fixed hash orders each.

    Args:
        situation: Persona and stage.
        most: How many; all of the stage where there are fewer.
    """
    by_pattern: dict[str, list[TrainDialogue]] = {"question": [], "opinion": [], "induced": []}
    for row in situation.data.train:
        if row.stage == situation.stage.id:
            by_pattern[row.pattern].append(row)
    for rows in by_pattern.values():
        rows.sort(key=lambda row: text_fingerprint("icl", row.id))
    return [row for turn in zip_longest(*by_pattern.values()) for row in turn if row is not None][:most]


class Retrieval:
    """`prompt`, and the materials of this stage or earlier that are nearest to what the user said last.

    Args:
        name: On the board.
        budgets: Headings, the kinds of material under each, and the words it may take.
        memory: Returns the embedder with what it embedded so far; called at the first use.
    """

    analysis: Final = False

    def __init__(self, name: str, budgets: Sequence[Budget], memory: Callable[[], TextMemory]) -> None:
        self.name, self.budgets, self._load = name, tuple(budgets), memory
        self._indices: dict[tuple[str, str, str, str], tuple[list[Material], TextIndex]] = {}

    @cached_property
    def memory(self) -> TextMemory:
        """The embedder, and what it embedded so far; it serves all personas."""
        return self._load()

    @property
    def fingerprint(self) -> str:
        """Digest of instruction, budgets and embedder."""
        budgets = [f"{heading}|{','.join(kinds)}|{words}" for heading, kinds, words in self.budgets]
        return text_fingerprint("rag", INSTRUCTION, *budgets, self.memory.embedder.fingerprint)

    def messages(self, situation: Situation, turns: list[Message], less: int = 0) -> list[Message]:
        """Put the persona's sheet and the retrieved materials before the conversation; the farthest units go first."""
        query = next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")
        parts, found = [persona_sheet(situation)], self.retrieved(situation, query)
        kept = found[: max(0, len(found) - less)]
        for heading, _, _ in self.budgets:
            texts = [f"- {text}" for under, text in kept if under == heading]
            if texts:
                parts.append("\n".join([heading, *texts]))
        return [{"role": "system", "content": "\n\n".join(parts)}, *turns]

    def retrieved(self, situation: Situation, query: str) -> list[tuple[str, str]]:
        """Return (heading, text) of the nearest units, in order; one that does not fit its budget is passed over."""
        materials, index = self._index(situation)
        left = {heading: words for heading, _, words in self.budgets}
        heading_of = {kind: heading for heading, kinds, _ in self.budgets for kind in kinds}
        found: list[tuple[str, str]] = []
        for place in index.nearest(query):
            heading, text = heading_of[materials[place].kind], materials[place].text
            if len(text.split()) <= left[heading]:
                left[heading] -= len(text.split())
                found.append((heading, text))
        return found

    def _index(self, situation: Situation) -> tuple[list[Material], TextIndex]:
        pack, data = situation.pack, situation.data
        key = (str(pack.path), pack.hash, data.persona.id, situation.stage.id)
        if key not in self._indices:
            lived = [stage.id for stage in pack.world.stages]
            so_far = set(lived[: lived.index(situation.stage.id) + 1])
            kinds = {kind for _, kinds, _ in self.budgets for kind in kinds}
            rows = [row for row in data.materials if row.stage in so_far and row.kind in kinds]
            self._indices[key] = rows, TextIndex([row.text for row in rows], self.memory)
        return self._indices[key]


def persona_sheet(situation: Situation) -> str:
    """Write the system message of `prompt`: profile, voice and relations of this stage, nothing else.

    Trait targets and `cannot_know` are test data and never enter; a test holds this.

    Args:
        situation: Persona, stage and world.

    Returns:
        Plain text of about 250-400 words.
    """
    profile, name = situation.profile, situation.data.persona.name
    names = {p.persona.id: p.persona.name for p in situation.pack.personas}
    parts = [INSTRUCTION.format(name=name, date=situation.stage.date)]
    if profile.profile is not None:
        parts.append(f"Who you are: {profile.profile}")
    if profile.voice is not None:
        parts.append(f"How you talk: {profile.voice}")
    if profile.relations:
        known = "\n".join(f"- {names.get(other, other)}: {text}" for other, text in profile.relations.items())
        parts.append(f"People you know:\n{known}")
    return "\n\n".join(parts)
