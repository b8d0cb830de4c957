"""From preference pairs to what a DPO trainer sees, in the form that the recipe trains and in a fixed order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from persbench.data.pairs import KINDS, pairs_of
from persbench.errors import PersbenchError
from persbench.models.embedder import default_embedder
from persbench.models.trained_form import reply_text
from persbench.training.rows import dialogues, persona_system, prompt_messages

if TYPE_CHECKING:
    from persbench.models.chat import Message
    from persbench.packs.pack import Pack, PersonaData
    from persbench.packs.schema import Matched, TrainDialogue
    from persbench.scoring.overlap import Embedder
    from persbench.training.recipe import Dpo, Recipe


Beside = tuple[str, "TrainDialogue", "TrainDialogue | Matched"]  # kind, the row to prefer, the one to turn from


@dataclass(frozen=True)
class Preference:
    """Two replies to one prompt of which the first is to be preferred.

    Attributes:
        id: `<id of the chosen row>/<kind>`.
        system: The system message.
        turns: The user's turn.
        chosen: The assistant's turn to prefer.
        rejected: The assistant's turn to turn from.
        kind: `other_stage`, `other_persona` or `same_voice`.
        stage: At which the persona speaks.
        pattern: Of the training dialogue.
        origins: Where the chosen and the rejected response stand, as file:line.
    """

    id: str
    system: str
    turns: tuple[Message, ...]
    chosen: str
    rejected: str
    kind: str
    stage: str
    pattern: str
    origins: tuple[str, str]

    @property
    def row(self) -> dict[str, Any]:
        """The preference in TRL's conversational form: `prompt`, `chosen` and `rejected`, all lists of messages."""
        return {
            "prompt": prompt_messages(self.system, self.turns),
            "chosen": [{"role": "assistant", "content": self.chosen}],
            "rejected": [{"role": "assistant", "content": self.rejected}],
        }


def preferences_of(
    pack: Pack, data: PersonaData, recipe: Recipe, *, seed: int | None = None, embedder: Embedder | None = None
) -> list[Preference]:
    """Make the preferences of one epoch of DPO, in order (`persbench.data.pairs` says how pairs are found).

    Against `same_voice` a row's response stands beside the answer to the same prompt in the persona's own voice with
    stance and facts taken out (matched.jsonl), which is no kind of the paper's.

    Args:
        pack: The world.
        data: The persona.
        recipe: What is learnt; one without `dpo` gives none.
        seed: Decides the order, and which are taken where the recipe limits their number; the recipe's if None.
        embedder: Finds nearest prompts and near-duplicates; the default one if None.

    Returns:
        The preferences; the kinds take turns as long as each has any left.

    Raises:
        PersbenchError: No pair can be made of one of the kinds wanted; the message says what is missing.
    """
    if recipe.dpo is None:
        return []
    seed = recipe.seed if seed is None else seed
    embedder = embedder or default_embedder()

    def rows(whose: PersonaData) -> list[TrainDialogue]:
        return dialogues(whose, recipe, embedder=embedder)[0]

    mined = [kind for kind in recipe.dpo.rejected if kind in KINDS]
    beside: list[Beside] = [
        (pair.kind, pair.chosen, pair.rejected) for pair in pairs_of(pack, data, embedder, rejected=mined, rows=rows)
    ]
    if "same_voice" in recipe.dpo.rejected:
        matched = {row.id: row for row in data.matched}
        beside += [("same_voice", row, matched[row.id]) for row in rows(data) if row.id in matched]
    by_kind = [[each for each in beside if each[0] == kind] for kind in recipe.dpo.rejected]
    for kind, found in zip(recipe.dpo.rejected, by_kind, strict=True):
        if not found:
            raise PersbenchError(_nothing(data.persona.id, recipe, kind))
        found.sort(key=lambda each: hashlib.sha256(f"{seed}\x1f{each[0]}\x1f{each[1].id}".encode()).digest())
    turns = [each for turn in zip_longest(*by_kind) for each in turn if each is not None]
    return [_preference(pack, data, recipe, recipe.dpo, each) for each in turns[: recipe.dpo.pairs]]


def _nothing(persona: str, recipe: Recipe, kind: str) -> str:
    lack = {
        "other_stage": f"personas/{persona}/train.jsonl has dialogues at one stage alone",
        "other_persona": "no other persona of the pack has a train.jsonl with dialogues of the same stage",
        "same_voice": f"personas/{persona}/matched.jsonl has no answer to a dialogue that is learnt",
    }
    others = [other for other in recipe.dpo.rejected if other != kind] if recipe.dpo else []
    way = f"`rejected: [{', '.join(others)}]`" if others else "`dpo: null`"
    return (
        f"recipe {recipe.name}: no rejected reply of kind {kind} for {persona}, near enough and another text: "
        f"{lack[kind]}, or none that fits. Write such dialogues, or train without: {way} in a recipe of your own."
    )


def _preference(pack: Pack, data: PersonaData, recipe: Recipe, dpo: Dpo, beside: Beside) -> Preference:
    kind, own, theirs = beside
    thought = own.analysis if dpo.analysis_of_rejected == "own" else getattr(theirs, "analysis", own.analysis)
    return Preference(
        id=f"{own.id}/{kind}",
        system=persona_system(pack, data, recipe, own.stage),
        turns=({"role": "user", "content": own.prompt},),
        chosen=reply_text(own.response, own.analysis if recipe.speaks.analysis else None),
        rejected=reply_text(theirs.response, thought if recipe.speaks.analysis else None),
        kind=kind,
        stage=own.stage,
        pattern=own.pattern,
        origins=(str(pack.where(own)), str(pack.where(theirs))),
    )
