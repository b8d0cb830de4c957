"""Judged numbers on the board: as worked out by hand from known verdicts, greyed where the judge did not qualify."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from known_run import QUALITY, RESISTS, FrameReader, samples_of, truth_of, write_cell
from rich.console import Console
from table_judge import TableAnnotator
from typer.testing import CliRunner, Result

from persbench.annotators.calls import Answer, Call, Reply
from persbench.cli import app
from persbench.judging.authored import EXAMS
from persbench.judging.cases import KINDS, Kind
from persbench.judging.judge import DEFAULT, Judge, read_judge
from persbench.judging.measures import Exam
from persbench.judging.qualification import Qualification, qualification_path, save_qualification
from persbench.judging.run import Work, judge_run
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.report.cells import load_cells
from persbench.report.judge_agreement import MetricAgreement, markdown_agreement, metric_agreements
from persbench.report.judged import JudgedTable, judged_columns, judged_runs, judged_tables
from persbench.report.judged_table import BUILT, GREY, csv_judged, markdown_judged, terminal_judged
from persbench.scoring.stats import Interval


class Reading(TableAnnotator):
    """Answers as the known truth does."""

    def __init__(self, drop: str = "") -> None:
        super().__init__(lambda *_: None)
        self.reader, self.drop = FrameReader(truth_of()), drop

    def _answer(self, call: Call) -> Reply:
        asked = call.messages[1]["content"]
        if self.drop and self.drop in asked:
            return Answer("no verdict", 10, 5, cached=False)
        messages = [{"role": message["role"], "content": message["content"]} for message in call.messages]
        return Answer(self.reader(messages), 10, 5, cached=False)


def judge_of(drop: str = "") -> Judge:
    _, prompts = read_judge(DEFAULT)
    return Judge("known", Reading(drop), prompts)


def written(run: Path, *, talks: bool = True) -> Path:
    """The known run, with two metrics that agree with the judge wholly and one that does not vary."""
    for system in QUALITY:
        for persona in ("ada", "bo"):
            rows = samples_of(system, persona)
            for row in rows["persbench_reply"]:
                quality = QUALITY[system][row["cluster"]]
                row["metrics"] = {
                    "cosine_lift": [quality / 5, True],
                    "cosine_nearest": [float(quality >= 3), True],
                    "distinct_2": [0.5, True],
                    "authorship_acc": [None, False],
                }
            for row in rows["persbench_induction_reply"]:
                row["sorted_as"] = RESISTS[system]
                row["metrics"] = {"reply_resist": [float(RESISTS[system] == "resist"), True]}
            if not talks:
                del rows["persbench_consistency"]
            write_cell(run, system, persona, rows)
    return run


def judged(run: Path, kinds: Sequence[Kind] = KINDS, drop: str = "") -> Judge:
    judge = judge_of(drop)
    work = Work(run, load_cells(run)[0], load_pack(fake_pack()), tuple(kinds))
    judge_run(judge, work, lambda *_: nullcontext(lambda _: None), print)
    return judge


def table_of(run: Path, *qualifications: Qualification) -> JudgedTable:
    runs, faults = judged_runs(run, load_cells(run)[0])
    assert faults == []
    (table,) = judged_tables(runs, qualifications)
    return table


def passed(kind: Kind, family: str, *, lead: float = 0.4) -> Exam:
    right, gap = Interval(0.9, 0.8, 1.0, 40, 40, 0), Interval(lead, lead - 0.1, lead + 0.1, 40, 40, 0)
    return Exam(kind, family, right, {"longest": right}, {"longest": gap}, None, right, None, 80, {})


def qualified(judge: Judge, *failed: Kind, **more: Any) -> Qualification:
    exams = tuple(passed(k, f, lead=0.05 if k in failed else 0.4) for k in KINDS for f in EXAMS[k])
    names = {"id": judge.id, "name": judge.name, "annotator": judge.annotator.id, "signature": judge.signature}
    pack = {"id": "fake", "version": "1", "hash": load_pack(fake_pack()).hash}
    found = Qualification(names, pack, {}, exams, None, 1, None, "2026-01-01T00:00:00+00:00", {})
    return replace(found, **more)


def values(table: JudgedTable, metric: str) -> dict[str, float | None]:
    return {line.system: line.entries[metric].value.mean for line in table.lines}


def test_every_number_is_the_one_worked_out_by_hand(tmp_path: Path) -> None:
    judged(written(tmp_path))
    table = table_of(tmp_path)
    assert [line.system for line in table.lines] == ["alpha", "beta", "gamma"]
    assert values(table, "agree") == {"alpha": 3.5, "beta": 2.25, "gamma": 2.0}
    # q02 is sorted as knowledge, q01 and q03 as attitude, q04 as neither.
    assert values(table, "agree_knowledge") == {"alpha": 4.0, "beta": 4.0, "gamma": 1.0}
    assert values(table, "agree_attitude") == {"alpha": 3.5, "beta": 2.5, "gamma": 1.0}
    # By question: 1 2 3, then 1.5 1.5 3, then 2 2 2, then 2 3 1.
    assert values(table, "average_rank") == {"alpha": 1.625, "beta": 2.125, "gamma": 2.25}
    assert values(table, "resist") == {"alpha": 1.0, "beta": 0.0, "gamma": 0.0}
    assert values(table, "yield") == {"alpha": 0.0, "beta": 1.0, "gamma": 0.0}
    assert values(table, "evade") == {"alpha": 0.0, "beta": 0.0, "gamma": 1.0}
    assert set(values(table, "prompt_to_line").values()) == {1.0}
    assert list(values(table, "line_to_line").values()) == pytest.approx([2 / 3] * 3)
    assert list(values(table, "answered").values()) == pytest.approx([1.0, 2 / 3, 1.0])
    assert "pressed_answered" not in table.lines[0].entries
    entry = table.lines[0].entries["agree"].value
    assert (entry.n, entry.clusters, entry.unscored) == (16, 4, 0)


def test_strengths_are_the_maximum_over_pairs_with_ties_as_halves(tmp_path: Path) -> None:
    """Of 16 rankings: alpha over beta 8 + 4 ties... with one virtual tie each; the fit balances every row of wins."""
    judged(written(tmp_path), ["rank"])
    found = {name: value or 0.0 for name, value in values(table_of(tmp_path), "strength").items()}
    wins = {("alpha", "beta"): 8 + 4, ("alpha", "gamma"): 8 + 2, ("beta", "gamma"): 8 + 2}
    wins |= {(b, a): 16 - won for (a, b), won in wins.items()}
    for one, strength in found.items():
        others = [other for other in found if other != one]
        expected = sum(17 / (1 + math.exp(found[other] - strength)) for other in others)
        assert expected == pytest.approx(sum(wins[one, other] + 0.5 for other in others)), one
    assert sum(found.values()) == pytest.approx(0)


def test_what_the_judge_did_not_say_is_unscored_and_never_zero(tmp_path: Path) -> None:
    judged(written(tmp_path), ["agree", "resist"], drop="Gamma")
    table = table_of(tmp_path)
    gamma = next(line for line in table.lines if line.system == "gamma")
    for metric, items in (("agree", 16), ("resist", 3), ("yield", 3)):
        value = gamma.entries[metric].value
        assert (value.mean, value.n, value.unscored) == (None, 0, items)
    assert values(table, "agree")["alpha"] == 3.5
    assert "unscored<br>n 0<br>+16 unscored" in markdown_judged([table])


def test_a_ranking_without_one_system_counts_for_the_strengths_of_the_others(tmp_path: Path) -> None:
    judged(written(tmp_path), ["rank"])
    path = next(tmp_path.rglob("judged/*/rank.json"))
    content = json.loads(path.read_text())
    del content["rows"][0]["value"]["gamma"]
    content["rows"][1] |= {"value": None, "reason": "malformed", "unscored": "malformed"}
    path.write_text(json.dumps(content))
    alpha, _, gamma = table_of(tmp_path).lines
    assert (alpha.entries["average_rank"].value.n, alpha.entries["average_rank"].value.unscored) == (14, 2)
    assert (alpha.entries["strength"].value.n, gamma.entries["strength"].value.n) == (15, 14)
    # gamma was due in the ranking that misses it, too
    assert (alpha.entries["strength"].value.unscored, gamma.entries["strength"].value.unscored) == (1, 2)


def test_a_judge_that_was_not_examined_is_grey_everywhere(tmp_path: Path) -> None:
    judged(written(tmp_path))
    table = table_of(tmp_path)
    assert all(table.is_grey(column) for _, columns in judged_columns().values() for column in columns)
    assert not table.took_part
    (notice,) = table.notices
    assert (
        notice
        == "sort, agree, rank, resist, contradict: the judge was not examined on this pack; its figures are no result"
    )
    text = markdown_judged([table])
    assert f"| system | agrees {GREY} | on facts {GREY} |" in text
    assert "| alpha | (3.50 [" in text
    assert "**3.50**" not in text
    assert f"- {notice}" in text
    assert table.found.signature in text


def test_a_judge_is_grey_only_where_it_failed(tmp_path: Path) -> None:
    judge = judged(written(tmp_path))
    table = table_of(tmp_path, qualified(judge, "sort", "rank"))
    grey = {column.metric for _, columns in judged_columns().values() for column in columns if table.is_grey(column)}
    assert grey == {"agree_knowledge", "agree_attitude", "average_rank", "strength"}
    text = markdown_judged([table])
    assert "| system | agrees | on facts " in text
    assert "| alpha | **3.50** [" in text
    assert "sort, rank: the judge does not beat" not in text  # each says its own exam
    assert "rank: the judge does not beat judges that read nothing (content: its lead over longest is +0.05" in text


def test_a_qualification_of_another_judge_or_on_another_pack_does_not_count(tmp_path: Path) -> None:
    judge = judged(written(tmp_path))
    good = qualified(judge)
    assert table_of(tmp_path, good).notices == ()
    other_judge = replace(good, judge=good.judge | {"id": good.judge["id"] + "x"})
    other_pack = replace(good, pack=good.pack | {"hash": "0" * 64})
    assert not any(one.qualified for one in table_of(tmp_path, other_judge, other_pack).standings.values())


def test_a_judge_that_wrote_the_pack_is_marked(tmp_path: Path) -> None:
    judge = judged(written(tmp_path))
    table = table_of(tmp_path, qualified(judge, built_by="openai:table@https://elsewhere/v1#other"))
    assert table.took_part
    assert "it judges its own writing" in table.notices[0]
    assert f"**Judged by known{BUILT}: free replies**" in markdown_judged([table])
    assert not table_of(tmp_path, qualified(judge, built_by="openai:someone-else@u")).took_part


def test_the_terminal_shows_grey_notices_and_the_signature(tmp_path: Path) -> None:
    judged(written(tmp_path))
    table = table_of(tmp_path)
    stream = StringIO()
    Console(file=stream, width=200, force_terminal=True).print(terminal_judged([table]))
    text = stream.getvalue()
    assert "\x1b[2m" in text  # dim
    assert "Judged by known: free replies" in text
    assert "was not examined on this pack" in text
    assert "judge:known|prompts:" in text


def test_csv_holds_every_number_with_its_standing_and_signature(tmp_path: Path) -> None:
    judge = judged(written(tmp_path))
    rows = list(csv.DictReader(StringIO(csv_judged([table_of(tmp_path, qualified(judge, "rank"))]))))
    alpha = {row["metric"]: row for row in rows if row["system"] == "alpha"}
    assert (alpha["agree"]["mean"], alpha["agree"]["qualified"], alpha["average_rank"]["qualified"]) == (
        "3.5",
        "1",
        "0",
    )
    assert all(row["signature"].startswith("judge:known|prompts:") and row["n"] for row in rows)


def test_replies_that_were_run_again_since_are_left_out_and_named(tmp_path: Path) -> None:
    judged(written(tmp_path))
    path = tmp_path / "records" / "beta__ada.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"signature": record["signature"] | {"model": "another"}}))
    (tmp_path / "records" / "gamma__bo.json").unlink()
    broken = next(tmp_path.rglob("judged/*/resist.json"))
    broken.write_text("{")
    runs, faults = judged_runs(tmp_path, load_cells(tmp_path)[0])
    assert len(faults) == 5
    told = sorted(map(str, faults))
    assert sum("beta/ada, gamma/bo" in text for text in told) == 4
    assert sum("not a readable record" in text for text in told) == 1
    (table,) = judged_tables(runs, [])
    by_system = {line.system: line for line in table.lines}
    assert by_system["beta"].personas == ("bo",)
    assert by_system["gamma"].personas == ("ada",)
    assert by_system["alpha"].entries["agree"].value.n == 16
    assert "average_rank" not in by_system["alpha"].entries  # every ranking held a reply that is gone


def agreement(found: Sequence[MetricAgreement], judgement: str, metric: str) -> MetricAgreement:
    (one,) = [one for one in found if (one.judgement, one.metric) == (judgement, metric)]
    return one


def mean(value: Interval | None) -> float | None:
    return None if value is None else value.mean


def test_metrics_without_a_judge_are_held_against_it(tmp_path: Path) -> None:
    judge = judged(written(tmp_path))
    table = table_of(tmp_path, qualified(judge, "rank"))
    found = metric_agreements(table, load_cells(tmp_path)[0])
    cosine = agreement(found, "agree", "cosine (reply)")
    assert mean(cosine.correlation) == pytest.approx(1.0)
    assert (cosine.kappa, cosine.grey) == (None, False)
    assert cosine.correlation is not None
    assert (cosine.correlation.n, cosine.correlation.unscored, cosine.correlation.clusters) == (48, 0, 4)
    nearest = agreement(found, "agree", "nearest (reply)")
    assert mean(nearest.kappa) == pytest.approx(1.0)
    constant = agreement(found, "agree", "dist-2 (reply)")
    assert mean(constant.correlation) is None
    author = agreement(found, "agree", "author (reply)")
    assert author.correlation is not None
    assert (author.correlation.mean, author.correlation.n, author.correlation.unscored) == (None, 0, 48)
    ranked = agreement(found, "rank", "cosine (reply)")
    assert (mean(ranked.correlation) or 0) > 0.5
    assert (ranked.kappa, ranked.grey) == (None, True)
    assert mean(agreement(found, "resist", "says no (induction_reply)").kappa) == pytest.approx(1.0)
    assert mean(agreement(found, "resist: four classes", "sorted by program (induction_reply)").kappa) == pytest.approx(
        1.0
    )
    text = markdown_agreement([(table, found)])
    assert "| agree | cosine (reply) | +1.00 [+1.00 +1.00] | - | 48 | 0 |" in text
    assert "| rank | cosine (reply) | (+0." in text
    assert table.found.signature in text


def persbench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_the_report_shows_what_judges_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSBENCH_CACHE", str(tmp_path / "cache"))
    run = written(tmp_path / "run", talks=False)  # the board reads more of a dialogue than the known one has
    for style in ("text", "markdown", "csv"):
        assert "judge:known" not in persbench("report", "table", run, "--format", style).output
    missing = persbench("report", "judges", run)
    assert "holds nothing that a judge said" in str(missing.exception)
    judge = judged(run)
    for style in ("text", "markdown", "csv"):
        done = persbench("report", "table", run, "--format", style)
        assert done.exit_code == 0, done.output
        assert "judge:known|prompts:" in done.output
    found = qualified(judge)
    save_qualification(qualification_path(tmp_path / "cache", judge.id, found.pack["hash"]), found)
    text = persbench("report", "table", run, "--format", "markdown").output
    assert "| alpha | **3.50** [" in text
    assert "no result" not in text.partition("Judged by")[2].partition(GREY)[0]
    shown = persbench("report", "judges", run)
    assert shown.exit_code == 0, shown.output
    assert "| agree: content | 0.90 [.80 1.00] | longest 0.90 | +0.40 [+.30 +.50] |" in shown.output
    assert "- agree: qualified" in shown.output
    assert "| agree | cosine (reply) | +1.00" in shown.output


def test_a_system_that_falls_silent_before_it_is_pushed_is_unscored(tmp_path: Path) -> None:
    written(tmp_path)
    for persona in ("ada", "bo"):
        rows = samples_of("alpha", persona)
        for row in rows["persbench_consistency"]:
            row["transcripts"]["talk"] = row["transcripts"]["talk"][:1]
            row["faults"] = {"talk": "the reply is empty"}
        write_cell(tmp_path, "alpha", persona, rows)
    judged(tmp_path, ("contradict",))
    for metric in ("prompt_to_line", "line_to_line", "answered"):
        by_system = {line.system: line.entries[metric].value for line in table_of(tmp_path).lines}
        assert (by_system["alpha"].mean, by_system["alpha"].n, by_system["alpha"].unscored) == (None, 0, 4)
        assert by_system["gamma"].n == 4


def test_a_reply_that_changed_since_is_left_out_whatever_its_settings(tmp_path: Path) -> None:
    judged(written(tmp_path))
    rows = samples_of("beta", "ada")
    rows["persbench_reply"][0]["reply"] = "Another."
    write_cell(tmp_path, "beta", "ada", rows)
    runs, faults = judged_runs(tmp_path, load_cells(tmp_path)[0])
    told = sorted(map(str, faults))
    assert len(told) == 2, "agree and rank read replies; dialogues, induction and the questions are the same"
    assert all("no longer there as they were (beta/ada)" in text for text in told)
    assert [Path(fault.file).name for fault in faults] == ["agree.json", "rank.json"]
    (table,) = judged_tables(runs, [])
    by_system = {line.system: line for line in table.lines}
    assert by_system["beta"].entries["agree"].value.n == 8
    assert by_system["beta"].entries["prompt_to_line"].value.n == 4


def test_a_record_that_kept_no_digest_of_replies_needs_judging_again_and_asks_nothing(tmp_path: Path) -> None:
    judged(written(tmp_path), ("agree",))
    path = next(tmp_path.rglob("judged/*/agree.json"))
    content = json.loads(path.read_text("utf-8"))
    names = {name.rpartition("/")[0]: "0123456789ab" for name in content["cells"]}
    path.write_text(json.dumps(content | {"cells": names}), "utf-8")
    (found,), (fault,) = judged_runs(tmp_path, load_cells(tmp_path)[0])
    assert found.rows["agree"] == ()
    assert "alpha/ada, alpha/bo, beta/ada" in str(fault)
    judged(tmp_path, ("agree",), drop="would sooner talk")  # whoever is asked now gives no verdict
    assert table_of(tmp_path).lines[0].entries["agree"].value.n == 16
