"""Step 10 with a world, answers.jsonl: what the persona says to the questions that everybody is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.build.asking import Asker, Request, same
from persbench.build.material import fixed_key
from persbench.build.memory import Memory, shown
from persbench.packs.schema import Answer
from persbench.packs.texts import PackModel, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from persbench.build.settings import BuildSettings
    from persbench.build.sheets import Sheet
    from persbench.packs.pack import Pack
    from persbench.packs.schema import Question, Stage


class ChosenAnswer(PackModel):
    """What `answer` answers."""

    stance: str
    reply: Text


class ReplyAnswer(PackModel):
    """What the tasks answer that ask for a reply alone."""

    reply: Text


def answers(
    world: Pack,
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    memory: Memory,
    asker: Asker,
) -> list[Answer]:
    """Answer every shared question of a world at every stage.

    Args:
        world: Its questions.
        settings: Whose life it is.
        stages: By id, in order.
        sheets: Profiles and voices, by stage.
        memory: All material, also what is held out.
        asker: Asks.

    Returns:
        Rows of answers.jsonl, question by question; a question that could not be answered has none.
    """
    asked = [(question, stage) for question in world.questions for stage in stages]
    open_ones = [(question, stage) for question, stage in asked if not question.stances]
    chosen = [(question, stage) for question, stage in asked if question.stances]
    found: dict[tuple[str, str], Answer] = {}
    requests = [_answer_request(question, stage, settings, stages, sheets, memory) for question, stage in chosen]
    for (question, stage), answer in zip(chosen, asker.ask(requests), strict=True):
        if answer is not None:
            found[question.id, stage] = Answer(
                question=question.id, stage=stage, stance=answer.stance, reply=answer.reply
            )
    free = [_free_request(question, stage, settings, stages, sheets, memory) for question, stage in open_ones]
    for (question, stage), reply in zip(open_ones, asker.ask(free), strict=True):
        if reply is not None:
            found[question.id, stage] = Answer(question=question.id, stage=stage, reply=reply.reply)
    return [found[question.id, stage] for question, stage in asked if (question.id, stage) in found]


def _fields(
    question: Question,
    stage: str,
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    memory: Memory,
) -> dict[str, str | Sequence[str]]:
    objective, speech = memory.recalled(question.text, stage)
    return {
        "name": settings.name,
        "date": stages[stage].date,
        "profile": sheets[stage].profile,
        "voice": sheets[stage].voice,
        "objective": shown(objective),
        "speech": shown(speech),
        "question": question.text,
    }


def _answer_request(
    question: Question,
    stage: str,
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    memory: Memory,
) -> Request[ChosenAnswer]:
    known = [stance.id for stance in question.stances]
    # The first position stands first once in so many questions and stages: whoever takes the first takes each in turn.
    order = sorted(question.stances, key=lambda s: fixed_key("stances", question.id, stage, s.id))
    fields = _fields(question, stage, settings, stages, sheets, memory)
    fields["stances"] = [f"{stance.id}: {stance.text}" for stance in order]

    def check(answer: ChosenAnswer) -> str | None:
        if answer.stance not in known:
            return f'"stance" must be one of {", ".join(known)}'
        texts = {f"the position {s.id}": s.text for s in question.stances}
        return same({"reply": answer.reply, **texts})

    return Request("answer", f"{question.id} at {stage}", fields, ChosenAnswer, check)


def _free_request(
    question: Question,
    stage: str,
    settings: BuildSettings,
    stages: Mapping[str, Stage],
    sheets: Mapping[str, Sheet],
    memory: Memory,
) -> Request[ReplyAnswer]:
    fields = _fields(question, stage, settings, stages, sheets, memory)
    return Request("answer-freely", f"{question.id} at {stage}", fields, ReplyAnswer)
