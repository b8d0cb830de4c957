from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from persbench.scoring.overlap import cosines, distinct_n, length_words, lift, nearest_credit, overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

ASCII_TEXT = st.text(alphabet="abc d.", min_size=1).filter(str.strip)


@dataclass(frozen=True)
class TableEmbedder:
    rows: dict[str, list[float]]

    def encode(self, texts: list[str], /) -> NDArray[np.float32]:
        return np.array([self.rows[text] for text in texts], dtype=np.float32)


def test_bleu_by_hand() -> None:
    # n-gram precisions 5/6, 3/5, 2/4, 1/3, no brevity penalty: their geometric mean is (1/12)^(1/4)
    score = overlaps("the cat sat on the mat", ["the cat sat on a mat"])["bleu"][0]
    assert score == pytest.approx(100 * (1 / 12) ** 0.25)


def test_bleu_uses_the_effective_order() -> None:
    # two words have no 3-grams: precisions 1 and 1, brevity penalty exp(1 - 3/2)
    assert overlaps("the cat", ["the cat sat"])["bleu"][0] == pytest.approx(100 * math.exp(-0.5))


def test_chrf_by_hand() -> None:
    # "thecat" against "thebat": precision and recall of orders 1 to 6 are alike, 5/6, 3/5, 1/4 and thrice 0
    assert overlaps("the cat", ["the bat"])["chrf"][0] == pytest.approx(100 * (5 / 6 + 3 / 5 + 1 / 4) / 6)


def test_rouge_l_by_hand() -> None:
    # longest common subsequence "the cat sat on mat": 5 of 6 on both sides
    assert overlaps("the cat sat on the mat", ["the cat sat on a mat"])["rouge_l"][0] == pytest.approx(100 * 5 / 6)
    # 2 of 2 words, 2 of 6 words: F1 = 2 * 1 * (1/3) / (4/3) = 1/2
    assert overlaps("cat mat", ["the cat sat on a mat"])["rouge_l"][0] == pytest.approx(50.0)


@given(ASCII_TEXT, ASCII_TEXT)
def test_rouge_l_agrees_with_the_reference_tokenizer_on_ascii(reply: str, reference: str) -> None:
    expected = RougeScorer(["rougeL"]).score(reference, reply)["rougeL"].fmeasure
    assert overlaps(reply, [reference])["rouge_l"][0] == pytest.approx(100 * expected)


def test_accented_words_stay_whole() -> None:
    # rouge-score's own tokenizer would keep "t" of both and call them alike
    assert overlaps("été", ["ôtà"])["rouge_l"] == [0.0]
    assert overlaps("l'été à Paris", ["L’été à Paris"])["rouge_l"] == [100.0]


def test_identity_is_one_hundred_and_never_more() -> None:
    for scores in overlaps("One and the same, word for word.", ["One and the same, word for word."]).values():
        assert scores == [pytest.approx(100.0)]
        assert scores[0] <= 100.0


@pytest.mark.parametrize("reply", ["", "  \n"])
def test_an_empty_reply_shares_nothing(reply: str) -> None:
    assert overlaps(reply, ["a b", "c"]) == {"bleu": [0.0, 0.0], "chrf": [0.0, 0.0], "rouge_l": [0.0, 0.0]}
    assert cosines(TableEmbedder({}), reply, ["a b"]) is None
    assert distinct_n(reply) is None
    assert length_words(reply) == 0


@pytest.mark.parametrize("references", [[], ["fine", " "]])
def test_blank_references_are_refused(references: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one reference"):
        overlaps("a", references)
    with pytest.raises(ValueError, match="at least one reference"):
        cosines(TableEmbedder({}), "a", references)


def test_cosines_by_hand() -> None:
    embedder = TableEmbedder({"east": [1, 0], "north": [0, 1], "west": [-1, 0], "between": [0.6, 0.8]})
    assert cosines(embedder, "between", ["east", "north", "west", "between"]) == pytest.approx([0.6, 0.8, -0.6, 1.0])


def test_cosines_refuse_rows_that_are_not_unit_or_not_enough() -> None:
    with pytest.raises(ValueError, match=r"must have length 1; found 1\.0000 to 2\.0000"):
        cosines(TableEmbedder({"a": [1, 0], "b": [2, 0]}), "a", ["b"])

    class Short:
        def encode(self, texts: list[str], /) -> NDArray[np.float32]:
            return np.ones((1, 1), dtype=np.float32)

    with pytest.raises(ValueError, match=r"shape \(1, 1\) for 2 texts"):
        cosines(Short(), "a", ["b"])


def test_lift_by_hand() -> None:
    assert lift([30.0, 10.0, 20.0], 0) == 15.0
    assert lift([30.0, 10.0, 20.0], 1) == -15.0
    assert lift([30.0], 0) is None
    with pytest.raises(ValueError, match="not among the 1 references"):
        lift([30.0], 1)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=8))
def test_lifts_of_all_golds_sum_to_zero(scores: list[float]) -> None:
    assert math.fsum(lift(scores, own) or 0.0 for own in range(len(scores))) == pytest.approx(0.0, abs=1e-9)


def test_nearest_credit_shares_ties() -> None:
    assert nearest_credit([3.0, 2.0, 1.0], 0) == 1.0
    assert nearest_credit([3.0, 2.0, 1.0], 2) == 0.0
    assert nearest_credit([3.0, 3.0, 1.0], 1) == 0.5
    assert nearest_credit([0.0] * 12, 5) == pytest.approx(1 / 12)
    with pytest.raises(ValueError, match="not among the 2 references"):
        nearest_credit([1.0, 2.0], -1)


def test_distinct_n_by_hand() -> None:
    assert distinct_n("to be or to be") == pytest.approx(3 / 4)  # to-be, be-or, or-to, to-be
    assert distinct_n("To be or to BE", n=1) == pytest.approx(3 / 5)
    assert distinct_n(["to be", "or to be"]) == pytest.approx(2 / 3)  # no be-or across texts
    assert distinct_n("word") is None
    assert distinct_n([]) is None
    with pytest.raises(ValueError, match="at least one word"):
        distinct_n("a b", n=0)


def test_length_counts_words() -> None:
    assert length_words("I don't know -- do you?") == 5
