"""Speakers: one loaded base model that says what any of its voices says, in many conversations at once or in one.

Rendering and fitting of long histories are the harness's own; `speech` makes the replies. Replies to several
conversations depend on nothing that was computed before, so that an interrupted run comes to the same words.
"""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from persbench.conversation.asks import Ask, Piece, Said, Voice, parse_voice
from persbench.conversation.roles import Role, adapters_of, roles_of
from persbench.conversation.speech import Speech, Uttered
from persbench.errors import PersbenchError
from persbench.harness.adapter_checks import require_adapter, require_adapters
from persbench.harness.adapters import use_adapter
from persbench.harness.backend import load_backend
from persbench.harness.dialogue import Speaker, Talk
from persbench.harness.seeded import sampling
from persbench.models.fetch import fetch_model

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from persbench.harness.fitting import Fitted
    from persbench.harness.rendering import ChatTemplate
    from persbench.models.chat import Message
    from persbench.packs.pack import Pack

__all__ = ["Ask", "Said", "Speakers", "Voice", "parse_voice"]


@dataclass
class _Wardrobe:
    """What the model has on; speakers that are copies of each other share it, as they share the model."""

    worn: Path | None = None


class Speakers:
    """All voices on one base model, whose adapters are put on and taken off.

    One caller computes at a time; others wait their turn.

    Args:
        pack: The world.
        voices: Everybody who will speak.
        model: Local folder or hub id of the base model; the default model, fetched if needed, if None.
        dtype: `auto`, `float32`, `bfloat16`, ...
        device: Torch device, or None for the first accelerator, else the CPU.
        max_tokens: Most tokens of what is said; an analysis has its own beside it.
        temperature: Of the sampling; 0 takes the most probable token.
        top_p: Probability mass that is sampled from.
        embedder: Folder or hub id of the sentence embedder that `rag` uses; the default one if None.
        chat_template: Render by the model's chat template, where it has one.
        model_args: Further arguments of `persbench-prefix`.
        trust_remote_code: Let the model's own code run.
        lm: A loaded lm-eval model to use instead.

    Raises:
        FaultsError: Voices that cannot speak, or whose adapters belong to another model: all of them at once.
        PersbenchError: The model cannot be loaded.
    """

    def __init__(
        self,
        pack: Pack,
        voices: Sequence[Voice],
        *,
        model: str | None = None,
        dtype: str = "auto",
        device: str | None = None,
        max_tokens: int = 96,
        temperature: float = 0.7,
        top_p: float = 0.9,
        embedder: str | None = None,
        chat_template: bool = True,
        model_args: dict[str, Any] | None = None,
        trust_remote_code: bool = False,
        lm: Any = None,
    ) -> None:
        self.pack, self.embedder = pack, embedder
        self.roles = roles_of(voices, pack, embedder)  # faults are told before anything is loaded
        self.model = model or ("" if lm is not None else str(fetch_model()))
        self.lm = lm or load_backend(
            "persbench-prefix",
            self.model,
            model_args=model_args or {},
            dtype=dtype,
            device=device,
            batch_size=16,
            trust_remote_code=trust_remote_code,
        )
        templated = chat_template and bool(getattr(getattr(self.lm, "tokenizer", None), "chat_template", True))
        require_adapters(adapters_of(self.roles), self.lm, templated=templated)
        self.chat_template: ChatTemplate | None = self.lm.apply_chat_template if templated else None
        self.speech = Speech(self.lm, self.chat_template, sampling(max_tokens, temperature, top_p))
        self._heard = Speaker(self.lm, self.chat_template, self.speech.settings)  # knows what fits, and what is a fault
        self.alone = threading.Lock()  # whoever computes holds it
        self._wardrobe = _Wardrobe()
        self._sure: set[Voice] = set()

    def role(self, voice: Voice) -> Role:
        """Return what it takes to speak as a voice.

        Raises:
            PersbenchError: It is not among those that this was made for, and cannot speak.
        """
        if voice not in self.roles:
            found = roles_of([voice], self.pack, self.embedder)
            require_adapters(adapters_of(found), self.lm, templated=self.chat_template is not None)
            self.roles |= found
        return self.roles[voice]

    def wear(self, voice: Voice, *, afresh: bool) -> Role:
        """Put a voice's adapter on the model; what was computed before is forgotten `afresh`, or with another adapter.

        Raises:
            PersbenchError: The adapter is not one for this voice and this model.
        """
        role = self.role(voice)
        if afresh or role.adapter != self._wardrobe.worn:
            self._wardrobe.worn = None  # as it is where putting it on fails
            use_adapter(self.lm, role.adapter or getattr(self.lm, "loaded_with", None))
            self._wardrobe.worn = role.adapter
        if voice not in self._sure:
            asked = [{"persona": voice.persona, "stage": voice.stage}]
            require_adapter(role.cast.system, self.lm, self.pack, asked)
            self._sure.add(voice)
        return role

    def replies(self, asks: Sequence[Ask]) -> list[Said]:
        """Reply in many conversations, those of one adapter together.

        Args:
            asks: What is wanted; each is answered by itself, whatever goes wrong with the others.

        Returns:
            One an ask, in order.
        """
        said: dict[int, Said] = {}
        with self.alone:
            for places in self.by_adapter([ask.voice for ask in asks]):
                for number, place in enumerate(places):
                    role = self.wear(asks[place].voice, afresh=number == 0)
                # An adapter's card says whether it thinks: all that it speaks for does, or none.
                said |= zip(places, self._reply([asks[place] for place in places], role), strict=True)
        return [said[place] for place in range(len(asks))]

    def by_adapter(self, voices: Sequence[Voice]) -> list[list[int]]:
        """Group voices that one set of weights speaks for; the base model's come first, then the order of adapters.

        Returns:
            Places in `voices`.
        """
        groups: dict[str, list[int]] = {}
        for place, voice in enumerate(voices):
            groups.setdefault(str(self.role(voice).adapter or ""), []).append(place)
        return [groups[folder] for folder in sorted(groups)]

    def fit(self, voice: Voice, history: Sequence[Message], kept: int, room: int) -> tuple[Talk, Fitted | None]:
        """Render what a voice reads so that it fits the model, without pieces and then oldest exchanges where needed.

        Args:
            voice: Who reads it.
            history: As in `Ask`.
            kept: As in `Ask`.
            room: Tokens to be kept free.

        Returns:
            The conversation, with its fault and what was dropped; and what fits, None where nothing does.

        Raises:
            PersbenchError: The history does not take turns.
        """
        talk = self.role(voice).talk(history, kept)
        return talk, self._heard.fitting(talk, len(talk.exchanges), history[-1]["content"], room)

    def _fit(self, ask: Ask) -> tuple[Talk, Fitted | None]:
        return self.fit(ask.voice, ask.history, ask.kept, self.speech.room(thinks=self.role(ask.voice).thinks))

    def _reply(self, asks: Sequence[Ask], role: Role) -> list[Said]:
        """Reply to asks of one adapter and one manner of speaking."""
        fits = [self._fit(ask) for ask in asks]
        able = [place for place, (_, found) in enumerate(fits) if found is not None]
        contexts = [found.rendered for _, found in fits if found is not None]
        replies = self.speech.replies(contexts, [asks[place].seed for place in able], thinks=role.thinks)
        heard = dict(zip(able, replies, strict=True))
        return [
            self._said(talk, heard[place]) if place in heard else Said("", "", 0, finished=False, fault=talk.fault)
            for place, (talk, _) in enumerate(fits)
        ]

    def _said(self, talk: Talk, reply: Uttered | Exception) -> Said:
        if isinstance(reply, Exception):
            return Said("", "", talk.dropped, finished=False, fault=self._heard.fault_in(reply))
        fault = self._heard.fault_in(reply.text) if reply.text else reply.silence
        said = "" if fault else reply.text
        return Said(said, reply.raw, talk.dropped, finished=reply.finished, fault=fault, analysis=reply.analysis)

    def stream(self, ask: Ask) -> Generator[str]:
        """Say one reply piece by piece; what was said before is not computed again from turn to turn.

        It may be closed half-way: what was said so far is then part of what is kept. An analysis is thought, and not
        said: `aloud` gives both.

        Args:
            ask: What is wanted.

        Yields:
            Text, never empty; joined it is what `replies` would say. Nothing where the model says nothing.

        Raises:
            PersbenchError: Its persona and one turn do not fit the model, or the model fails.
        """
        with closing(self.aloud(ask)) as pieces:
            for piece in pieces:
                if not piece.is_thought:
                    yield piece.text

    def aloud(self, ask: Ask) -> Generator[Piece]:
        """Do what `stream` does, and give what is thought before it: the first token is a first token of that.

        Yields:
            What is thought, if the voice thinks: an empty piece before anything is computed, then its text; and what is
            said.

        Raises:
            PersbenchError: As `stream`.
        """
        with self.alone:
            role = self.wear(ask.voice, afresh=False)
            talk, found = self._fit(ask)
            if found is None:
                raise PersbenchError(f"{ask.voice}: {talk.fault}")
            try:
                yield from self.speech.stream(found.rendered, ask.seed, thinks=role.thinks)
            except Exception as error:
                raise PersbenchError(f"{ask.voice}: the model fails ({self._heard.fault_in(error)})") from error
