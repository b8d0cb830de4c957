"""The settings of a build: what decides the pack beside the raw text and the annotator's answers."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from persbench.errors import PersbenchError, UnknownNameError
from persbench.packs.texts import Line, is_id

if TYPE_CHECKING:
    from persbench.packs.schema import Pattern

Split = Literal["material", "question"]
SPLITS: Final[tuple[Split, ...]] = ("material", "question")
LONGEST_ID: Final = 40  # rows are called <id>-t0001, and a row's name holds 64 characters
_NOT_IN_ID: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class BuildSettings:
    """Settings of one build.

    Attributes:
        name: The persona's name, as it is called in prompts.
        persona: Its id: the name of its folder.
        licence: Licence of the raw text, and so of what is built from it.
        language: Of the raw text, as in world.yaml; a world given has its own.
        held_out: Share of the material that tests are made from.
        split: `material`: nothing is learnt from a unit that a test asks for. `question`: units are shared, questions
            are apart (as in PersLLM's data, where a fact may be learnt by one question and tested by another).
        raised: User turns raised from a unit, by pattern.
        objective_words: Words of objective material that the annotator sees beside a unit (PersLLM: 1,500).
        speech_words: Words of speech that it sees (PersLLM: 500).
        knowledge: Items of knowledge.jsonl asked for from one held-out unit.
        inductions: Items of induction.jsonl wanted for a stage.
        stage_items: Items of stages.jsonl wanted, of each kind.
        contrasts: Questions of contrast.jsonl wanted for a stage.
        stylized: Rows of stylized.jsonl wanted.
    """

    name: str
    persona: str
    licence: str
    language: str = "en"
    held_out: float = 0.2
    split: Split = "material"
    raised: dict[Pattern, int] = field(default_factory=lambda: {"question": 2, "opinion": 1, "induced": 1})
    objective_words: int = 1500
    speech_words: int = 500
    knowledge: int = 2
    inductions: int = 12
    stage_items: int = 8
    contrasts: int = 24
    stylized: int = 30

    def __post_init__(self) -> None:
        """Refuse what no pack may hold, before anything is asked.

        Raises:
            PersbenchError: A name, licence or language that is not one line of text, or an id that is none.
        """
        for option, value in (("--name", self.name), ("--licence", self.licence), ("--language", self.language)):
            try:
                TypeAdapter(Line).validate_python(value)
            except ValidationError as error:
                raise PersbenchError(
                    f"{option} {value!r}: {error.errors()[0]['msg']}. Give one line of text."
                ) from None
        if not is_id(self.persona) or len(self.persona) > LONGEST_ID:
            raise PersbenchError(
                f"{self.persona!r} cannot be the persona's id: letters, digits, '.', '_' and '-', at most "
                f"{LONGEST_ID}, the first a letter or digit. Name one: --id ID."
            )

    def facts(self) -> dict[str, Any]:
        """Return every setting, for the report."""
        return asdict(self)


def id_of(name: str) -> str:
    """Return an id made of a name's Latin letters and digits; empty where it has none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_ID.sub("-", plain).strip("-")[:LONGEST_ID].strip("-")


def split_named(name: str) -> Split:
    """Return the split of that name.

    Raises:
        UnknownNameError: There is no such split.
    """
    for known in SPLITS:
        if known == name:
            return known
    raise UnknownNameError("split", name, SPLITS)
