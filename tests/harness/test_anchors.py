"""Anchors: right numbers, no stale number, no number of another model, none from an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from persbench.errors import PersbenchError
from persbench.harness.anchors import AnchorStore, anchor_documents, anchors_hash, neutral_prompts
from persbench.harness.backend import backend_fingerprint
from persbench.harness.fake_lm import FakeLM


def document() -> dict[str, Any]:
    return {"ask": "What is owed?", "candidates": ["Nothing.", "Two nobs, été."], "anchors": None}


class CountingLM(FakeLM):
    """Says a fixed log-likelihood a byte and counts what it is asked."""

    asked = 0

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        self.asked += len(requests)
        return [(-2.0 * len(r.args[1].encode()) - len(r.args[0]) % 2, False) for r in requests]


def test_four_neutral_prompts_and_the_mean_per_byte(tmp_path: Path) -> None:
    lm, doc = CountingLM(), document()
    anchor_documents([[doc]], lm, lm.apply_chat_template, tmp_path)
    assert len(neutral_prompts()) == 4
    assert lm.asked == 8
    ends = [
        len(f"<system>{p}</system><user>What is owed?</user><assistant>") % 2 for p in neutral_prompts()
    ]  # the extra nat that this model takes for contexts of odd length
    for anchor, text in zip(doc["anchors"], doc["candidates"], strict=True):
        assert anchor == pytest.approx(-2.0 - sum(ends) / 4 / len(text.encode()))


def test_what_is_asked_twice_is_computed_once(tmp_path: Path) -> None:
    lm, group, turned = CountingLM(), [document(), document()], document()
    turned["candidates"] = turned["candidates"][::-1]
    anchor_documents([group, [turned]], lm, lm.apply_chat_template, tmp_path)
    assert lm.asked == 8
    assert group[0]["anchors"] == group[1]["anchors"] == turned["anchors"][::-1]


def test_stored_anchors_are_found_again_to_the_last_digit(tmp_path: Path) -> None:
    first, second = document(), document()
    lm = FakeLM()
    anchor_documents([[first]], lm, lm.apply_chat_template, tmp_path)
    again = CountingLM()
    again.__class__.__name__ = "FakeLM"
    anchor_documents([[second]], again, again.apply_chat_template, tmp_path)
    assert again.asked == 0
    assert second["anchors"] == first["anchors"]
    assert anchors_hash([first]) == anchors_hash([second])


def test_two_models_never_share_anchors(tmp_path: Path) -> None:
    """A cache shared by two models of one name would be caught here."""
    one, two = FakeLM(seed=1, model="same"), FakeLM(seed=2, model="same")
    assert backend_fingerprint(one) != backend_fingerprint(two)
    docs = [document(), document()]
    for lm, doc in zip((one, two), docs, strict=True):
        anchor_documents([[doc]], lm, lm.apply_chat_template, tmp_path)
    assert docs[0]["anchors"] != docs[1]["anchors"]
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lm = FakeLM()
    with pytest.raises(PersbenchError, match="cannot store anchors in"):
        anchor_documents([[document()]], lm, lm.apply_chat_template, tmp_path / "file")


def test_another_batch_size_is_another_file() -> None:
    assert backend_fingerprint(FakeLM(batch_size=1)) != backend_fingerprint(FakeLM(batch_size=16))


def test_a_line_cut_by_a_killed_run_is_computed_again(tmp_path: Path) -> None:
    whole, lm = document(), FakeLM()
    anchor_documents([[whole]], lm, lm.apply_chat_template, tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    for end in (10, len(path.read_bytes()) // 2, len(path.read_bytes()) - 3):
        path.write_bytes(path.read_bytes()[:end])
        doc = document()
        anchor_documents([[doc]], lm, lm.apply_chat_template, tmp_path)
        assert doc["anchors"] == whole["anchors"]
        assert AnchorStore(tmp_path, backend_fingerprint(lm)).get("nothing") is None


def test_an_adapter_is_never_anchored_on_itself(tmp_path: Path) -> None:
    lm = FakeLM()
    lm.peft = "adapter"
    with pytest.raises(PersbenchError, match="untuned base model, and this one carries an adapter"):
        anchor_documents([[document()]], lm, lm.apply_chat_template, tmp_path)


class BrokenLM(FakeLM):
    """Cannot say how likely anything is."""

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        return [(float("-inf"), False) for _ in requests]


def test_no_anchor_where_a_loglikelihood_is_not_finite(tmp_path: Path) -> None:
    doc, lm = document(), BrokenLM()
    anchor_documents([[doc]], lm, lm.apply_chat_template, tmp_path)
    assert doc["anchors"] == [None, None]
