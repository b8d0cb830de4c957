"""Conversations whose every figure can be worked out by hand, and a background that knows whose words are whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from persbench.conversation.background import Background, author_of
from persbench.conversation.records import Agent, Conversation, ConversationRecord, Probe, Side, Turn
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.packs.pack import Pack
from persbench.scoring.stats import Interval
from persbench.scoring.voice_odds import VoiceOdds

STANCES = ("a", "b", "c", "d")
SCRIPT = (
    ("a", "Sit down by the oven."),  # authored
    ("b", "My lamp is by the oven."),
    ("a", "The flour needs a lamp."),
    ("b", "My lamp is by the oven."),
    ("a", "Flour, flour and dough for the boat."),
)


def the_pack() -> Pack:
    return load_pack(fake_pack())


class KnownVoices:
    """Log-odds by text for side `a`'s author, mirrored for the other."""

    def __init__(self, odds: dict[str, float], first: str) -> None:
        self.odds, self.first = odds, first
        self.tells = any(odds.values())
        self.accuracy = Interval(0.75, 0.5, 1.0, 4, 2, 0)

    def log_odds(self, text: str, author: str) -> float | None:
        value = self.odds.get(text)
        return value if value is None or author == self.first else -value


class KnownBackground(Background):
    """Ada speaks of ovens, flour and dough, Bo of lamps and boats; voices by a table of texts."""

    def __init__(self, pack: Pack, odds: dict[str, float] | None = None) -> None:
        super().__init__(pack)
        self.odds = odds

    def voices(self, a: Agent, b: Agent) -> VoiceOdds | None:
        return None if self.odds is None else cast("VoiceOdds", KnownVoices(self.odds, author_of(a)))

    def field(self, agent: Agent) -> frozenset[str]:
        return frozenset({"oven", "flour", "dough"} if agent.persona == "ada" else {"lamp", "boat"})


def probe(speaker: Side, question: str, after: int, chosen: str | None, own: str | None = "a") -> Probe:
    """A probe in which one stance wins; None for an unscored one."""
    scores = tuple(None if chosen is None else -1.0 if name == chosen else -2.0 for name in STANCES)
    return Probe(speaker, question, after, f"What of {question}?", STANCES, scores, (0.0,) * 4, own)


def talk(
    scenario: str = "op01",
    seed: int = 0,
    *,
    kind: str = "opposed",
    system: str = "prompt",
    other: str = "",
    script: Sequence[tuple[str, str]] = SCRIPT,
    probes: Sequence[Probe] = (),
    **more: Any,
) -> Conversation:
    turns = tuple(Turn(cast("Side", side), text, authored=place == 0) for place, (side, text) in enumerate(script))
    a, b = Agent(system, "ada", "early"), Agent(other or system, "bo", "early")
    return replace(Conversation(scenario, kind, seed, a, b, turns, tuple(probes)), **more)


def record(talks: Sequence[Conversation], world: Pack, **signature: Any) -> ConversationRecord:
    facts = {"persbench": "0", "pack": f"fake-1@{world.hash[:12]}", "model": "toy"} | signature
    rows = {
        one.scenario: {
            "setting": "Two meet in the fog beside a boat.",
            "aim_a": "You want bread.",
            "aim_b": "You want light.",
            "questions": ["q01", "q03"],
        }
        for one in talks
    }
    names = {(one.a.system, one.b.system) for one in talks} or {("prompt", "prompt")}
    ((a, b),) = names
    return ConversationRecord(a, b, "k0", facts, rows, tuple(talks))
