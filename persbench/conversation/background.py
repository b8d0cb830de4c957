"""What a pack tells of its people that their talk is held against: whose voice it is, and whose field."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError
from persbench.scoring.authorship import Row
from persbench.scoring.field_words import field_words
from persbench.scoring.voice_odds import VoiceOdds
from persbench.scoring.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.conversation.records import Agent
    from persbench.packs.pack import Pack, PersonaData

LEAST_GROUPS: Final = 10
"""Questions that both have answered, below which texts that share no question are learnt from as well."""


class Background:
    """Voices and fields of a pack's people, each computed when it is first asked for.

    Attributes:
        pack: Where they come from. No text of a conversation ever enters.
        names: Words of all people's names.
    """

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.names = frozenset(word for data in pack.personas for word in words(data.persona.name))
        self._voices: dict[tuple[str, ...], VoiceOdds | None] = {}
        self._fields: dict[str, dict[str, frozenset[str]]] = {}

    def voices(self, a: Agent, b: Agent) -> VoiceOdds | None:
        """Return the classifier between two speakers, trained on what was written for them at their stages.

        It learns from answers to shared questions and from training responses to common prompts, so that both speak to
        the same matters and only the voice tells them apart. With few of these it also learns from the rest: other
        training responses, and paragraphs of speech.

        Returns:
            Authors are `author_of` each; None where the two are the same person at the same stage, or the pack has too
            few texts of one.

        Raises:
            UnknownNameError: The pack has no such persona.
        """
        key = tuple(sorted({author_of(a), author_of(b)}))
        if key not in self._voices:
            try:
                self._voices[key] = VoiceOdds(self._texts(a, b)) if len(key) > 1 else None
            except PersbenchError:  # too few texts: the pack may hold only part of the files
                self._voices[key] = None
        return self._voices[key]

    def field(self, agent: Agent) -> frozenset[str]:
        """Return the words of a speaker's field: typical of its profile and objective material up to its stage.

        They are told apart from the same of the pack's other people. Paragraphs of speech are left out: they show a
        voice, and dialect is no subject matter.

        Raises:
            UnknownNameError: The pack has no such persona or stage.
        """
        self.pack.persona(agent.persona)
        until = self.pack.stage(agent.stage)
        if agent.stage not in self._fields:
            stages = [stage.id for stage in self.pack.world.stages]
            known = frozenset(stages[: stages.index(until.id) + 1])
            texts = {data.persona.id: list(_subject_matter(data, known)) for data in self.pack.personas}
            self._fields[agent.stage] = field_words(texts, names=self.names)
        return self._fields[agent.stage][agent.persona]

    def name(self, agent: Agent) -> str:
        """Return what a speaker is called."""
        return self.pack.persona(agent.persona).persona.name

    def _texts(self, a: Agent, b: Agent) -> list[Row]:
        both = [list(_spoken(self.pack.persona(one.persona), one)) for one in (a, b)]
        common = {row.question for row in both[0]} & {row.question for row in both[1]}
        if len(common) >= LEAST_GROUPS:
            return [row for row in chain(*both) if row.question in common]
        return [*chain(*both), *(row for one in (a, b) for row in _speech(self.pack.persona(one.persona), one))]


def author_of(agent: Agent) -> str:
    """Name a speaker among authors: one person at two stages has two voices."""
    return f"{agent.persona}/{agent.stage}"


def _spoken(data: PersonaData, agent: Agent) -> Iterator[Row]:
    for answer in data.answers:
        if answer.stage == agent.stage:
            yield Row(answer.reply, author_of(agent), f"question {answer.question}")
    for dialogue in data.train:
        if dialogue.stage == agent.stage:
            yield Row(dialogue.response, author_of(agent), f"prompt {dialogue.prompt_id}")


def _speech(data: PersonaData, agent: Agent) -> Iterator[Row]:
    for material in data.materials:
        if material.kind == "speech" and material.stage == agent.stage:
            yield Row(material.text, author_of(agent), f"material {material.id}")


def _subject_matter(data: PersonaData, stages: frozenset[str]) -> Iterator[str]:
    for stage, profile in data.persona.stages.items():
        if stage in stages and profile.profile:
            yield profile.profile
    for material in data.materials:
        if material.kind != "speech" and material.stage in stages:
            yield material.text
