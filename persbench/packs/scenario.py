"""scenarios.jsonl: two personas in conversation, what both know of where they are, and what each of them wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import model_validator

from persbench.errors import Fault
from persbench.packs.complaints import one_of, quoted, unknown_name
from persbench.packs.texts import Id, Line, Many, PackModel, Some, Text, complaint, distinct, folded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.packs.draft import PackDraft
    from persbench.packs.references import Known

ScenarioKind = Literal["opposed", "cooperative"]
FEWEST_WORDS: Final = {"setting": 12, "aim_a": 6, "aim_b": 6, "opening": 5}
"""A talk needs a place, a reason and a beginning: fewer words hold none."""


class ScenarioAgent(PackModel):
    """Who takes part, and at which stage of life."""

    persona: Id
    stage: Id


class Scenario(PackModel):
    """A row of scenarios.jsonl.

    `setting` is told to both, `aim_a` and `aim_b` to one of them each. `opening` is what `a` says first. `questions`
    are shared questions that the talk touches: stance probes ask them. Test only.
    """

    id: Id
    kind: ScenarioKind
    a: ScenarioAgent
    b: ScenarioAgent
    setting: Text
    aim_a: Text
    aim_b: Text
    opening: Text
    questions: Some[Id]
    topics: Many[Line] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.a.persona == self.b.persona:
            raise complaint("b.persona: {persona} talks with itself", persona=quoted(self.a.persona))
        texts = {name: str(getattr(self, name)) for name in FEWEST_WORDS}
        for name, text in texts.items():
            if (found := len(text.split())) < (fewest := FEWEST_WORDS[name]):
                raise complaint(
                    "{name}: {found} words; expected at least {fewest}", name=name, found=found, fewest=fewest
                )
        if twice := [name for name in self.questions if self.questions.count(name) > 1]:
            raise complaint("questions: {question} twice", question=quoted(twice[0]))
        distinct(texts)
        return self


def scenario_references(draft: PackDraft, known: Known) -> Iterator[Fault]:
    """Find what the scenarios refer to in vain.

    Args:
        draft: The pack as read.
        known: What there is.

    Yields:
        A fault for each unknown persona, stage and question, each stage that its persona has no sheet for, each
        question without stances, and each text that two scenarios share.
    """
    file = draft.scenarios.file
    sheets = {persona.id: persona.persona for persona in draft.personas}
    first: dict[str, int] = {}
    for line, row in draft.scenarios.rows:
        for side, agent in (("a", row.a), ("b", row.b)):
            if agent.persona not in sheets:
                message, expected = unknown_name("persona", agent.persona, known.personas)
                yield Fault(file, line, f"{side}: {message}", expected)
            if known.stages is not None and agent.stage not in known.stages:
                message, expected = unknown_name("stage", agent.stage, list(known.stages))
                yield Fault(file, line, f"{side}: {message}", expected)
            elif (sheet := sheets.get(agent.persona)) is not None and agent.stage not in sheet.stages:
                message = f"{side}: persona {quoted(agent.persona)} has no stage {quoted(agent.stage)}"
                yield Fault(file, line, f"{message} in its persona.yaml", one_of(sheet.stages))
        for question in row.questions:
            yield from known.question(file, line, question)
            yield from known.positions(file, line, question)
        for name in FEWEST_WORDS:
            earlier = first.setdefault(folded(str(getattr(row, name))), line)
            if earlier != line:
                yield Fault(file, line, f"{name} is the same text as one of line {earlier}", "a text of its own")
