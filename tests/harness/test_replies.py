"""Replies of the prefix model: `hf`'s words, a cache kept from turn to turn, no batch held up by one long reply."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tiny_model import WORDS, tiny

from persbench.harness.cache_budget import CacheBudget
from persbench.harness.generation import ReplyGenerator
from persbench.harness.prefix_lm import PrefixLM
from persbench.harness.reply_requests import unsupported

PROMPT = " ".join(WORDS[i * 7 % 120] for i in range(60))


def asks(contexts: list[str], **settings: Any) -> list[Instance]:
    settings = {"until": ["w3"], "max_gen_toks": 12, "do_sample": False} | settings
    return [Instance("generate_until", {}, (text, settings), i, ("t", i, 1)) for i, text in enumerate(contexts)]


def replies(lm: Any, contexts: list[str], **settings: Any) -> list[str]:
    found: list[str] = lm.generate_until(asks(contexts, **settings), disable_tqdm=True)
    return found


CONTEXTS = {
    "shared": [f"{PROMPT} w{i} w{i + 1}" + " w9" * (i % 5) for i in range(20)],
    "two prompts": [f"{PROMPT if i % 2 else PROMPT[::-1].replace(' w', ' ')} w{i}" for i in range(12)],
    "nothing shared": [f"w{i} w7" for i in range(9)],
    "one": [f"{PROMPT} w4"],
    "equal": [f"{PROMPT} w4"] * 3,
    "one token": ["w5", "w6 w7"],
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_greedy_replies_are_those_of_hf(name: str) -> None:
    assert replies(tiny(PrefixLM), CONTEXTS[name]) == replies(tiny(HFLM), CONTEXTS[name])


def test_replies_to_several_prompts_are_generated_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts long enough for a batch each: their replies share one, each after its own prompt."""
    monkeypatch.setattr("persbench.harness.kept_prefixes.WORTH_A_GROUP", 1)
    prompts = [" ".join(WORDS[i * k % 120] for i in range(length)) for k, length in ((3, 70), (7, 40), (11, 90))]
    contexts = [f"{prompts[i % 3]} w{i} w{i + 1}" for i in range(15)] + ["w5"]
    lm, runs = tiny(PrefixLM), []
    assert not lm._why_not("replies")  # its trial generates, too
    run = ReplyGenerator.run

    def counted(self: ReplyGenerator, rows: Any, **how: Any) -> None:
        runs.append(len(rows))
        run(self, rows, **how)

    monkeypatch.setattr(ReplyGenerator, "run", counted)
    assert replies(lm, contexts) == replies(tiny(HFLM), contexts)
    assert (len(lm.kept.stems), runs) == (4, [16])
    monkeypatch.setattr("persbench.harness.cache_budget.MOST_ROWS", 4)
    assert replies(tiny(PrefixLM), contexts) == replies(tiny(HFLM), contexts)


def test_more_replies_than_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persbench.harness.cache_budget.MOST_ROWS", 3)
    assert replies(tiny(PrefixLM), CONTEXTS["shared"]) == replies(tiny(HFLM), CONTEXTS["shared"])


def test_a_prompt_longer_than_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persbench.harness.cache_budget.LONGEST_PREFILL", 16)
    contexts = [f"w1 {PROMPT}", f"w2 {PROMPT} w3"]
    assert replies(tiny(PrefixLM), contexts) == replies(tiny(HFLM), contexts)


def test_contexts_longer_than_the_model_are_cut_as_hf_cuts_them() -> None:
    contexts = [" ".join(WORDS[(i + k) % 120] for i in range(400)) for k in range(2)]
    assert replies(tiny(PrefixLM), contexts) == replies(tiny(HFLM), contexts)


def turns(lm: Any, count: int = 5) -> list[list[str]]:
    histories = [f"{PROMPT} w{i} w8" for i in range(4)]
    found = []
    for turn in range(count):
        said = replies(lm, histories, max_gen_toks=30)
        histories = [f"{h} {reply} w{turn} w11 w12" for h, reply in zip(histories, said, strict=True)]
        found.append(said)
    return found


def test_a_dialogue_computes_only_what_was_added() -> None:
    lm, plain = tiny(PrefixLM, max_length=256), tiny(HFLM, max_length=256)
    first, fifth = turns(lm, 1), 0
    assert first == turns(plain, 1)
    lm.forget()
    assert turns(lm) == turns(plain)
    before = lm.tokens_computed
    replies(lm, [f"{PROMPT} w{i} w8" for i in range(4)], max_gen_toks=1)
    fifth = lm.tokens_computed - before
    assert fifth <= 2 * 4  # the last tokens of four prompts: all else is kept


def test_a_probe_is_scored_on_its_dialogue_s_cache() -> None:
    lm, plain = tiny(PrefixLM, max_length=256), tiny(HFLM, max_length=256)
    contexts = [f"{PROMPT} " + " ".join(WORDS[(i * k) % 120] for i in range(90)) for k in (3, 7)]
    replies(lm, contexts)
    probes = [
        Instance("loglikelihood", {}, (f"{context} w2", f" w{c} w1"), i, ("t", i, 1))
        for i, context in enumerate(contexts)
        for c in range(4)
    ]
    before = lm.tokens_computed
    found = lm.loglikelihood(probes, disable_tqdm=True)
    assert lm.tokens_computed - before < 2 * 20
    expected = plain.loglikelihood(probes, disable_tqdm=True)
    assert [f[0] for f in found] == pytest.approx([e[0] for e in expected], abs=1e-4)


@pytest.mark.parametrize("most", [512, 24])
def test_probes_after_several_turns_of_a_dialogue_share_a_pass(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sees the dialogue up to its own turn, whatever came later; also where one is too large to share."""
    monkeypatch.setattr("persbench.harness.cache_budget.LARGEST_PIECE", most)
    lm, plain = tiny(PrefixLM, max_length=256), tiny(HFLM, max_length=256)
    talks = [[WORDS[(i * k) % 120] for i in range(110)] for k in (3, 7)]
    replies(lm, [f"{PROMPT} {' '.join(talk)}" for talk in talks])
    probes = [
        Instance("loglikelihood", {}, (f"{PROMPT} {' '.join(talk[:after])} w2", f" w{c} w1" + more), 0, ("t", 0, 1))
        for talk in talks
        for after, more in ((80, ""), (95, " w4" * 15), (110, ""))
        for c in range(3)
    ]
    assert not lm._why_not("scores")  # its trial makes passes of its own
    passes: list[Any] = []
    forward = lm._forward

    def counted(places: Any, **arguments: Any) -> Any:
        passes.append(places)
        return forward(places, **arguments)

    monkeypatch.setattr(lm, "_forward", counted)
    found = lm.loglikelihood(probes, disable_tqdm=True)
    assert len(passes) == len(talks) if most == 512 else len(passes) > len(talks)
    expected = plain.loglikelihood(probes, disable_tqdm=True)
    assert [f[0] for f in found] == pytest.approx([e[0] for e in expected], abs=1e-4)


def test_sampled_replies_do_not_depend_on_their_neighbours() -> None:
    settings = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 8}
    together = replies(tiny(PrefixLM), CONTEXTS["shared"], **settings)
    alone = [replies(tiny(PrefixLM), [context], **settings)[0] for context in CONTEXTS["shared"]]
    assert together == alone
    twice = replies(tiny(PrefixLM), CONTEXTS["equal"], **settings)
    assert len(set(twice)) > 1, "equal requests are drawn apart"


def test_settings_of_transformers_own_go_hf_s_way(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = replies(tiny(PrefixLM), CONTEXTS["shared"], num_beams=2)
    assert "hf's way: the setting num_beams" in caplog.text
    assert found == replies(tiny(HFLM), CONTEXTS["shared"], num_beams=2)


@pytest.mark.parametrize(
    ("name", "value", "draws"),
    [
        ("suppress_tokens", [5, 6], False),
        ("bad_words_ids", [[5], [6, 7]], False),
        ("sequence_bias", {(5,): -10.0}, False),
        ("min_p", 0.5, True),
        ("typical_p", 0.5, True),
    ],
)
def test_what_the_model_s_own_settings_ask_for_is_looked_at(name: str, value: Any, draws: bool) -> None:
    lm = tiny(PrefixLM)
    config = lm.model.generation_config
    for settings in ({"do_sample": False}, {"do_sample": True}):
        assert not unsupported(settings, config)
    setattr(config, name, value)
    assert unsupported({"do_sample": True}, config) == f"the setting {name}"
    assert bool(unsupported({"do_sample": False}, config)) is not draws, "the best token is the best without it"
    if not draws:
        plain = tiny(HFLM)
        setattr(plain.model.generation_config, name, value)
        assert replies(lm, CONTEXTS["shared"]) == replies(plain, CONTEXTS["shared"])


def test_a_budget_too_small_goes_hf_s_way(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = replies(tiny(PrefixLM, max_cache_gb=0.0), CONTEXTS["shared"])
    assert "max_cache_gb is too small" in caplog.text
    assert found == replies(tiny(HFLM), CONTEXTS["shared"])


def test_kept_caches_stay_within_their_half_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny(PrefixLM)
    said, size = turns(lm, 4), lm.kept.size
    lm.forget()
    monkeypatch.setattr(CacheBudget, "kept", size * 2 // 3)
    assert turns(lm, 4) == said == turns(tiny(HFLM), 4)
    assert 0 < lm.kept.size <= size * 2 // 3


def test_different_settings_in_one_call() -> None:
    mixed = [*asks(CONTEXTS["shared"][:3]), *asks(CONTEXTS["shared"][:3], max_gen_toks=2, until=[])]
    expected = tiny(HFLM).generate_until(mixed, disable_tqdm=True)
    assert tiny(PrefixLM).generate_until(mixed, disable_tqdm=True) == expected
