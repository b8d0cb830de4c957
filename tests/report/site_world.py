"""A small world of results for the site's tests: two personas, every headline task, dialogues and replies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from persbench.report.cells import Cell

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PACK_HASH = "ab" * 32
SIGNATURE = {
    "persbench": "0.1.0",
    "lm-eval": "0.4.13",
    "pack": "grettow-1.0.0@abababababab",
    "model": "SmolLM2-135M-Instruct@71e596d6ac9d",
    "backend": "persbench-prefix@4444e1b6",
    "dtype": "bfloat16",
    "device": "cpu",
    "batch": "16",
    "limit": None,
    "seed": "0,1234,1234,1234",
    "tasks": "attitude-1.0@aa,costume-1.0@bb,induction-1.0@cc",
}
CHANCE = {
    "persbench_costume": {"content_acc": 0.5, "voice_acc": 0.5},
    "persbench_attitude": {"attitude_acc": 0.25},
    "persbench_knowledge": {"knowledge_acc": 0.25},
    "persbench_induction": {"discrimination": 0.5, "resistance": 0.5, "over_resistance": 0.5},
    "persbench_stages": {"stage_item_acc": 0.5},
    "persbench_who_said": {"persona_acc": 0.5, "stage_acc": 0.5},
}
MARGINS = {
    "content_acc": "content_margin",
    "voice_acc": "voice_margin",
    "attitude_acc": "attitude_margin",
    "knowledge_acc": "knowledge_margin",
    "discrimination": "induction_margin",
    "stage_item_acc": "stage_item_margin",
    "persona_acc": "who_margin",
}
SCRIPT = ("What should a school give a child?", "Others say bread.", "Surely bread.")


def base_row(task: str, persona: str, place: int) -> dict[str, Any]:
    stage = ("early", "late")[place % 2]
    found = {"id": f"{task.removeprefix('persbench_')}/{persona}/{stage}/q{place:02}", "persona": persona}
    return found | {"stage": stage, "cluster": f"q{place:02}", "kind": "k", "pack_hash": PACK_HASH}


def choice_row(task: str, persona: str, place: int, skill: float, dice: random.Random) -> dict[str, Any]:
    metrics: dict[str, list[Any]] = {}
    for metric, chance in CHANCE[task].items():
        metrics[metric] = [float(dice.random() < chance + (1 - chance) * skill), True]
        if metric in MARGINS:
            metrics[MARGINS[metric]] = [round(dice.gauss(skill / 20, 0.01), 4), True]
    return base_row(task, persona, place) | {"metrics": metrics, "chance": CHANCE[task]}


def talk_row(task: str, persona: str, place: int, says: str, *, own: bool) -> dict[str, Any]:
    """A dialogue of three turns, probed after the first and the last: `own` says whose stance the last probe finds."""
    part = {"persbench_pressure": "pressure", "persbench_consistency": "talk"}[task]
    turns = [{"user": user, "reply": f"{says} ({turn})"} for turn, user in enumerate(SCRIPT, 1)]
    likely, unlikely = [-10.0, -20.0], [-20.0, -10.0]
    metrics = (
        {
            "held_first": [1.0, True],
            "held_first_raw": [1.0, True],
            "held_all": [float(own), True],
            "turn_of_flip": [2.0, True],
        }
        | {"number_of_flips": [0.0, True], "control_held_all": [1.0, True]}
        if part == "pressure"
        else {"all_own": [float(own), True], "own_share": [0.5, True], "own_margin": [0.1, True], "drift": [0.0, True]}
    )
    return base_row(task, persona, place) | {
        "labels": ["a", "b"],
        "own": 0,
        "target": "b",
        "bytes": [10, 10],
        "probes": {part: [{"after": 1, "ask": SCRIPT[0]}, {"after": 3, "ask": "And in other words?"}]},
        "transcripts": {part: turns},
        "branches": [
            {"label": f"{part}/1", "anchors": [-1.0, -1.0], "loglikelihoods": likely},
            {"label": f"{part}/3", "anchors": [-1.0, -1.0], "loglikelihoods": likely if own else unlikely},
        ],
        "faults": {},
        "dropped_turns": {},
        "metrics": metrics,
        "chance": {"held_first": 0.5} if part == "pressure" else {"all_own": 0.5, "own_share": 0.5},
    }


def reply_row(persona: str, place: int, says: str) -> dict[str, Any]:
    metrics = {name: [0.1, True] for name in ("cosine_lift", "rouge_l_lift", "chrf_lift", "bleu_lift")}
    metrics |= {"cosine_nearest": [0.0, True], "authorship_acc": [1.0, True], "length_words": [7.0, True]}
    return base_row("persbench_reply", persona, place) | {
        "reply": says,
        "metrics": metrics | {"distinct_2": [0.9, True]},
        "chance": {"authorship_acc": 0.5},
    }


def cell(
    system: str, persona: str, skill: float, *, questions: int = 12, says: str = "I hold that", **signature: Any
) -> Cell:
    """One system on one persona; `skill` 0 is chance, 1 always right."""
    dice = random.Random(f"{system}/{persona}")
    tasks: dict[str, list[dict[str, Any]]] = {
        task: [choice_row(task, persona, place, skill, dice) for place in range(questions)] for task in CHANCE
    }
    for task in ("persbench_pressure", "persbench_consistency"):
        tasks[task] = [talk_row(task, persona, p, f"{says} {system}", own=skill > 0.5) for p in range(4)]
    tasks["persbench_reply"] = [reply_row(persona, place, f"{says} {system}, reply {place}") for place in range(4)]
    facts = SIGNATURE | {"system": f"{system}@00"} | signature
    return Cell(system, persona, facts, tasks, made="2026", source=f"records/{system}__{persona}.json")


def cells(**skills: float) -> list[Cell]:
    """Every named system on both personas."""
    return [cell(system, persona, skill) for system, skill in skills.items() for persona in ("ada", "bo")]


@contextmanager
def watched(chromium: Browser, **settings: Any) -> Iterator[Page]:
    """A fresh page; fails in the end if anything was written to the console, or asked for off the disk."""
    context = chromium.new_context(**({"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"} | settings))
    context.set_default_timeout(90_000)  # a busy machine is no fault
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(f"console: {message.text}"))
    opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    opened.on("requestfailed", lambda asked: wrong.append(f"failed: {asked.url}"))
    opened.on("request", lambda asked: None if asked.url.startswith("file:") else wrong.append(f"asked: {asked.url}"))
    yield opened
    context.close()
    assert wrong == []
