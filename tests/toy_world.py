"""A toy world with enough training dialogues to train on: the fake pack, its training files written anew by a rule."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from persbench.packs.bundled import fake_pack

NAMES = (
    "anchor barrel candle dresser ember ferret gutter hammer island jacket kettle ladder marble needle orchard pebble "
    "quiver ribbon saddle timber umber velvet walnut yarrow zephyr bramble copper dimple easel fiddle"
)
WORDS = NAMES.split()
PATTERNS = ("question", "opinion", "induced", "question")
STAGES = ("early", "late")


class WordBags:
    """A toy embedder: unit vectors of word counts, hashed into 4096 places."""

    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), 4096), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[sum(ord(c) * 31**i for i, c in enumerate(word)) % 4096] += 1
        unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def text(*key: object, words: int = 8) -> str:
    """Words drawn by a key: the same for the same key, in every run."""
    draw = random.Random("/".join(map(str, key)))
    return " ".join([*draw.sample(WORDS, words), str(draw.randrange(10**6))])


def train_rows(who: str, common: int, own: int) -> list[dict[str, Any]]:
    """Rows of train.jsonl: common prompts at both stages, own ones at one stage each."""
    asked = [(f"c{i:02}", stage, text("common", i), PATTERNS[i % 4]) for i in range(common) for stage in STAGES]
    asked += [(f"{who}-x{i:02}", STAGES[i % 2], text(who, "prompt", i), PATTERNS[i // 2 % 4]) for i in range(own)]
    return [
        {
            "id": f"{who}-t{number:03}",
            "prompt_id": prompt_id,
            "pattern": pattern,
            "stage": stage,
            "prompt": prompt,
            "analysis": text(who, "analysis", number, words=5),
            "response": text(who, "response", number, words=10),
            "materials": [],
        }
        for number, (prompt_id, stage, prompt, pattern) in enumerate(asked)
    ]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def toy_world(folder: Path, *, common: int = 10, own: int = 12, stylized: int = 9, general: int = 10) -> Path:
    """Write the world into a new folder and return it."""
    shutil.copytree(fake_pack(), folder)
    for who in ("ada", "bo"):
        home = folder / "personas" / who
        rows = train_rows(who, common, own)
        write_rows(home / "train.jsonl", rows)
        matched = [{"id": row["id"], "response": text(who, "matched", row["id"])} for row in rows]
        write_rows(home / "matched.jsonl", matched)
        keys = ("instruction", "plain", "voiced")
        write_rows(
            home / "stylized.jsonl",
            [{"id": f"{who}-y{i:02}"} | {key: text(who, key, i) for key in keys} for i in range(stylized)],
        )
    dialogues = [
        {
            "id": f"g{i:03}",
            "split": "test" if i % 5 == 4 else "train",
            "messages": [
                {"role": role, "content": text("general", i, turn)}
                for turn, role in enumerate(["user", "assistant"] * (1 + i % 2))
            ],
        }
        for i in range(general)
    ]
    write_rows(folder / "general.jsonl", dialogues)
    return folder
