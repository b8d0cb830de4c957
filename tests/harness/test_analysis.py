"""The analysis before the response: a prefill of what is scored, split off what is generated, kept in the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from persbench.errors import PersbenchError
from persbench.harness import analysis
from persbench.harness.fake_lm import FakeLM
from persbench.harness.rendering import Rendered
from persbench.harness.task_index import tasks_folder
from persbench.packs.bundled import fake_pack
from persbench.samples import Row, sample_row


class ThinkingLM(FakeLM):
    """Thinks about what it was asked, then answers; notes all that it is asked for."""

    def __init__(self, reply: str = " He asks. [Response] B) So it is.") -> None:
        super().__init__()
        self.reply = reply
        self.generations: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[int] = []
        self.scored: list[tuple[str, str]] = []

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        self.calls.append(len(requests))
        self.generations += [request.args for request in requests]
        return [
            self.reply if context.endswith("[Analysis]") else f"[Analysis]{self.reply}"
            for context, _ in (request.args for request in requests)
        ]

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        self.scored += [request.args for request in requests]
        answers: list[tuple[float, bool]] = super().loglikelihood(requests)
        return answers


def samples(lm: FakeLM, task: str, anchors: Path, *, limit: int | None = None, **metadata: str) -> list[Row]:
    told = {"pack": str(fake_pack()), "persona": "ada", "system": "persllm", "anchors": str(anchors)} | metadata
    found = simple_evaluate(
        model=lm, tasks=[task], limit=limit, bootstrap_iters=0, apply_chat_template=True,
        task_manager=TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=told),
    )  # fmt: skip
    return [sample_row(sample) for sample in found["samples"][task]]


def own(scored: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What was scored with the persona speaking, without the anchors."""
    return [(context, text) for context, text in scored if "You are Ada" in context]


def test_candidates_are_scored_after_the_model_s_own_analysis(tmp_path: Path) -> None:
    lm = ThinkingLM(" He asks. [Response] Never heard")
    rows = samples(lm, "persbench_stages", tmp_path)
    branches = [branch for row in rows for branch in row["branches"]]
    assert lm.calls == [len(branches)], "the analyses of all branches of all documents are one call"
    assert all(context.endswith("<assistant>[Analysis]") for context, _ in lm.generations)
    assert [settings for _, settings in lm.generations] == [
        {"until": ["[Response]"], "max_gen_toks": 96, "do_sample": False}
    ] * len(branches)
    assert own(lm.scored)
    for context, text in own(lm.scored):
        assert context.endswith("<assistant>[Analysis] He asks. [Response]")
        assert text.startswith(" ")
    assert {branch["analysis"] for branch in branches} == {"He asks."}
    anchored = [(context, text) for context, text in lm.scored if "You are Ada" not in context]
    assert anchored
    assert not [context for context, _ in anchored if "[Response]" in context]


def test_an_analysis_that_never_ends_is_cut_and_closed(tmp_path: Path) -> None:
    lm = ThinkingLM(" On and on")
    (row,) = samples(lm, "persbench_attitude", tmp_path, limit=1)
    assert row["analysis"] == "On and on"
    assert all(context.endswith("<assistant>[Analysis] On and on [Response]") for context, _ in own(lm.scored))


def test_equal_contexts_are_thought_about_once(tmp_path: Path) -> None:
    lm = ThinkingLM()
    same = [Rendered("Who?", "chat", ""), Rendered("What?", "chat", ""), Rendered("Who?", "plain", "")]
    assert analysis.analyses(same, lm, None) == ["He asks."] * 3
    assert lm.calls == [2]


@pytest.mark.parametrize(("system", "more"), [("no-analysis", {}), ("prompt", {}), ("persllm", {"analysis": "none"})])
def test_nothing_is_prefilled_for_who_does_not_think_or_is_told_not_to(
    tmp_path: Path, system: str, more: dict[str, str]
) -> None:
    lm = ThinkingLM()
    (row,) = samples(lm, "persbench_attitude", tmp_path, limit=1, system=system, **more)
    assert not lm.generations
    assert "analysis" not in row
    assert all(context.endswith("<assistant>") and not text.startswith(" ") for context, text in own(lm.scored))


@pytest.mark.parametrize("task", ["persbench_reply", "persbench_induction_reply", "persbench_general_reply"])
def test_of_a_reply_the_response_alone_is_scored(tmp_path: Path, task: str) -> None:
    usual = ThinkingLM("[Response] Sixty by eight.")
    rows = samples(usual, task, tmp_path)
    plain = ThinkingLM("Sixty by eight.")
    plain.generate_until = lambda requests, **_: ["Sixty by eight."] * len(requests)  # type: ignore[method-assign]
    expected = samples(plain, task, tmp_path, system="no-analysis")
    lm = ThinkingLM(" What does he want? [Response] Sixty by eight.")
    found = samples(lm, task, tmp_path)
    for row, other, third in zip(found, expected, rows, strict=True):
        assert row["reply"] == "Sixty by eight."
        assert row["analyses"] == ["What does he want?"]
        assert row["metrics"] == other["metrics"] == third["metrics"]
        assert "analyses" not in other
    long, short = lm.generations[0][1]["max_gen_toks"], 96 if task == "persbench_reply" else None
    assert short is None or long == short + 96
    assert {settings["max_gen_toks"] for _, settings in lm.generations} == {long}


def test_a_reply_that_never_comes_to_a_response_is_empty(tmp_path: Path) -> None:
    (row,) = samples(ThinkingLM(" On and on"), "persbench_reply", tmp_path, limit=1)
    assert (row["reply"], row["analyses"]) == ("", ["On and on"])
    assert row["metrics"]["rouge_l_lift"] == [None, False]
    assert row["metrics"]["length_words"] == [0.0, True]


def test_a_response_is_no_longer_for_want_of_an_analysis(tmp_path: Path) -> None:
    class WordLM(ThinkingLM):
        max_length = 10**6

        def tok_encode(self, text: str) -> list[str]:
            return text.split()

        def tok_decode(self, tokens: list[str]) -> str:
            return " ".join(tokens)

    for reply in ("[Response] " + "so " * 300, " Hm. [Response] " + "so " * 300):
        (row,) = samples(WordLM(reply), "persbench_reply", tmp_path, limit=1)
        assert row["metrics"]["length_words"] == [96.0, True]
        assert row["reply"] == ("so " * 96).strip()
        (talk,) = samples(WordLM(reply), "persbench_consistency", tmp_path, limit=1)
        assert {len(exchange["reply"].split()) for exchange in talk["transcripts"]["talk"]} == {48}


def test_two_sampled_replies_are_taken_apart_each(tmp_path: Path) -> None:
    (row,) = samples(ThinkingLM(" Hm. [Response] So it is."), "persbench_distinction", tmp_path, limit=1)
    assert (row["replies"], row["analyses"]) == (["So it is."] * 2, ["Hm."] * 2)
    assert row["metrics"]["sampled_words"] == [3.0, True]


def test_the_letter_is_read_off_the_response(tmp_path: Path) -> None:
    """An analysis that names a letter, or the mark itself, must not decide."""
    lm = ThinkingLM(" A) would please him. [Response] B")
    (row,) = samples(lm, "persbench_attitude_gen", tmp_path, limit=1)
    assert row["replies"] == ["B", "B"]
    assert row["chosen"][0] != row["chosen"][1], "the second letter in either order"
    assert {settings["max_gen_toks"] for _, settings in lm.generations} == {8 + 96}
    (lost,) = samples(ThinkingLM(" A) would please him."), "persbench_attitude_gen", tmp_path, limit=1)
    assert lost["chosen"] == [None, None]
    assert lost["metrics"]["attitude_acc"] == [None, False]


@pytest.mark.parametrize("task", ["persbench_consistency", "persbench_consistency_gen"])
def test_only_the_response_is_heard_in_a_dialogue(tmp_path: Path, task: str) -> None:
    lm = ThinkingLM(" He asks. [Response] B")
    (row,) = samples(lm, task, tmp_path, limit=1)
    talk = row["transcripts"]["talk"]
    assert {(exchange["reply"], exchange["analysis"]) for exchange in talk} == {("B", "He asks.")}
    assert not row["faults"]
    ours = [context for context, _ in lm.generations if "You are Ada" in context]
    assert [context for context in ours if "<assistant>B</assistant>" in context]
    assert not [context for context in ours if "[Response]" in context]
    contexts = [context for context, _ in own(lm.scored)]
    assert all(context.count("[Analysis]") == 1 and context.endswith("[Response]") for context in contexts)
    assert bool(contexts) == (task == "persbench_consistency")


def test_a_dialogue_ends_where_no_response_comes(tmp_path: Path) -> None:
    (row,) = samples(ThinkingLM(" On and on"), "persbench_consistency", tmp_path, limit=1)
    assert row["faults"] == {"talk": "empty reply"}
    assert row["metrics"]["all_own"] == [None, False]


def test_without_a_chat_template_the_model_cannot_be_reached_to_think(tmp_path: Path) -> None:
    told = {"pack": str(fake_pack()), "persona": "ada", "system": "persllm"}
    with pytest.raises(PersbenchError, match=r"asks the model for its analysis, .* add --apply_chat_template"):
        simple_evaluate(
            model=ThinkingLM(), tasks=["persbench_attitude"], limit=1, bootstrap_iters=0,
            task_manager=TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=told),
        )  # fmt: skip
