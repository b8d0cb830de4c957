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
    """Thinks about what it was asked, then answers; notes all that it is asked for.

    Args:
        reply: What it goes on with after the mark of an analysis.
        after: What it goes on with after that of a response, if not what stands there in `reply`.
    """

    def __init__(self, reply: str = " He asks. [Response] B) So it is.", after: str | None = None) -> None:
        super().__init__()
        self.reply = reply
        self.after = reply.partition("[Response]")[2] if after is None else after
        self.generations: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[int] = []
        self.scored: list[tuple[str, str]] = []

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        self.calls.append(len(requests))
        self.generations += [request.args for request in requests]
        return [self.turn(request.args[0]) for request in requests]

    def turn(self, context: str) -> str:
        if context.endswith("[Response]"):
            return self.after
        return self.reply if context.endswith("[Analysis]") else f"[Analysis]{self.reply}"

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


VARIANTS = pytest.mark.parametrize("variant", analysis.VARIANTS)


@VARIANTS
@pytest.mark.parametrize("task", ["persbench_reply", "persbench_induction_reply", "persbench_general_reply"])
def test_of_a_reply_the_response_alone_is_scored(tmp_path: Path, task: str, variant: str) -> None:
    usual = ThinkingLM("[Response] Sixty by eight.")
    rows = samples(usual, task, tmp_path, analysis=variant)
    plain = ThinkingLM("Sixty by eight.")
    plain.generate_until = lambda requests, **_: ["Sixty by eight."] * len(requests)  # type: ignore[method-assign]
    expected = samples(plain, task, tmp_path, system="no-analysis")
    lm = ThinkingLM(" What does he want? [Response] Sixty by eight.")
    found = samples(lm, task, tmp_path, analysis=variant)
    for row, other, third in zip(found, expected, rows, strict=True):
        assert row["reply"] == "Sixty by eight."
        assert row["analyses"] == ["What does he want?"]
        assert "analysis" not in row
        assert row["metrics"] == other["metrics"] == third["metrics"]
        assert "analyses" not in other
    limits = {settings["max_gen_toks"] for context, settings in lm.generations if not context.endswith("[Analysis]")}
    own = {"persbench_reply": 96, "persbench_induction_reply": 64, "persbench_general_reply": 96}[task]
    assert limits == {own if variant == "greedy" else own + 96}


def test_a_response_follows_an_analysis_that_had_to_be_cut(tmp_path: Path) -> None:
    lm = ThinkingLM(" On and on", after=" Sixty by eight. [Analysis] He asks again.")
    (row,) = samples(lm, "persbench_reply", tmp_path, limit=1)
    assert (row["reply"], row["analyses"]) == ("Sixty by eight.", ["On and on"])
    (thinking, _), (saying, settings) = lm.generations
    assert thinking.endswith("<assistant>[Analysis]")
    assert saying == f"{thinking} On and on [Response]"
    assert settings["until"][-2:] == ["[Response]", "[Analysis]"]
    (talk,) = samples(lm, "persbench_consistency", tmp_path, limit=1)
    assert not talk["faults"]
    assert {e["reply"] for e in talk["transcripts"]["talk"]} == {"Sixty by eight."}
    assert talk["metrics"]["all_own"][1]


def test_a_reply_that_never_comes_to_a_response_is_empty(tmp_path: Path) -> None:
    (row,) = samples(ThinkingLM(" On and on"), "persbench_reply", tmp_path, limit=1, analysis="none")
    assert (row["reply"], row["analyses"]) == ("", ["On and on"])
    assert row["metrics"]["rouge_l_lift"] == [None, False]
    assert row["metrics"]["length_words"] == [0.0, True]


@VARIANTS
def test_a_response_is_no_longer_for_want_of_an_analysis(tmp_path: Path, variant: str) -> None:
    class WordLM(ThinkingLM):
        max_length = 10**6

        def tok_encode(self, text: str) -> list[str]:
            return text.split()

        def tok_decode(self, tokens: list[str]) -> str:
            return " ".join(tokens)

    for reply in ("[Response] " + "so " * 300, " Hm. [Response] " + "so " * 300):
        (row,) = samples(WordLM(reply), "persbench_reply", tmp_path, limit=1, analysis=variant)
        assert row["metrics"]["length_words"] == [96.0, True]
        assert row["reply"] == ("so " * 96).strip()
        (talk,) = samples(WordLM(reply), "persbench_consistency", tmp_path, limit=1, analysis=variant)
        assert {len(exchange["reply"].split()) for exchange in talk["transcripts"]["talk"]} == {48}


def test_a_token_that_begins_every_text_is_none_of_a_response_s() -> None:
    class LlamaLike(FakeLM):
        def tok_encode(self, text: str, add_special_tokens: bool | None = None) -> list[str]:
            return ["<s>"] * (add_special_tokens is not False) + text.split()

        def tok_decode(self, tokens: list[str]) -> str:
            return " ".join(tokens)

    class Passing(LlamaLike):
        def tok_encode(self, text: str, **more: Any) -> list[str]:  # type: ignore[override]
            return super().tok_encode(text, **more)

    for lm in (LlamaLike(), Passing()):
        assert analysis.within(lm, "so it is", 3) == "so it is"
        assert analysis.within(lm, "so it is", 2) == "so it"


@VARIANTS
def test_two_sampled_replies_are_taken_apart_each(tmp_path: Path, variant: str) -> None:
    lm = ThinkingLM(" Hm. [Response] So it is.")
    (row,) = samples(lm, "persbench_distinction", tmp_path, limit=1, analysis=variant)
    assert [settings["do_sample"] for _, settings in lm.generations] == [False] * (variant == "greedy") + [True] * 2
    assert (row["replies"], row["analyses"]) == (["So it is."] * 2, ["Hm."] * 2)
    assert row["metrics"]["sampled_words"] == [3.0, True]


@VARIANTS
def test_the_letter_is_read_off_the_response(tmp_path: Path, variant: str) -> None:
    """An analysis that names a letter, or the mark itself, must not decide."""
    lm = ThinkingLM(" A) would please him. [Response] B")
    (row,) = samples(lm, "persbench_attitude_gen", tmp_path, limit=1, analysis=variant)
    assert row["replies"] == ["B", "B"]
    assert row["chosen"][0] != row["chosen"][1], "the second letter in either order"
    assert lm.generations[-1][1]["max_gen_toks"] == (8 if variant == "greedy" else 8 + 96)
    silent = ThinkingLM(" A) would please him.")
    (lost,) = samples(silent, "persbench_attitude_gen", tmp_path, limit=1, analysis=variant)
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
    assert max(context.count("[Response]") for context in ours) == 1, "what was thought before is not read again"
    contexts = [context for context, _ in own(lm.scored)]
    assert all(context.count("[Analysis]") == 1 and context.endswith("[Response]") for context in contexts)
    assert bool(contexts) == (task == "persbench_consistency")


@VARIANTS
def test_a_dialogue_ends_where_no_response_comes(tmp_path: Path, variant: str) -> None:
    (row,) = samples(ThinkingLM(" On and on"), "persbench_consistency", tmp_path, limit=1, analysis=variant)
    assert row["faults"] == {"talk": "empty reply"}
    assert row["metrics"]["all_own"] == [None, False]


@pytest.mark.parametrize("task", ["persbench_attitude", "persbench_reply"])
def test_without_a_chat_template_the_model_cannot_be_reached_to_think(task: str) -> None:
    told = {"pack": str(fake_pack()), "persona": "ada", "system": "persllm"}
    with pytest.raises(PersbenchError, match=r"asks the model for its analysis, .* add --apply_chat_template"):
        simple_evaluate(
            model=ThinkingLM(), tasks=[task], limit=1, bootstrap_iters=0,
            task_manager=TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=told),
        )  # fmt: skip
