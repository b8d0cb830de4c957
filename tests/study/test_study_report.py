"""The numbers of a study against ones worked out by hand, and what leaves it as text and CSV."""

from __future__ import annotations

import csv
import io
import math
import re
import sqlite3
from pathlib import Path

import pytest
from played_study import Clock, arrive, play, settings, talk
from rich.console import Console
from typer.testing import CliRunner

from persbench.cli import app
from persbench.errors import PersbenchError, UnknownNameError
from persbench.study.export import csv_export
from persbench.study.reading import StudyData, read_study
from persbench.study.report import StudyReport, study_report
from persbench.study.report_text import markdown_report, terminal_report
from persbench.study.steps import Choice, TaskState
from persbench.study.store import Store

LIKENESS: dict[int, dict[str, int | None]] = {  # rater in the order of coming -> system -> likeness
    1: {"plain": 1, "told": 3},
    2: {"plain": 2, "told": None},
    3: {"plain": 3, "told": None},
}
PREFERS: dict[int, str | None] = {1: "told", 2: None}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path, clock: Clock) -> Path:
    """Six came: two finish, one talks to both and rates plain alone, one withdraws, one leaves at the consent, one is
    in the middle of the first conversation a minute ago."""
    study = settings(title="A | <b>study</b>", limits={"dropout_minutes": 30})
    store = Store(tmp_path / "study.sqlite", study, facts={"pack": "abc"}, clock=clock)
    for number in (1, 2):

        def rate(task: TaskState, number: int = number) -> dict[str, int | None]:
            clock.now += 60
            return {"likeness": LIKENESS[number][task.system], "engagement": 4}

        def prefer(first: TaskState, _: TaskState, number: int = number) -> Choice:
            wanted = PREFERS[number]
            return "tie" if wanted is None else "a" if first.system == wanted else "b"

        play(store, rate, prefer)
    third = arrive(store).rater
    assert store.tasks(third)[0].system == "plain", "the order of this seed: plain first, so that told stays unrated"
    talk(store, third, 1)
    store.add_ratings(third, 1, {"likeness": 3, "engagement": None}, event="rate-1")
    talk(store, third, 2, turns=1, seconds=None)
    gone = play(store, lambda _: {"likeness": 5, "engagement": 5}, lambda *_: "a")
    store.withdraw(gone, event="withdraw-1")
    store.new_rater()
    clock.now += 10_000
    late = arrive(store).rater
    store.add_message(late, 1, 1, "user", "=1+1", event="said-1")
    clock.now += 60
    store.close()
    return tmp_path


@pytest.fixture
def data(folder: Path) -> StudyData:
    return read_study(folder)


@pytest.fixture
def report(data: StudyData, clock: Clock) -> StudyReport:
    return study_report(data, now=clock.now)


def test_means_by_hand_and_unrated_is_no_zero(report: StudyReport) -> None:
    plain, told = report.lines
    assert (plain.system, told.system) == ("plain", "told")
    found = plain.ratings["likeness"]
    assert (found.mean, found.n, found.clusters) == (2.0, 3, 3)
    assert found.low is not None
    assert 1.0 <= found.low < 2.0
    found = told.ratings["likeness"]
    # One rating of 3; the others could not say, or held the conversation and never rated it.
    assert (found.mean, found.low, found.n) == (3.0, None, 1)
    assert plain.ratings["engagement"].mean == told.ratings["engagement"].mean == 4.0
    held = [line.conversations for line in report.lines]
    assert sum(held) == 7
    unscored = [line.ratings["likeness"].unscored for line in report.lines]
    assert [h - u for h, u in zip(held, unscored, strict=True)] == [3, 1]


def test_preferences_by_hand(report: StudyReport) -> None:
    """Told wins once and ties once: 0.75. With a virtual tie it has 2 to 1, log odds ln 2, half on either side of 0."""
    plain, told = report.lines
    assert told.wins is not None
    assert plain.wins is not None
    assert (told.wins.mean, plain.wins.mean, told.wins.n) == (0.75, 0.25, 2)
    # The third talked to both and left at the ratings: nobody knows whom they would have preferred.
    assert (told.wins.unscored, plain.wins.unscored) == (1, 1)
    assert told.strength is not None
    assert told.strength.mean == pytest.approx(math.log(2) / 2)
    assert (told.strength.n, told.strength.unscored) == (2, 1)
    assert report.versus == {("plain", "told"): (0, 1, 1)}
    assert report.unanswered == 1


def test_alpha_by_hand(report: StudyReport) -> None:
    """Only plain has two ratings: disagreement within the one unit is that among all. Engagement never varies."""
    found = report.alphas["likeness"]
    assert found.mean == pytest.approx(0)
    assert (found.n, found.clusters) == (3, 3)
    assert report.alphas["engagement"].mean is None


def test_drop_outs_by_step(report: StudyReport) -> None:
    assert report.withdrawn == 1
    found = {step.name: (step.reached, step.stopped, step.under_way) for step in report.steps}
    assert found == {
        "came": (5, 1, 0),
        "consented": (4, 0, 1),
        "conversation 1": (3, 0, 0),
        "ratings 1": (3, 1, 0),
        "conversation 2": (2, 0, 0),
        "ratings 2": (2, 0, 0),
        "preference 1": (2, 0, 0),
        "finished": (2, 0, 0),
    }
    assert list(found)[-1] == "finished"


def test_times_by_hand(report: StudyReport) -> None:
    """The clock moves a minute before each of the two ratings, and nowhere else."""
    assert report.minutes == 2.0
    assert [line.minutes for line in report.lines] == [0.0, 0.0]
    assert [line.reply_seconds for line in report.lines] == [1.5, 1.5]
    assert {line.turns for line in report.lines} == {2.0}


def test_the_signature(report: StudyReport, data: StudyData) -> None:
    assert dict(report.signature) == {
        "study": data.settings.hash,
        "pack": "abc",
        "raters": 4,
        "finished": 2,
        "seed": 0,
        "persbench": data.version,
    }


def test_nothing_of_a_withdrawn_rater_is_read(folder: Path, data: StudyData) -> None:
    assert [rater.pseudonym for rater in data.raters] == ["R0001", "R0002", "R0003", "R0005", "R0006"]
    for rows in ("ratings", "preferences", "messages", "raters"):
        assert "R0004" not in csv_export(data, rows)


def test_an_empty_study_has_a_report_without_a_number(tmp_path: Path) -> None:
    Store(tmp_path / "study.sqlite", settings()).close()
    report = study_report(read_study(tmp_path))
    assert {value.mean for line in report.lines for value in line.ratings.values()} == {None}
    assert report.later.mean is None
    assert "none" in markdown_report(report)
    assert {step.reached for step in report.steps} == {0}


def test_a_comparison_that_is_due_and_not_answered_is_counted(tmp_path: Path) -> None:
    store = Store(tmp_path / "study.sqlite", settings())
    play(store, lambda _: {"likeness": 1, "engagement": 1}, lambda *_: "a", steps=4)
    report = study_report(read_study(tmp_path))
    assert report.unanswered == 1
    for value in (found for line in report.lines for found in (line.wins, line.strength)):
        assert value is not None
        assert (value.mean, value.n, value.unscored) == (None, 0, 1)
    assert "Comparisons due and not answered: 1." in markdown_report(report)


def test_unscored_comparisons_are_counted_for_those_that_were_to_be_compared(tmp_path: Path) -> None:
    study = settings(systems={"plain": "vanilla", "told": "prompt", "third": "prompt"}, systems_per_rater=2)
    store = Store(tmp_path / "study.sqlite", study)
    met = []
    for number in range(6):  # a whole round: whoever leaves does so at the ratings of the second conversation
        rater = play(store, lambda _: {"likeness": 3, "engagement": 3}, lambda *_: "tie", steps=3 if number else 100)
        met.append({task.system for task in store.tasks(rater)})
    report = study_report(read_study(tmp_path))
    assert report.unanswered == 5
    for line in report.lines:
        due = sum(line.system in systems for systems in met)
        assert line.wins is not None
        assert line.strength is not None
        counts = (line.system in met[0], due - (line.system in met[0]))
        assert (line.wins.n, line.wins.unscored) == (line.strength.n, line.strength.unscored) == counts


def test_the_report_goes_by_the_limits_that_were_set_last(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "study.sqlite"
    for minutes in (30, 90, 30, 60):
        Store(path, settings(limits={"dropout_minutes": minutes}), clock=clock).close()
        assert read_study(tmp_path).settings.limits.dropout_minutes == minutes
    store = Store(path, settings(limits={"dropout_minutes": 60}), clock=clock)
    arrive(store)
    store.close()
    found = {step.name: step for step in study_report(read_study(tmp_path), now=clock.now + 45 * 60).steps}
    assert (found["consented"].stopped, found["consented"].under_way) == (0, 1)
    with sqlite3.connect(path) as connection:
        assert len(connection.execute("SELECT * FROM limits").fetchall()) == 4  # what they were stays
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            connection.execute("DELETE FROM limits")


def test_a_study_of_an_earlier_version_is_read_and_gets_its_limits_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    Store(path, settings(limits={"dropout_minutes": 30})).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE limits")  # and its triggers with it
    connection.close()
    assert read_study(tmp_path).settings.limits.dropout_minutes == 30
    Store(path, settings(limits={"dropout_minutes": 60})).close()
    assert read_study(tmp_path).settings.limits.dropout_minutes == 60


def test_the_later_partner(tmp_path: Path) -> None:
    """Whoever always prefers the later one prefers each system about as often; the report says what they did."""
    store = Store(tmp_path / "study.sqlite", settings())
    for _ in range(4):
        play(store, lambda _: {"likeness": 3, "engagement": 3}, lambda *_: "b")
    report = study_report(read_study(tmp_path))
    assert (report.later.mean, report.later.n) == (1.0, 4)
    assert [line.wins.mean for line in report.lines if line.wins] == [0.5, 0.5]
    assert report.versus == {("plain", "told"): (2, 0, 2)}


def test_markdown_is_whole_and_escapes(report: StudyReport) -> None:
    text = markdown_report(report)
    assert text.startswith("## A \\| &lt;b&gt;study&lt;/b&gt;\n")
    for title in ("Ratings and preferences", "Agreement of raters", "One against another", "Raters"):
        assert f"**{title}**" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    told = next(row for row in rows if row.startswith("| told"))
    assert re.search(r"3\.00<br>\[-\]<br>n 1<br>\+[12] unscored", told)
    assert "study:" in text.splitlines()[-2]


def test_the_terminal_says_the_same(report: StudyReport) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal_report(report))
    text = console.export_text()
    for part in ("likeness", "2.00", "+0.35", "stopped", "Raters who withdrew, and of whom nothing is counted: 1."):
        assert part in text


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_rows(data: StudyData) -> None:
    rated = read_csv(csv_export(data))
    assert len(rated) == 7
    first = {row["system"]: row for row in rated if row["rater"] == "R0001"}
    assert (first["plain"]["likeness"], first["told"]["likeness"]) == ("1", "3")
    assert [row["likeness"] for row in rated if row["rater"] == "R0006"] == [""]  # unrated is empty, no zero
    preferences = read_csv(csv_export(data, "preferences"))
    assert [row["choice"] for row in preferences] == [
        {"plain": "first", "told": "second"}[other(preferences[0])],
        "tie",
        "",
        "",
    ]
    assert [row["finished"] for row in read_csv(csv_export(data, "raters"))] == ["1", "1", "0", "0", "0"]
    with pytest.raises(UnknownNameError, match="ratings, preferences, messages, raters"):
        csv_export(data, "tokens")


def other(row: dict[str, str]) -> str:
    """Which system stands first where told is preferred: told itself gives `first`."""
    return "plain" if row["first"] == "told" else "told"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", " =HYPERLINK(1)", "\n=1", "\uff1d1", '="a",b'])
def test_no_cell_is_a_formula(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path / "study.sqlite", settings())
    rater = arrive(store).rater
    kept = store.add_message(rater, 1, 1, "user", text, event="said-1").text
    store.add_message(rater, 1, 1, "assistant", 'plain, "quoted"\nand -1')
    rows = read_csv(csv_export(read_study(tmp_path), "messages"))
    assert rows[0]["text"] == f"'{kept}"
    assert rows[1]["text"] == 'plain, "quoted"\nand -1'
    assert float(rows[0]["at"]) > 0


def test_the_commands(folder: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["study", "report", str(folder), "--format", "markdown"])
    assert done.exit_code == 0
    assert "| plain | 2.00" in done.stdout
    done = runner.invoke(app, ["study", "report", str(folder)])
    assert done.exit_code == 0
    out = folder / "new" / "messages.csv"
    done = runner.invoke(app, ["study", "export", str(folder), "--rows", "messages", "--out", str(out)])
    assert done.exit_code == 0
    assert any(row["text"] == "'=1+1" for row in read_csv(out.read_text("utf-8")))
    for wrong in (
        ["report", str(folder), "--format", "html"],
        ["report", str(folder / "nowhere")],
        ["export", str(folder), "--out", str(folder / "study.sqlite")],
        ["export", str(folder), "--out", str(folder)],
        ["export", str(folder), "--rows", "tokens", "--out", str(out)],
    ):
        assert isinstance(runner.invoke(app, ["study", *wrong]).exception, PersbenchError), wrong
    assert read_study(folder).withdrawn == 1
