"""Learnt prompts and replies told anew: an item's id says which of the two stands anew, and nothing is copied."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
import retold
import unseen
from word_runs import runs_of_four

from persbench.data.dev_split import dev_split
from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack

DEV = Path(__file__).parent.parent / "leaderboard" / "dev"


def test_what_is_told_anew_copies_nothing_and_is_as_long_as_its_foil() -> None:
    pack = load_pack(resolve_pack(None))
    split = dev_split(pack)
    foils, anew = unseen.written(unseen.POSITIONS), unseen.written(retold.RETOLD)
    counts: Counter[tuple[str, str]] = Counter()
    for data in pack.personas:
        for row in data.train:
            if told := anew.pop(row.id, None):
                assert not split.holds_out(data.persona.id, row), row.id
                assert not runs_of_four(told["reply"]) & runs_of_four(row.response), row.id
                assert not runs_of_four(told["prompt"]) & runs_of_four(row.prompt), row.id
                for other in (row.response, told["reply"], foils[row.id]["reply"]):
                    assert not runs_of_four(told["foil"]) & runs_of_four(other), row.id
                assert 0.93 <= len(told["reply"]) / len(foils[row.id]["reply"]) <= 1.07, row.id
                assert 0.95 <= len(told["foil"]) / len(told["reply"]) <= 1.05, row.id
                counts[data.persona.id, row.pattern] += 1
    assert not anew
    per_persona = {"question": 12, "opinion": 6, "induced": 6}
    assert counts == {(persona, name): n for persona in ("nedda", "osmer") for name, n in per_persona.items()}


def test_the_items_of_a_prompt_differ_in_what_their_ids_say() -> None:
    data = load_pack(resolve_pack(None)).persona("nedda")
    by_row: dict[str, dict[str, dict[str, object]]] = {}
    for item in retold.items(data):
        parts = unseen.parts_of(str(item["id"]))
        by_row.setdefault(parts.row, {})[parts.foil] = item
    trained = {row.id: row for row in data.train}
    assert len(by_row) == 24
    for name, forms in by_row.items():
        assert list(forms) == ["learnt", "asked", "said", "both", "fair", "all"]
        assert [form for form in forms if forms[form]["question"] == trained[name].prompt] == ["learnt", "said", "fair"]
        assert [form for form in forms if forms[form]["gold"] == trained[name].response] == ["learnt", "asked"]
        assert [form for form in forms if forms[form]["foils"] == forms["learnt"]["foils"]] == list(forms)[:4]


def test_the_committed_tables_follow_from_the_committed_records() -> None:
    told = (DEV / "README.md").read_text(encoding="utf-8")
    table = retold.table(DEV / "retold")
    assert len(table.splitlines()) == 2 + 8 * 6
    assert table in told
    for records, other in (("retold", "persllm-sft"), ("retold", "more-steps-sft"), ("unseen", "persllm-sft")):
        assert unseen.apart(DEV / records, "wordings-sft", other) in told
    lines = retold.vocabulary(DEV / "retold").splitlines()
    assert len(lines) == 2 + 8 * 2
    assert set(lines[:2] + [line for line in lines if "sft" in line]) <= set(told.splitlines())


def test_further_wordings_are_rows_of_learnt_prompts_and_copy_nothing_that_is_asked(tmp_path: Path) -> None:
    unseen.write_training_rows(tmp_path / "pack", retold.wordings)
    asked, more = unseen.written(retold.RETOLD), unseen.written(retold.WORDINGS)
    pack = load_pack(tmp_path / "pack")
    for persona in ("nedda", "osmer"):
        rows = {row.id: row for row in pack.persona(persona).train}
        for name in asked.keys() & rows.keys():
            told = [rows[name], rows[f"{name}-b"], rows[f"{name}-c"]]
            assert len({(row.stage, row.pattern) for row in told}) == 1
            replies = [row.response for row in told] + [asked[name]["reply"]]
            for one, other in combinations(replies, 2):
                assert not runs_of_four(one) & runs_of_four(other), name
            for wording in told[1:]:
                assert wording.response == more[wording.id]["reply"]
                assert not runs_of_four(wording.response) & runs_of_four(asked[name]["foil"]), name
        assert len(rows) == 96 + 48
    assert len(pack.persona("ivo").train) == 96


def test_records_of_other_items_are_refused() -> None:
    with pytest.raises(PersbenchError, match=r"is no item of a pack by retold\.py"):
        retold.table(DEV / "unseen")
    with pytest.raises(PersbenchError, match="is no item of a pack made here"):
        unseen.parts_of("knowledge/k07")
