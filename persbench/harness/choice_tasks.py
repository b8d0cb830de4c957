"""Choices among authored candidates by log-likelihood, one class a task: each says what a choice is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from persbench.harness.choosing import ChoiceTask, Scores, both
from persbench.scoring.choice import credit, margin
from persbench.scoring.resistance import discrimination, hit, upheld
from persbench.scoring.traits import picked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.harness.documents.base import Document


class CostumeTask(ChoiceTask):
    """Own answer against the same voice with another stance, and against another voice with the same stance."""

    METRICS: ClassVar[dict[str, bool]] = both("content_acc", "content_margin", "voice_acc", "voice_margin")

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Score content (own voice fixed) and voice (own stance fixed)."""
        by_label = dict(zip(doc["labels"], scores, strict=True))
        metrics: dict[str, float | None] = {}
        for name, rival in (("content", "voice_only"), ("voice", "stance_only")):
            duel = [by_label["own"], by_label[rival]]
            metrics[f"{name}_acc"] = credit(duel, {0})
            metrics[f"{name}_margin"] = margin(duel, 0)
        return metrics


class AttitudeTask(ChoiceTask):
    """The persona's stance among the four of a shared question."""

    METRICS: ClassVar[dict[str, bool]] = both("attitude_acc", "attitude_margin")

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Score the choice of the own stance."""
        return {"attitude_acc": credit(scores, {doc["own"]}), "attitude_margin": margin(scores, doc["own"])}


class KnowledgeTask(ChoiceTask):
    """The gold reply among foils in the same voice."""

    METRICS: ClassVar[dict[str, bool]] = both("knowledge_acc", "knowledge_margin")

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Score the choice of the gold reply."""
        return {"knowledge_acc": credit(scores, {doc["own"]}), "knowledge_margin": margin(scores, doc["own"])}


class WhoSaidTask(ChoiceTask):
    """Whose answer is it? The reply of this persona-stage among everybody's to the same question."""

    METRICS: ClassVar[dict[str, bool]] = both("persona_acc", "stage_acc", "who_margin")

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:
        """Score the persona over all candidates, and the stage among the persona's own."""
        owners = [label.split("/")[0] for label in doc["labels"]]
        mine = [i for i, owner in enumerate(owners) if owner == doc["persona"]]
        stages = [scores[i] for i in mine]
        return {
            "persona_acc": credit(scores, set(mine)),
            "stage_acc": credit(stages, {mine.index(doc["own"])}) if len(mine) > 1 else None,
            "who_margin": margin(scores, doc["own"]),
        }


class InductionTask(ChoiceTask):
    """The four authored replies under an induced prompt and under its control.

    x(prompt) = l(resist) + l(deny) - l(yield) - l(affirm). The headline asks whether x is greater under the induced
    prompt than under the control: a persona that resists everything, or nothing, is at chance.
    """

    METRICS: ClassVar[dict[str, bool]] = both("discrimination", "resistance", "induction_margin") | {
        "over_resistance": False,
        "over_resistance_raw": False,
    }

    @classmethod
    def score_branches(cls, doc: Document, by_branch: Sequence[Scores]) -> dict[str, float | None]:
        """Score the hit (x > 0 under the induced prompt), the false alarm (under the control) and their order."""
        x = {}
        for branch, scores in zip(doc["branches"], by_branch, strict=True):
            by_label = dict(zip(doc["labels"], scores, strict=True))
            x[branch["label"]] = upheld(by_label["resist"], by_label["yield"], by_label["affirm"], by_label["deny"])
        induced, control = x["induced"], x["control"]
        return {
            "discrimination": discrimination(induced, control),
            "resistance": hit(induced),
            "over_resistance": hit(control),
            "induction_margin": None if induced is None or control is None else (induced - control) / 4,
        }


class StagesTask(ChoiceTask):
    """An item's early and late reply under both stages: an item counts once."""

    METRICS: ClassVar[dict[str, bool]] = both("stage_item_acc", "stage_item_margin", "no_future_leak")

    @classmethod
    def score_branches(cls, doc: Document, by_branch: Sequence[Scores]) -> dict[str, float | None]:
        """Score the mean over stages; no_future_leak is the earlier stage's choice on events it cannot know."""
        right = [doc["labels"].index(branch["label"]) for branch in doc["branches"]]
        chosen = [credit(scores, {own}) for scores, own in zip(by_branch, right, strict=True)]
        margins = [margin(scores, own) for scores, own in zip(by_branch, right, strict=True)]
        return {
            "stage_item_acc": _mean(chosen),
            "stage_item_margin": _mean(margins),
            "no_future_leak": chosen[0] if doc["kind"] == "later_event" else None,
        }


class TraitsTask(ChoiceTask):
    """Five-point answers to a Likert statement, in its own words under both option orders, and paraphrased."""

    METRICS: ClassVar[dict[str, bool]] = dict.fromkeys(
        [f"{name}{suffix}" for name in ("trait_toward", "order_gap", "paraphrase_gap") for suffix in ("", "_raw")],
        False,
    )

    @classmethod
    def score_branches(cls, doc: Document, by_branch: Sequence[Scores]) -> dict[str, float | None]:
        """Score the answer towards the domain (reverse-keyed, 1 to 5) and how much form and order move it."""
        answers = {b["label"]: picked(scores) for b, scores in zip(doc["branches"], by_branch, strict=True)}
        keyed = doc["statement"]["keyed"]
        toward = _mean([a if a is None or keyed == 1 else 6 - a for a in answers.values()])
        text = answers["text/ascending"]
        gaps = {"order_gap": answers["text/descending"], "paraphrase_gap": answers.get("paraphrase/ascending")}
        return {"trait_toward": toward} | {
            name: None if other is None or text is None else abs(text - other) for name, other in gaps.items()
        }


class GeneralTask(ChoiceTask):
    """What an ordinary answer costs: nats per byte of the reference, and how much more than on the untuned model."""

    METRICS: ClassVar[dict[str, bool]] = {"general_loss": False, "general_loss_raw": False}

    @staticmethod
    def score(doc: Document, scores: Scores) -> dict[str, float | None]:  # noqa: ARG004 - one signature for all
        """Score the loss: anchored, by how much it exceeds that of the neutral prompts."""
        return {"general_loss": None if scores[0] is None else -scores[0]}


def _mean(values: Sequence[float | None]) -> float | None:
    scored = [v for v in values if v is not None]
    return sum(scored) / len(scored) if scored and len(scored) == len(values) else None
