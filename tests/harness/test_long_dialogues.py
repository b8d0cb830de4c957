"""Dialogues longer than the model's context, on a real (tiny) model: whole oldest turns go, and the record says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from tiny_model import SHAPE, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import fake_pack
from persbench.records import load_record
from persbench.report.board import lines_of
from persbench.report.cells import load_cells
from persbench.report.table import markdown_board

LIVE = ("persbench_consistency", "persbench_pressure")
TEMPLATE = (
    "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
STAGES = {"early": "the spring of the year 10", "late": "the autumn of the year 20"}
REPLY = 48  # tokens at most, as the tasks' YAML says


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    words = tokenizer()
    words.chat_template = TEMPLATE
    words.save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SHAPE | {"max_position_embeddings": 2048})).save_pretrained(folder)
    return folder


def played(model: Path, out: Path, backend: str, max_length: int) -> dict[str, list[dict[str, Any]]]:
    settings = RunSettings(
        model=str(model), pack=fake_pack(), out=out, backend=backend, model_args={"max_length": max_length}, tasks=LIVE,
        systems=("prompt",), personas=("ada",), anchors=out / "anchors", device="cpu", dtype="float32",
    )  # fmt: skip
    (path,) = run(settings, lambda _: None)
    return {task: content["samples"] for task, content in load_record(path).tasks.items()}


@pytest.mark.parametrize("backend", ["hf", "persbench-prefix"])
def test_whole_oldest_turns_go_and_the_record_and_the_board_say_how_often(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    asked: list[str] = []
    usual = HFLM.generate_until

    def listening(self: Any, requests: Any, disable_tqdm: bool = False) -> Any:
        asked.extend(request.args[0] for request in requests)
        return usual(self, requests, disable_tqdm=disable_tqdm)

    if backend == "hf":
        monkeypatch.setattr(HFLM, "generate_until", listening)
    window = 360
    roomy = played(model, tmp_path / "roomy", backend, 2048)
    asked.clear()
    tight = played(model, tmp_path / "tight", backend, window)
    assert not any(row["dropped_turns"] or row["faults"] for rows in roomy.values() for row in rows)
    cut = [row for rows in tight.values() for row in rows if row["dropped_turns"]]
    assert cut
    assert not any(row["faults"] for rows in tight.values() for row in rows)
    for row in cut:
        for name, dropped in row["dropped_turns"].items():
            assert (
                0 < dropped < len(row["transcripts"][name])
            )  # every turn was played; some were out of sight at the end
    if backend == "hf":
        every_context_is_whole(asked, cut, window)
    cells, _ = load_cells(tmp_path / "tight")
    notes = [note for line in lines_of(cells, "consistency") for note in line.notes]
    for task, rows in tight.items():
        number = sum(len(row["dropped_turns"]) for row in rows)
        told = f"{task}: the model's context ran full in {number} of "
        assert any(note.startswith(told) for note in notes) == bool(number)
    assert "context ran full" in markdown_board({"consistency": lines_of(cells, "consistency")})


def every_context_is_whole(asked: list[str], cut: list[dict[str, Any]], window: int) -> None:
    """What the model read fits, opens with the persona, and holds an unbroken end of the dialogue."""
    words = tokenizer()
    with_persona = [context for context in asked if "You are Ada" in context]
    assert all(context.startswith("[system] You are Ada") for context in with_persona)
    assert all(len(words(context)["input_ids"]) + REPLY <= window for context in asked)
    gone = 0
    for row in cut:
        for name, dropped in row["dropped_turns"].items():
            *before, last = row["transcripts"][name]
            said = [f"[user] {one['user']}\n[assistant] {one['reply']}\n" for one in before]
            final = f"[user] {last['user']}\n[assistant]"
            whole = {"".join(said[k:]) + final: k for k in range(len(said) + 1)}  # without the oldest k
            seen = {"[user] " + c.partition("\n[user] ")[2] for c in with_persona if STAGES[row["stage"]] in c}
            (lost,) = {whole[turns] for turns in seen & whole.keys()}
            assert lost <= dropped  # a probe needs more room than a reply, and the record tells the most
            gone += lost
    assert gone
