"""From saved samples to cases: records and lm-eval's own files alike, and samples that fit nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from known_run import line_text, reply_text, samples_of, the_pack, write_cell, write_run

from persbench.errors import FaultsError, PersbenchError
from persbench.judging.cases import KINDS, AgreeCase, ContradictCase, RankCase, ResistCase, SortCase
from persbench.judging.reading import Subject, sheet, subjects_of
from persbench.packs.pack import Pack
from persbench.provenance import digest
from persbench.report.cells import Cell, load_cells


@pytest.fixture(scope="module")
def pack() -> Pack:
    return the_pack()


def cells_in(run: Path) -> list[Cell]:
    cells, faults = load_cells(run)
    assert faults == []
    return cells


def test_every_kind_gets_its_cases(tmp_path: Path, pack: Pack) -> None:
    found = subjects_of(cells_in(write_run(tmp_path)), pack, KINDS)
    # 2 personas x 2 stages x 4 questions; three systems; 3 induction items; 4 dialogues of 3 lines each a system
    assert {kind: len(subjects) for kind, subjects in found.items()} == {
        "sort": 16, "agree": 48, "rank": 16, "resist": 9, "contradict": 3 * 4 * (3 + 3 + 3),
    }  # fmt: skip
    for subjects in found.values():
        assert len({s.case.id for s in subjects}) == len({s.key for s in subjects}) == len(subjects)
        assert [s.case.id for s in subjects] == sorted(s.case.id for s in subjects)


def one(found: list[Subject], name: str) -> Subject:
    (subject,) = [subject for subject in found if subject.case.id == name]
    return subject


def test_a_case_holds_what_was_asked_said_and_authored(tmp_path: Path, pack: Pack) -> None:
    found = subjects_of(cells_in(write_run(tmp_path)), pack, KINDS)
    question, gold = pack.question("q01").text, pack.persona("ada").answer("q01", "late")
    assert gold is not None
    assert one(found["sort"], "sort/reply/ada/late/q01").case == SortCase(
        "sort/reply/ada/late/q01", question, gold.reply
    )
    said = {system: reply_text(system, "ada", "late", "q01") for system in ("alpha", "beta", "gamma")}
    agreeing = one(found["agree"], "agree/reply/ada/late/q01/beta")
    assert agreeing.case == AgreeCase(agreeing.case.id, question, gold.reply, said["beta"])
    assert (agreeing.systems, agreeing.persona, agreeing.stage, agreeing.cluster) == (("beta",), "ada", "late", "q01")
    ranked = one(found["rank"], "rank/reply/ada/late/q01")
    who = sheet(pack, "ada", "late")
    assert ranked.case == RankCase(ranked.case.id, question, said, who, gold.reply)
    assert ranked.systems == ("alpha", "beta", "gamma")
    item = next(row for row in pack.persona("ada").induction if row.id == "ada-i01")
    resisting = one(found["resist"], "resist/induction_reply/ada-i01/alpha")
    assert resisting.case == ResistCase(
        resisting.case.id, item.induced, reply_text("alpha", "ada", "any", "ada-i01"), sheet(pack, "ada", "early"),
        item.control,
    )  # fmt: skip
    lines = one(found["contradict"], "contradict/consistency/ada/late/dlg01/talk/alpha/consistency/line/0-2")
    turns = pack.cross_turn[0].turns
    assert lines.case == ContradictCase(
        lines.case.id, "line", line_text("alpha", "ada", "late", 0), line_text("alpha", "ada", "late", 2),
        turns[0], turns[2],
    )  # fmt: skip
    assert lines.place == {
        "dialogue": "consistency/ada/late/dlg01", "script": "talk", "against": "line", "lines": [0, 2],
    }  # fmt: skip


def test_who_speaks_is_told_without_test_material(pack: Pack) -> None:
    for stage in ("early", "late"):
        text = sheet(pack, "ada", stage)
        profile = pack.persona("ada").persona.stages[stage]
        assert text.startswith("Ada Crumb. It is ")
        assert profile.profile is not None
        assert profile.profile in text
        assert not any(fact in text for fact in profile.cannot_know)
        assert not any(target.reason in text for target in profile.traits.values())


def test_a_limit_is_the_same_prefix_for_every_system(tmp_path: Path, pack: Pack) -> None:
    cells = cells_in(write_run(tmp_path))
    every, some = subjects_of(cells, pack, KINDS), subjects_of(cells, pack, KINDS, limit=1)
    assert {kind: len(found) for kind, found in some.items()} == {
        "sort": 2, "agree": 6, "rank": 2, "resist": 6, "contradict": 3 * 2 * 9,
    }  # fmt: skip
    for kind, found in some.items():
        assert {s.key for s in found} <= {s.key for s in every[kind]}


def test_one_system_is_not_ranked_and_a_run_of_choices_gives_nothing(tmp_path: Path, pack: Pack) -> None:
    alone = cells_in(write_run(tmp_path / "one", {"alpha": {}}))
    assert "rank" not in subjects_of(alone, pack, KINDS)
    write_cell(tmp_path / "two", "alpha", "ada", {"persbench_attitude": []})
    assert subjects_of(cells_in(tmp_path / "two"), pack, KINDS) == {}


def as_lm_eval(run: Path, systems: tuple[str, ...]) -> Path:
    """Write what `lm_eval run --output_path --log_samples` writes, one run a system."""
    pack = the_pack()
    for number, system in enumerate(systems):
        folder, stamp = run / system, f"2026-01-0{number + 1}T00-00-00.000000"
        folder.mkdir(parents=True)
        tasks: dict[str, list[dict[str, Any]]] = {}
        for persona in ("ada", "bo"):
            for task, rows in samples_of(system, persona).items():
                for row in rows:
                    doc = {k: v for k, v in row.items() if k not in ("metrics", "reply")} | {"candidates": ["x", "y"]}
                    # A dialogue's requests are choices; what was said stands in the document.
                    said: list[Any] = [[row["reply"]]] if "reply" in row else [[["-1.0", "False"]], [["-2.0", "False"]]]
                    tasks.setdefault(task, []).append({"doc": doc, "resps": said, "metrics": []})
        for task, samples in tasks.items():
            lines = "".join(json.dumps(sample) + "\n" for sample in samples)
            (folder / f"samples_{task}_{stamp}.jsonl").write_text(lines, "utf-8")
        head = {"configs": {task: {"metadata": {"pack": str(pack.path)}} for task in tasks}, "config": {"model": "hf"}}
        (folder / f"results_{stamp}.json").write_text(json.dumps(head), "utf-8")
    return run


def test_lm_eval_s_own_samples_give_the_same_cases(tmp_path: Path, pack: Pack) -> None:
    systems = ("alpha", "beta", "gamma")
    ours = subjects_of(cells_in(write_run(tmp_path / "ours")), pack, KINDS)
    theirs = subjects_of(cells_in(as_lm_eval(tmp_path / "theirs", systems)), pack, KINDS)
    assert theirs == ours


def test_samples_of_another_pack_are_refused_by_name(tmp_path: Path, pack: Pack) -> None:
    write_run(tmp_path, {"alpha": {}})
    for persona in ("ada", "bo"):
        rows = samples_of("beta", persona)
        for samples in rows.values():
            for row in samples:
                row["pack_hash"] = "f" * 64
        write_cell(tmp_path, "beta", persona, rows)
    with pytest.raises(FaultsError) as caught:
        subjects_of(cells_in(tmp_path), pack, KINDS)
    assert len(caught.value.faults) == 2
    assert "beta as ada: was run on the pack @ffffffffffff; expected @" in str(caught.value)
    assert "--pack" in str(caught.value)


@pytest.mark.parametrize(
    ("task", "change"),
    [
        ("persbench_reply", {"reply": None}),
        ("persbench_reply", {"reply": ["a", "b"]}),
        ("persbench_reply", {"cluster": 3}),
        ("persbench_induction_reply", {"reply": 1}),
        ("persbench_consistency", {"transcripts": None}),
        ("persbench_consistency", {"transcripts": {"talk": [{"user": "x"}]}}),
        ("persbench_consistency", {"transcripts": {"talk": "x"}}),
        ("persbench_consistency", {"faults": {"talk": 3}}),
        ("persbench_consistency", {"faults": ["talk"]}),
    ],
)
def test_a_broken_sample_is_named_and_nothing_is_judged(pack: Pack, task: str, change: dict[str, Any]) -> None:
    rows = samples_of("alpha", "ada")
    rows[task][0] |= change
    with pytest.raises(FaultsError, match=rf"alpha as ada: 1 samples without what is judged, the first {task} "):
        subjects_of([Cell("alpha", "ada", {}, rows)], pack, KINDS)


def test_an_item_that_the_pack_does_not_have_is_an_error_with_its_name(tmp_path: Path, pack: Pack) -> None:
    for task, change in (
        ("persbench_reply", {"cluster": "q99"}),
        ("persbench_induction_reply", {"cluster": "induction_reply/none"}),
        ("persbench_reply", {"stage": "never"}),
    ):
        rows = samples_of("alpha", "ada")
        rows[task][0] |= change
        write_cell(tmp_path, "alpha", "ada", rows)
        with pytest.raises(PersbenchError, match=r"q99|none|never"):
            subjects_of(cells_in(tmp_path), pack, KINDS)


def test_half_a_surrogate_pair_in_a_reply_is_no_fault(tmp_path: Path, pack: Pack) -> None:
    rows = samples_of("alpha", "ada")
    rows["persbench_reply"][0]["reply"] = "Flour \ud83d again"
    cell = Cell("alpha", "ada", {}, rows)
    (first,) = [s for s in subjects_of([cell], pack, ["agree"])["agree"] if "Flour" in s.case.reply]  # type: ignore[union-attr]
    assert len(first.key) == 32
    assert "\ud83d" not in first.case.reply  # type: ignore[union-attr]


def test_a_dialogue_that_broke_off_is_one_case_of_each_sort(pack: Pack) -> None:
    rows = samples_of("alpha", "ada")
    rows["persbench_consistency"][0]["faults"] = {"talk": "no reply \ud83d"}
    rows["persbench_consistency"][1]["faults"] = {"another": "no reply"}
    found = subjects_of([Cell("alpha", "ada", {}, rows)], pack, ["contradict"])["contradict"]
    broken = [s for s in found if isinstance(s.case, ContradictCase) and s.case.fault]
    stem = "contradict/consistency/ada/early/dlg01/talk/alpha/consistency"
    assert [s.case.id for s in broken] == [f"{stem}/{kind}/broken" for kind in ("answer", "line", "prompt")]
    assert {(s.place["dialogue"], s.place["script"], tuple(s.place["lines"])) for s in broken} == {
        ("consistency/ada/early/dlg01", "talk", ())
    }
    assert len({s.key for s in broken}) == 3
    assert len(found) == 3 + 9


def test_keys_of_whole_dialogues_are_those_of_earlier_versions(tmp_path: Path, pack: Pack) -> None:
    found = subjects_of(cells_in(write_run(tmp_path)), pack, ["contradict"])["contradict"]
    case = found[0].case
    content = {name: value for name, value in vars(case).items() if name not in ("id", "fault")}
    assert found[0].key == digest(["ContradictCase", case.id, content], 32)
