"""What a training is about: no test text goes into it, neither as a reply nor as what is answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_world import WordBags, toy_world, write_rows

from persbench.errors import FaultsError
from persbench.packs.load import load_pack
from persbench.training.job import Job, job_of
from persbench.training.recipe import load_recipe

QUESTION = "Would you rather mend a torn net at dawn or count the herring barrels until it is dark?"


def job(folder: Path, recipe: str) -> Job:
    pack = load_pack(folder)
    return job_of(pack, "ada", load_recipe(recipe), seed=None, max_steps=None, embedder=WordBags())


@pytest.mark.parametrize(
    ("recipe", "place"),
    [
        ("persllm", "personas/ada/train.jsonl:21"),
        ("stylized-matched", "personas/ada/matched.jsonl:21"),
        ("stylized", "personas/ada/stylized.jsonl:5"),
        ("persllm-sft", "general.jsonl:2"),
    ],
)
def test_a_test_question_among_the_prompts_is_refused(tmp_path: Path, recipe: str, place: str) -> None:
    folder = toy_world(tmp_path / "pack")
    job(folder, recipe)
    dialogues = folder / "dialogues.jsonl"
    scripts = [json.loads(line) for line in dialogues.read_text("utf-8").splitlines()]
    scripts[0]["turns"][0] = QUESTION
    write_rows(dialogues, scripts)
    file, _, line = place.replace("matched", "train").rpartition(":")
    path = folder / file
    rows = [json.loads(text) for text in path.read_text("utf-8").splitlines()]
    row = rows[int(line) - 1]
    if "messages" in row:
        assert len(row["messages"]) == 4  # an earlier turn, of which the last one's reply is learnt
        row["messages"][0]["content"] = QUESTION
    else:
        row["instruction" if "instruction" in row else "prompt"] = QUESTION
    write_rows(path, rows)
    with pytest.raises(FaultsError) as caught:
        job(folder, recipe)
    told = [str(fault) for fault in caught.value.faults]
    assert any(text.startswith(f"{place}: a turn before its reply is the test text dialogues.jsonl:1") for text in told)
