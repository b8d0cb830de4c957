"""Sanity systems on the same items: rules that look at the surface of candidates alone, without any model.

What beats chance here is a fault of the data or of the scoring, not a talent of a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from persbench.harness.choice_tasks import (
    AttitudeTask,
    CostumeTask,
    InductionTask,
    KnowledgeTask,
    StagesTask,
    WhoSaidTask,
)
from persbench.harness.documents import documents_of
from persbench.harness.documents.alignment import stance_holders
from persbench.harness.documents.base import Document, branches_of
from persbench.harness.tasks import pair
from persbench.samples import Row, sample_row
from persbench.scoring.sanity import FLOORS, PREFIX, RULES, ChoiceContext, Rule, rules
from persbench.systems.base import Situation
from persbench.systems.prompted import persona_sheet
from persbench.systems.registry import get_system

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persbench.harness.choosing import ChoiceTask
    from persbench.harness.task_index import TaskFile
    from persbench.packs.load import Pack, PersonaData

# Choices that can be made without a model: live dialogues cannot, traits and ordinary requests have no right answer.
SURFACE_TASKS: Final[dict[str, type[ChoiceTask]]] = {
    "persbench_costume": CostumeTask,
    "persbench_attitude": AttitudeTask,
    "persbench_knowledge": KnowledgeTask,
    "persbench_who_said": WhoSaidTask,
    "persbench_induction": InductionTask,
    "persbench_stages": StagesTask,
}


def sanity_systems() -> list[str]:
    """Return the board names of all sanity systems and floors."""
    return [PREFIX + name for name in (*RULES, "unigram_fluency", *FLOORS)]


def rules_of(pack: Pack) -> dict[str, Rule]:
    """Return every rule by name; word frequencies come from all authored candidates of the pack."""
    return {**rules(_all_candidates(pack)), **FLOORS}


def _all_candidates(pack: Pack) -> Iterable[str]:
    for question in pack.questions:
        yield from (stance.text for stance in question.stances)
    for data in pack.personas:
        yield from (answer.reply for answer in data.answers)
        for row in data.contrast:
            yield from (row.voice_only.reply, row.stance_only.reply)
        for item in data.knowledge:
            yield from (item.gold, *item.foils)
        for induction in data.induction:
            yield from (induction.resist, induction.yield_, induction.affirm, induction.deny)
        for stage_item in data.stage_items:
            yield from stage_item.replies.values()


def sanity_rows(rule: Rule, tasks: Iterable[TaskFile], pack: Pack, data: PersonaData) -> dict[str, list[Row]]:
    """Score every choice item of one persona by one rule.

    Args:
        rule: Scores candidates of a context; higher is chosen.
        tasks: The tasks of the run; generation tasks have no candidates to choose from and are passed over.
        pack: The world.
        data: The persona.

    Returns:
        Task name -> rows, scored by the very functions that score a model; raw and anchored are the same number.
    """
    found: dict[str, list[Row]] = {}
    for task in tasks:
        scorer = SURFACE_TASKS.get(task.name)
        documents = documents_of(task.name, pack, data, get_system("vanilla"))
        if scorer is not None and documents:
            found[task.name] = [_row(rule, scorer, document, pack) for document in documents]
    return found


def context_of(document: Document, branch: Document, pack: Pack) -> ChoiceContext:
    """Return what a surface rule may see of a document in one of its branches."""
    holders = stance_holders(pack, document["cluster"]) if all(document["stances"]) else None
    situation = Situation(pack, pack.persona(document["persona"]), pack.stage(_stage(document, branch, pack)))
    return ChoiceContext(
        item_id=document["id"],
        prompt=branch["ask"],
        candidates=document["candidates"],
        profile=persona_sheet(situation),
        stance_holders=None if holders is None else [float(holders[stance]) for stance in document["stances"]],
    )


def _stage(document: Document, branch: Document, pack: Pack) -> str:
    """Return the stage of a branch: its label where branches are stages, else the document's."""
    label = branch.get("label")
    return label if label in {stage.id for stage in pack.world.stages} else str(document["stage"])


def _row(rule: Rule, scorer: type[ChoiceTask], document: Document, pack: Pack) -> Row:
    scores = [rule(context_of(document, branch, pack)) for branch in branches_of(document)]
    metrics = scorer.score_branches(document, scores)
    kept = {name: pair(value) for name, value in metrics.items() if not name.endswith("_margin")}
    flat = [[(score, False)] for branch in scores for score in branch]
    row = sample_row({"doc": document, "resps": flat, "metrics": list(kept)} | kept)
    # Scores of a rule are no log-likelihoods: they stand under their own name.
    for part in row.get("branches", [row]):
        part["scores"] = part.pop("loglikelihoods")
        part.pop("anchors", None)
    row["rendering"] = "none"
    return row
