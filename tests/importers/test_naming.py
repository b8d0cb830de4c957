"""Ids out of strangers' names: safe, stable, never two for one or one for two."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from persbench.importers.naming import PERSONA_LENGTH, persona_ids, row_id, slug, text_id
from persbench.packs.texts import is_id


def test_plain_names_stay_readable() -> None:
    assert persona_ids(["Maren Voss", "Zoë d'Arc", "R2-D2"]) == {
        "Maren Voss": "maren-voss",
        "Zoë d'Arc": "zoe-d-arc",
        "R2-D2": "r2-d2",
    }


def test_path_tricks_lose_their_path() -> None:
    assert slug("../../etc/passwd") == "etc-passwd"
    ids = persona_ids(["../../etc/passwd", "..", "/", "a\0b", "C:\\x", "", "潘金莲"])
    assert all(is_id(i) and ".." not in i and "/" not in i for i in ids.values())
    assert len(set(ids.values())) == len(ids)
    assert ids["潘金莲"].startswith("persona-")


def test_names_of_one_slug_are_told_apart_whatever_their_order() -> None:
    names = ["Jean Luc", "jean-luc", "JEAN LUC!", "Jeanne"]
    ids = persona_ids(names)
    assert ids["Jeanne"] == "jeanne"
    assert len(set(ids.values())) == 4
    assert {name[:9] for name in ids.values() if name != "jeanne"} == {"jean-luc-"}
    assert persona_ids(names[::-1]) == ids


def test_long_names_are_cut_and_marked() -> None:
    ids = persona_ids(["x" * 300, "x" * 301])
    assert [len(i) for i in ids.values()] == [PERSONA_LENGTH] * 2
    assert len(set(ids.values())) == 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=50), max_size=6, unique=True))
def test_any_names_get_ids_of_their_own(names: list[str]) -> None:
    ids = persona_ids(names)
    assert list(ids) == names
    assert all(is_id(i) and len(i) <= PERSONA_LENGTH for i in ids.values())
    assert len({i.lower() for i in ids.values()}) == len(names)
    random.Random(0).shuffle(names)
    assert persona_ids(names) == ids


def test_a_source_id_is_kept_where_it_is_one() -> None:
    assert row_id("maren", 7) == "maren-7"
    assert row_id("", "q_1.b") == "q_1.b"
    assert row_id("maren", "a b").startswith("maren-a-b-")
    assert row_id("maren", "a b") != row_id("maren", "a-b") != row_id("maren", "a/b")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_source_id_gives_an_id(first: str, second: str) -> None:
    assert is_id(row_id("maren", first))
    assert is_id(row_id("", first))
    assert (row_id("maren", first) == row_id("maren", second)) == (first == second)
    assert is_id(text_id("q", first))
