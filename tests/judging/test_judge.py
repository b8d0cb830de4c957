"""What a judge is: a folder with settings and prompts, bound to a model; what names it, and what its id depends on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from persbench.errors import FaultsError, PersbenchError
from persbench.judging.cases import KINDS
from persbench.judging.judge import DEFAULT, NEEDED, PROMPTS, Judge, load_judge, read_judge, shown_spec

URL = "openai:m@http://127.0.0.1:9/v1"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A judge's folder with one prompt of its own."""
    folder = tmp_path / "strict"
    folder.mkdir()
    (folder / "judge.yaml").write_text(f"annotator: {URL}\norders: 4\n", "utf-8")
    (folder / "agree.md").write_text((DEFAULT / "agree.md").read_text("utf-8") + "\nBe strict.\n", "utf-8")
    return folder


def load(spec: str | Path, annotator: str | None = None) -> Judge:
    return load_judge(spec, cache=None, annotator=annotator)


def test_the_bundled_judge_is_whole_and_answers_for_every_kind() -> None:
    settings, prompts = read_judge(DEFAULT)
    assert (settings.name, settings.orders) == ("default", 2)
    assert sorted(prompts) == sorted(PROMPTS)
    assert {name.partition("-")[0] for name in prompts} == set(KINDS)
    for name, prompt in prompts.items():
        assert set(NEEDED[name]) <= set(prompt.inputs) <= set(PROMPTS[name])
        assert sum(len(text.split()) for _, text in prompt.sections) < 220


def test_a_model_alone_is_asked_by_the_bundled_prompts() -> None:
    judge = load(URL)
    assert judge.name == "default"
    assert judge.versions == {name: p.version for name, p in sorted(read_judge(DEFAULT)[1].items())}
    assert judge.annotator.id in judge.id
    assert judge.prompt_hash in judge.id
    assert judge.signature.startswith(f"judge:default|prompts:{judge.prompt_hash}|by:openai:m@")


def test_a_folder_brings_its_own_prompts_and_borrows_the_others(home: Path) -> None:
    judge, bundled = load(home), load(URL)
    assert (judge.name, judge.orders) == ("strict", 4)
    differing = {name for name in PROMPTS if judge.versions[name] != bundled.versions[name]}
    assert differing == {"agree"}
    assert load(str(home)).id == judge.id


def test_the_id_changes_with_all_that_can_change_a_verdict(home: Path) -> None:
    ids = [load(home).id, load(URL).id, load(home, annotator="openai:n@http://127.0.0.1:9/v1").id]
    for settings in (f"annotator: {URL}\norders: 2\n", f"annotator: {URL}\norders: 4\nlongest: 9\n"):
        (home / "judge.yaml").write_text(settings, "utf-8")
        ids.append(load(home).id)
    (home / "rank.md").write_text((DEFAULT / "rank.md").read_text("utf-8") + "\nThink twice.\n", "utf-8")
    ids.append(load(home).id)
    assert len(set(ids)) == len(ids)
    assert len({load(home).folder_name, load(URL).folder_name}) == 2


def test_who_answers_can_stand_in_a_file_beside_or_in_a_folder_below(home: Path) -> None:
    (home / "judge.yaml").write_text("name: mine\n", "utf-8")
    with pytest.raises(PersbenchError, match=r"nobody answers for the judge in .*--annotator"):
        load(home)
    assert load(home, annotator=URL).name == "mine"
    below = home / "model"
    below.mkdir()
    (below / "annotator.yaml").write_text("kind: openai\nmodel: m\nbase_url: http://127.0.0.1:9/v1\n", "utf-8")
    (home / "judge.yaml").write_text("name: mine\nannotator: model\n", "utf-8")
    one = load(home)
    shutil.move(below / "annotator.yaml", home / "annotator.yaml")
    (home / "judge.yaml").write_text("name: mine\n", "utf-8")
    assert load(home).id == one.id


def test_all_faults_of_a_folder_at_once(home: Path) -> None:
    (home / "judge.yaml").write_text("orders: 1\nannotater: x\n", "utf-8")
    (home / "rnak.md").write_text("x", "utf-8")
    (home / "sort.md").write_text("---\ninputs: {}\nmax_tokens: 9\n---\n# user\nWhat is it?\n", "utf-8")
    text = (DEFAULT / "resist.md").read_text("utf-8")
    (home / "resist.md").write_text(text.replace("truth", "truht"), "utf-8")
    (home / "agree.md").write_text(text.partition("# user")[0], "utf-8")
    (home / "README.md").write_text("A note.", "utf-8")
    with pytest.raises(FaultsError) as caught:
        load(home)
    told = str(caught.value)
    for found in (
        "judge.yaml:1: orders", 'judge.yaml:2: unknown key "annotater", did you mean', "rnak.md: unknown prompt",
        "sort.md: the input question is not there", 'resist.md: unknown input "truht"', "agree.md:",
    ):  # fmt: skip
        assert found.partition(",")[0] in told, told
    assert "README" not in told


def test_an_odd_number_of_orders_is_refused(home: Path) -> None:
    (home / "judge.yaml").write_text(f"annotator: {URL}\norders: 3\n", "utf-8")
    with pytest.raises(FaultsError, match=r"judge\.yaml:2: .*3 orders leave one without its reverse.*an even number"):
        load(home)


def test_a_reply_may_not_stand_in_a_line(home: Path) -> None:
    front = "---\ninputs: {reference: material, reply: line}\nmax_tokens: 9\n---\n"
    text = f"{front}# user\nIs {{{{reply}}}} this?\n{{{{reference}}}}\n"
    (home / "agree.md").write_text(text, "utf-8")
    with pytest.raises(FaultsError, match=r"agree\.md: the input reply is a line; expected reply: material"):
        load(home)


@pytest.mark.parametrize("spec", ["", "opnai:m", "no/such/folder", "x" * 5000, "a\0b", "openai:", "local:"])
def test_what_names_no_judge_says_what_would(spec: str) -> None:
    with pytest.raises(PersbenchError, match=r"openai:MODEL"):
        load(spec)


def test_a_folder_without_settings_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match=r"holds neither judge\.yaml .* nor annotator\.yaml"):
        load(tmp_path)
    with pytest.raises(PersbenchError, match="give one of the two"):
        load(URL, annotator=URL)


def test_no_password_of_an_address_stands_in_an_id() -> None:
    judge = load("openai:m@http://someone:hushhush@127.0.0.1:9/v1")
    spec = "openai:m@http://someone:hush@hush@127.0.0.1:9/v1"
    assert shown_spec(spec) == "openai:m@http://***@127.0.0.1:9/v1"
    assert shown_spec(URL) == URL
    for text in (judge.id, judge.signature, judge.folder_name, repr(judge.facts)):
        assert "hushhush" not in text
        assert "someone" not in text
