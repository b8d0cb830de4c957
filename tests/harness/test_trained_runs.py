"""Trained systems from end to end: whose adapter, whose anchors, whose numbers; on a tiny model with tiny adapters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from test_stock import command
from tiny_adapter import tiny_adapter, tiny_voices

from persbench.errors import FaultsError, PersbenchError, UnknownNameError
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.harness.task_index import tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.records import load_record
from persbench.report.board import lines_of
from persbench.report.cells import load_cells
from persbench.samples import Row, sample_row

TASKS = ("persbench_costume", "persbench_stages", "persbench_consistency", "persbench_reply", "persbench_attitude_gen")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On so small a model threads wait for each other more than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, adapters of two personas, and one that was trained neither analysis nor label."""
    found = tiny_voices(tmp_path_factory.mktemp("trained"))
    tiny_adapter(found / "stylized", found / "base", recipe="stylized", analysis=False, temporal=False)
    return found


def settings(folder: Path, out: Path, *systems: str, **more: Any) -> RunSettings:
    named = tuple(
        f"{system}={folder / system.removesuffix('+profile')}" if system != "vanilla" else system for system in systems
    )
    base = RunSettings(
        model=str(folder / "base"), pack=fake_pack(), out=out, systems=named, tasks=TASKS, limit=1, device="cpu",
        batch_size=2, anchors=out / "anchors",
    )  # fmt: skip
    return replace(base, **more)


def quiet(_line: str) -> None:
    pass


def records(settings: RunSettings) -> dict[str, Any]:
    return {path.stem: load_record(path) for path in run(settings, quiet)}


def calm_and_anchors(record: Any) -> dict[str, list[float]]:
    """All numbers of the untuned model without a persona, by item and branch."""
    found: dict[str, list[float]] = {}
    for task in ("persbench_costume", "persbench_stages", "persbench_consistency"):
        for row in record.tasks[task]["samples"]:
            for branch in row.get("branches", [row]):
                found[f"{row['id']}:{branch.get('label')}"] = [*branch["anchors"], *branch.get("calm", [])]
    return found


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return records(
        settings(folder, tmp_path_factory.mktemp("done"), "persllm", "vanilla", "persllm+profile", "stylized")
    )


def test_every_persona_speaks_by_its_own_adapter(done: dict[str, Any]) -> None:
    assert sorted(done) == [
        "persllm+profile__ada", "persllm+profile__bo", "persllm__ada", "persllm__bo", "stylized__ada", "vanilla__ada",
        "vanilla__bo",
    ]  # fmt: skip
    signatures = {name: record.signature for name, record in done.items()}
    assert {s["model"] for s in signatures.values()} == {signatures["vanilla__ada"]["model"]}
    adapters = {name: s.get("adapter") for name, s in signatures.items()}
    assert adapters["vanilla__ada"] is None
    assert adapters["persllm__ada"] == adapters["persllm+profile__ada"] != adapters["persllm__bo"]
    assert len({v for v in adapters.values() if v}) == 3
    told = {k: signatures["persllm__bo"][k] for k in ("recipe", "training_seed", "analysis", "analysis_tokens")}
    assert told == {"recipe": "persllm", "training_seed": 2, "analysis": "greedy", "analysis_tokens": 96}
    assert "analysis" not in signatures["stylized__ada"]
    assert done["persllm__bo"].provenance["adapter"]["persona"] == "bo"
    contexts = {name: record.provenance["example_context"] for name, record in done.items()}
    assert "It is the spring of the year 10. <early><|end|>" in contexts["persllm__ada"]
    assert "Who you are:" not in contexts["persllm__ada"]
    assert "Who you are:" in contexts["persllm+profile__ada"]
    assert "<early>" not in contexts["stylized__ada"]


def test_processes_speak_by_the_adapters_that_there_are(folder: Path, tmp_path: Path) -> None:
    few: dict[str, Any] = {"tasks": ("persbench_attitude",), "jobs": 2}
    one, both = settings(folder, tmp_path, "stylized", **few), settings(folder, tmp_path, "vanilla", "stylized", **few)
    lines: list[str] = []
    assert [path.name for path in run(one, lines.append)] == ["stylized__ada.json"]
    assert lines[0] == "--jobs 2: a persona is evaluated by one process, so 1 will run."
    assert sorted(records(both)) == ["stylized__ada", "vanilla__ada", "vanilla__bo"]


def test_anchors_and_the_calm_dialogue_are_the_untuned_base_s(
    folder: Path, done: dict[str, Any], tmp_path: Path
) -> None:
    base = calm_and_anchors(done["vanilla__ada"])
    assert sorted(map(len, base.values())) == [2, 2, 3, 8, 8, 8], "stages, costume, and calm probes at three depths"
    for name in ("persllm__ada", "persllm+profile__ada", "stylized__ada"):
        assert calm_and_anchors(done[name]) == base
    # And where no other cell has left them behind, taken in the midst of a trained one.
    alone = records(settings(folder, tmp_path, "persllm", personas=("ada",)))["persllm__ada"]
    found = calm_and_anchors(alone)
    assert {name: pytest.approx(values, abs=1e-3) for name, values in found.items()} == base
    for task in set(TASKS) - {"persbench_consistency"}:
        assert alone.tasks[task] == done["persllm__ada"].tasks[task]


def test_lm_eval_s_own_model_gives_the_same_for_an_adapter(folder: Path, done: dict[str, Any], tmp_path: Path) -> None:
    found = records(settings(folder, tmp_path, "persllm", personas=("ada",), backend="hf"))["persllm__ada"]
    for task in TASKS:
        for one, other in zip(found.tasks[task]["samples"], done["persllm__ada"].tasks[task]["samples"], strict=True):
            for part in ("analysis", "analyses", "reply", "transcripts", "chosen"):
                assert one.get(part) == other.get(part)
            for branch, same in zip(one.get("branches", [one]), other.get("branches", [other]), strict=True):
                assert branch.get("analysis") == same.get("analysis")
                if "loglikelihoods" in branch:
                    assert branch["loglikelihoods"] == pytest.approx(same["loglikelihoods"], abs=5e-3)


KEPT = ("loglikelihoods", "branches", "anchors", "metrics", "analysis", "analyses", "reply", "transcripts")


def test_the_stock_command_gives_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    tasks = TASKS[:4]
    ours = settings(folder, tmp_path / "ours", "stylized", backend="hf", tasks=tasks)
    run(ours, quiet)
    adapter = folder / "stylized"
    metadata = {"pack": str(fake_pack()), "persona": "ada", "system": "stylized", "anchors": str(ours.anchors)}
    arguments = f"pretrained={folder / 'base'},peft={adapter},tokenizer={adapter},softmax_dtype=float32"
    command(
        "-m", "lm_eval", "run", "--model", "hf", "--model_args", arguments, "--tasks", ",".join(tasks),
        "--include_path", str(tasks_folder()), "--apply_chat_template", "--log_samples", "--output_path",
        str(tmp_path / "stock"), "--limit", "1", "--batch_size", "2", "--device", "cpu", "--metadata",
        json.dumps(metadata), cache=tmp_path / "cache",
    )  # fmt: skip
    (theirs,), (own,) = (load_cells(tmp_path / name)[0] for name in ("stock", "ours"))
    for task in tasks:
        kept = [[{k: v for k, v in row.items() if k in KEPT} for row in cell.tasks[task]] for cell in (theirs, own)]
        for row in (*kept[0], *kept[1]):  # the command's cache has no embedder
            row["metrics"] = {k: v for k, v in row["metrics"].items() if "cosine" not in k}
        assert kept[0] == kept[1]


def test_new_tokens_mean_the_same_to_lm_eval_s_own_loading(folder: Path, tmp_path: Path) -> None:
    """lm-eval draws the rows that an adapter adds to at random, very near to the mean at which they begin here."""
    adapter = str(folder / "persllm" / "ada")
    arguments = {"pretrained": str(folder / "base"), "peft": adapter, "tokenizer": adapter}
    ours = settings(folder, tmp_path, "persllm", personas=("ada",), backend="hf", tasks=TASKS[:1])
    metadata = {"pack": str(fake_pack()), "persona": "ada", "system": "persllm", "anchors": str(ours.anchors)}
    with pytest.raises(PersbenchError, match="untuned base model, and this one carries an adapter"):
        evaluated(arguments, TASKS[0], metadata)
    (own,) = records(ours)["persllm__ada"].tasks[TASKS[0]]["samples"]
    (row,) = evaluated(arguments, TASKS[0], metadata)
    assert row["loglikelihoods"] == pytest.approx(own["loglikelihoods"], abs=0.01)
    assert (row["analysis"], row["anchors"]) == (own["analysis"], own["anchors"])


def evaluated(arguments: dict[str, Any], task: str, metadata: dict[str, Any]) -> list[Row]:
    """What the stock command does after it has read its arguments."""
    found = simple_evaluate(
        model="hf", model_args=arguments | {"softmax_dtype": "float32"}, tasks=[task], limit=1, batch_size=2,
        device="cpu", bootstrap_iters=0, apply_chat_template=True,
        task_manager=TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata),
    )  # fmt: skip
    return [sample_row(sample) for sample in found["samples"][task]]


def test_without_a_prefill_candidates_stand_where_the_turn_begins(
    folder: Path, done: dict[str, Any], tmp_path: Path
) -> None:
    wanted = settings(folder, tmp_path, "persllm", personas=("ada",), tasks=TASKS[:1])
    bare = records(replace(wanted, analysis="none"))["persllm__ada"]
    thought = done["persllm__ada"]
    assert bare.provenance["example_context"].endswith("<|assistant|>")
    assert thought.provenance["example_context"].endswith("[Response]")
    (row,), (other,) = bare.tasks[TASKS[0]]["samples"], thought.tasks[TASKS[0]]["samples"]
    assert "analysis" not in row
    assert f"<|assistant|>[Analysis] {other['analysis']} [Response]" in thought.provenance["example_context"]
    assert row["loglikelihoods"] != other["loglikelihoods"]
    assert row["anchors"] == other["anchors"]
    assert bare.signature["analysis"] == "none"
    with pytest.raises(PersbenchError, match=r"\(analysis 'none' -> 'greedy'\)"):
        run(wanted, quiet)
    with pytest.raises(UnknownNameError, match=r"unknown analysis 'gredy'\. Did you mean 'greedy'"):
        run(replace(wanted, analysis="gredy"), quiet)


def test_another_adapter_is_another_cell(folder: Path, tmp_path: Path) -> None:
    base = folder / "base"
    tiny_adapter(tmp_path / "stylized", base, recipe="stylized", analysis=False, temporal=False, seed=5)
    wanted = settings(folder, tmp_path / "out", "stylized", tasks=TASKS[:1])
    run(wanted, quiet)
    with pytest.raises(PersbenchError, match=r"training_seed 1 -> 5; adapter '[0-9a-f]+' -> '[0-9a-f]+'"):
        run(replace(wanted, systems=(f"stylized={tmp_path / 'stylized'}",)), quiet)


def test_a_board_pools_personas_over_their_adapters(folder: Path, done: dict[str, Any], tmp_path: Path) -> None:
    from persbench.records import save_record

    for name, record in done.items():
        save_record(
            tmp_path / "records" / f"{name}.json",
            replace(
                record,
                signature=record.signature | {"training_seed": 1} if "recipe" in record.signature else record.signature,
            ),
        )
    lines = {line.system: line for line in lines_of(load_cells(tmp_path)[0])}
    assert lines["persllm"].personas == ("ada", "bo")
    assert lines["persllm"].signature["adapter"] not in {r.signature.get("adapter") for r in done.values()}


@pytest.mark.parametrize(
    ("systems", "told"),
    [
        (("persllm",), "persllm is a trained system: say where its adapters are, --systems persllm=DIR"),
        (("prompt={0}",), "prompt works by prompt alone"),
        (("={0}",), "write NAME=DIR"),
        (("mine={0}/nowhere",), "no folder .*nowhere"),
        (("mine={0}/base",), "holds no adapter for any persona of fake"),
        (("persllm={0}/persllm", "persllm={0}/stylized"), "persllm stands twice"),
        (("persllm={0}/stylized",), "trained by the recipe stylized, and persllm is another"),
    ],
)  # fmt: skip
def test_names_and_folders_that_do_not_fit_are_said(
    folder: Path, tmp_path: Path, systems: tuple[str, ...], told: str
) -> None:
    named = tuple(name.format(folder) for name in systems)
    with pytest.raises(PersbenchError, match=told):
        run(replace(settings(folder, tmp_path), systems=named), quiet)


def test_a_persona_asked_for_by_name_needs_an_adapter(folder: Path, tmp_path: Path) -> None:
    lone = shutil.copytree(folder / "persllm" / "ada", tmp_path / "lone" / "ada").parent
    wanted = replace(settings(folder, tmp_path / "out", tasks=TASKS[:1]), systems=(f"persllm={lone}",))
    assert [path.stem for path in run(wanted, quiet)] == ["persllm__ada"]
    with pytest.raises(PersbenchError, match="lone holds no adapter for bo, which persllm needs"):
        run(replace(wanted, personas=("bo",)), quiet)
    with pytest.raises(PersbenchError, match="trained as ada, not as bo"):
        run(replace(wanted, systems=(f"persllm={lone / 'ada'}",), personas=("bo",)), quiet)


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ({"persona": "bo"}, "trained as bo, not as ada"),
        ({"world": "moon"}, "trained in the world moon, and the pack is fake"),
        ({"base": {"name": "other", "digest": "1" * 64, "vocab_size": 97}}, r"on other \(111111111111\), and base is"),
        ({"speaks": {"analysis": False, "temporal": True}}, "persllm is a recipe with an analysis and temporal tokens"),
        ({"format": "none"}, "is not a card of persbench"),
    ],
)  # fmt: skip
def test_a_card_that_tells_of_another_is_refused(folder: Path, tmp_path: Path, card: dict[str, Any], told: str) -> None:
    path = shutil.copytree(folder / "persllm" / "ada", tmp_path / "lone" / "ada")
    known = json.loads((path / "card.json").read_text())
    (path / "card.json").write_text(json.dumps(known | card))
    with pytest.raises(PersbenchError, match=told):
        run(replace(settings(folder, tmp_path / "out"), systems=(f"persllm={path.parent}",), personas=("ada",)), quiet)


def test_adapters_without_a_chat_template_are_told_at_once_with_what_to_do(folder: Path, tmp_path: Path) -> None:
    for persona in ("ada", "bo"):
        mute = shutil.copytree(folder / "persllm" / persona, tmp_path / "mute" / persona)
        (mute / "chat_template.jinja").unlink()
    wanted = replace(settings(folder, tmp_path / "out", tasks=TASKS[:1]), systems=(f"mute={tmp_path / 'mute'}",))
    with pytest.raises(FaultsError, match="2 faults") as caught:
        run(wanted, quiet)
    for persona in ("ada", "bo"):
        assert f"the tokenizer in {tmp_path / 'mute' / persona} has no chat template" in str(caught.value)
    assert "copy chat_template.jinja" in str(caught.value)
    assert not list((tmp_path / "out" / "records").glob("*"))


def test_on_a_base_without_a_chat_template_all_speak_plain_text_and_the_signature_says_so(
    folder: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(folder / "base", tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    told: list[str] = []
    wanted = settings(folder, tmp_path / "out", "persllm", personas=("ada",), tasks=TASKS[:1], model=str(bare))
    (path,) = run(wanted, told.append)
    assert load_record(path).signature["template"] == "plain"
    (said,) = [line for line in told if "has no chat template" in line]
    assert "plain text" in said
    assert "copy chat_template.jinja" in said


def test_a_label_of_several_tokens_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    path = tiny_adapter(
        tmp_path / "lone" / "ada", folder / "base", temporal=False, speaks={"analysis": True, "temporal": True}
    )
    with pytest.raises(PersbenchError, match=r"temporal label <early> as one token, and this tokenizer writes it as 7"):
        run(replace(settings(folder, tmp_path / "out"), systems=(f"persllm={path.parent}",)), quiet)


def test_any_name_will_do_where_the_card_says_how_it_speaks(folder: Path, tmp_path: Path) -> None:
    wanted = replace(settings(folder, tmp_path, tasks=TASKS[:1]), systems=(f"mine-2+profile={folder / 'persllm'}",))
    record = records(replace(wanted, personas=("ada",)))["mine-2+profile__ada"]
    assert "Who you are:" in record.provenance["example_context"]
    assert record.provenance["example_context"].endswith("[Response]")
    assert record.signature["recipe"] == "persllm"
