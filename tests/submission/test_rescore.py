"""Records of an earlier version of a task are scored by the present one, from the answers that they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from submission_world import Content, examiner, record, rekey, write
from typer.testing import CliRunner

from persbench.cli import app
from persbench.errors import PersbenchError
from persbench.packs.load import fake_pack
from persbench.records import load_record
from persbench.submission.rescore import rescore_file

TASK = "persbench_consistency"


def earlier(content: Content) -> Content:
    """Turn a record into one of an earlier version, which counted otherwise."""
    task = content["tasks"][TASK]
    task |= {"version": "0.9", "hash": "0" * 12}
    for row in task["samples"]:
        row["metrics"]["all_own"] = [0.25, True]
    return rekey(content)


@pytest.mark.parametrize("name", ["prompt__ada.json", "prompt__ada.json.gz"])
def test_what_is_counted_otherwise_is_counted_anew_and_nothing_else_changes(tmp_path: Path, name: str) -> None:
    whole = record("prompt__ada", TASK, "persbench_costume")
    number = len(whole["tasks"][TASK]["samples"])
    path = write(tmp_path / "records" / name, earlier(record("prompt__ada", TASK, "persbench_costume")))
    found, changed = rescore_file(path, examiner())
    assert changed == number > 1
    assert load_record(path) == found
    assert found.run.pop("rescored") == {TASK: "0.9@000000"}
    assert json.loads(json.dumps(vars(found))) == whole
    before = path.read_bytes()
    assert rescore_file(path, examiner())[1] == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(("key", "was"), [("cluster", "traits/ada/early/1"), ("chance", {"order_gap": 0.5})])
def test_what_answers_are_counted_by_is_the_pack_s(tmp_path: Path, key: str, was: Any) -> None:
    whole, content = (record("prompt__ada", "persbench_traits") for _ in range(2))
    task = content["tasks"]["persbench_traits"]
    task |= {"version": "1.0", "hash": "0" * 12}
    for row in task["samples"][:3]:
        row[key] = was
    found, changed = rescore_file(write(tmp_path / "records" / "prompt__ada.json", rekey(content)), examiner())
    assert changed == 3, "no metric is another"
    assert found.run.pop("rescored") == {"persbench_traits": "1.0@000000"}
    assert json.loads(json.dumps(vars(found))) == whole


def test_what_the_record_lacks_is_added_and_a_strange_mark_does_no_harm(tmp_path: Path) -> None:
    content = earlier(record("prompt__ada", TASK))
    content["run"]["rescored"] = "yes"
    for row in content["tasks"][TASK]["samples"]:
        del row["metrics"]["own_share"]
    found, changed = rescore_file(write(tmp_path / "records" / "prompt__ada.json", content), examiner())
    assert changed == 2 * len(content["tasks"][TASK]["samples"])
    assert found.run["rescored"] == {TASK: "0.9@000000"}


def _answers_short(content: Content) -> Content:
    content["tasks"][TASK]["samples"][0]["branches"][0]["loglikelihoods"] = [-1.0]
    return content


def _of_another_pack(content: Content) -> Content:
    content["signature"]["pack"] = "other-1@123456789012"
    return rekey(content)


def _changed_by_hand(content: Content) -> Content:
    content["signature"]["dtype"] = "float16"
    return content


def _silent(content: Content) -> Content:
    content["tasks"][TASK]["samples"][0]["transcripts"] = None
    return content


def _with_a_stranger(content: Content) -> Content:
    content["tasks"][TASK]["samples"][0]["id"] = "consistency/nobody"
    return content


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_answers_short, "cannot be scored again"),
        (_silent, "transcripts is null"),
        (_of_another_pack, "was measured on other-1@123456789012: name that with --pack"),
        (_changed_by_hand, "its key does not follow from its signature and tasks"),
        (_with_a_stranger, "consistency/nobody is not in the pack"),
    ],
)
def test_what_does_not_fit_is_refused_and_stays_as_it_was(tmp_path: Path, spoil: Any, told: str) -> None:
    path = write(tmp_path / "records" / "prompt__ada.json", spoil(earlier(record("prompt__ada", TASK))))
    before = path.read_bytes()
    with pytest.raises(PersbenchError, match=told):
        rescore_file(path, examiner())
    assert path.read_bytes() == before


def test_a_twin_whose_prompt_followed_from_its_options_is_not_scored_again(tmp_path: Path) -> None:
    content = record("prompt__ada", "persbench_costume_gen")
    content["tasks"]["persbench_costume_gen"] |= {"version": "1.0", "hash": "0" * 12}
    path = write(tmp_path / "records" / "prompt__ada.json", rekey(content))
    assert rescore_file(path, examiner())[0].run["rescored"] == {"persbench_costume_gen": "1.0@000000"}
    content["tasks"]["persbench_costume_gen"]["samples"][0]["left_out"] = 1
    with pytest.raises(PersbenchError, match="options decided which: run it again"):
        rescore_file(write(path, rekey(content)), examiner())


def test_the_command_names_what_changed_and_every_record_that_it_left(tmp_path: Path) -> None:
    good = write(tmp_path / "records" / "prompt__ada.json", earlier(record("prompt__ada", TASK)))
    write(tmp_path / "records" / "half__ada.json", "{")
    asked = ["leaderboard", "rescore", str(tmp_path), "--pack", str(fake_pack())]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 1
    assert "prompt__ada.json:" in done.output
    assert "(consistency of 0.9@000000)" in done.output
    assert load_record(good).tasks[TASK]["version"] != "0.9"
    (tmp_path / "records" / "half__ada.json").unlink()
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert f"next: persbench report table {tmp_path}" in done.output
