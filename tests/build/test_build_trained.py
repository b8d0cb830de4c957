"""A built pack is a pack like any other: it trains, and is evaluated beside the others' personas in one board."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from author import Author, annotator
from small_build import Bags, inputs, run, settings
from toy_world import toy_world

from persbench.annotators.progress import silent
from persbench.build.pipeline import build
from persbench.harness.run import run as evaluate
from persbench.harness.settings import RunSettings
from persbench.packs.bundled import bundled_pack
from persbench.report.board import lines_of
from persbench.report.cells import load_cells

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))

RECIPE = """
extends: persllm
data: {repeat: 1, general: 0.25}
sft: {batch_size: 8, micro_batch: 4, warmup_steps: 1}
dpo: {batch_size: 8, micro_batch: 4, warmup_steps: 1, pairs: 16}
lora: {r: 4, alpha: 8}
"""
TASKS = ("persbench_costume", "persbench_knowledge", "persbench_attitude", "persbench_who_said")


def board(out: Path, pack: Path, adapters: Path, personas: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """Evaluate personas by prompt, those with adapters also trained, and return the lines of the board by system."""
    trained = tuple(name for name in personas if (adapters / name).is_dir())
    for systems, names in ((("prompt",), personas), ((f"short={adapters}",), trained)):
        chosen = RunSettings(
            pack=pack, out=out, systems=systems, personas=names, tasks=TASKS, limit=2, anchors=out / "anchors",
            analysis="none", **more,
        )  # fmt: skip
        assert len(evaluate(chosen, lambda _: None)) == len(names)
    cells, faults = load_cells(out)
    assert not faults
    return {line.system: line for line in lines_of(cells, "board")}


def test_a_built_persona_trains_and_stands_beside_another_in_one_board(tmp_path: Path) -> None:
    from tiny_chat_model import chat_model

    from persbench.training.pipeline import TrainSettings, train

    run(tmp_path / "pack", settings(), inputs(settings(), toy_world(tmp_path / "world")), Author())
    base = chat_model(tmp_path / "base", max_position_embeddings=8192)
    (tmp_path / "short.yaml").write_text(RECIPE)
    learning = TrainSettings(
        out=tmp_path / "adapters", personas=("ada", "hanne"), recipe=str(tmp_path / "short.yaml"), base=str(base),
        pack=str(tmp_path / "pack"), max_steps=2, device="cpu", dtype="float32",
    )  # fmt: skip
    train(learning, embedder=Bags())
    found = board(
        tmp_path / "runs", tmp_path / "pack", tmp_path / "adapters", ("ada", "hanne"), model=str(base), device="cpu"
    )
    assert set(found) == {"prompt", "short"}
    for line in found.values():
        assert line.personas == ("ada", "hanne")
        assert {"content_acc", "knowledge_acc", "attitude_acc", "persona_acc"} <= set(line.entries)


@pytest.mark.slow
@pytest.mark.model
def test_a_persona_built_into_the_reference_world_trains_and_is_evaluated_on_smollm2(tmp_path: Path) -> None:
    from persbench.models.embedder import default_embedder
    from persbench.models.fetch import fetch_model
    from persbench.training.pipeline import TrainSettings, train

    chosen = settings(raised={"question": 1, "opinion": 1, "induced": 1}, contrasts=8, inductions=6)
    given = inputs(chosen, bundled_pack())
    build(chosen, given, annotator(Author()), default_embedder(), tmp_path / "pack", silent, print)
    learning = TrainSettings(
        out=tmp_path / "adapters", personas=("hanne",), recipe="quick", pack=str(tmp_path / "pack"), max_steps=3,
        device="cpu",
    )  # fmt: skip
    train(learning)
    model = str(fetch_model())
    found = board(tmp_path / "runs", tmp_path / "pack", tmp_path / "adapters", ("hanne", "nedda"), model=model)
    assert (found["short"].personas, found["prompt"].personas) == (("hanne",), ("hanne", "nedda"))
    assert {"content_acc", "knowledge_acc", "attitude_acc", "persona_acc"} <= set(found["short"].entries)
