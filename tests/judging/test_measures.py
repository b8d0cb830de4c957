"""Measures of decisions that are worked out by hand, and the file that keeps them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from persbench.errors import PersbenchError
from persbench.judging.authored import AuthoredPair
from persbench.judging.exams import Decision
from persbench.judging.measures import Exam, examined, length_bias, position_bias, self_agreement
from persbench.judging.qualification import (
    NOT_EXAMINED,
    Qualification,
    add_qualification,
    builder_of,
    is_same_model,
    load_qualification,
    load_qualifications,
    merged,
    qualification_path,
    save_qualification,
)
from persbench.report.qualifications import scope_lines


def pair(number: int, right: str = "right", wrong: str = "wrong") -> AuthoredPair:
    return AuthoredPair(f"content/{number}", "content", f"q{number}", "ada", "early", "?", "so", right, wrong)


def decision(number: int, credit: float | None, firsts: tuple[int | None, ...] = (), right: str = "right") -> Decision:
    unscored = ("malformed",) if credit is None else ()
    verdict = None if credit is None else (credit,)
    return Decision(pair(number, right), credit, verdict, firsts, unscored=unscored)


def test_position_bias_by_hand() -> None:
    firsts: list[tuple[int | None, ...]] = [(1, 1), (1, -1), (1, 0), (None, 1), (-1, -1)]
    found = position_bias([decision(i, 0.5, first) for i, first in enumerate(firsts)])
    # 1, 0, 1/2 and -1; the one of which an order was not read is unscored
    assert (found.mean, found.n, found.unscored) == (0.125, 4, 1)


def test_length_bias_by_hand() -> None:
    longer, shorter, equal = "longer right", "ri", "right"
    made = [
        *(decision(i, credit, right=longer) for i, credit in enumerate([1.0, 1.0, 0.5, None])),
        *(decision(i, credit, right=shorter) for i, credit in enumerate([0.0, 0.5], start=4)),
        decision(6, 0.0, right=equal),
    ]
    found = length_bias(made)
    assert found.mean == pytest.approx((1 + 1 + 0.5) / 3 - (0 + 0.5) / 2)
    assert (found.n, found.unscored) == (5, 1)
    assert length_bias(made[:4]).mean is None  # no pair of which the right text is the shorter one


def test_self_agreement_by_hand() -> None:
    first = [decision(i, credit) for i, credit in enumerate([1.0, 0.0, None, 1.0])]
    again = [decision(i, credit) for i, credit in enumerate([1.0, 0.5, 1.0])]
    found = self_agreement(first, again)
    assert (found.mean, found.n, found.unscored) == (0.5, 2, 1)
    with pytest.raises(ValueError, match="other pairs"):
        self_agreement(first, again[1:])


def exam(lead: int = 30, of: int = 40) -> Exam:
    """A judge that is right in `lead` of the pairs, beside one that is right in half of them."""
    made = [decision(i, float(i < lead)) for i in range(of)]
    trivial = {"longest": [float(i % 2) for i in range(of)], "random": [0.0] * of}
    return replace(examined("agree", made, trivial), embedder="words")


def test_only_a_lead_whose_interval_excludes_zero_passes() -> None:
    passed = exam(40)
    assert (passed.accuracy.mean, passed.best, passed.gaps["longest"].mean) == (1.0, "longest", 0.5)
    assert passed.failure == ""
    near = exam(26)
    assert near.gaps["longest"].mean == pytest.approx(0.15)
    assert near.failure.startswith("its lead over longest is +0.15 [")
    few = examined("agree", [decision(0, 1.0)], {"longest": [0.0]})
    assert few.failure == "there are too few questions for an interval"


def qualification(*exams: Exam, **more: object) -> Qualification:
    judge = {"id": "table@1|openai:m@u", "name": "table", "annotator": "openai:m@u", "signature": "judge:table"}
    base = Qualification(
        judge=judge,
        pack={"id": "fake", "version": "1", "hash": "ab" * 32},
        settings={"limit": None, "embedder": "words"},
        exams=exams,
        built_by=None,
        tokens=7,
        cost=None,
        made="2026-01-01T00:00:00+00:00",
        versions={},
    )
    return replace(base, **more)  # type: ignore[arg-type]


def test_a_kind_stands_only_if_all_its_exams_are_passed() -> None:
    found = qualification(exam(40), replace(exam(20), family="knowledge"), replace(exam(40), kind="resist"))
    assert found.standing("resist").qualified
    assert not found.standing("agree").qualified
    assert "knowledge: its lead over" in found.standing("agree").why
    assert "content" not in found.standing("agree").why
    assert found.standing("rank") == NOT_EXAMINED


def test_a_qualification_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    found = qualification(exam(40), replace(exam(20), kind="rank", position=exam().accuracy))
    path = qualification_path(tmp_path, found.judge["id"], found.pack["hash"])
    save_qualification(path, found)
    assert load_qualification(path) == found
    assert load_qualifications(tmp_path) == ([found], [])
    assert qualification_path(tmp_path, "another", found.pack["hash"]) != path


def test_the_newest_result_counts_and_broken_files_are_named(tmp_path: Path) -> None:
    old, new = qualification(exam(20)), qualification(exam(40), made="2026-02-01T00:00:00+00:00")
    save_qualification(tmp_path / "a" / "qualification.json", new)
    save_qualification(tmp_path / "b" / "qualification.json", old)
    content = json.loads((tmp_path / "a" / "qualification.json").read_text())
    broken = {
        "half": json.dumps(content)[:200],
        "other": json.dumps(content | {"format": 9}),
        "whose": json.dumps(content | {"judge": {}}),
        "exam": json.dumps(content | {"exams": [content["exams"][0] | {"family": "voice"}]}),
        "list": "[]",
        "binary": "\x00",
    }
    for name, text in broken.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "qualification.json").write_text(text)
    found, faults = load_qualifications(tmp_path, tmp_path / "not there")
    assert found == [new]
    assert len(faults) == len(broken)
    assert all("repeat `persbench judge qualify`" in str(fault) for fault in faults)
    with pytest.raises(PersbenchError, match="not a readable qualification"):
        load_qualification(tmp_path / "nowhere.json")


def test_a_partial_exam_takes_the_place_of_nothing_that_is_more(tmp_path: Path) -> None:
    whole = qualification(
        exam(40), replace(exam(40), family="knowledge"), replace(exam(20), kind="resist", family="induction")
    )
    few = replace(exam(4, 4), limit=4, personas=("ada",), embedder="others")
    part = qualification(few, replace(exam(30, 50), family="knowledge"), made="2026-02-01T00:00:00+00:00")
    path = qualification_path(tmp_path, whole.judge["id"], whole.pack["hash"])
    assert add_qualification(path, whole) == whole
    found = add_qualification(path, part)
    assert load_qualification(path) == found
    assert (found.made, found.exams) == (part.made, (whole.exams[0], part.exams[1], whole.exams[2]))
    assert found.signature.endswith("|embedder:words")
    assert merged(part, whole).exams == found.exams  # whichever came first
    save_qualification(tmp_path / "run" / "qualification.json", part)
    ((beside,), _) = load_qualifications(tmp_path)
    assert beside.exams == found.exams
    path.write_text("{")
    assert add_qualification(path, part) == part


def test_an_exam_of_an_earlier_version_takes_limit_and_personas_from_its_file(tmp_path: Path) -> None:
    old = qualification(
        replace(exam(4, 4), embedder=""), replace(exam(3, 3), kind="resist", family="induction", embedder="")
    )
    old = replace(old, settings={"limit": 4, "personas": ["ada"], "embedder": "words"})
    save_qualification(tmp_path / "qualification.json", old)
    limited, less = load_qualification(tmp_path / "qualification.json").exams
    assert (limited.limit, limited.personas, limited.embedder) == (4, ("ada",), "words")
    assert (less.limit, less.personas) == (None, ("ada",))
    told = scope_lines(load_qualification(tmp_path / "qualification.json"))
    assert told == [
        "examined on the first 4 pairs of ada alone: agree: content",
        "examined on pairs of ada alone: resist: induction",
    ]


def test_the_builder_of_a_pack_is_read_from_its_report(tmp_path: Path) -> None:
    assert builder_of(tmp_path) is None
    (tmp_path / "build").mkdir()
    for text, builder in (
        ("{", None),
        ("[]", None),
        ('{"annotator": 3}', None),
        ('{"annotator": "openai:m"}', "openai:m"),
    ):
        (tmp_path / "build" / "build.json").write_text(text)
        assert builder_of(tmp_path) == builder


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("openai:org/Big-7B@http://elsewhere/v1#12345678", True),
        ("openai:big-7b@http://here/v1#0", True),
        ("local:Big-7B@abcdef|float32|cpu", True),
        ("local:Big-8B@abcdef|float32|cpu", False),
        ("openai:Big-7B-Chat@http://here/v1#0", False),
    ],
)
def test_one_model_is_known_under_other_settings_and_at_other_places(other: str, same: bool) -> None:
    assert is_same_model("openai:Big-7B@http://here/v1#87654321", other) is same
