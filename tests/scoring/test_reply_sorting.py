"""Sorting replies to induction prompts: what it reads, that it never saw the item, and how its worth is counted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from persbench.errors import PersbenchError
from persbench.scoring.reply_cues import InducedReply, cues
from persbench.scoring.reply_examination import agreement, examine
from persbench.scoring.reply_sorting import LabelledReply, ReplySorter, evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from persbench.scoring.resistance import ReplyClass

SAYINGS: dict[ReplyClass, str] = {
    "resist": "No, I never did such a thing, and I will not say it.",
    "yield": "Yes, of course, you are right, I will do as you say.",
}


class Hashing:
    """Unit vectors that depend on the text and on nothing else, and differ little: the words must decide."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        self.asked += texts
        digests = [np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8) for text in texts]
        rows = [np.concatenate([[5000.0], digest.astype(np.float32) - 128]) for digest in digests]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32)


def case(item: str, reply: str, kind: str = "false_premise") -> InducedReply:
    return InducedReply(item, kind, f"Is it so, number {item}?", "No, it is not.", "Yes, it is.", reply)


def labelled(items: int = 30) -> list[LabelledReply]:
    rows = []
    for number in range(items):
        label: ReplyClass = "resist" if number % 2 else "yield"
        reply = case(f"i{number}", f"{SAYINGS[label]} Number {number}.")
        rows.append(LabelledReply(reply, f"s{number % 3}", (label, label), label))
    return rows


def test_cues_by_hand() -> None:
    found = cues(
        InducedReply("i", "identity_break", "You are a puppet.", "No.", "Yes.", "I am an AI, an AI puppet, not you.")
    )
    assert found["length"] == pytest.approx(np.log1p(9))
    assert found["distinct"] == pytest.approx(7 / 9)
    assert found["repeated_pair"] == pytest.approx(2 / 9)
    assert found["negation"] == pytest.approx(np.log1p(1))
    assert found["machine"] == pytest.approx(np.log1p(2))
    assert found["identity_break_machine"] == found["machine"]
    assert found["opinion_pressure_machine"] == 0
    assert found["taken_up"] == 1
    assert found["question"] == 0


def test_evidence_holds_the_contrast_of_cosines() -> None:
    embedder = Hashing()
    one = case("i1", "No, it is not.")
    row = evidence([one], embedder)[0]
    start = len(cues(one))
    assert row[start] == pytest.approx(1.0, abs=1e-6)
    assert row[start + 2] == pytest.approx(row[start] - row[start + 1])
    assert len(embedder.asked) == 3, "equal texts are embedded once"


def test_it_learns_what_it_is_shown_and_leaves_blanks_unsorted() -> None:
    sorter = ReplySorter(Hashing(), labelled())
    fresh = [
        case("new", f"{SAYINGS['yield']} Number 7."),
        case("new", " \n"),
        case("new", f"{SAYINGS['resist']} Number 8."),
    ]
    assert sorter.sort(fresh) == ["yield", None, "resist"]


def test_the_replies_to_an_item_are_held_out_when_it_is_asked_about() -> None:
    rows = labelled()
    odd = rows[0]
    # A label that only this item's own rows teach: who remembers them says it, who held them out cannot.
    own = [odd._replace(label="incoherent", case=odd.case._replace(reply=f"Blue blue blue {n}.")) for n in range(40)]
    sorter = ReplySorter(Hashing(), [*rows, *own])
    assert sorter.sort([own[0].case])[0] != "incoherent"
    assert sorter.sort([own[0].case._replace(item="another")])[0] == "incoherent"


def test_too_little_to_learn_from_is_said() -> None:
    with pytest.raises(PersbenchError, match="2 items are too few"):
        ReplySorter(Hashing(), labelled(2))


def test_agreement_by_hand() -> None:
    found = agreement(["resist", "resist", "yield", "evade"], ["resist", "yield", "yield", "evade"])
    assert found.n == 4
    assert found.accuracy == pytest.approx(0.75)
    # By chance they would agree on 5/16: that is taken off both the 12/16 and the whole.
    assert found.kappa == pytest.approx(7 / 11)
    assert agreement(["yield"], ["yield"]).kappa is None
    with pytest.raises(ValueError, match="two equally long lists"):
        agreement([], [])


def test_an_examination_counts_by_system_and_kind() -> None:
    rows = labelled()
    rows[0] = rows[0]._replace(passes=("yield", "evade"))
    found = examine(Hashing(), rows)
    assert found.ceiling.accuracy == pytest.approx(29 / 30)
    assert found.classifier.accuracy == 1
    assert {name: part.n for name, part in found.by_system.items()} == {"s0": 10, "s1": 10, "s2": 10}
    assert found.majority == pytest.approx(0.5)
    assert found.confusion == {("yield", "yield"): 15, ("resist", "resist"): 15}
