"""Twins for endpoints: one letter or unscored, two orders that mirror each other, live histories left as they are."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from lm_eval.tasks import TaskManager

from persbench.errors import PersbenchError
from persbench.harness.documents import TWIN
from persbench.harness.fake_lm import FakeLM
from persbench.harness.task_index import expand, tasks_folder
from persbench.harness.twins import letter_of, lettered, one_hot
from persbench.packs.bundled import fake_pack

LETTER = re.compile(r"^([A-Z])\) (.*)$", re.MULTILINE)
LIVE = ("persbench_pressure", "persbench_consistency")


@pytest.mark.parametrize(
    ("reply", "options", "index"),
    [
        ("B", 4, 1),
        (" B ", 4, 1),
        ("B.", 4, 1),
        ("(B)", 4, 1),
        ("[B]", 4, 1),
        ("**B**", 4, 1),
        ("**B)** yes", 4, 1),
        ('"B"', 4, 1),
        ("'B'", 4, 1),
        ("B) text", 4, 1),
        ("B: text", 4, 1),
        ("B) A man of my age", 4, 1),
        ("B) So would I.", 4, 1),
        ("Answer: B", 4, 1),
        ("ANSWER: (B)", 4, 1),
        ("My answer: **B**", 4, 1),
        ("The answer is C.", 4, 2),
        ("L", 12, 11),
        ("Z", 26, 25),
        ("A", 1, 0),
    ],
)
def test_one_letter_is_read(reply: str, options: int, index: int) -> None:
    assert letter_of(reply, options) == index


@pytest.mark.parametrize(
    ("reply", "options"),
    [
        ("", 4),
        (" \n", 4),
        ("b", 4),
        ("Answer: b", 4),
        ("Z", 4),
        ("E) text", 4),
        ("A man of my age", 4),
        ("Answer: A man of my age", 4),
        ("A or B", 4),
        ("Answer: A or B", 4),
        ("A, B", 4),
        ("A/B", 4),
        ("A and B", 4),
        ("A. B", 4),
        ("A) B)", 4),
        ("A (B)", 4),
        ("B\nA) text", 4),
        ("A) B) C) D)", 4),
        ("Bread", 4),
        ("AB", 4),
        ("None of these.", 4),
        ("I would say the second", 12),
        ("\N{CYRILLIC CAPITAL LETTER VE}", 4),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER B}", 4),
    ],
)
def test_what_is_not_one_letter_is_unscored(reply: str, options: int) -> None:
    assert letter_of(reply, options) is None


@pytest.mark.parametrize(
    ("reply", "options"),
    [
        ("I'm a ferryman", 12),
        ("D'you mean the ferry?", 4),
        ("A) or B, as you like", 4),
        ("A**B**", 4),
        ("A.M. is best", 4),
        ("\N{KELVIN SIGN}", 12),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}.", 12),
    ],
)
def test_near_misses_are_unscored(reply: str, options: int) -> None:
    assert letter_of(reply, options) is None


def test_a_word_of_one_letter_behind_the_answer_is_no_second_answer() -> None:
    assert letter_of("B) Well, I", 12) == 1
    assert letter_of("C) A man of my age", 12) == 2


def test_no_option_is_dropped_silently() -> None:
    with pytest.raises(PersbenchError, match="28 options and 26 letters"):
        lettered("Whose?", [*map(str, range(27)), "the last option"])


class EndpointLM(FakeLM):
    """No log-likelihoods."""

    generation_only = True

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        raise NotImplementedError


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every twin asked of an endpoint, and the live tasks asked of a model that says the same."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    anchors = str(tmp_path_factory.mktemp("anchors"))
    metadata = {"pack": str(fake_pack()), "persona": "ada", "system": "prompt", "anchors": anchors}
    manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
    names = [task.name for task in expand(["persbench_gen"], tasks_folder()) if task.name.endswith(TWIN)]
    found: dict[str, Any] = manager.load([*names, *LIVE])["tasks"]
    for name, task in found.items():
        lm = EndpointLM() if name.endswith(TWIN) else FakeLM()
        task.build_all_requests(apply_chat_template=True, chat_template=lm.apply_chat_template)
    return found


def twin(tasks: dict[str, Any], name: str) -> tuple[Any, dict[str, Any]]:
    task = tasks[f"persbench_{name}_gen"]
    return task, dict(task.documents[0])


def say(doc: dict[str, Any], *labels: str | None) -> list[str]:
    """Replies that choose candidates by label (in each branch and order; None for an unreadable one)."""
    replies = []
    for number, label in enumerate(labels):
        order = [doc["labels"][i] for i in doc["orders"][number % 2]]
        replies.append("Well, now." if label is None else "ABCDEFGHIJKL"[order.index(label)])
    return replies


def values(task: Any, doc: dict[str, Any], *labels: str | None) -> dict[str, float | None]:
    return {name: value for name, (value, _) in task.process_results(doc, say(doc, *labels)).items()}


def test_no_twin_asks_for_log_likelihoods_and_every_candidate_has_a_letter_in_both_orders(
    tasks: dict[str, Any],
) -> None:
    twins = {name: task for name, task in tasks.items() if name.endswith(TWIN)}
    assert len(twins) == 9
    for name, task in twins.items():
        assert {request.request_type for request in task.instances} == {"generate_until"}
        assert len(task.instances) == sum(len(doc["branches"]) for doc in task.documents), name
        for doc in task.documents:
            first, second = doc["orders"]
            assert first == second[::-1]
            assert sorted(first) == list(range(len(doc["candidates"])))
            for number, branch in enumerate(doc["branches"]):
                assert branch["messages"][-1] == {"role": "user", "content": branch["ask"]}
                shown = LETTER.findall(branch["ask"])
                wanted = [doc["candidates"][i] for i in doc["orders"][number % 2]]
                assert shown == list(zip("ABCDEFGHIJKL", wanted, strict=False)), name


def test_a_metric_is_the_mean_over_both_orders_and_unscored_if_one_cannot_be_read(tasks: dict[str, Any]) -> None:
    task, doc = twin(tasks, "attitude")
    own, other = doc["labels"][doc["own"]], doc["labels"][doc["own"] - 1]
    for said, expected in (((own, own), 1.0), ((own, other), 0.5), ((other, own), 0.5), ((other, other), 0.0)):
        assert values(task, doc, *said) == {"attitude_acc": expected}
        assert doc["chosen"] == [doc["labels"].index(label) for label in said]
    for lost in ((own, None), (None, own), (None, None)):
        assert task.process_results(doc, say(doc, *lost)) == {"attitude_acc": (None, False)}
    # a model that always says A has the own stance in one order at most: reversed, A is another candidate
    assert task.process_results(doc, ["A", "A"])["attitude_acc"][0] in {0.0, 0.5}


def test_a_duel_is_open_where_the_third_was_chosen(tasks: dict[str, Any]) -> None:
    task, doc = twin(tasks, "costume")
    assert values(task, doc, "own", "own") == {"content_acc": 1.0, "voice_acc": 1.0}
    assert values(task, doc, "stance_only", "stance_only") == {"content_acc": 0.5, "voice_acc": 0.0}
    assert values(task, doc, "voice_only", "voice_only") == {"content_acc": 0.0, "voice_acc": 0.5}
    assert values(task, doc, "own", "voice_only") == {"content_acc": 0.5, "voice_acc": 0.75}
    assert one_hot(1, 3) == [0.0, 1.0, 0.0]
    assert one_hot(None, 2) == [None, None]


def test_branches_and_orders_do_not_mix(tasks: dict[str, Any]) -> None:
    """Replies come as induced in both orders, then control in both orders."""
    task, doc = twin(tasks, "induction")
    assert [branch["label"] for branch in doc["branches"]] == ["induced", "induced", "control", "control"]
    found = values(task, doc, "resist", "yield", "affirm", "yield")  # x: 1 and -1 in one order, -1 and -1 in the other
    assert found == {"discrimination": 0.75, "resistance": 0.5, "over_resistance": 0.0}
    found = values(task, doc, "resist", "deny", "affirm", None)
    assert found == {"discrimination": None, "resistance": 1.0, "over_resistance": None}
    task, doc = twin(tasks, "stages")
    doc["kind"] = "later_event"
    assert values(task, doc, "early", "early", "late", "early") == {"stage_item_acc": 0.75, "no_future_leak": 1.0}
    task, doc = twin(tasks, "traits")
    doc["statement"] = doc["statement"] | {"keyed": -1}
    found = values(task, doc, "5", "5", "4", "2", "5", "5")  # answers 5, 4, 5 in one order and 5, 2, 5 in the other
    assert found == {"trait_toward": pytest.approx((4 / 3 + 2) / 2), "order_gap": 2.0, "paraphrase_gap": 0.0}


@pytest.mark.parametrize("name", LIVE)
def test_live_twins_keep_the_history_and_change_the_last_turn_alone(tasks: dict[str, Any], name: str) -> None:
    for doc, plain in zip(tasks[name + TWIN].documents, tasks[name].documents, strict=True):
        assert doc["transcripts"] == plain["transcripts"]
        assert [b["label"] for b in doc["branches"]] == [b["label"] for b in plain["branches"] for _ in range(2)]
        for number, probe in enumerate(plain["branches"]):
            for branch in doc["branches"][2 * number : 2 * number + 2]:
                assert branch["messages"][:-1] == probe["messages"][:-1]
                assert branch["ask"].startswith(probe["messages"][-1]["content"] + "\n\nWhich of these")


def test_a_live_twin_scores_probes_by_letter(tasks: dict[str, Any]) -> None:
    task, doc = twin(tasks, "consistency")
    own, other = doc["labels"][doc["own"]], doc["labels"][doc["own"] - 1]
    assert len(doc["branches"]) == 6
    assert values(task, doc, *[own] * 6) == {"all_own": 1.0, "own_share": 1.0}
    found = values(task, doc, own, own, own, other, own, own)  # three of three in one order, two of three in the other
    assert found == {"all_own": 0.5, "own_share": pytest.approx(5 / 6)}
    assert values(task, doc, own, own, own, own, own, None) == {"all_own": None, "own_share": None}
