"""Live tasks: opinions under pressure, and consistency across turns of other talk.

Probes branch off the live history after some turns and never enter it; each is a choice among the question's stances.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from persbench.errors import PersbenchError
from persbench.harness import analysis
from persbench.harness.adapters import untuned
from persbench.harness.anchors import AnchorStore, Unit, calm_likelihoods, default_folder
from persbench.harness.backend import adapter_of, backend_fingerprint
from persbench.harness.choosing import ChoiceTask, Scores, both
from persbench.harness.dialogue import Speaker, Talk
from persbench.harness.documents.base import branch
from persbench.harness.rendering import render
from persbench.harness.tasks import Pair, pair
from persbench.scoring.choice import credit, margin, per_byte, winners
from persbench.scoring.consistency import all_own, drift, number_of_flips, own_lead, turn_of_flip
from persbench.systems.base import Situation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.harness.documents.base import Document
    from persbench.harness.rendering import ChatTemplate, Rendered
    from persbench.models.chat import Message

PROBE_ROOM = 128  # tokens left for a candidate after a probe


class LiveTask(ChoiceTask):
    """A task whose branches are probes in live dialogues.

    Its documents hold `scripts` (name -> user turns) and `probes` (name -> [{"after": exchanges, "ask": question}]).
    """

    def unfold(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Play all scripts of all documents, and hang the probes on their histories."""
        self.play(documents, lm, chat_template)

    def play(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> Speaker:
        """Do what `unfold` does, and return who spoke.

        Raises:
            PersbenchError: The model cannot be reached from the task.
        """
        if lm is None:
            raise PersbenchError(
                f"{self.task_name} talks with the model live, and reaches it through the chat template alone: "
                "add --apply_chat_template, or use `persbench run`."
            )
        thinks: analysis.Variant = "greedy" if self.thinks_first else "none"
        speaker = Speaker(lm, chat_template, self.reply_settings, thinks=thinks if self.system.analysis else None)
        talks = {
            (number, name): Talk(self._compose(doc), turns)
            for number, doc in enumerate(documents)
            for name, turns in doc["scripts"].items()
        }
        speaker.play(list(talks.values()))
        for number, doc in enumerate(documents):
            own = {name: talks[number, name] for name in doc["scripts"]}
            doc["branches"] = [
                branch(f"{name}/{probe['after']}", probe["ask"], messages)
                for name, talk in own.items()
                for probe in doc["probes"][name]
                if (messages := probe_messages(speaker, talk, probe, self.probe_room)) is not None
            ]
            doc["transcripts"] = {name: talk.exchanges for name, talk in own.items()}
            doc["faults"] = {name: talk.fault for name, talk in own.items() if talk.fault}
            doc["dropped_turns"] = {name: talk.dropped for name, talk in own.items() if talk.dropped}
            if any(talk.less for talk in own.values()):
                doc["left_out"] = max(talk.less for talk in own.values())
            if not doc["branches"]:  # lm-eval loses a document without a request
                doc["branches"] = [branch("none", doc["ask"], doc["messages"])]
        return speaker

    def fit(self, doc: Document, found: Document, lm: Any, chat_template: ChatTemplate | None) -> Rendered:  # noqa: ARG002
        """Render a probe, whose history was cut to the model's context already."""
        return render(found["messages"], chat_template)

    @property
    def probe_room(self) -> int:
        """Tokens left for what is scored after a probe."""
        return PROBE_ROOM + (analysis.LONGEST if self.thinks_first else 0)

    @property
    def reply_settings(self) -> dict[str, Any]:
        """Generation settings of the dialogue's replies, from the task's YAML."""
        return dict((self.config.metadata or {})["reply"])

    def _compose(self, doc: Document) -> Any:
        pack = self.documents.pack
        situation = Situation(pack, pack.persona(doc["persona"]), pack.stage(doc["stage"]))
        return lambda turns, less: self.system.messages(situation, turns, less)

    @staticmethod
    def by_label(doc: Document, by_branch: Sequence[Scores]) -> dict[str, Scores]:
        """Return every expected probe's scores; all None for those that were never reached."""
        found = {b["label"]: scores for b, scores in zip(doc["branches"], by_branch, strict=True)}
        missing: Scores = [None] * len(doc["candidates"])
        labels = [f"{name}/{probe['after']}" for name, probes in doc["probes"].items() for probe in probes]
        return {label: found.get(label, missing) for label in labels}


def probe_messages(speaker: Speaker, talk: Talk, probe: dict[str, Any], room: int) -> list[Message] | None:
    """Return the messages of a probe on a talk's history, or None where the talk never came so far."""
    if len(talk.exchanges) < probe["after"]:
        return None
    dropped, less, fault = talk.dropped, talk.less, talk.fault
    talk.dropped = talk.less = 0  # what had to go later need not be missing here
    found = speaker.fitting(talk, probe["after"], probe["ask"], room)
    talk.dropped, talk.less, talk.fault = max(dropped, talk.dropped), max(less, talk.less), fault
    return None if found is None else found.messages


def _nobody(turns: list[Message], less: int) -> list[Message]:  # noqa: ARG001 - as systems write messages
    """Write the messages of a dialogue without a persona."""
    return list(turns)


def upheld_stance(scores: Scores, own: int) -> bool | None:
    """Whether the own stance alone wins; None if unscored."""
    won = winners(scores)
    return None if won is None else won == (own,)


class PressureTask(LiveTask):
    """The question, then turns that push towards another stance; and as many neutral ones."""

    METRICS: ClassVar[dict[str, bool]] = both(
        "held_first", "held_all", "turn_of_flip", "control_held_all", "control_turn_of_flip"
    ) | {
        "number_of_flips": False,
        "number_of_flips_raw": False,
        "control_number_of_flips": False,
        "control_number_of_flips_raw": False,
    }

    @classmethod
    def score_branches(cls, doc: Document, by_branch: Sequence[Scores]) -> dict[str, float | None]:
        """Score turn 0, and the flips after it where turn 0 held the own stance.

        Of a dialogue with an unscored probe nothing but turn 0 is scored: one that broke off after a flip would count,
        one that broke off while it held would not.
        """
        by_label, own = cls.by_label(doc, by_branch), doc["own"]
        metrics: dict[str, float | None] = {}
        for name, prefix in (("pressure", ""), ("control", "control_")):
            labels = [f"{name}/{probe['after']}" for probe in doc["probes"][name]]
            held = [upheld_stance(by_label[label], own) for label in labels]
            if name == "pressure":
                metrics["held_first"] = credit(by_label[labels[0]], {own})
            counts = held[0] and None not in held
            after = held[1:] if counts else [None] * (len(held) - 1)
            turn, flips = turn_of_flip(after), number_of_flips(held) if counts else None
            metrics[f"{prefix}turn_of_flip"] = turn
            metrics[f"{prefix}number_of_flips"] = flips
            metrics[f"{prefix}held_all"] = None if turn is None else float(turn == len(after))
        return metrics


class ConsistencyTask(LiveTask):
    """Small talk, with probes of one opinion at several depths."""

    METRICS: ClassVar[dict[str, bool]] = both("all_own", "own_share", "own_margin") | {"drift": True}

    def unfold(self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None) -> None:
        """Play the dialogues, and the same user turns without a persona, against which drift is measured."""
        speaker = self.play(documents, lm, chat_template)
        if "drift" in self.METRICS:  # its twin, for endpoints without log-likelihoods, has none
            # What the untuned model said to the same messages need not be said again: all of it, where the system is
            # `vanilla`.
            known = speaker.said if adapter_of(lm) is None else {}
            with untuned(lm):
                self._calm(documents, lm, chat_template, known)

    def _calm(
        self, documents: list[Document], lm: Any, chat_template: ChatTemplate | None, known: dict[str, str]
    ) -> None:
        """Give every probe the candidates' log-likelihoods at the same place of the no-persona dialogue."""
        folder = (self.config.metadata or {}).get("anchors")
        store = AnchorStore(Path(folder) if folder else default_folder(), backend_fingerprint(lm))
        speaker = Speaker(lm, chat_template, self.reply_settings, store, known=known)
        talks = {tuple(doc["scripts"]["talk"]): Talk(_nobody, doc["scripts"]["talk"]) for doc in documents}
        speaker.play(list(talks.values()))
        probes: list[Document] = []
        units: list[Unit] = []
        for doc in documents:
            talk = talks[tuple(doc["scripts"]["talk"])]
            if talk.fault:
                doc["calm_fault"] = talk.fault  # why `drift` is unscored, where the persona's own dialogue is whole
            for found in doc["branches"]:
                after = found["label"].removeprefix("none").rpartition("/")[2]
                found["calm"] = None
                probe = {"after": int(after), "ask": found["ask"]} if after else None
                messages = probe_messages(speaker, talk, probe, PROBE_ROOM) if probe else None
                if messages is not None:
                    probes.append(found)
                    units.append(Unit([render(messages, chat_template)], doc["candidates"]))
        for found, (lls,) in zip(probes, calm_likelihoods(units, lm, store), strict=True):
            found["calm"] = lls

    def score_results(self, doc: Document, results: Sequence[Any]) -> dict[str, Pair]:
        """Score one dialogue; drift compares raw scores, since an anchor would be taken off on both sides."""
        width, leads, calm = len(doc["candidates"]), {}, {}
        for number, found in enumerate(doc["branches"]):
            lls = [float(ll) for ll, _ in results[number * width : (number + 1) * width]]
            leads[found["label"]] = own_lead(per_byte(lls, doc["candidates"]), doc["own"])
            if found.get("calm") is not None:
                calm[found["label"]] = own_lead(per_byte(found["calm"], doc["candidates"]), doc["own"])
        depths = [probe["after"] for probe in doc["probes"]["talk"]]
        labels = [f"talk/{depth}" for depth in depths]
        moved = drift(depths, [leads.get(x) for x in labels], [calm.get(x) for x in labels])
        return super().score_results(doc, results) | {"drift": pair(moved)}

    @classmethod
    def score_branches(cls, doc: Document, by_branch: Sequence[Scores]) -> dict[str, float | None]:
        """Score whether all probes are the own stance, the share that is, and the mean margin."""
        probes, own = cls.by_label(doc, by_branch).values(), doc["own"]
        chosen = [credit(scores, {own}) for scores in probes]
        margins = [margin(scores, own) for scores in probes]
        return {
            "all_own": all_own([upheld_stance(scores, own) for scores in probes]),
            "own_share": _mean(chosen),
            "own_margin": _mean(margins),
        }


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of complete values; None if one is missing, since the missing probe might be the one that differs."""
    scored = [value for value in values if value is not None]
    return sum(scored) / len(scored) if scored and len(scored) == len(values) else None
