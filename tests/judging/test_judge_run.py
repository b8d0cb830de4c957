"""`persbench judge RUN`: figures as worked out by hand, and nothing asked twice, counted as zero or lost."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from known_run import (
    QUALITY,
    RESISTS,
    SORTED,
    FrameReader,
    reply_text,
    samples_of,
    the_pack,
    truth_of,
    write_cell,
    write_run,
)
from scripted_server import Messages, ScriptedServer, random_faults

from persbench.annotators.budget import BudgetSpent
from persbench.errors import PersbenchError
from persbench.judging import run as run_module
from persbench.judging.cases import KINDS, Kind
from persbench.judging.judge import Judge, load_judge
from persbench.judging.records import JudgedRecord, JudgedRow, consistency_shares, load_judged, record_path
from persbench.judging.run import Work, judge_run, plan
from persbench.report.cells import load_cells
from persbench.report.judged import judged_runs, judged_tables

REPLIES: tuple[Kind, ...] = ("sort", "agree", "rank", "resist")


def work_on(run: Path, kinds: tuple[Kind, ...] = KINDS, limit: int | None = None) -> Work:
    return Work(run, load_cells(run)[0], the_pack(), kinds, limit)


def judge_of(server: ScriptedServer, run: Path, **more: Any) -> Judge:
    return load_judge(f"openai:scripted@{server.url}", cache=run / "judged", **more)


def silent(_: str, __: int) -> Any:
    return nullcontext(lambda _: None)


def judged(judge: Judge, work: Work) -> dict[str, JudgedRecord]:
    told: list[str] = []
    return {record.kind: record for record in judge_run(judge, work, silent, told.append)}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = write_run(tmp_path / "run")
    (folder / "judged").mkdir()
    return folder


def verdicts(record: JudgedRecord) -> dict[str, Any]:
    return {row.case: row.value for row in record.rows}


def test_every_verdict_is_the_one_worked_out_by_hand(run: Path) -> None:
    with ScriptedServer(FrameReader(truth_of())) as server:
        found = judged(judge_of(server, run), work_on(run))
    assert [record.unscored for record in found.values()] == [0] * 5
    for row in found["sort"].rows:
        assert row.value == SORTED[row.cluster]
    for row in found["agree"].rows:
        assert row.value == QUALITY[row.systems[0]][row.cluster]
    by_system: dict[str, list[Any]] = {}
    for row in found["agree"].rows:
        by_system.setdefault(row.systems[0], []).append(row.value)
    assert {system: sum(values) / len(values) for system, values in by_system.items()} == {
        "alpha": 3.5, "beta": 2.25, "gamma": 2.0,
    }  # fmt: skip
    places = {
        "q01": {"alpha": 1.0, "beta": 2.0, "gamma": 3.0},
        "q02": {"alpha": 1.5, "beta": 1.5, "gamma": 3.0},
        "q03": {"alpha": 2.0, "beta": 2.0, "gamma": 2.0},
        "q04": {"alpha": 2.0, "beta": 3.0, "gamma": 1.0},
    }
    assert all(row.value == places[row.cluster] for row in found["rank"].rows)
    assert {(row.systems[0], row.value) for row in found["resist"].rows} == set(RESISTS.items())
    shares = {
        against: consistency_shares(found["contradict"].rows, against) for against in ("prompt", "line", "answer")
    }
    assert [len(each) for each in shares.values()] == [12, 12, 12]
    assert {share.value for share in shares["prompt"].values()} == {1.0}
    assert {share.value for share in shares["line"].values()} == {2 / 3}
    assert {(key[0], round(share.value or 0, 9)) for key, share in shares["answer"].items()} == {
        ("alpha", 1.0), ("beta", round(2 / 3, 9)), ("gamma", 1.0),
    }  # fmt: skip
    assert {share.scored for each in shares.values() for share in each.values()} == {3}


def test_what_is_on_record_is_not_asked_again_even_without_the_cache(run: Path) -> None:
    with ScriptedServer(FrameReader(truth_of())) as server:
        first = judged(judge_of(server, run), work_on(run, REPLIES))
        asked = len(server.asked)
        again = judged(judge_of(server, run), work_on(run, REPLIES))
        for path in (run / "judged").glob("calls.sqlite*"):
            path.unlink()
        bare = judged(judge_of(server, run), work_on(run, REPLIES))
        assert len(server.asked) == asked == 16 + 48 + 32 + 9
    assert first == again == bare


def test_a_limit_comes_first_and_the_rest_later(run: Path) -> None:
    with ScriptedServer(FrameReader(truth_of())) as server:
        some = judged(judge_of(server, run), work_on(run, ("agree",), limit=1))["agree"]
        assert (len(some.rows), some.cases, some.unscored, len(server.asked)) == (6, 48, 42, 6)
        every = judged(judge_of(server, run), work_on(run, ("agree",)))["agree"]
        assert (len(every.rows), every.unscored, len(server.asked)) == (48, 0, 48)
        fewer = judged(judge_of(server, run), work_on(run, ("agree",), limit=1))["agree"]
        assert (len(fewer.rows), len(server.asked)) == (48, 48)


def test_a_system_that_joins_and_a_reply_that_changed_are_judged_anew(run: Path) -> None:
    truth = truth_of()
    changed = "I had it written down, and then the book was lost in the fog."
    truth.quality |= {reply_text("delta", p, s, q): 5 for p in ("ada", "bo") for s in ("early", "late") for q in SORTED}
    truth.quality[changed] = 1
    with ScriptedServer(FrameReader(truth)) as server:
        judged(judge_of(server, run), work_on(run, ("agree", "rank")))
        before = len(server.asked)
        rows = samples_of("alpha", "ada")
        rows["persbench_reply"][0]["reply"] = changed
        write_cell(run, "alpha", "ada", rows)
        found = judged(judge_of(server, run), work_on(run, ("agree", "rank")))
        assert len(server.asked) - before == 1 + 2
        name = f"agree/{rows['persbench_reply'][0]['id']}/alpha"
        assert (verdicts(found["agree"])[name], len(found["agree"].rows)) == (1, 48)
        before = len(server.asked)
        for persona in ("ada", "bo"):
            only = {"persbench_reply": samples_of("delta", persona)["persbench_reply"]}
            write_cell(run, "delta", persona, only)
        found = judged(judge_of(server, run), work_on(run, ("agree", "rank")))
        assert len(server.asked) - before == 16 + 32
        assert {len(row.systems) for row in found["rank"].rows} == {4}


def test_thirty_of_a_hundred_transports_fail_and_nothing_is_lost(run: Path, tmp_path: Path) -> None:
    spec = tmp_path / "impatient"
    spec.mkdir()
    with ScriptedServer(FrameReader(truth_of())) as server:
        calm = judged(judge_of(server, run), work_on(run, REPLIES))
    shutil.rmtree(run / "judged")
    (run / "judged").mkdir()
    with ScriptedServer(FrameReader(truth_of()), faults=random_faults(0.3, seed=7)) as server:
        settings = f"kind: openai\nmodel: scripted\nbase_url: {server.url}\nattempts: 2\nbackoff: 0.001\n"
        (spec / "annotator.yaml").write_text(settings, "utf-8")
        unscored: list[int] = []
        for _ in range(12):
            found = judged(load_judge(spec, cache=run / "judged"), work_on(run, REPLIES))
            unscored.append(sum(record.unscored for record in found.values()))
            lost = [row for record in found.values() for row in record.rows if row.value is None]
            assert all(row.unscored == "unanswered" and row.reason for row in lost)
            assert sum(len(record.rows) for record in found.values()) == 16 + 48 + 16 + 9
            if not unscored[-1]:
                break
        assert unscored[0] > 0 == unscored[-1]
        assert unscored == sorted(unscored, reverse=True)
        assert set(server.answered.values()) == {1}
        assert sum(server.faults.values()) > 20
        told: Counter[str] = Counter()
        for record in found.values():
            for one in record.runs:
                told.update(one["faults"])
        assert sum(told.values()) == sum(server.faults.values())
    assert {kind: verdicts(record) for kind, record in found.items()} == {
        kind: verdicts(record) for kind, record in calm.items()
    }


def test_unscored_stays_unscored_and_is_never_a_zero(run: Path) -> None:
    reader = FrameReader(truth_of())

    def sulking(messages: Messages) -> str:
        said = reader(messages)
        return "I would rather not." if "Beta" in messages[1]["content"] else said

    with ScriptedServer(sulking) as server:
        found = judged(judge_of(server, run), work_on(run, ("agree", "rank", "resist", "contradict")))
    beta = [row for row in found["agree"].rows if row.systems == ("beta",)]
    assert {(row.value, row.unscored) for row in beta} == {(None, "malformed")}
    assert all(row.value is not None for row in found["agree"].rows if row.systems != ("beta",))
    assert all(row.value is None and row.reason for row in found["rank"].rows)
    shares = consistency_shares(found["contradict"].rows, "line")
    assert {(key[0], share.value, share.scored, share.unscored) for key, share in shares.items()} == {
        ("alpha", 2 / 3, 3, 0), ("beta", None, 0, 3), ("gamma", 2 / 3, 3, 0),
    }  # fmt: skip
    texts = [answer for row in beta for order in row.orders for answer in order["answers"]]
    assert set(texts) == {"I would rather not."}
    spent = [tokens for row in beta for tokens in row.spent.values()]
    assert len(spent) == len(beta)
    assert all(prompt > 0 and written == 8 for prompt, written in spent)


def test_a_record_says_all_that_a_figure_needs(run: Path, tmp_path: Path) -> None:
    home = tmp_path / "mine"
    home.mkdir()
    with ScriptedServer(FrameReader(truth_of())) as server:
        prices = "prices: {prompt: 2.0, completion: 10.0}\n"
        address = server.url.replace("http://", "http://someone:hushhush@")
        (home / "annotator.yaml").write_text(f"kind: openai\nmodel: s\nbase_url: {address}\n{prices}", "utf-8")
        (home / "judge.yaml").write_text("name: mine\n", "utf-8")
        judge = load_judge(home, cache=run / "judged")
        made = judged(judge, work_on(run, ("agree",)))["agree"]
    (found,), faults = load_judged(run)
    assert (found, faults) == (made, [])
    assert found.judge["id"] == judge.id
    assert found.judge["prompts"] == judge.versions
    assert f"prompts:{judge.prompt_hash}" in found.signature
    assert "pack:fake-1@" in found.signature
    prompt = sum(order["prompt_tokens"] for row in found.rows for order in row.orders)
    written = sum(order["completion_tokens"] for row in found.rows for order in row.orders)
    assert found.tokens == (prompt, written)
    assert found.cost == {"amount": pytest.approx((2 * prompt + 10 * written) / 1e6, abs=1e-6), "currency": "USD"}
    assert [one["asked"] for one in found.runs] == [48]
    assert found.runs[0]["tokens"] == prompt + written
    assert found.runs[0]["seconds"] > 0
    assert {"persbench", "python"} <= found.versions.keys()
    assert set(found.cells) == {f"{s}/{p}/persbench_reply" for s in QUALITY for p in ("ada", "bo")}
    assert all(json.loads(order["answers"][-1])["score"] == row.value for row in found.rows for order in row.orders)
    text = b"".join(path.read_bytes() for path in (run / "judged").rglob("*") if path.is_file())
    assert b"hushhush" not in text
    assert b"someone" not in text


def test_a_spent_budget_keeps_what_was_finished_and_a_larger_one_goes_on(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "PIECE", 10)
    with ScriptedServer(FrameReader(truth_of())) as server:
        with pytest.raises(BudgetSpent, match="larger budget"):
            judged(judge_of(server, run, budget=9_000), work_on(run, ("agree",)))
        (part,), _ = load_judged(run)
        asked = len(server.asked)
        assert 0 < len(part.rows) <= asked < 48
        assert len(part.rows) % 10 == 0
        with pytest.raises(BudgetSpent):
            judged(judge_of(server, run, budget=9_000), work_on(run, ("agree",)))
        assert len(server.asked) == asked
        whole = judged(judge_of(server, run, budget=10**6), work_on(run, ("agree",)))["agree"]
        assert len(server.asked) == 48
    assert whole.unscored == 0
    assert sum(one["asked"] for one in whole.runs) == 48


def test_an_interruption_loses_no_finished_piece(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PIECE", 12)
    pieces = iter(range(9))
    real = run_module.judged

    def interrupted(*arguments: Any) -> Any:
        if next(pieces) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    with ScriptedServer(FrameReader(truth_of())) as server:
        with monkeypatch.context() as patch:
            patch.setattr(run_module, "judged", interrupted)
            with pytest.raises(KeyboardInterrupt):
                judged(judge_of(server, run), work_on(run, ("agree",)))
        (part,), _ = load_judged(run)
        assert len(part.rows) == 24
        judged(judge_of(server, run), work_on(run, ("agree",)))
        assert len(server.asked) == 48


def test_a_broken_record_is_made_again_from_the_cache(run: Path) -> None:
    with ScriptedServer(FrameReader(truth_of())) as server:
        judge = judge_of(server, run)
        before = judged(judge, work_on(run, ("agree",)))["agree"]
        path = record_path(run, judge, "agree")
        whole = path.read_bytes()
        changes = {
            b'"prompt_tokens": ': b'"prompt_tokenz": ', b'"cases": 48': b'"cases": "48"',
            b'"key": "': b'"key": 1, "kay": "', b'"judge": {': b'"judge": [], "j": {',
        }  # fmt: skip
        edited = [whole.replace(old, new, 1) for old, new in changes.items()]
        for damage in (whole[:700], b"", b"[]", b'{"format": 1, "kind": "agree"}', b"\xff\xfe", *edited):
            path.write_bytes(damage)
            (fault,) = load_judged(run)[1]
            assert "not a readable record" in fault.message
            told: list[str] = []
            (after,) = judge_run(judge_of(server, run), work_on(run, ("agree",)), silent, told.append)
            assert verdicts(after) == verdicts(before)
            assert any("Making it again" in line for line in told)
        assert len(server.asked) == 48


def test_two_judges_stand_side_by_side(run: Path) -> None:
    with ScriptedServer(FrameReader(truth_of())) as server:
        judged(judge_of(server, run), work_on(run, ("sort",)))
        other = replace(judge_of(server, run), orders=4)
        judged(other, work_on(run, ("sort",)))
    records, faults = load_judged(run)
    assert (len(records), faults) == (2, [])
    assert len({record.judge["id"] for record in records}) == 2
    assert len({path.parent for path in run.rglob("judged/*/sort.json")}) == 2


def test_a_judge_that_wrote_the_pack_is_named_in_the_record_though_it_was_never_examined(
    run: Path, tmp_path: Path
) -> None:
    built = tmp_path / "built"
    (built / "build").mkdir(parents=True)
    (built / "build" / "build.json").write_text('{"annotator": "openai:scripted@https://elsewhere/v1"}')
    with ScriptedServer(FrameReader(truth_of())) as server:
        work = replace(work_on(run, ("sort",)), pack=replace(the_pack(), path=built))
        assert judged(judge_of(server, run), work)["sort"].built_by == "openai:scripted@https://elsewhere/v1"
        plain = judged(judge_of(server, run), work_on(run, ("agree",)))["agree"]
    assert plain.built_by is None
    (table,) = judged_tables(judged_runs(run, load_cells(run)[0])[0], [])
    assert table.took_part


def test_a_second_command_on_the_same_run_and_judge_waits_for_the_first(run: Path) -> None:
    with ScriptedServer(FrameReader(truth_of())) as server:
        judge = judge_of(server, run)
        folder = record_path(run, judge, "sort").parent
        folder.mkdir(parents=True)
        with FileLock(folder / ".lock").acquire(timeout=0), pytest.raises(PersbenchError, match="another `persbench"):
            judge_run(judge, work_on(run, ("sort",)), silent, print)
        assert not server.asked
        assert judged(judge, work_on(run, ("sort",)))["sort"].unscored == 0


def test_a_dry_run_counts_what_would_be_asked_and_leaves_no_trace(run: Path) -> None:
    with ScriptedServer(FrameReader(truth_of())) as server:
        files = sorted(run.rglob("*"))
        judge = load_judge(f"openai:scripted@{server.url}", cache=None)
        planned, cost = plan(judge, work_on(run))
        assert (server.asked, cost) == ([], None)
        assert sorted(run.rglob("*")) == files
        judged(judge_of(server, run), work_on(run))
        asked = Counter(task for task, count in planned.items() for _ in range(count.calls))
        assert sum(asked.values()) == len(server.asked)
        assert asked == {
            "sort": 16, "agree": 48, "rank": 32, "resist": 9,
            "contradict-prompt": 36, "contradict-answer": 36, "contradict-line": 72,
        }  # fmt: skip
        assert plan(judge_of(server, run), work_on(run)) == ({}, None)


def test_a_run_without_replies_says_where_they_come_from(tmp_path: Path) -> None:
    write_cell(tmp_path, "alpha", "ada", {"persbench_attitude": []})
    with pytest.raises(PersbenchError, match="persbench_reply"):
        _ = work_on(tmp_path).subjects


def test_rows_of_replies_that_are_empty_are_unscored(run: Path) -> None:
    rows = samples_of("beta", "bo")
    for row in rows["persbench_reply"]:
        row["reply"] = "\u200b \n"
    write_cell(run, "beta", "bo", rows)
    with ScriptedServer(FrameReader(truth_of())) as server:
        found = judged(judge_of(server, run), work_on(run, ("agree", "rank")))
    empty = [row for row in found["agree"].rows if (row.systems, row.persona) == (("beta",), "bo")]
    assert {(row.value, row.unscored, len(row.orders)) for row in empty} == {(None, "empty", 0)}
    ranked: list[JudgedRow] = [row for row in found["rank"].rows if row.persona == "bo"]
    assert all(set(row.value) == {"alpha", "gamma"} for row in ranked if isinstance(row.value, dict))
    assert all(row.left_out == {"beta": "empty"} for row in ranked)


def test_a_dialogue_that_broke_off_is_not_asked_about_and_unscored(run: Path) -> None:
    rows = samples_of("alpha", "ada")
    early, late = rows["persbench_consistency"]
    early["transcripts"]["talk"] = early["transcripts"]["talk"][:1]  # silent before it could contradict itself
    early["faults"] = {"talk": "the reply is empty"}
    late["transcripts"]["talk"] = []
    write_cell(run, "alpha", "ada", rows)
    with ScriptedServer(FrameReader(truth_of())) as server:
        found = judged(judge_of(server, run), work_on(run, ("contradict",)))["contradict"]
        # a line pair is asked in both orders: two dialogues less of 3 lines each
        assert len(server.asked) == (12 - 2) * (3 + 3 + 6)
        assert plan(judge_of(server, run), work_on(run, ("contradict",))) == ({}, None)
    broken = [row for row in found.rows if row.unscored == "broken"]
    assert [row.value for row in broken] == [None] * 6
    assert {row.reason for row in broken} == {
        "the dialogue broke off: the reply is empty", "the dialogue broke off: nothing was said",
    }  # fmt: skip
    for against in ("prompt", "line", "answer"):
        shares = consistency_shares(found.rows, against)
        for stage in ("early", "late"):
            share = shares["alpha", "persbench_consistency", f"consistency/ada/{stage}/dlg01", "talk"]
            assert (share.value, share.scored, share.unscored) == (None, 0, 1)
    assert (found.cases, found.unscored) == (10 * 9 + 6, 6)


def test_identical_calls_cost_once_and_use_up_a_budget_once(run: Path, tmp_path: Path) -> None:
    """Beta says in every stage and part what alpha says in its: the judge is asked once for both."""
    for persona in ("ada", "bo"):
        rows = samples_of("alpha", persona)["persbench_reply"]
        write_cell(run, "beta", persona, {"persbench_reply": rows})
    home = tmp_path / "priced"
    home.mkdir()
    with ScriptedServer(FrameReader(truth_of())) as server:
        prices = "prices: {prompt: 1.0, completion: 1.0}\n"
        (home / "annotator.yaml").write_text(f"kind: openai\nmodel: s\nbase_url: {server.url}\n{prices}", "utf-8")
        first = load_judge(home, cache=run / "judged")
        found = judged(first, work_on(run, ("agree",)))["agree"]
        assert (len(found.rows), len(server.asked)) == (48, 32)
        assert sum(found.tokens) == found.runs[0]["tokens"]
        assert found.cost == {"amount": pytest.approx(sum(found.tokens) / 1e6, abs=1e-6), "currency": "USD"}
        again = load_judge(home, cache=run / "judged")
        judged(again, work_on(run, ("agree",)))
        assert len(server.asked) == 32
    spent = first.annotator.budget.spent  # type: ignore[attr-defined]
    assert again.annotator.budget.spent == spent == sum(found.tokens)  # type: ignore[attr-defined]
