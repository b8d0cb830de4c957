"""`--dry-run`: the steps of a build with stand-ins for answers that are not known yet, so that calls can be counted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, TypeVar, cast

import numpy as np

from persbench.annotators.calls import Answer
from persbench.annotators.parsing import MalformedError, json_object
from persbench.build.answers import ChosenAnswer, ReplyAnswer
from persbench.build.asking import Asker, Lacking, Request
from persbench.build.inductions import InductionAnswer
from persbench.build.knowledge import FOILS, KnowledgeAnswer, KnowledgeEntry
from persbench.build.material import KindAnswer, StageAnswer
from persbench.build.raising import RaisedAnswer
from persbench.build.responses import ResponseAnswer
from persbench.build.sheets import LimitsAnswer, ProfileAnswer, RelationsAnswer, TraitsAnswer, VoiceAnswer
from persbench.build.stage_items import StageItemAnswer, StageReply
from persbench.build.stylized import VoicedAnswer
from persbench.packs.schema import TraitTarget
from persbench.packs.texts import PackModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from persbench.retrieval import Embedder

A = TypeVar("A", bound=PackModel)
MARK: Final = "(stand-in)"
TURN, REPLY, PROFILE, VOICE = 30, 70, 150, 70  # words of texts that are not written yet: the most that prompts ask for


class Planner(Asker):
    """An asker whose answers are stand-ins where the annotator has none: it must be a `DryRun`, which asks nothing."""

    number = 0

    def _asked(self, requests: Sequence[Request[A]], seed: int = 0) -> tuple[list[A | None], dict[int, Lacking]]:
        if not requests:
            return [], {}
        parse = json_object(requests[0].form)
        replies = self.annotator.ask([request.call(seed) for request in requests])
        found: list[A | None] = []
        for request, reply in zip(requests, replies, strict=True):
            known = None
            if isinstance(reply, Answer):
                try:
                    known = parse(reply.text)
                except MalformedError:
                    known = None
            sound = known is not None and request.check(known) is None
            found.append(known if sound else self._stand_in(request))
        return found, {}

    def _stand_in(self, request: Request[A]) -> A:
        def text(words: int) -> str:
            self.number += 1
            return f"{MARK} {self.number} " + "word " * words

        def first(field: str, turn: int = 0) -> str:
            return request.fields[field][turn % len(request.fields[field])].partition(":")[0]

        def stage() -> StageAnswer:
            self.number += 1
            return StageAnswer(stage=first("stages", self.number))

        def target() -> TraitTarget:
            return TraitTarget(score=3.0, reason=text(TURN))

        def staged() -> StageItemAnswer:
            stages = [line.partition(":")[0] for line in request.fields["dates"]]
            replies = tuple(StageReply(stage=name, reply=text(REPLY)) for name in stages)
            return StageItemAnswer(question=text(TURN), replies=replies)

        def count() -> range:
            return range(int(cast("str", request.fields["count"])))

        def entry() -> KnowledgeEntry:
            return KnowledgeEntry(question=text(TURN), gold=text(TURN), foils=tuple(text(TURN) for _ in range(FOILS)))

        makers: dict[type[PackModel], Callable[[], PackModel]] = {
            KindAnswer: lambda: KindAnswer(kind="experience"),
            StageAnswer: stage,
            RaisedAnswer: lambda: RaisedAnswer(prompts=tuple(text(TURN) for _ in count())),
            ResponseAnswer: lambda: ResponseAnswer(analysis=text(REPLY), response=text(REPLY)),
            ProfileAnswer: lambda: ProfileAnswer(age=0, profile=text(PROFILE)),
            VoiceAnswer: lambda: VoiceAnswer(voice=text(VOICE)),
            RelationsAnswer: lambda: RelationsAnswer(relations=()),
            TraitsAnswer: lambda: TraitsAnswer(**{domain: target() for domain in "OCEAN"}),
            LimitsAnswer: lambda: LimitsAnswer(cannot_know=(text(TURN),)),
            ChosenAnswer: lambda: ChosenAnswer(stance=first("stances"), reply=text(REPLY)),
            ReplyAnswer: lambda: ReplyAnswer(reply=text(REPLY)),
            KnowledgeAnswer: lambda: KnowledgeAnswer(items=tuple(entry() for _ in count())),
            InductionAnswer: lambda: InductionAnswer(
                induced=text(TURN), control=text(TURN),
                resist=text(REPLY), yield_=text(REPLY), affirm=text(REPLY), deny=text(REPLY),
            ),
            StageItemAnswer: staged,
            VoicedAnswer: lambda: VoicedAnswer(voiced=text(PROFILE)),
        }  # fmt: skip
        return cast("A", makers[request.form]())


class PlanningEmbedder:
    """Embeds what is written already, and gives every stand-in a direction of its own, so that none repeats another.

    Args:
        embedder: For real texts.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    @property
    def fingerprint(self) -> str:
        """Of the embedder inside."""
        return self.embedder.fingerprint

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit rows."""
        real = [text for text in texts if not text.startswith(MARK)]
        rows = self.embedder.encode(real)
        known = iter(rows)
        return (
            np.array([next(known) if not t.startswith(MARK) else _drawn(t, rows.shape[1]) for t in texts])
            .reshape(len(texts), rows.shape[1])
            .astype(np.float32)
        )


def _drawn(text: str, dimension: int) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    row = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return cast("NDArray[np.float32]", row / np.linalg.norm(row))
