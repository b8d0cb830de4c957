"""Step 11, stylized.jsonl: ordinary requests answered in the persona's voice, for the baseline that learns it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.build.asking import Asker, Request, same
from persbench.build.material import fixed_key
from persbench.packs.schema import Stylized
from persbench.packs.texts import PackModel, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from persbench.build.material import Piece
    from persbench.build.settings import BuildSettings
    from persbench.build.sheets import Sheet
    from persbench.packs.schema import GeneralDialogue, Stage

TURNS: Final = 2
LONGEST: Final = 150  # words of a plain answer
EXAMPLES: Final = 3


class VoicedAnswer(PackModel):
    """What `stylize` answers."""

    voiced: Text


def ordinary(general: Sequence[GeneralDialogue], most: int) -> list[GeneralDialogue]:
    """Choose requests to be answered in the voice: of split train, of one exchange, not long; the first by a hash."""
    fitting = [
        row
        for row in general
        if row.split == "train" and len(row.messages) == TURNS and len(row.messages[-1].content.split()) <= LONGEST
    ]
    return sorted(fitting, key=lambda row: fixed_key("stylized", row.id))[:most]


def stylized(
    general: Sequence[GeneralDialogue],
    pieces: Sequence[Piece],
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    asker: Asker,
) -> list[Stylized]:
    """Put plain answers into the persona's voice; its stages take turns.

    Args:
        general: Ordinary dialogues.
        pieces: Material that training may see; speech shows the voice.
        settings: How many.
        stages: By id, in order.
        sheets: The voices, by stage.
        asker: Asks.

    Returns:
        Rows of stylized.jsonl.
    """
    chosen, order = ordinary(general, settings.stylized), list(stages)
    requests = []
    for number, row in enumerate(chosen):
        stage = order[number % len(order)]
        examples = [piece.text for piece in pieces if piece.kind == "speech" and piece.stage == stage][:EXAMPLES]
        instruction, plain = (message.content for message in row.messages)
        fields = {
            "name": settings.name,
            "date": stages[stage].date,
            "voice": sheets[stage].voice,
            "examples": examples,
            "instruction": instruction,
            "plain": plain,
        }
        requests.append(Request("stylize", row.id, fields, VoicedAnswer, _another(plain)))
    return [
        Stylized(
            id=f"{settings.persona}-y{number:03}",
            instruction=row.messages[0].content,
            plain=row.messages[1].content,
            voiced=answer.voiced,
        )
        for number, (row, answer) in enumerate(
            ((row, a) for row, a in zip(chosen, asker.ask(requests), strict=True) if a is not None), start=1
        )
    ]


def _another(plain: str) -> Callable[[VoicedAnswer], str | None]:
    return lambda answer: same({"voiced": answer.voiced, "the plain answer": plain})
