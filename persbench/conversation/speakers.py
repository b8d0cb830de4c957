"""Speakers: one loaded base model that says what any of its voices says, in many conversations at once or in one.

Rendering, fitting of long histories and the taking off of an analysis are the harness's own. Replies to several
conversations depend on nothing that was computed before, so that an interrupted run comes to the same words.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from persbench.conversation.asks import Ask, Said, Voice, parse_voice
from persbench.conversation.pieces import Pieces
from persbench.conversation.roles import Role, require_bases, roles_of
from persbench.errors import PersbenchError
from persbench.harness import analysis
from persbench.harness.adapter_checks import require_adapter
from persbench.harness.adapters import use_adapter
from persbench.harness.backend import load_backend
from persbench.harness.dialogue import Speaker, Talk
from persbench.harness.prefix_lm import PrefixLM
from persbench.harness.seeded import Drawn, reply_to, sampling, tried
from persbench.models.fetch import fetch_model
from persbench.models.trained_form import split_reply

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from persbench.harness.fitting import Fitted
    from persbench.harness.rendering import ChatTemplate
    from persbench.models.chat import Message
    from persbench.packs.pack import Pack

__all__ = ["Ask", "Said", "Speakers", "Voice", "parse_voice"]


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
        self.pack, self.max_tokens, self.embedder = pack, max_tokens, embedder
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
        require_bases(self.roles, self.lm)
        has_template = bool(getattr(getattr(self.lm, "tokenizer", None), "chat_template", True))
        self.chat_template: ChatTemplate | None = (
            self.lm.apply_chat_template if chat_template and has_template else None
        )
        self.settings = sampling(max_tokens, temperature, top_p)
        self.alone = threading.Lock()  # whoever computes holds it
        self._worn: Path | None = None
        self._sure: set[Voice] = set()

    def settings_of(self, role: Role) -> dict[str, Any]:
        """Return generation settings that leave room for an analysis, where one comes first."""
        return analysis.with_room(self.settings, analysis=role.thinks)

    def role(self, voice: Voice) -> Role:
        """Return what it takes to speak as a voice.

        Raises:
            PersbenchError: It is not among those that this was made for, and cannot speak.
        """
        if voice not in self.roles:
            self.roles |= roles_of([voice], self.pack, self.embedder)
        return self.roles[voice]

    def wear(self, voice: Voice, *, afresh: bool) -> Role:
        """Put a voice's adapter on the model; what was computed before is forgotten `afresh`, or with another adapter.

        Raises:
            PersbenchError: The adapter is not one for this voice and this model.
        """
        role = self.role(voice)
        if afresh or role.adapter != self._worn:
            self._worn = None  # as it is where putting it on fails
            use_adapter(self.lm, role.adapter or getattr(self.lm, "loaded_with", None))
            self._worn = role.adapter
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
        role = self.role(voice)
        talk = role.talk(history, kept)
        return talk, self._speaker(role).fitting(talk, len(talk.exchanges), history[-1]["content"], room)

    def _speaker(self, role: Role) -> Speaker:
        return Speaker(self.lm, self.chat_template, self.settings_of(role), analysis=role.thinks)

    def _reply(self, asks: Sequence[Ask], role: Role) -> list[Said]:
        """Reply to asks of one adapter and one manner of speaking."""
        settings = self.settings_of(role)
        fits = [self.fit(ask.voice, ask.history, ask.kept, settings["max_gen_toks"]) for ask in asks]
        able = [place for place, (_, found) in enumerate(fits) if found is not None]
        contexts = [found.rendered for _, found in fits if found is not None]
        replies = tried(self.lm, contexts, settings, [asks[place].seed for place in able], self.chat_template)
        heard = dict(zip(able, replies, strict=True))
        return [
            self._said(talk, heard[place], role)
            if place in heard
            else Said("", "", 0, finished=False, fault=talk.fault)
            for place, (talk, _) in enumerate(fits)
        ]

    def _said(self, talk: Talk, reply: Drawn | Exception, role: Role) -> Said:
        speaker = self._speaker(role)
        if isinstance(reply, Exception):
            return Said("", "", talk.dropped, finished=False, fault=speaker.fault_in(reply))
        text, thought, finished = reply.text, None, reply.finished
        if role.thinks:
            thought, text = split_reply(text)
            cut = analysis.within(self.lm, text, self.max_tokens)
            finished, text = finished and cut == text, cut
        fault = speaker.fault_in(text)
        said = "" if fault else text.strip()
        return Said(said, reply.text, talk.dropped, finished=finished, fault=fault, analysis=thought)

    def stream(self, ask: Ask) -> Generator[str]:
        """Say one reply piece by piece; what was said before is not computed again from turn to turn.

        It may be closed half-way: what was said so far is then part of what is kept. An analysis is thought, and not
        said. Where the model cannot be asked token by token the reply comes in one piece.

        Args:
            ask: What is wanted.

        Yields:
            Text, never empty; joined it is what `replies` would say, save that the longest reply of a voice that thinks
            may end a token earlier or later. Nothing where the model says nothing.

        Raises:
            PersbenchError: Its persona and one turn do not fit the model, or the model fails.
        """
        with self.alone:
            role = self.wear(ask.voice, afresh=False)
            settings = self.settings_of(role)
            talk, found = self.fit(ask.voice, ask.history, ask.kept, settings["max_gen_toks"])
            if found is None:
                raise PersbenchError(f"{ask.voice}: {talk.fault}")
            reply = reply_to(self.lm, found.rendered, settings, ask.seed)
            if reply is None or not isinstance(self.lm, PrefixLM):
                (answer,) = tried(self.lm, [found.rendered], settings, [ask.seed], self.chat_template)
                said = self._said(talk, answer, role)
                if isinstance(answer, Exception):
                    raise PersbenchError(f"{ask.voice}: the model fails ({said.fault})") from answer
                if said.text:
                    yield said.text
                return
            pieces = Pieces(self.lm.tok_decode, reply.stops, thinks=role.thinks, most=self.max_tokens)
            tokens = self.lm.stream(reply)
            try:
                for token in tokens:
                    if piece := pieces.add(token):
                        yield piece
                    if pieces.ended:
                        break
            finally:
                tokens.close()
            if rest := pieces.rest():
                yield rest
