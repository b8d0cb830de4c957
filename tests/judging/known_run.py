"""A run whose replies are known, and a judge that reads by the frame and knows what each of them deserves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from persbench.annotators.frames import Frame, frames, neutral
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.packs.pack import Pack
from persbench.records import CellRecord, save_record

Messages = list[dict[str, str]]
PERSONAS, STAGES, QUESTIONS = ("ada", "bo"), ("early", "late"), ("q01", "q02", "q03", "q04")
INDUCED = {"ada": ("ada-i01", "ada-i02"), "bo": ("bo-i01",)}
# system -> how good its replies are, by question; the other tables hold for all personas and stages alike
QUALITY = {
    "alpha": {"q01": 5, "q02": 4, "q03": 2, "q04": 3},
    "beta": {"q01": 3, "q02": 4, "q03": 2, "q04": 0},
    "gamma": {"q01": 0, "q02": 1, "q03": 2, "q04": 5},
}
RESISTS = {"alpha": "resist", "beta": "yield", "gamma": "evade"}
SORTED = {"q01": "attitude", "q02": "knowledge", "q03": "attitude", "q04": "neither"}


@dataclass
class Truth:
    """What a judge that knows everything would say, by the text that it should find in a frame.

    Attributes:
        quality: Reply -> 0 to 5.
        resists: Reply -> class.
        sorts: Question -> class.
        against: Lines that contradict the profile, the right answer, or each other.
    """

    quality: dict[str, int] = field(default_factory=dict)
    resists: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, str] = field(default_factory=dict)
    against: set[frozenset[str]] = field(default_factory=set)


class FrameReader:
    """Answers as the truth does, if every text stands whole in a frame of its own; a text it does not know is an error.

    Args:
        truth: By text as it was given; it is looked up as a prompt shows it.
    """

    def __init__(self, truth: Truth) -> None:
        self.quality = {shown(text): value for text, value in truth.quality.items()}
        self.resists = {shown(text): value for text, value in truth.resists.items()}
        self.sorts = {shown(text): value for text, value in truth.sorts.items()}
        self.against = {frozenset(map(shown, pair)) for pair in truth.against}
        self.lost: list[str] = []

    def __call__(self, messages: Messages) -> str:
        asked = next(message["content"] for message in messages if message["role"] == "user")
        try:
            return json.dumps(self.verdict(frames(asked)))
        except KeyError as error:
            self.lost.append(str(error))
            return "a text was not found as it was given"

    def verdict(self, found: list[Frame]) -> dict[str, Any]:
        """Read the frames of a prompt."""
        by_field = {frame.field: frame.text for frame in found}
        if "replies" in by_field:
            return {"why": "known", "ranking": self.ranking([f.text for f in found if f.field == "replies"])}
        if "line" in by_field:
            pair = frozenset((by_field["held"], by_field["line"]))
            return {"why": "known", "verdict": "contradicts" if pair in self.against else "consistent"}
        if "prompt" in by_field:
            return {"why": "known", "verdict": self.resists[by_field["reply"]]}
        if "reply" in by_field:
            return {"why": "known", "score": self.quality[by_field["reply"]]}
        return {"why": "known", "verdict": self.sorts[by_field["question"]]}

    def ranking(self, replies: list[str]) -> list[list[int]]:
        """Rank replies by what they deserve, whatever they say of themselves; equal ones share a place."""
        numbers: dict[int, list[int]] = {}
        for reply in replies:
            number, _, text = reply.partition("\n")
            numbers.setdefault(self.quality[text], []).append(int(number))
        return [numbers[quality] for quality in sorted(numbers, reverse=True)]


def shown(text: str) -> str:
    """Return a text as a prompt shows it."""
    return neutral(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))


@cache
def the_pack() -> Pack:
    """Return the fake pack, read once."""
    return load_pack(fake_pack())


def reply_text(system: str, persona: str, stage: str, question: str) -> str:
    """Return a reply that no other system, persona, stage or question has."""
    return f"{system.title()} in the part of {persona}, {stage}, would sooner talk of {question} over bread."


def line_text(system: str, persona: str, stage: str, number: int) -> str:
    """Return the line of a dialogue."""
    return f"{system.title()} as {persona} ({stage}) says for the {number + 1}. time that the tide is late."


def truth_of(systems: Mapping[str, Any] = QUALITY, spoken: Callable[..., str] = reply_text) -> Truth:
    """Return the truth about the run that `write_run` writes."""
    pack, truth = the_pack(), Truth()
    truth.sorts = {question.text: SORTED[question.id] for question in pack.questions}
    for system in systems:
        for persona in PERSONAS:
            for stage in STAGES:
                for question in QUESTIONS:
                    truth.quality[spoken(system, persona, stage, question)] = systems[system][question]
                first, *others = [line_text(system, persona, stage, n) for n in range(3)]
                # The third line contradicts the first, in every dialogue, and beta's first the right answer.
                truth.against.add(frozenset((first, others[-1])))
                gold = pack.persona(persona).answer("q01", stage)
                if system == "beta" and gold is not None:
                    truth.against.add(frozenset((first, gold.reply)))
            for item in INDUCED[persona]:
                truth.resists[spoken(system, persona, "any", item)] = RESISTS[system]
    return truth


def samples_of(system: str, persona: str, spoken: Callable[..., str] = reply_text) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of one cell, as `persbench.samples.sample_row` makes them."""
    pack = the_pack()
    base = {"persona": persona, "system": system, "pack_hash": pack.hash, "rendering": "chat", "metrics": {}}
    replies = [
        base
        | {"id": f"reply/{persona}/{stage}/{q}", "stage": stage, "cluster": q, "kind": "reply"}
        | {"reply": spoken(system, persona, stage, q)}
        for q in QUESTIONS
        for stage in STAGES
    ]
    induced = [
        base
        | {"id": f"induction_reply/{item}", "stage": row.stage, "cluster": f"induction_reply/{item}"}
        | {"kind": row.kind, "reply": spoken(system, persona, "any", item)}
        for item in INDUCED[persona]
        for row in pack.persona(persona).induction
        if row.id == item
    ]
    script = pack.cross_turn[0]
    talks = [
        base
        | {"id": f"consistency/{persona}/{stage}/{script.id}", "stage": stage, "cluster": "q01", "kind": "consistency"}
        | {
            "transcripts": {
                "talk": [
                    {"user": turn, "reply": line_text(system, persona, stage, n)}
                    for n, turn in enumerate(script.turns[:3])
                ]
            }
        }
        for stage in STAGES
    ]
    return {"persbench_reply": replies, "persbench_induction_reply": induced, "persbench_consistency": talks}


def write_cell(run: Path, system: str, persona: str, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write the record of one cell."""
    tasks = {name: {"version": "1.0", "hash": "abcdef", "samples": samples} for name, samples in rows.items()}
    signature = {"system": f"{system}@1", "model": "none"}
    record = CellRecord(system, persona, "key", signature, tasks, {}, {"started": "2026-01-01T00:00:00+00:00"})
    save_record(run / "records" / f"{system}__{persona}.json", record)


def write_run(run: Path, systems: Mapping[str, Any] = QUALITY, spoken: Callable[..., str] = reply_text) -> Path:
    """Write a run of these systems on both personas of the fake pack."""
    for system in systems:
        for persona in PERSONAS:
            write_cell(run, system, persona, samples_of(system, persona, spoken))
    return run
