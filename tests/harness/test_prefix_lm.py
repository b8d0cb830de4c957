"""The prefix model gives `hf`'s numbers, computes each distinct token once, and steps aside where it cannot."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tiny_model import SHAPE, WORDS, tiny, tokenizer
from transformers import MistralConfig, MistralForCausalLM

from persbench.harness import tree_scoring
from persbench.harness.backend import rounds_likelihoods
from persbench.harness.documents import documents_of
from persbench.harness.prefix_lm import PrefixLM
from persbench.harness.rendering import render
from persbench.harness.row_cache import RowCache
from persbench.harness.token_tree import distinct_tokens
from persbench.harness.trial import FURTHER, obstacle
from persbench.models.fetch import fetch_model
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack
from persbench.systems.registry import get_system


def requests(count: int = 24) -> list[Instance]:
    prompt = " ".join(WORDS[i * 7 % 120] for i in range(60))
    pairs = [
        (f"{prompt} w{q} w{q + 1}", f" w{c} w{2 * c} w{q}" + " w5" * (c % 3))
        for q in range(count // 4)
        for c in range(4)
    ]
    return [Instance("loglikelihood", {}, pair, i, ("t", i, 1)) for i, pair in enumerate(pairs)]


def scores(lm: Any, asked: list[Instance]) -> list[tuple[float, bool]]:
    found: list[tuple[float, bool]] = lm.loglikelihood(asked, disable_tqdm=True)
    return found


def test_the_numbers_are_those_of_hf_and_each_distinct_token_is_computed_once() -> None:
    shared = tiny(PrefixLM)
    asked = requests()
    found, plain = scores(shared, asked), scores(tiny(HFLM), asked)
    assert [f[0] for f in found] == pytest.approx([p[0] for p in plain], abs=1e-4)
    assert [f[1] for f in found] == [p[1] for p in plain]
    inputs = [(c + t)[:-1] for c, t in (shared._encode_pair(*r.args) for r in asked)]
    assert shared.tokens_computed == distinct_tokens(inputs) < 0.3 * sum(map(len, inputs))


def test_greedy_is_noticed() -> None:
    lm = tiny(PrefixLM)
    context = "w1 w2 w3"
    ids = lm.tok_encode(context)
    best = int(lm.model(torch.tensor([ids])).logits[0, -1].argmax())
    word = lm.tokenizer.decode([best])
    pairs = [(context, f" {word}"), (context, " w9")]
    asked = [Instance("loglikelihood", {}, pair, i, ("t", i, 1)) for i, pair in enumerate(pairs)]
    assert [same for _, same in scores(lm, asked)] == [same for _, same in scores(tiny(HFLM), asked)]
    assert scores(lm, asked)[0][1]


@pytest.mark.parametrize("budget", [0.0, 1e-4, 1e-3, 1.0])
def test_a_small_budget_ends_right_only_slower(budget: float) -> None:
    asked = requests(12)
    expected = [p[0] for p in scores(tiny(HFLM), asked)]
    assert [f[0] for f in scores(tiny(PrefixLM, max_cache_gb=budget), asked)] == pytest.approx(expected, abs=1e-4)


def test_contexts_longer_than_the_model_are_cut_as_hf_cuts_them() -> None:
    context = " ".join(WORDS[i % 120] for i in range(400))
    asked = [Instance("loglikelihood", {}, (context, f" w{i} w3"), i, ("t", i, 1)) for i in range(3)]
    expected = [p[0] for p in scores(tiny(HFLM), asked)]
    assert [f[0] for f in scores(tiny(PrefixLM), asked)] == pytest.approx(expected, abs=1e-4)


def test_a_cache_that_cannot_be_forked_is_named_and_hf_s_way_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    model = MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=16)).eval()
    lm = PrefixLM(pretrained=model, tokenizer=tokenizer(), batch_size=4, device="cpu", max_length=200)
    plain = HFLM(pretrained=model, tokenizer=tokenizer(), batch_size=4, device="cpu", max_length=200)
    with caplog.at_level(logging.WARNING):
        found = scores(lm, requests(8))
    assert "cannot be forked (DynamicSlidingWindowLayer)" in caplog.text
    assert found == scores(plain, requests(8))


def test_equal_requests_and_one_word_continuations() -> None:
    asked = [Instance("loglikelihood", {}, ("w1 w2", " w3"), i, ("t", i, 1)) for i in range(3)]
    asked.append(Instance("loglikelihood", {}, ("w1 w2", " w3 w4"), 3, ("t", 3, 1)))
    found = scores(tiny(PrefixLM), asked)
    assert len(Counter(found[:3])) == 1
    assert [f[0] for f in found] == pytest.approx([p[0] for p in scores(tiny(HFLM), asked)], abs=1e-5)


@pytest.mark.model
@pytest.mark.parametrize("batch_size", [1, 16])
def test_smollm2_scores_within_a_thousandth_of_hf_s(batch_size: int) -> None:
    settings: dict[str, Any] = {"pretrained": str(fetch_model()), "dtype": "float32", "device": "cpu"}
    shared, plain = PrefixLM(**settings, batch_size=batch_size), HFLM(**settings, batch_size=batch_size)
    pack = load_pack(fake_pack())
    rows = documents_of("persbench_who_said", pack, pack.personas[0], get_system("prompt"))[:2]
    asked = [
        Instance(
            "loglikelihood", row, (render(row["messages"], plain.apply_chat_template).context, text), i, ("t", i, 1)
        )
        for row in rows
        for i, text in enumerate(row["candidates"])
    ]
    assert [f[0] for f in scores(shared, asked)] == pytest.approx([p[0] for p in scores(plain, asked)], abs=1e-3)


@pytest.mark.model
@pytest.mark.parametrize("hidden", [False, True])
def test_smollm2_in_bfloat16_shares_caches_and_not_under_a_wrong_mask(
    hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = PrefixLM(pretrained=str(fetch_model()), dtype="bfloat16", device="cpu", batch_size=16)
    if hidden:
        hide_the_first_token(monkeypatch)
    assert [bool(obstacle(lm, what)) for what in ("scores", "replies")] == [hidden, hidden]


def hide_the_first_token(monkeypatch: pytest.MonkeyPatch) -> None:
    ancestors, rows = tree_scoring.ancestor_mask, RowCache.mask

    def of_piece(piece: Any, dtype: torch.dtype, device: Any = None) -> torch.Tensor:
        mask = ancestors(piece, dtype, device)
        if piece.past:
            mask[..., :1] = torch.finfo(dtype).min
        return mask

    def of_rows(cache: RowCache, places: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        mask = rows(cache, places, dtype).clone()
        mask[..., :1] = torch.finfo(dtype).min
        return mask

    monkeypatch.setattr(tree_scoring, "ancestor_mask", of_piece)
    monkeypatch.setattr(RowCache, "mask", of_rows)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("width", [torch.bfloat16, torch.float32])
def test_a_trial_is_made_in_float32_and_leaves_the_weights_as_they_were(
    width: torch.dtype, hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However sharp the model: in bfloat16 rounding alone, 2.4 times that of its own cache, had this one refused."""
    lm, seen = tiny(PrefixLM), set()
    lm.model.to(width)
    with torch.no_grad():
        lm.model.get_output_embeddings().weight.mul_(40)
    before = {name: (t.dtype, t.clone()) for name, t in lm.model.state_dict().items()}
    forward = lm._forward

    def noted(places: Any, **arguments: Any) -> Any:
        seen.add(lm.model.dtype)
        return forward(places, **arguments)

    monkeypatch.setattr(lm, "_forward", noted)
    if hidden:
        hide_the_first_token(monkeypatch)
    assert [bool(obstacle(lm, what)) for what in ("scores", "replies")] == [hidden, hidden]
    assert seen == {torch.float32}
    after = lm.model.state_dict()
    assert all(after[name].dtype == width == dtype and after[name].equal(t) for name, (dtype, t) in before.items())


def test_without_memory_for_float32_the_model_s_own_rounding_is_the_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny(PrefixLM)
    lm.model.to(torch.bfloat16)
    monkeypatch.setattr("persbench.harness.trial.free_memory", lambda device: 1000)
    monkeypatch.setitem(FURTHER, "scores", 0.0)
    assert "its own cache by" in obstacle(lm, "scores")
    assert lm.model.dtype == torch.bfloat16


def test_log_likelihoods_are_summed_in_float32_unless_told_otherwise() -> None:
    assert tiny(PrefixLM).softmax_dtype == torch.float32
    assert tiny(PrefixLM, softmax_dtype="bfloat16").softmax_dtype == torch.bfloat16
    plain, told = tiny(HFLM), tiny(HFLM, softmax_dtype="float32")
    assert not any(map(rounds_likelihoods, (plain, told)))
    for lm in (plain, told):
        lm.model.to(torch.bfloat16)
    assert [rounds_likelihoods(lm) for lm in (plain, told)] == [True, False]
