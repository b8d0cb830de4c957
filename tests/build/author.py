"""An annotator for tests: it reads each prompt as a model would, and answers in words drawn from what it was shown."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from persbench.annotators.asking import CachedAnnotator
from persbench.annotators.cache import CallCache
from persbench.annotators.calls import Answer, Call, Reply, Unanswered
from persbench.annotators.frames import frames
from persbench.annotators.tally import Prices, Tally
from persbench.build.asking import PROMPTS, read_prompt
from persbench.models.chat import Message

MATERIAL = Path(__file__).parent / "material"
WORDS = sorted({w.lower() for path in MATERIAL.glob("*") for w in re.findall(r"[A-Za-z]{4,}", path.read_text("utf-8"))})
TASKS = sorted(path.stem for path in PROMPTS.glob("*.md"))


def task_of(messages: Sequence[Message]) -> str:
    """Find the prompt that a conversation was made from, by the longest of its own words that stand in it."""
    said = messages[1]["content"]
    static = {task: max(re.split(r"\{\{.*?\}\}", read_prompt(task).sections[-1][1]), key=len) for task in TASKS}
    fitting = [task for task, words in static.items() if words in said]
    assert fitting, said[:300]
    return max(fitting, key=lambda task: len(static[task]))


def composed_text(key: str, characters: int) -> str:
    """Words drawn by a key until there are so many characters: the same for the same key."""
    draw = random.Random(hashlib.sha256(key.encode()).digest())
    text = ""
    while len(text) < characters:
        text += f"{draw.choice(WORDS)} "
    return text.strip().capitalize() + "."


def stage_in(passage: str) -> str:
    """Tell the stage by the years that a passage names; what names none holds at all times."""
    years = [int(year) for year in re.findall(r"\b18[678]\d\b", passage)]
    return "late" if years and max(years) >= 1881 else "early"


def author(messages: Sequence[Message]) -> str:
    """Answer a prompt."""
    task, said = task_of(messages), messages[1]["content"]
    shown: dict[str, list[str]] = {}
    for frame in frames(said):
        shown.setdefault(frame.field, []).append(frame.text)
    key = f"{task}\n{said}"
    count = int(found[1]) if (found := re.search(r"Write (\d+) different", said)) else 1
    length = int(found[1]) if (found := re.search(r"(\d+) characters, give or take", said)) else 150

    def text(part: object, characters: int = 150) -> str:
        return composed_text(f"{part}\n{key}", characters)

    passage = shown.get("passage", [""])[0]
    if task == "classify":
        return json.dumps({"kind": "knowledge" if "Hanne" not in passage else "experience"})
    if task == "stage":
        return json.dumps({"stage": stage_in(passage)})
    if task.startswith("raise-"):
        return json.dumps({"prompts": [text(i, 90) for i in range(count)]})
    answers: dict[str, Callable[[], dict[str, Any]]] = {
        "respond": lambda: {"analysis": text("analysis"), "response": text("response")},
        "profile": lambda: {"age": 14 if "1874" in messages[0]["content"] else 29, "profile": text("profile", 500)},
        "voice": lambda: {"voice": text("voice", 250)},
        "relations": lambda: {"relations": [{"person": "Wim", "sentence": text("relation")}]},
        "traits": lambda: {d: {"score": 1 + len(text(d)) % 5, "reason": text(d)} for d in "OCEAN"},
        "cannot-know": lambda: {"cannot_know": [text(i) for i in range(3)]},
        "answer": lambda: {"stance": shown["stances"][0].split(":")[0], "reply": text("reply")},
        "answer-freely": lambda: {"reply": text("reply")},
        "voice-only": lambda: {"reply": text("reply", length - 4)},
        "stance-only": lambda: {"reply": text("reply", length - 4)},
        "knowledge": lambda: {
            "items": [
                {
                    "question": text(f"question {i}", 80),
                    "gold": text(f"gold {i}"),
                    "foils": [text(f"foil {i} {j}") for j in range(3)],
                }
                for i in range(count)
            ]
        },
        "induction": lambda: {name: text(name) for name in ("induced", "control", "resist", "yield", "affirm", "deny")},
        "stylize": lambda: {"voiced": text("voiced")},
    }
    if task in ("later-event", "change"):
        stages = [line.split(":")[0] for line in shown["dates"]]
        replies = [{"stage": stage, "reply": text(f"reply at {stage}")} for stage in stages]
        return json.dumps({"question": text("question", 90), "replies": replies})
    return json.dumps(answers[task]())


class Author:
    """A backend that answers by a function of the messages.

    Args:
        write: The function; None stands for no answer.
        workers: Threads.
    """

    batch = 1

    def __init__(self, write: Callable[[Sequence[Message]], str | None] = author, *, workers: int = 1) -> None:
        self.write, self.workers = write, workers
        self.asked: list[Call] = []

    @property
    def id(self) -> str:
        return "author"

    def answer(self, calls: Sequence[Call], *, tally: Tally, stop: threading.Event) -> list[Reply]:
        self.asked += calls
        return [self._reply(self.write(call.messages)) for call in calls]

    @staticmethod
    def _reply(text: str | None) -> Reply:
        return Unanswered("it said nothing", "empty") if text is None else Answer(text, 100, 10, cached=False)


def annotator(backend: Author, cache: Path | None = None, *, budget: int | None = None) -> CachedAnnotator:
    """A cached annotator with that backend, at a price of 1 a million prompt tokens."""
    return CachedAnnotator(backend, CallCache(cache), budget=budget, prices=Prices(prompt=1.0, completion=10.0))
