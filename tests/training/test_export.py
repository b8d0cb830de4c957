"""Exported rows are what the trainer learns, load in `datasets`, are known to TRL, and hold no test text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from short_training import ShortTraining, make_home
from toy_world import WordBags, toy_world, write_rows
from typer.testing import CliRunner

from persbench import cli
from persbench.errors import FaultsError, PersbenchError
from persbench.packs.load import load_pack
from persbench.training.export import ExportSettings, export, rows_of
from persbench.training.export_card import ExportedFile
from persbench.training.job import job_of
from persbench.training.recipe import load_recipe


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("export"))


def exported(home: Path, out: Path, form: str, **changed: Any) -> list[ExportedFile]:
    settings: dict[str, Any] = {
        "personas": ("ada",), "recipe": str(home / "short.yaml"), "pack": str(home / "world"),
    }  # fmt: skip
    return export(ExportSettings(out=out, format=form, **settings | changed), embedder=WordBags())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def head_of(card: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.read_text("utf-8").split("---\n")[1])
    return found


def as_learnt(row: dict[str, Any]) -> dict[str, Any]:
    """An exported row as the trainer has it."""
    if "chosen" in row:
        return {key: row[key] for key in ("prompt", "chosen", "rejected")}
    if "messages" in row:
        messages = row["messages"]
    else:
        roles = {"system": "system", "human": "user", "gpt": "assistant"}
        messages = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
    return {"prompt": messages[:-1], "completion": messages[-1:]}


def test_the_exported_rows_are_those_that_a_training_learnt(home: Path, tmp_path: Path) -> None:
    """The card of a training holds a hash of the texts it learnt, in their order."""
    folder = ShortTraining(home, tmp_path / "trained")(max_steps=1)
    learnt = json.loads((folder / "card.json").read_text("utf-8"))["data_hash"]
    exported(home, tmp_path / "dpo", "trl-preference")
    for form in ("sharegpt", "trl-sft"):
        exported(home, tmp_path / form, form)
        told = hashlib.sha256()
        for row in [*lines(tmp_path / form / "ada.jsonl"), *lines(tmp_path / "dpo/ada.jsonl")]:
            told.update(json.dumps(as_learnt(row), ensure_ascii=False, sort_keys=True).encode() + b"\n")
        assert told.hexdigest() == learnt


@pytest.mark.parametrize("recipe", ["persllm", "stylized", "stylized-matched", "no-analysis"])
def test_rows_say_whose_they_are(home: Path, tmp_path: Path, recipe: str) -> None:
    pack = load_pack(home / "world")
    ada = pack.persona("ada")
    dialogues = {row.id: row for row in ada.train}
    stylized = {row.id for row in ada.stylized}
    exported(home, tmp_path, "trl-sft", recipe=recipe)
    rows = lines(tmp_path / "ada.jsonl")
    job = job_of(pack, "ada", load_recipe(recipe), seed=None, max_steps=None, embedder=WordBags())
    assert [as_learnt(row) for row in rows] == [example.row for example in job.examples]
    assert {row["persona"] for row in rows} == {"ada", None}
    for row in rows:
        if row["persona"] is None:
            assert (row["stage"], row["pattern"]) == (None, None)
            assert row["origin"].startswith("general.jsonl:")
            continue
        stage = pack.stage(row["stage"])
        assert stage.date in row["messages"][0]["content"]
        if recipe == "stylized":
            assert row["id"] in stylized
            assert row["pattern"] is None
        else:
            source = dialogues[row["id"]]
            assert (row["stage"], row["pattern"]) == (source.stage, source.pattern)
            assert row["messages"][-2]["content"] == source.prompt


def test_preferences_say_where_both_replies_stand(home: Path, tmp_path: Path) -> None:
    ada = load_pack(home / "world").persona("ada")
    exported(home, tmp_path, "trl-preference")
    rows = lines(tmp_path / "ada.jsonl")
    assert {row["kind"] for row in rows} == {"other_stage", "other_persona"}
    for row in rows:
        number = int(row["origin"].removeprefix("personas/ada/train.jsonl:"))
        source = ada.train[number - 1]
        assert (row["id"], row["stage"]) == (f"{source.id}/{row['kind']}", source.stage)
        assert (row["pattern"], row["persona"]) == (source.pattern, "ada")
        assert row["chosen"][0]["content"].endswith(source.response)
        assert row["rejected_origin"].startswith("personas/ada/" if row["kind"] == "other_stage" else "personas/bo/")


def test_once_is_each_different_row_once(home: Path, tmp_path: Path) -> None:
    exported(home, tmp_path / "all", "trl-sft", recipe="persllm")
    exported(home, tmp_path / "once", "trl-sft", recipe="persllm", once=True)
    whole, once = (lines(tmp_path / name / "ada.jsonl") for name in ("all", "once"))
    assert len(whole) > 2 * len(once)
    assert len({row["id"] for row in once}) == len(once)
    assert [row for i, row in enumerate(whole) if row not in whole[:i]] == once


@pytest.mark.parametrize("form", ["sharegpt", "trl-sft", "trl-preference"])
def test_datasets_and_trl_know_the_files(home: Path, tmp_path: Path, form: str) -> None:
    from datasets import load_dataset
    from trl.data_utils import is_conversational, is_conversational_from_value, maybe_convert_to_chatml

    files = exported(home, tmp_path / "out", form, personas=("ada", "bo"))
    for file in files:
        data = load_dataset(str(tmp_path / "out"), file.persona, cache_dir=str(tmp_path / "cache"))["train"]
        assert len(data) == file.rows == len(lines(file.path))
        first = data[0]
        if form == "sharegpt":
            assert is_conversational_from_value(first)
            first = maybe_convert_to_chatml(first)
        assert is_conversational(first)
    kinds = {"sharegpt": {"messages"}, "trl-sft": {"messages"}, "trl-preference": {"prompt", "chosen", "rejected"}}
    known = {"prompt", "chosen", "rejected", "completion", "messages"}
    assert set(first) & known == kinds[form]


def test_licence_and_canary_travel_with_a_folder_and_with_a_file(home: Path, tmp_path: Path) -> None:
    world = load_pack(home / "world").world
    exported(home, tmp_path / "out", "sharegpt", personas=("ada", "bo"))
    exported(home, tmp_path / "ada.jsonl", "sharegpt")
    assert (tmp_path / "ada.jsonl").read_bytes() == (tmp_path / "out/ada.jsonl").read_bytes()
    for card, names in ((tmp_path / "out/README.md", ["ada.jsonl", "bo.jsonl"]), (tmp_path / "ada.md", ["ada.jsonl"])):
        head = head_of(card)
        assert (head["persbench"]["licence"], head["persbench"]["canary"]) == (world.licence, world.canary)
        assert world.canary in card.read_text("utf-8").split("---\n")[2]
        assert list(head["persbench"]["files"]) == names
        for name, facts in head["persbench"]["files"].items():
            content = (card.parent / name).read_bytes()
            assert facts["sha256"] == hashlib.sha256(content).hexdigest()
            assert facts["rows"] == content.count(b"\n")
    assert head["persbench"]["temporal_tokens"] == [stage.temporal_label for stage in world.stages]


def test_an_unknown_licence_is_given_by_its_own_name(home: Path, tmp_path: Path) -> None:
    folder = toy_world(tmp_path / "world")
    world = yaml.safe_load((folder / "world.yaml").read_text("utf-8"))
    (folder / "world.yaml").write_text(yaml.safe_dump(world | {"licence": 'none: "ask" #1'}), encoding="utf-8")
    exported(home, tmp_path / "out", "trl-sft", pack=str(folder))
    head = head_of(tmp_path / "out/README.md")
    assert (head["license"], head["license_name"]) == ("other", 'none: "ask" #1')


def test_test_texts_are_refused_and_nothing_is_written(home: Path, tmp_path: Path) -> None:
    folder = toy_world(tmp_path / "world")
    pack = load_pack(folder)
    for who, test in (("ada", "bo"), ("bo", "ada")):
        path = folder / "personas" / who / "train.jsonl"
        rows = lines(path)
        rows[2]["response"] = pack.persona(test).answers[1].reply
        write_rows(path, rows)
    for form in ("sharegpt", "trl-sft", "trl-preference"):
        with pytest.raises(FaultsError) as caught:
            exported(home, tmp_path / "out", form, pack=str(folder), personas=("ada", "bo"))
        places = [str(fault) for fault in caught.value.faults]
        assert any(p.startswith("personas/ada/train.jsonl:3: is the test text personas/bo/answers") for p in places)
        assert any(p.startswith("personas/bo/train.jsonl:3: is the test text personas/ada/answers") for p in places)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_completed_and_never_overwritten(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported(home, out, "trl-sft", personas=("ada", "bo"))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "bo.jsonl").unlink()  # as if killed
    (out / "README.md").unlink()
    exported(home, out, "trl-sft", personas=("ada", "bo"))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    with pytest.raises(PersbenchError, match=r"other contents are in the way.*README.md.*ada.jsonl.*bo.jsonl"):
        exported(home, out, "sharegpt", personas=("ada", "bo"))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_persona_without_others_has_rows_and_no_preferences(home: Path, tmp_path: Path) -> None:
    folder = toy_world(tmp_path / "world")
    for name in ("matched.jsonl", "train.jsonl"):
        (folder / "personas/bo" / name).unlink()
    assert exported(home, tmp_path / "out", "trl-sft", pack=str(folder))[0].rows > 0
    with pytest.raises(PersbenchError, match="no rejected reply of kind other_persona for ada"):
        exported(home, tmp_path / "pairs", "trl-preference", pack=str(folder))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"form": "trl-stf"}, "unknown format 'trl-stf'. Did you mean 'trl-sft'"),
        ({"personas": ("adda",)}, "unknown persona 'adda'. Did you mean 'ada'"),
        ({"recipe": "stylized", "form": "trl-preference"}, "recipe stylized learns no preferences"),
        ({"out": "both.jsonl", "personas": ("ada", "bo")}, "is one file, and 2 personas"),
        ({"out": "a-file"}, "cannot write"),
        ({"out": "world/exports"}, "is in the pack"),
    ],
)
def test_bad_settings(tmp_path: Path, home: Path, changed: dict[str, Any], message: str) -> None:
    (tmp_path / "a-file").write_text("x")
    toy_world(tmp_path / "world")
    form = changed.pop("form", "trl-sft")
    out = tmp_path / changed.pop("out", "out")
    with pytest.raises(PersbenchError, match=message.replace("?", r"\?")):
        exported(home, out, form, pack=str(tmp_path / "world"), **changed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-file", "world"]
    load_pack(tmp_path / "world")


def test_general_dialogues_keep_what_was_said_before(home: Path) -> None:
    pack = load_pack(home / "world")
    job = job_of(pack, "ada", load_recipe("persllm"), seed=None, max_steps=None, embedder=WordBags())
    rows = [row for row in rows_of(job, "sharegpt") if row["persona"] is None]
    assert {len(row["conversations"]) for row in rows} == {2, 4}
    assert all([turn["from"] for turn in row["conversations"][-2:]] == ["human", "gpt"] for row in rows)


def test_the_command(home: Path, tmp_path: Path) -> None:
    (home / "plain.yaml").write_text("extends: short.yaml\ndpo: null\ndata: {deduplicate: null}\n")  # no embedder
    words = ["export", str(home / "world"), "--recipe", str(home / "plain.yaml"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli.app, [*words, "--world", "--format", "sharegpt"])
    assert done.exit_code == 0, done.output
    shown = done.output.replace("\n", " ")
    for who in ("ada", "bo"):
        assert str(len(lines(tmp_path / "out" / f"{who}.jsonl"))) in shown
    assert "next: python -c" in shown
    for more in ([], ["--world", "--persona", "ada"]):
        failed = CliRunner().invoke(cli.app, [*words, *more])
        assert "name the personas to export (--persona ada) or take all of them (--world)" in str(failed.exception)
