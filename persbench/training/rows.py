"""From a persona's rows and ordinary dialogues to single sequences to learn from, each once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from persbench.data.deduplicate import Dropped, deduplicated
from persbench.errors import PersbenchError
from persbench.models.embedder import default_embedder
from persbench.models.trained_form import reply_text, system_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.models.chat import Message
    from persbench.packs.pack import Pack, PersonaData
    from persbench.packs.schema import Stage, TrainDialogue
    from persbench.scoring.overlap import Embedder
    from persbench.training.recipe import Recipe

FEWEST: Final = 8


@dataclass(frozen=True)
class Example:
    """One sequence to learn from.

    Attributes:
        id: The row's id; of a turn of an ordinary dialogue `<id>/<number of the turn>`.
        system: The system message; empty where there is none (ordinary dialogues).
        turns: The conversation up to and with the user's turn, without the system message.
        completion: The assistant's turn: the only part with a loss.
        origin: Where it stands, as file:line.
        general: Whether it is ordinary dialogue, in which no persona speaks.
        stage: At which stage the persona speaks; None in ordinary dialogue.
        pattern: Of the training dialogue; None where there is none.
    """

    id: str
    system: str
    turns: tuple[Message, ...]
    completion: str
    origin: str
    general: bool = False
    stage: str | None = None
    pattern: str | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The example in TRL's conversational form: `prompt` and `completion`, both lists of messages."""
        return {
            "prompt": prompt_messages(self.system, self.turns),
            "completion": [{"role": "assistant", "content": self.completion}],
        }


class Selected(NamedTuple):
    """What of a persona's rows is learnt.

    Attributes:
        examples: Each once, in the order of the file; stylized rows once a stage, since they are said at all dates.
        dropped: Rows left out as near-duplicates, with the rows that they repeat.
    """

    examples: list[Example]
    dropped: list[Dropped]


def prompt_messages(system: str, turns: Sequence[Message]) -> list[Message]:
    """Return a conversation as it goes to the chat template: the system message, where there is one, and the turns."""
    head: list[Message] = [{"role": "system", "content": system}] if system else []
    return [*head, *turns]


def persona_system(pack: Pack, data: PersonaData, recipe: Recipe, stage: str) -> str:
    """Write the system message of a persona at a stage, in the form that the recipe trains."""
    found = pack.stage(stage)
    return system_text(data.persona.name, found.date, found.temporal_label if recipe.speaks.temporal else None)


def selected(pack: Pack, data: PersonaData, recipe: Recipe, *, embedder: Embedder | None = None) -> Selected:
    """Choose the persona's rows that a recipe learns from.

    Args:
        pack: The world.
        data: The persona.
        recipe: Says which file, which patterns, and when two prompts of one stage and pattern are too near.
        embedder: Finds near-duplicates among prompts; the default one if None.

    Returns:
        The examples, each once, and what was left out.

    Raises:
        PersbenchError: Fewer than eight distinct rows are left, or there is no such file; the message says which.
    """
    if recipe.data.source == "stylized":
        return _stylized(pack, data, recipe, embedder)
    rows, dropped = dialogues(data, recipe, embedder=embedder)
    file = f"personas/{data.persona.id}/{recipe.data.source}.jsonl"
    lines = pack.lines.get(file, ())
    said = [(row.id, row.response) for row in (data.matched if recipe.data.source == "matched" else data.train)]
    responses = {i: (text, f"{file}:{line}") for (i, text), line in zip(said, lines, strict=True)}
    found = [_example(pack, data, recipe, row, *responses[row.id]) for row in rows if row.id in responses]
    return Selected(_enough(found, data, recipe, dropped), dropped)


def dialogues(
    data: PersonaData, recipe: Recipe, *, embedder: Embedder | None = None
) -> tuple[list[TrainDialogue], list[Dropped]]:
    """Return the rows of train.jsonl that a recipe uses, and those it leaves out as near-duplicates."""
    rows = [row for row in data.train if row.pattern in recipe.data.patterns]
    if recipe.data.deduplicate is None or not rows:
        return rows, []
    return deduplicated(
        rows,
        embedder or default_embedder(),
        prompt=lambda row: row.prompt,
        name=lambda row: row.id,
        group=lambda row: (row.stage, row.pattern),
        threshold=recipe.data.deduplicate,
    )


def _example(pack: Pack, data: PersonaData, recipe: Recipe, row: TrainDialogue, response: str, origin: str) -> Example:
    return Example(
        id=row.id,
        system=persona_system(pack, data, recipe, row.stage),
        turns=({"role": "user", "content": row.prompt},),
        completion=reply_text(response, row.analysis if recipe.speaks.analysis else None),
        origin=origin,
        stage=row.stage,
        pattern=row.pattern,
    )


def _stylized(pack: Pack, data: PersonaData, recipe: Recipe, embedder: Embedder | None) -> Selected:
    """Make examples of stylized rows: every row at one stage, the stages in turns, then every row at the next one."""
    file = f"personas/{data.persona.id}/stylized.jsonl"
    line_of = dict(zip((row.id for row in data.stylized), pack.lines.get(file, ()), strict=True))
    rows = list(data.stylized)
    dropped: list[Dropped] = []
    if recipe.data.deduplicate is not None and rows:
        rows, dropped = deduplicated(
            rows,
            embedder or default_embedder(),
            prompt=lambda row: row.instruction,
            name=lambda row: row.id,
            threshold=recipe.data.deduplicate,
        )
    stages: list[Stage] = [stage for stage in pack.world.stages if stage.id in data.persona.stages]
    found = [
        Example(
            id=row.id,
            system=persona_system(pack, data, recipe, stage.id),
            turns=({"role": "user", "content": row.instruction},),
            completion=row.voiced,
            origin=f"{file}:{line_of[row.id]}",
            stage=stage.id,
        )
        for turn in range(len(stages))
        for number, row in enumerate(rows)
        for stage in [stages[(number + turn) % len(stages)]]
    ]
    return Selected(_enough(found, data, recipe, dropped), dropped)


def _enough(found: list[Example], data: PersonaData, recipe: Recipe, dropped: Sequence[Dropped]) -> list[Example]:
    distinct = len({example.id for example in found})
    if distinct >= FEWEST:
        return found
    source = recipe.data.source
    which = "" if source == "stylized" else f" of the patterns {', '.join(recipe.data.patterns)}"
    left_out = f" ({len(dropped)} more repeat an earlier prompt)" if dropped else ""
    raise PersbenchError(
        f"personas/{data.persona.id}/{source}.jsonl: {distinct} rows{which} to train on{left_out}, "
        f"and the recipe {recipe.name} needs at least {FEWEST} distinct ones. "
        "Write more of them (see reference_personas/WRITING.md), or choose a recipe that learns from another file."
    )


def general_examples(pack: Pack, recipe: Recipe, wanted: int) -> list[Example]:
    """Return ordinary dialogues of split train, a turn each, in a fixed order.

    Args:
        pack: The world.
        recipe: For the message.
        wanted: At most so many; there may be fewer.

    Raises:
        PersbenchError: Some are wanted, and there is none.
    """
    if not wanted:
        return []
    found = [
        Example(
            id=f"{row.id}/{number // 2 + 1}",
            system="",
            turns=tuple({"role": m.role, "content": m.content} for m in row.messages[:number]),
            completion=message.content,
            origin=f"general.jsonl:{line}",
            general=True,
        )
        for line, row in zip(pack.lines.get("general.jsonl", ()), pack.general, strict=True)
        if row.split == "train"
        for number, message in enumerate(row.messages)
        if message.role == "assistant"
    ]
    if not found:
        raise PersbenchError(
            f"general.jsonl: no dialogue of split train, and the recipe {recipe.name} mixes {wanted} of them in. "
            "Write some (see reference_personas/WRITING.md), or train without: `--recipe no-general`, or "
            "`general: 0` in a recipe of your own."
        )
    return sorted(found, key=lambda example: fixed_key("general", example.id))[:wanted]


def fixed_key(*parts: str) -> str:
    """Return a fixed pseudo-random sort key in hex: the same on every machine, for every run."""
    return hashlib.sha256("\x1f".join(("persbench-examples-1", *parts)).encode()).hexdigest()
