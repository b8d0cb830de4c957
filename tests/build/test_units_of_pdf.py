"""PDF as units, sound and hostile: paragraphs by the space around them, and a fault for what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from books import ONE, THREE, TWO, faults, pdf, read
from pypdf import PdfReader, PdfWriter

from persbench.errors import FaultsError


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "book.pdf"


def line(base: float, text: str, left: float = 72, size: float = 11) -> tuple[float, float, float, str]:
    return left, base, size, text


def test_a_page_is_grouped_by_space_and_indent(page: Path) -> None:
    pdf(
        page,
        [
            line(780, "A Life", size=20),
            line(740, "She kept the ferry for eleven years"),
            line(727, "and never crossed it once."),
            line(700, "The winter her father died the river"),
            line(687, "froze from bank to bank."),
            line(674, "Nobody knew what she had buried", left=90),
            line(661, "under the third willow tree."),
        ],
    )
    assert [unit.text for unit in read(page).units] == [f"A Life\n{ONE}", TWO, THREE]


def test_a_paragraph_goes_on_over_the_page_without_heads_and_numbers(page: Path) -> None:
    parts = ["She kept the ferry for", "eleven years and never", "crossed it once."]
    pdf(page, *[[line(800, "A LIFE"), line(700, part), line(40, f"- {n} -")] for n, part in enumerate(parts, start=6)])
    found = read(page)
    assert [(unit.text, unit.line) for unit in found.units] == [(ONE, 1)]
    assert len(found.dropped) == 6
    assert found.dropped[:2] == (
        ("book.pdf:1", "a running head or page number: A LIFE"),
        ("book.pdf:1", "a running head or page number: - 6 -"),
    )


def test_divided_words_are_put_together(page: Path) -> None:
    pdf(
        page,
        [
            line(700, "He was a well-known man, and every-"),
            line(687, "body in the valley called him well-"),
            line(674, "known, which he liked to hear very much indeed."),
        ],
    )
    (unit,) = read(page).units
    assert unit.text == (
        "He was a well-known man, and everybody in the valley called him well-known, "
        "which he liked to hear very much indeed."
    )


def test_two_columns_keep_their_order(page: Path) -> None:
    left = [
        line(700 - 13 * i, text)
        for i, text in enumerate(["She kept the ferry", "for eleven years", "and never crossed it"])
    ]
    right = [
        line(700 - 13 * i, text, left=320)
        for i, text in enumerate(["once. That is what", "they said of her, and", "it was nearly true."])
    ]
    text = " ".join(unit.text for unit in read(pdf(page, left + right)).units)
    assert text == f"{ONE} That is what they said of her, and it was nearly true."


def test_scanned_pages(page: Path) -> None:
    (fault,) = faults(pdf(page, [], [], []))
    assert fault.startswith(
        ": no text on its 3 pages: scanned, by the look of it; expected text: run it through OCR first"
    )
    found = read(pdf(page, [line(700, ONE)], [], [line(700, TWO)]))
    assert found.dropped == (("book.pdf:2", "a page without text (blank, or a picture)"),)


def encrypted(page: Path, algorithm: str, password: str) -> Path:
    writer = PdfWriter()
    for sheet in PdfReader(pdf(page, [line(700, ONE)])).pages:
        writer.add_page(sheet)
    writer.encrypt(password, "owner", algorithm=algorithm)
    with page.open("wb") as file:
        writer.write(file)
    return page


def test_a_password_is_asked_for_by_name_and_an_empty_one_does_no_harm(page: Path) -> None:
    assert faults(encrypted(page, "RC4-128", "secret")) == [": asks for a password; expected a copy saved without one"]
    assert [unit.text for unit in read(encrypted(page, "RC4-128", "")).units] == [ONE]


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n",
        b"%PDF-1.4\n" + b"garbage " * 500,
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 1 0 R >>\nendobj\ntrailer << /Root 1 0 R >>\nstartxref\n9\n%%EOF",
        b"%PDF-1.4\n1 0 obj\n" + b"[" * 20_000 + b"\nendobj\ntrailer << /Root 1 0 R >>\nstartxref\n9\n%%EOF",
    ],
    ids=["empty", "garbage", "loop", "deep"],
)
def test_a_broken_pdf_is_a_fault(page: Path, data: bytes) -> None:
    page.write_bytes(data)
    (fault,) = faults(page)
    assert fault.startswith((": a broken PDF: ", ": a PDF without pages"))


def test_a_pdf_cut_short_gives_its_text_or_a_fault(page: Path) -> None:
    whole = pdf(page, [line(700, ONE)], [line(700, TWO)]).read_bytes()
    for end in range(20, len(whole), 37):
        page.write_bytes(whole[:end])
        try:
            found = read(page)
        except FaultsError:
            continue
        assert {unit.text for unit in found.units} <= {ONE, TWO, f"{ONE} {TWO}"}


def test_pages_are_bounded(page: Path) -> None:
    assert "3 pages, more than 2; expected a part of the book" in faults(pdf(page, [], [], []), pages=2)[0]
