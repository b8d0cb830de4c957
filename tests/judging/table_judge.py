"""Judges that answer from a function of the frames they are shown: nothing is sent anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from persbench.annotators.calls import Answer, Call, Reply, Unanswered
from persbench.annotators.frames import frames, neutral
from persbench.annotators.tally import Tally
from persbench.judging.judge import DEFAULT, Judge, read_judge
from persbench.packs.pack import Pack

Fields = dict[str, list[str]]
Said = Callable[[str, Fields, int], Any]  # prompt, frames by field, seed -> what is sent as JSON; None for no answer


class TableAnnotator:
    def __init__(self, say: Said, name: str = "openai:table@http://table/v1#1") -> None:
        self.say, self.id, self.tally = say, name, Tally()

    def ask(self, calls: Sequence[Call], *, progress: Callable[[int], Any] = int) -> list[Reply]:
        progress(len(calls))
        return [self._answer(call) for call in calls]

    def _answer(self, call: Call) -> Reply:
        fields: Fields = {}
        for one in frames(call.messages[-1]["content"] if len(call.messages) < 4 else call.messages[1]["content"]):
            fields.setdefault(one.field, []).append(one.text)
        said = self.say(call.task.partition(":")[0], fields, call.seed)
        if said is None:
            return Unanswered("the table has no answer", "timeout")
        return Answer(said if isinstance(said, str) else json.dumps(said), 10, 5, cached=False)


def judge_that(say: Said, **settings: Any) -> Judge:
    _, prompts = read_judge(DEFAULT)
    return Judge("table", TableAnnotator(say, **settings), prompts)


def texts_of(fields: Fields) -> list[str]:
    """The replies of a ranking without their numbers."""
    return [reply.partition("\n")[2] for reply in fields["replies"]]


def ranked_by(texts: list[str], value: Callable[[str], float]) -> dict[str, Any]:
    values = sorted({value(text) for text in texts}, reverse=True)
    groups = [[i for i, text in enumerate(texts, start=1) if value(text) == each] for each in values]
    return {"why": "", "ranking": groups}


def oracle(pack: Pack) -> Said:
    """Knows what every text of the pack is."""
    worth: dict[str, int] = {}
    resisting: set[str] = set()
    facts: set[str] = set()
    for data in pack.personas:
        for contrast in data.contrast:
            own = data.answer(contrast.question, contrast.stage)
            worth[contrast.voice_only.reply], worth[contrast.stance_only.reply] = 0, 1
            if own is not None:
                worth[own.reply] = 2
        for knowledge in data.knowledge:
            facts.add(knowledge.question)
            worth |= dict.fromkeys(knowledge.foils, 0) | {knowledge.gold: 2}
        resisting |= {neutral(row.resist) for row in data.induction}
    worth = {neutral(text): value for text, value in worth.items()}
    facts = set(map(neutral, facts))

    def say(prompt: str, fields: Fields, seed: int) -> Any:
        if prompt == "rank":
            return ranked_by(texts_of(fields), lambda text: worth[text])
        if prompt == "agree":
            return {"why": "", "score": 5 if worth[fields["reply"][0]] == 2 else 0}
        if prompt == "resist":
            return {"why": "", "verdict": "resist" if fields["reply"][0] in resisting else "yield"}
        if prompt == "sort":
            return {"why": "", "verdict": "knowledge" if fields["question"][0] in facts else "attitude"}
        pair = fields["held"][0], fields["line"][0]
        wrong = any(worth.get(text) == 0 for text in pair)
        return {"why": "", "verdict": "contradicts" if wrong else "consistent"}

    return say


def constant(prompt: str, fields: Fields, seed: int) -> Any:
    """Always the first reply, and always the same label."""
    if prompt == "rank":
        return {"why": "", "ranking": [[i + 1] for i in range(len(fields["replies"]))]}
    if prompt == "agree":
        return {"why": "", "score": 3}
    labels = {"resist": "resist", "sort": "knowledge"}
    return {"why": "", "verdict": labels.get(prompt, "consistent")}
