"""Stance probes along a conversation: each agent is asked off the record what it holds.

A probe branches off from what its speaker has heard so far and never enters the talk. As in the consistency tasks the
answer is the likelihood of each of the question's authored stances, after the speaker's own analysis where it thinks
aloud, and anchored on the untuned model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from persbench.conversation.records import Conversation, Probe, Side
from persbench.conversation.scene import KEPT, heard, utterances_at
from persbench.errors import PersbenchError
from persbench.harness import analysis
from persbench.harness.anchors import anchor_documents
from persbench.harness.asking import likelihoods
from persbench.harness.dialogue_tasks import PROBE_ROOM
from persbench.scoring.choice import per_byte

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from persbench.conversation.asks import Voice
    from persbench.conversation.play import Casting
    from persbench.conversation.roles import Role
    from persbench.conversation.speakers import Speakers
    from persbench.harness.rendering import Rendered
    from persbench.models.chat import Message
    from persbench.packs.pack import Pack
    from persbench.packs.schema import Question

    Saved = Callable[[list[Conversation]], None]


@dataclass(frozen=True)
class Place:
    """Where a probe stands: in which conversation, and what it asks of whom."""

    conversation: int
    voice: Voice
    probe: Probe


def depths_of(turns: int) -> tuple[int, ...]:
    """Return after how many exchanges is asked if nobody says: before the talk, after the first, half-way, at the end.

    Args:
        turns: Utterances after the opening.
    """
    last = turns // 2
    return tuple(sorted({0, min(1, last), (last + 1) // 2, last}))


def unasked(
    castings: Sequence[Casting], pack: Pack, conversations: Sequence[Conversation], depths: Sequence[int]
) -> list[Place]:
    """List every probe of conversations that have none yet, unscored.

    Which wording of a question is asked at which depth turns with the conversation, as in a Latin square, so that no
    wording can pass for a drift.

    Args:
        castings: Who plays what.
        pack: The world.
        conversations: Played to their end.
        depths: Exchanges after which is asked, rising.
    """
    by_scenario = {each.scenario.id: each for each in castings}
    found: list[Place] = []
    for number, conversation in enumerate(conversations):
        casting = by_scenario[conversation.scenario]
        sides: tuple[tuple[Side, Voice], ...] = (("a", casting.a), ("b", casting.b))
        for side, voice in sides if not conversation.probes else ():
            for name in casting.scenario.questions:
                question = pack.question(name)
                answer = pack.persona(voice.persona).answer(name, voice.stage)
                wordings = [question.text, *question.paraphrases]
                for row, depth in enumerate(depths):
                    ask = wordings[(number + row) % len(wordings)]
                    own = None if answer is None else answer.stance
                    probe = _empty(side, question, utterances_at(side, depth), ask, own)
                    found.append(Place(number, voice, probe))
    return found


def _empty(side: Side, question: Question, after: int, ask: str, own: str | None) -> Probe:
    nothing = (None,) * len(question.stances)
    return Probe(side, question.id, after, ask, tuple(s.id for s in question.stances), nothing, nothing, own)


def probe(
    speakers: Speakers,
    pack: Pack,
    castings: Sequence[Casting],
    conversations: list[Conversation],
    depths: Sequence[int],
    anchors: Path | None,
    saved: Saved,
) -> list[Conversation]:
    """Ask all probes of conversations that have none.

    Args:
        speakers: Who is asked.
        pack: The world.
        castings: Who plays what.
        conversations: Played to their end, or to their fault.
        depths: Exchanges after which is asked, rising.
        anchors: Folder of stored anchors; the user's cache by default.
        saved: Called with all conversations when every probe is scored.

    Returns:
        The conversations with their probes. One that is out of reach, since the talk broke off before it or nothing
        fits the model any more, is there and unscored.
    """
    places = unasked(castings, pack, conversations, depths)
    if not places:
        return conversations
    by_scenario = {each.scenario.id: each for each in castings}
    histories = [_history(place, by_scenario, pack, conversations) for place in places]
    with speakers.alone:
        answers = _answers(speakers, places, histories, pack)
        costs = _costs(speakers, places, pack, anchors)
    probed = list(conversations)
    for place, answer, cost in zip(places, answers, costs, strict=True):
        each = probed[place.conversation]
        found = replace(place.probe, scores=answer.scores, anchors=cost, analysis=answer.analysis)
        probed[place.conversation] = replace(each, probes=(*each.probes, found))
    saved(probed)
    return probed


class Answer(NamedTuple):
    """What a probe scored, in nats per byte a stance, and what was thought before."""

    scores: tuple[float | None, ...]
    analysis: str | None


def _history(
    place: Place, by_scenario: dict[str, Casting], pack: Pack, conversations: Sequence[Conversation]
) -> tuple[Message, ...] | None:
    """Return what a probe's speaker has heard, and the question; None where the talk never came so far."""
    conversation = conversations[place.conversation]
    after, side = place.probe.after, place.probe.speaker
    if after > len(conversation.turns):
        return None
    scenario = by_scenario[conversation.scenario].scenario
    before = heard(scenario, pack, conversation, side, after) if after else ()
    return (*before, {"role": "user", "content": place.probe.ask})


def _answers(
    speakers: Speakers, places: Sequence[Place], histories: Sequence[tuple[Message, ...] | None], pack: Pack
) -> list[Answer]:
    """Score the stances of all probes, those of one adapter together.

    Raises:
        PersbenchError: Not one of them could be scored.
    """
    found: dict[int, Answer] = {}
    fault: Exception | None = None
    for group in speakers.by_adapter([place.voice for place in places]):
        contexts: dict[int, Rendered] = {}
        for number, i in enumerate(group):
            role = speakers.wear(places[i].voice, afresh=number == 0)
            rendered = _context(speakers, places[i], histories[i], role)
            if rendered is not None:
                contexts[i] = rendered
        texts = {i: [s.text for s in pack.question(places[i].probe.question).stances] for i in contexts}
        tried = _tried(speakers, [(contexts[i], texts[i]) for i in contexts], thinks=role.thinks)
        for i, answer in zip(contexts, tried, strict=True):
            if isinstance(answer, Answer):
                found[i] = answer
            else:
                fault = answer
    if fault is not None and not found:
        raise PersbenchError(f"the model scores no probe: {type(fault).__name__}: {fault}") from fault
    return [found.get(i, Answer(place.probe.scores, None)) for i, place in enumerate(places)]


def _context(speakers: Speakers, place: Place, history: tuple[Message, ...] | None, role: Role) -> Rendered | None:
    """Render a probe with room for what is scored; None where the talk never came so far, or nothing fits."""
    if history is None:
        return None
    room = PROBE_ROOM + (analysis.LONGEST if role.thinks else 0)
    kept = KEPT if len(history) > KEPT else 0
    _, fitted = speakers.fit(place.voice, history, kept, room)
    return None if fitted is None else fitted.rendered


def _tried(speakers: Speakers, asked: list[tuple[Rendered, list[str]]], *, thinks: bool) -> list[Answer | Exception]:
    """Score all at once; where that fails, each by itself, so that the others are not lost."""
    if not asked:
        return []
    try:
        return list(_scored(speakers, asked, thinks=thinks))
    except Exception as error:  # noqa: BLE001 - whatever a model may raise
        if len(asked) == 1:
            return [error]
    return [_tried(speakers, [one], thinks=thinks)[0] for one in asked]


def _scored(speakers: Speakers, asked: list[tuple[Rendered, list[str]]], *, thinks: bool) -> list[Answer]:
    contexts = [context for context, _ in asked]
    thoughts: list[str | None] = [None] * len(asked)
    if thinks:
        thoughts = list(analysis.analyses(contexts, speakers.lm, speakers.chat_template))
        contexts = [analysis.prefilled(c, str(t)) for c, t in zip(contexts, thoughts, strict=True)]
    pairs = [(context, text) for context, (_, texts) in zip(contexts, asked, strict=True) for text in texts]
    scores = iter(likelihoods(speakers.lm, pairs))
    return [
        Answer(tuple(per_byte([next(scores) for _ in texts], texts)), thought)
        for (_, texts), thought in zip(asked, thoughts, strict=True)
    ]


def _costs(
    speakers: Speakers, places: Sequence[Place], pack: Pack, folder: Path | None
) -> list[tuple[float | None, ...]]:
    """Return the anchors of all probes: what each stance costs after the question without a persona."""
    documents: dict[tuple[str, str], dict[str, Any]] = {}
    for place in places:
        question = pack.question(place.probe.question)
        documents.setdefault(
            (question.id, place.probe.ask),
            {"ask": place.probe.ask, "candidates": [stance.text for stance in question.stances]},
        )
    anchor_documents([[document] for document in documents.values()], speakers.lm, speakers.chat_template, folder)
    return [tuple(documents[place.probe.question, place.probe.ask]["anchors"]) for place in places]
