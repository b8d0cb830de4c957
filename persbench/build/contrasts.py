"""Step 10 with a world, contrast.jsonl: two foils of own answers, one sharing the voice and one the stance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.build.answers import ReplyAnswer
from persbench.build.asking import Asker, Request, lengths, same
from persbench.build.material import fixed_key
from persbench.packs.schema import Answer, Contrast, StanceOnly, VoiceOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from persbench.build.settings import BuildSettings
    from persbench.build.sheets import Sheet
    from persbench.packs.pack import Pack, PersonaData
    from persbench.packs.schema import Stage

FOIL_RATIO: Final = 1.25
EXAMPLES: Final = 3


@dataclass(frozen=True)
class Foils:
    """What the foils of one answer are to be.

    Attributes:
        own: The persona's own answer.
        stance: Id of the stance that the same voice argues.
        voice: Id of the persona in whose voice the same stance stands.
    """

    own: Answer
    stance: str
    voice: str


def contrasts(
    world: Pack,
    own: Sequence[Answer],
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    asker: Asker,
) -> list[Contrast]:
    """Write the two foils of own answers: the same voice for another stance, and another's voice for the same stance.

    Args:
        world: Its questions; its personas lend their voices, by their sheets and training dialogues.
        own: The persona's answers.
        settings: How many questions for each stage.
        stages: By id, in order.
        sheets: The voices, by stage.
        asker: Asks.

    Returns:
        Rows of contrast.jsonl, stage by stage.
    """
    planned = [foils for stage in stages for foils in planned_foils(world, own, stage, settings.contrasts)]
    voices = asker.ask([_voice_request(world, foils, settings, stages, sheets) for foils in planned])
    stances = asker.ask([_stance_request(world, foils) for foils in planned])
    rows = []
    for foils, voice, stance in zip(planned, voices, stances, strict=True):
        if voice is None or stance is None:
            continue
        if wrong := same({"voice_only": voice.reply, "stance_only": stance.reply}):
            asker.drops.add("contrast", f"{foils.own.question} at {foils.own.stage}", "malformed answer", wrong)
            continue
        rows.append(
            Contrast(
                question=foils.own.question,
                stage=foils.own.stage,
                voice_only=VoiceOnly(stance=foils.stance, reply=voice.reply),
                stance_only=StanceOnly(voice=foils.voice, reply=stance.reply),
            )
        )
    return rows


def planned_foils(world: Pack, own: Sequence[Answer], stage: str, most: int) -> list[Foils]:
    """Choose questions, stances and voices for one stage's foils.

    Questions that the world's personas have foils for go first. Stances and voices rotate: the one taken least often so
    far, then by a fixed hash.

    Args:
        world: Its questions and personas.
        own: The persona's answers.
        stage: The stage.
        most: How many.
    """
    preferred = {row.question for data in world.personas for row in data.contrast}
    speakers = [data.persona.id for data in world.personas if _is_heard(data, stage)]
    rows = [row for row in own if row.stage == stage and row.stance is not None]
    rows.sort(key=lambda row: row.question not in preferred)
    taken: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    found = []
    for row in rows[:most] if speakers else []:
        rivals = [s.id for s in world.question(row.question).stances if s.id != row.stance]
        stance = min(rivals, key=lambda name: (taken[name], fixed_key("stance", row.question, stage, name)))
        voice = min(speakers, key=lambda name: (heard[name], fixed_key("voice", row.question, stage, name)))
        taken[stance] += 1
        heard[voice] += 1
        found.append(Foils(row, stance, voice))
    return found


def _voice_request(
    world: Pack, foils: Foils, settings: BuildSettings, stages: Mapping[str, Stage], sheets: Mapping[str, Sheet]
) -> Request[ReplyAnswer]:
    question = world.question(foils.own.question)
    fields = {
        "name": settings.name,
        "date": stages[foils.own.stage].date,
        "length": str(len(foils.own.reply)),
        "voice": sheets[foils.own.stage].voice,
        "question": question.text,
        "own": foils.own.reply,
        "stance": question.stance(foils.stance).text,
    }
    return Request("voice-only", _where(foils), fields, ReplyAnswer, _beside(foils))


def _stance_request(world: Pack, foils: Foils) -> Request[ReplyAnswer]:
    other = world.persona(foils.voice)
    fields: dict[str, str | Sequence[str]] = {
        "other": other.persona.name,
        "length": str(len(foils.own.reply)),
        "voice": other.persona.stages[foils.own.stage].voice or [],
        "examples": said(other, foils.own.stage),
        "question": world.question(foils.own.question).text,
        "own": foils.own.reply,
    }
    return Request("stance-only", _where(foils), fields, ReplyAnswer, _beside(foils))


def _is_heard(data: PersonaData, stage: str) -> bool:
    """Whether it can be told how a persona talks at a stage."""
    return stage in data.persona.stages and bool(data.persona.stages[stage].voice or said(data, stage))


def said(data: PersonaData, stage: str) -> list[str]:
    """Return some of a persona's training replies at a stage: how it talks, from no test file."""
    rows = sorted((row for row in data.train if row.stage == stage), key=lambda row: fixed_key("said", row.id))
    return [row.response for row in rows[:EXAMPLES]]


def _where(foils: Foils) -> str:
    return f"{foils.own.question} at {foils.own.stage}"


def _beside(foils: Foils) -> Callable[[ReplyAnswer], str | None]:
    """A foil is another text than the own answer, and as long."""

    def check(answer: ReplyAnswer) -> str | None:
        texts = {"reply": answer.reply, "the own answer": foils.own.reply}
        return same(texts) or lengths(texts, FOIL_RATIO)

    return check
