"""The audit finds what it is for, in a pack that was spoilt on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from persbench.data.audit import audit
from persbench.data.leakage import near_duplicates, shared_runs
from persbench.data.passages import Passage, passages
from persbench.data.traces import sentences, skeleton, template_traces
from persbench.near_duplicates import similar_pairs
from persbench.packs.load import load_pack


class WordBags:
    """A toy embedder: unit vectors of word counts, hashed into 4096 places."""

    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), 4096), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[sum(ord(c) * 31**i for i, c in enumerate(word)) % 4096] += 1
        unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def rewrite(path: Path, change: Any) -> None:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def messages(folder: Path) -> list[str]:
    return [str(fault) for fault in audit(load_pack(folder), WordBags()).faults]


def test_counts_of_a_small_pack_are_all_named(folder: Path) -> None:
    found = messages(folder)
    assert "questions.jsonl: 4 rows; expected 40" in found
    assert "personas/ada/answers.jsonl: 4 rows at early; expected 40" in found
    assert "pressure.jsonl: 3 rows; expected 80" in found or any(f.startswith("pressure.jsonl: ") for f in found)


def test_a_sheet_with_something_unknown_is_named(folder: Path) -> None:
    file = folder / "personas" / "ada" / "persona.yaml"
    file.write_text(file.read_text("utf-8").replace("age: 20", "age: null", 1), encoding="utf-8")
    assert "personas/ada/persona.yaml: age of ada at early is null; expected a whole sheet" in messages(folder)


def test_a_leak_from_test_to_training_is_named_with_both_places(folder: Path) -> None:
    gold = json.loads((folder / "personas/bo/answers.jsonl").read_text("utf-8").splitlines()[1])["reply"]
    rewrite(folder / "personas/ada/train.jsonl", lambda rows: rows[0].update(response=gold))
    found = [text for text in messages(folder) if text.startswith("personas/ada/train.jsonl:1: response")]
    assert any("shares" in text and "personas/bo/answers.jsonl:2" in text for text in found)
    assert any("nearly the test text personas/bo/answers.jsonl:2 (cosine 1.00)" in text for text in found)


def test_a_later_year_in_an_early_text_is_named(folder: Path) -> None:
    pack = load_pack(folder)
    later = pack.world.stages[1].year
    text = f"That was settled in {later}, was it not?"
    rewrite(folder / "personas/ada/answers.jsonl", lambda rows: rows[0].update(reply=text))
    assert any(f"says 'in {later}'" in text for text in messages(folder))


def test_wrong_ages_are_named(folder: Path) -> None:
    path = folder / "personas/ada/persona.yaml"
    text = path.read_text("utf-8")
    first = text.index("age: ")
    path.write_text(text[:first] + "age: 3" + text[text.index("\n", first) :], encoding="utf-8")
    assert any("personas/ada/persona.yaml: ada is 3 at early" in text for text in messages(folder))


def passage(text: str, line: int, **more: Any) -> Passage:
    facts: dict[str, Any] = {"file": "personas/a/answers.jsonl", "field": "reply", "split": "test", "part": "reply"}
    return Passage(line=line, persona="a", stage="early", text=text, **(facts | more))


def test_openings_sentences_and_skeletons() -> None:
    nouns = ["salt", "tide", "bell", "oar"]
    repeated = [passage(f"Well, you see the {noun} of it.", i) for i, noun in enumerate(nouns)]
    found = [str(fault) for fault in template_traces(repeated)]
    assert any("4 of a's replies (100%) begin with 'well you see'" in text for text in found)
    twice = [passage("My mother never once sold short.", 1), passage("Ask. My mother never once sold short!", 2)]
    assert any("stands also at personas/a/answers.jsonl:2" in str(fault) for fault in template_traces(twice))
    moulds = [("cart", "pier", "late"), ("lamp", "shed", "dark"), ("boat", "quay", "full"), ("coin", "bank", "gone")]
    mould = [passage(f"I took the {w} to the {v} and it was {u}.", i) for i, (w, v, u) in enumerate(moulds)]
    masked = [str(fault) for fault in template_traces(mould)]
    assert any("'i _ the _ to the _ and it was _' stands in 4 rows" in text for text in masked)


def test_one_row_may_repeat_itself_and_trait_statements_their_form() -> None:
    gold_and_foils = [passage("It cost me four nobs at the Arches.", 1) for _ in range(4)]
    assert not template_traces(gold_and_foils)
    texts = [f"I am often the one who {verb}s first of all." for verb in ("laugh", "leave", "pay", "speak", "weep")]
    likert = [passage(text, i, file="traits.jsonl", part="note") for i, text in enumerate(texts)]
    assert not template_traces(likert)


def test_sentences_and_skeletons_by_hand() -> None:
    assert sentences("Salt? No. I keep it; always.") == ["Salt?", "No.", "I keep it; always."]
    assert skeleton("I took the salt to the Slip.") == "i _ the _ to the _"


def test_eight_words_are_a_leak_and_seven_are_not() -> None:
    test = passage("one two three four five six seven eight nine", 1)
    eight = passage(
        "zero two three four five six seven eight nine ten", 2, split="train", file="personas/a/train.jsonl"
    )
    seven = passage("zero three four five six seven eight nine ten", 3, split="train", file="personas/a/train.jsonl")
    assert [fault.line for fault in shared_runs([test, eight, seven])] == [2]


def test_common_prompts_may_stand_at_both_stages() -> None:
    common: dict[str, Any] = {"file": "personas/a/train.jsonl", "field": "prompt", "split": "train", "part": "ask"}
    both = [passage("What did you eat today?", 1, **common), passage("What did you eat today?", 2, **common | {})]
    other = Passage(**(both[1].__dict__ | {"stage": "late"}))
    assert not near_duplicates([both[0], other], WordBags())
    assert len(near_duplicates(both, WordBags())) == 1


def test_pairs_are_those_of_the_plain_loop() -> None:
    rows = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = {(i, j) for i, j, _ in similar_pairs(rows, threshold=0.97)}
    cosines = rows @ rows.T
    assert found == {(int(i), int(j)) for i, j in np.argwhere(cosines >= 0.97) if i < j}
    assert found
    crossed = {(i, j) for i, j, _ in similar_pairs(rows[:3000], rows[3000:], threshold=0.97)}
    assert crossed == {(i, j - 3000) for i, j in found if i < 3000 <= j}


def test_every_text_of_a_pack_is_listed(folder: Path) -> None:
    found = passages(load_pack(folder))
    fields = {(p.file.rsplit("/", 1)[-1], p.field) for p in found}
    assert {("train.jsonl", "response"), ("knowledge.jsonl", "foils"), ("induction.jsonl", "yield_")} <= fields
    assert all(p.line >= 1 and p.text for p in found)
    assert {p.split for p in found if p.file.endswith("train.jsonl")} == {"train"}
