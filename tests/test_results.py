"""RESULTS.md and further.md: numbers and quotations are looked up in the records; what these lack is an error."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import results
from asked import Results

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.records import load_record, save_record
from persbench.report.cells import load_cells

LEADERBOARD = Path(__file__).parent.parent / "leaderboard"
RECORD = LEADERBOARD / "records" / "seed1" / "records" / "prompt__nedda.json.gz"


@pytest.fixture(scope="module")
def asked(folder: Path) -> Results:
    return Results(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = tmp_path_factory.mktemp("board") / "records"
    records.mkdir()
    shutil.copy(RECORD, records)
    return records.parent


@pytest.mark.parametrize("template", results.PAGES.values())
def test_the_prose_bears_no_number_of_its_own(template: str) -> None:
    text = (LEADERBOARD / template).read_text(encoding="utf-8")
    prose = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|`[^`]*`|\(http[^)]*\)|arXiv [\d.]+", "", text, flags=re.DOTALL)
    assert re.findall(r"\d*\.\d+|\d+ ?%|\d+/\d+", prose) == []


def test_the_readme_says_no_number_that_the_results_do_not() -> None:
    readme = (LEADERBOARD.parent / "README.md").read_text(encoding="utf-8")
    told = readme.partition("<img ")[2].partition("\n")[2].partition("| family |")[0]
    numbers = re.findall(r"[+-]?\d*\.\d+", told)
    known = "".join((LEADERBOARD / page).read_text(encoding="utf-8") for page in results.PAGES)
    assert len(numbers) > 10
    assert [number for number in numbers if number not in known] == []


def test_the_item_in_the_readme_is_of_the_pack_and_fares_as_told() -> None:
    readme = (LEADERBOARD.parent / "README.md").read_text(encoding="utf-8")
    texts = re.findall(r"^\| (?:her own|the \*\*same|\*\*another's).*? \| (.*) \|$", readme, re.MULTILINE)
    (row,) = (
        row
        for row in load_record(RECORD.with_name("persllm__betsin.json.gz")).tasks["persbench_costume"]["samples"]
        if row["id"] == "costume/betsin/late/q06"
    )
    betsin = load_pack(resolve_pack(None)).persona("betsin")
    answer = betsin.answer("q06", "late")
    assert answer is not None
    (contrast,) = (row for row in betsin.contrast if (row.question, row.stage) == ("q06", "late"))
    assert texts == [answer.reply, contrast.voice_only.reply, contrast.stance_only.reply]
    assert (row["metrics"]["voice_acc"], row["metrics"]["content_acc"]) == ([1.0, True], [0.0, True])


def test_scores_are_the_means_of_the_records(asked: Results, folder: Path) -> None:
    (cell,), faults = load_cells(folder)
    assert not faults
    values = [row["metrics"]["content_acc"] for row in cell.tasks["persbench_costume"]]
    mean = sum(value for value, scored in values if scored) / sum(scored for _, scored in values)
    written = results.render(asked, '{{ score("prompt", "content") }}')
    assert written.startswith(f"{mean:.2f} [")


def test_a_statistic_of_all_items_at_once_stands_without_an_interval(asked: Results) -> None:
    assert re.fullmatch(r"[+-]\d\.\d\d", results.render(asked, '{{ score("prompt", "kappa", "consistency") }}'))


def test_first_records_take_the_place_of_the_same_system(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    record = load_record(folder / "records" / RECORD.name)
    for task in record.tasks.values():
        for row in task["samples"]:
            row["metrics"] |= {"content_acc": [1.0, True]} if "content_acc" in row["metrics"] else {}
    save_record(tmp_path / "records" / "prompt__nedda.json", record)
    now, first = Results(folder), Results(folder, tmp_path)
    assert results.render(now, '{{ first.score("prompt", "content") }}', first=first).startswith("1.00 [")
    assert results.render(now, '{{ first.items("prompt", "content") }}', first=first) == "48 scored, 0 not"
    assert not results.render(now, '{{ score("prompt", "content") }}', first=first).startswith("1.00 [")


def test_each_training_is_asked_of_its_own_records(folder: Path, tmp_path: Path) -> None:
    record = load_record(folder / "records" / RECORD.name)
    others = [RECORD.with_name(f"{name}.json.gz") for name in ("prompt__betsin", "vanilla__nedda")]
    for name in ("seed1", "others/seed2"):
        (tmp_path / name / "records").mkdir(parents=True)
    for path in (RECORD, *others):
        shutil.copy(path, tmp_path / "seed1" / "records")
    for task in record.tasks.values():
        for row in task["samples"]:
            row["metrics"] |= {"content_acc": [0.0, True]} if "content_acc" in row["metrics"] else {}
    save_record(tmp_path / "others" / "seed2" / "records" / "prompt__nedda.json", record)
    asked = results.trainings(tmp_path / "seed1", tmp_path / "others")
    template = '{% for seed, at in trainings.items() %}{{ seed }} {{ at.score("prompt", "content") }};{% endfor %}'
    first, second, _ = results.render(asked["seed1"], template, trainings=asked).split(";")
    assert second == "seed2 0.00 [.00 .00]"
    assert first.startswith("seed1 0.")
    assert first != second.replace("seed2", "seed1")
    items = results.render(asked["seed1"], '{{ items("prompt", "content") }}')
    assert items == "48 scored, 0 not", "betsin was not trained with other seeds"
    gaps = '{% for at in trainings.values() %}{{ at.gap("prompt", "vanilla", "content") }};{% endfor %}'
    over = '{{ gap("prompt", "vanilla", "content", over=trainings.values()) }}'
    *each, mean = results.render(asked["seed1"], gaps + over, trainings=asked).split(";")
    one, other, both = (float(text.split()[0]) for text in (*each, mean))
    assert one != other
    assert both == pytest.approx((one + other) / 2, abs=0.001)


def test_what_was_trained_again_is_held_against_the_same_personas(folder: Path, tmp_path: Path) -> None:
    record = load_record(folder / "records" / RECORD.name)
    for name in ("seed1", "again"):
        (tmp_path / name / "records").mkdir(parents=True)
    for name in ("prompt__nedda", "prompt__betsin", "vanilla__nedda"):
        shutil.copy(RECORD.with_name(f"{name}.json.gz"), tmp_path / "seed1" / "records")
    for task in record.tasks.values():
        for row in task["samples"]:
            row["metrics"] |= {"content_acc": [0.0, True]} if "content_acc" in row["metrics"] else {}
    save_record(tmp_path / "again" / "records" / "prompt__nedda.json", record)
    asked = results.trained_again(tmp_path / "seed1", tmp_path / "again")
    same = Results(folder)
    assert asked["before"].score("prompt", "content") == same.score("prompt", "content"), "betsin was not trained again"
    assert asked["anew"].score("prompt", "content") == "0.00 [.00 .00]"
    assert asked["anew"].score("vanilla", "content") == asked["before"].score("vanilla", "content")


def test_quotations_are_the_words_of_the_records(asked: Results, folder: Path) -> None:
    (cell,), _ = load_cells(folder)
    row = next(row for row in cell.tasks["persbench_reply"] if row["reply"].isascii() and len(row["reply"]) > 40)
    written = results.render(asked, f'{{{{ reply("prompt", "{row["id"]}") }}}}')
    assert re.sub(r"\W", "", written) == re.sub(r"\W", "", row["reply"])
    own = results.render(asked, f'{{{{ answer("{row["id"]}") }}}}')
    _, persona, stage, question = row["id"].split("/")
    answer = load_pack(resolve_pack(None)).persona(persona).answer(question, stage)
    assert answer is not None
    assert re.sub(r"\W", "", own) == re.sub(r"\W", "", answer.reply)
    talk = cell.tasks["persbench_consistency"][0]
    written = results.render(asked, f'{{{{ dialogue("prompt", "{talk["id"]}", 2) }}}}')
    assert written.count("**they:**") == written.count("**prompt:**") == 2
    assert written.count("\n") == 3


@pytest.mark.parametrize(
    "call",
    [
        'score("nobody", "content")',
        'score("prompt", "nothing")',
        'difference("nobody", "prompt", "content")',
        'reply("prompt", "reply/nedda/early/q999")',
        'dialogue("prompt", "consistency/nobody/early/dlg99", 2)',
        'answer("reply/nedda/early/q999")',
        'claim("99")',
        'grid("nothing")',
        "nothing",
        "nothing()",
    ],
)
def test_what_the_records_do_not_hold_is_an_error(asked: Results, call: str) -> None:
    with pytest.raises(PersbenchError, match="the template asks for what the records do not hold"):
        results.render(asked, f"{{{{ {call} }}}}")
