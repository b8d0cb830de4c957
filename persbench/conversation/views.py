"""What the transcript page shows of scenarios and talks, as plain values that its template escapes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from persbench.conversation.layout import number
from persbench.conversation.lines import METRICS
from persbench.conversation.measures import SIDES
from persbench.errors import UnknownNameError
from persbench.scoring.words import word_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.conversation.measures import Measured, TurnMeasures
    from persbench.conversation.records import Agent, Conversation, Probe, Side, Turn
    from persbench.packs.pack import Pack

LONGEST: Final = 5_000
"""Characters of an utterance that are shown; the record holds all."""
LEAST_TOLD: Final = 0.1
"""Share of 4-grams said before that is worth a note."""
_STATES: Final = {
    True: ("held", "\u2713", "held"),
    False: ("lost", "\u2717", "not held"),
    None: ("open", "?", "unscored"),
}
_CHART: Final = {"left": 30.0, "right": 315.0, "middle": 50.0, "half": 45.0}
_CONTROLS: Final = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"}
_NO_CHARACTER: Final = (*range(0x80, 0xA0), *range(0xD800, 0xE000))
_UNSEEN: Final = _CONTROLS | {127: "\u2421", 0x2028: "\n", 0x2029: "\n"} | dict.fromkeys(_NO_CHARACTER, "\ufffd")


def shown(text: str) -> str:
    """Make a text fit for a page: control characters become pictures of themselves, half surrogates a replacement."""
    return text.replace("\r\n", "\n").translate(_UNSEEN)


class Speaker(NamedTuple):
    """Who speaks, as a page names it."""

    name: str
    when: str
    system: str


@dataclass(frozen=True)
class TalkView:
    """One conversation on the page.

    Attributes:
        system: Label of the pair.
        seed: Of the sampling.
        mixed: The two sides are different systems.
        turns: Utterances with all that is told of each.
        before: Probes asked before the talk.
        fault: Why it broke off; empty if it did not.
        chart: Log-odds of the own voice as points; None where there are none.
        figures: Speakers, and for each metric that arose its values in this talk.
    """

    system: str
    seed: int
    mixed: bool
    turns: list[dict[str, Any]]
    before: list[dict[str, Any]]
    fault: str
    chart: dict[str, Any] | None
    figures: dict[str, Any]


class Views:
    """Turns measured conversations of a pack into views."""

    def __init__(self, pack: Pack, scale: float) -> None:
        """Keep what all talks share.

        Args:
            pack: Whose people speak.
            scale: Log-odds at the top of every chart: one for all, so that they can be compared.
        """
        self._pack = pack
        self._scale = scale

    def speaker(self, agent: Agent) -> Speaker:
        """Return how a speaker is named; by its ids where the pack does not know it."""
        try:
            name = self._pack.persona(agent.persona).persona.name
            when = self._pack.stage(agent.stage).date
        except UnknownNameError:
            name, when = agent.persona, agent.stage
        return Speaker(shown(name), shown(when), shown(agent.system))

    def talk(self, found: Measured, label: str) -> TalkView:
        """Return one conversation.

        Args:
            found: With its measures.
            label: Of the pair of systems.
        """
        talk = found.conversation
        probes = self._probes(talk)
        return TalkView(
            system=shown(label),
            seed=talk.seed,
            mixed=talk.a.system != talk.b.system,
            turns=[
                self._turn(talk, turn, measures, probes.get(place, []))
                for place, (turn, measures) in enumerate(zip(talk.turns, found.turns, strict=True), start=1)
            ],
            before=probes.get(0, []),
            fault=shown(talk.fault),
            chart=_chart(found, self._scale),
            figures=self._figures(found),
        )

    def _turn(
        self, talk: Conversation, turn: Turn, measures: TurnMeasures | None, probes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "side": turn.speaker,
            "agent": self.speaker(talk.agent(turn.speaker)),
            "authored": turn.authored,
            "parts": list(_parts(turn.text, measures)),
            "notes": list(_notes(turn, measures)),
            "thought": shown(turn.analysis[:LONGEST]) if turn.analysis else "",
            "probes": probes,
        }

    def _probes(self, talk: Conversation) -> dict[int, list[dict[str, Any]]]:
        found: dict[int, list[dict[str, Any]]] = {}
        for probe in talk.probes:
            # of a talk that broke off, a probe may stand after its end
            place = min(probe.after, len(talk.turns))
            found.setdefault(place, []).append(self._probe(probe, talk.agent(probe.speaker)))
        return found

    def _probe(self, probe: Probe, agent: Agent) -> dict[str, Any]:
        held = probe.held
        state, sign, told = _STATES[held]
        if probe.own is None and probe.scored:
            sign, told = "-", "no stance of its own"
        return {
            "side": probe.speaker,
            "name": self.speaker(agent).name.partition(" ")[0],
            "question": shown(probe.question),
            "ask": shown(probe.ask),
            "chosen": self._stance(probe.question, probe.chosen),
            "own": self._stance(probe.question, probe.own),
            "nothing": "has no stance alone in front" if probe.scored else "is unscored",
            "state": state,
            "sign": sign,
            "told": told,
        }

    def _stance(self, question: str, stance: str | None) -> str:
        if stance is None:
            return ""
        try:
            return shown(self._pack.question(question).stance(stance).text)
        except UnknownNameError:
            return shown(stance)

    def _figures(self, found: Measured) -> dict[str, Any]:
        arose = [m for m in METRICS if any(found.values[side][m.name] for side in SIDES)]
        rows = [(m.title, [_mean(found, side, m.name, m.format) for side in SIDES]) for m in arose]
        return {"speakers": [(side, self.speaker(found.conversation.agent(side))) for side in SIDES], "rows": rows}


def _mean(found: Measured, side: Side, metric: str, style: str) -> str:
    values = found.values[side][metric]
    scored = [value for value in values if value is not None]
    if not scored:
        return "unscored" if values else "-"
    left_out = len(values) - len(scored)
    return number(fmean(scored), style) + (f" (+{left_out} unscored)" if left_out else "")


def _parts(text: str, measures: TurnMeasures | None) -> Iterator[tuple[str, str]]:
    """Yield pieces of an utterance with the style of each: words of the own field that are new, and those taken up."""
    clipped = text[:LONGEST]
    new = set(measures.contribution.new or ()) if measures else set()
    taken = set(measures.contribution.taken or ()) if measures else set()
    at = 0
    for start, end, word in word_spans(clipped):
        if word in new:
            new.discard(word)  # at its first place alone
            yield shown(clipped[at:start]), ""
            yield shown(clipped[start:end]), "taken" if word in taken else "new"
            at = end
    yield shown(clipped[at:]), ""
    if len(text) > LONGEST:
        yield f" [... {len(text) - LONGEST:,} more characters in the record]", ""


def _notes(turn: Turn, measures: TurnMeasures | None) -> Iterator[str]:
    if not turn.finished:
        yield "cut at the most tokens"
    if turn.dropped:
        yield f"the {turn.dropped} oldest exchanges no longer fitted its context"
    if measures and measures.repetition.exact:
        yield "said before, word for word"
    elif measures:
        told = ((measures.repetition.own, "own words"), (measures.repetition.other, "words of the other"))
        repeats = [f"{share:.0%} {whose}" for share, whose in told if share is not None and share >= LEAST_TOLD]
        if repeats:
            yield f"repeats {' and '.join(repeats)}"


def odds_of(found: Measured) -> dict[Side, list[float | None]]:
    """Return the log-odds of the own voice, utterance by utterance, side by side."""
    turns: Sequence[tuple[Turn, TurnMeasures | None]] = list(zip(found.conversation.turns, found.turns, strict=True))
    return {side: [m.odds for turn, m in turns if m is not None and turn.speaker == side] for side in SIDES}


def _chart(found: Measured, scale: float) -> dict[str, Any] | None:
    lines = []
    for side, odds in odds_of(found).items():
        step = (_CHART["right"] - _CHART["left"] - 15) / max(len(odds) - 1, 1)
        points = [
            (round(_CHART["left"] + 8 + i * step, 1), round(_CHART["middle"] - value / scale * _CHART["half"], 1))
            for i, value in enumerate(odds)
            if value is not None
        ]
        lines.append({"side": side, "points": points})
    return {"scale": f"{scale:.0f}", "lines": lines} if any(line["points"] for line in lines) else None
