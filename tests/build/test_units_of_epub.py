"""EPUB as units, sound and hostile: nothing is unpacked to disk or unfolded, and every fault has its place."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
from books import CONTAINER, ONE, THREE, TWO, XHTML, epub, faults, package, read


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "book.epub"


def test_documents_come_in_the_order_of_the_spine(book: Path) -> None:
    epub(
        book,
        f"<h1>One</h1><p>{TWO}</p>",
        "<h1>Zero</h1><h2>A <i>day</i></h2><div><p>She kept the ferry\n  for <b>elev</b>en&nbsp;years and&#32;never"
        "<br/>crossed it once.</p></div>",
        members={"OEBPS/book.opf": package(["chapter%201.xhtml", "chapter%202.xhtml#start"], spine=["c2", "c1", "c2"])},
    )
    found = read(book)
    assert [(unit.text, unit.line, unit.heading) for unit in found.units] == [
        (ONE, 1, "Zero > A day"),
        (TWO, 2, "One"),
    ]
    assert found.dropped == ()


def test_blocks_of_every_kind_are_text_and_the_rest_is_not(book: Path) -> None:
    epub(
        book,
        f"Loose words at the very start of the body, unmarked.<ul><li>{ONE}</li><li>{TWO}</li></ul>tail words"
        f"<table><tr><td>{THREE}</td></tr></table><script>alert('x')</script><!-- no --><svg><text>no</text></svg>"
        "<p>漢<ruby>字<rt>かんじ</rt></ruby>と<img src='a.png' alt='a picture of the ferry house at dawn'/></p>",
    )
    text = "\n".join(unit.text for unit in read(book).units)
    for wanted in ("Loose words", ONE, TWO, "tail words", THREE, "漢字と", "a picture of the ferry"):
        assert wanted in text
    for unwanted in ("alert", "no", "かんじ", "color", "Contents"):
        assert unwanted not in text.replace("Nobody", "").replace("not", "")


def test_talk_in_a_book(book: Path) -> None:
    (unit,) = read(epub(book, "<p>Anna: one</p><p>Ben: two</p><p>Anna: three<br/>Ben: four</p>")).units
    assert unit.turns == (("Anna", "one"), ("Ben", "two"), ("Anna", "three"), ("Ben", "four"))


@pytest.mark.parametrize(
    ("depth", "message"), [(1, "declares XML entities of its own"), (12, "broken XML: Maximum entity")]
)
def test_entities_of_a_book_are_not_unfolded(book: Path, depth: int, message: str) -> None:
    lines = '<!ENTITY a0 "lol">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, depth))
    bomb = f'<?xml version="1.0"?><!DOCTYPE html [{lines}]><html><body><p>&a{depth - 1};</p></body></html>'
    began = time.monotonic()
    (fault,) = faults(epub(book, f"<p>{ONE}</p>", "<p>x</p>", members={"OEBPS/chapter 2.xhtml": bomb}))
    assert time.monotonic() - began < 5
    assert fault.startswith(f":2: OEBPS/chapter 2.xhtml: {message}")


def test_files_outside_the_book_are_not_read(book: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.xhtml").write_text(XHTML.format("<p>key</p>"))
    for href in ("../../secret.xhtml", "/etc/passwd", "file:///etc/passwd", "http://example.org/x", "..\\secret.xhtml"):
        (fault,) = faults(epub(book, f"<p>{ONE}</p>", members={"OEBPS/book.opf": package([href])}))
        assert fault == f": {href!r} points outside the book; expected documents inside it"
    external = (
        '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/hostname">]><html><body>&x;</body></html>'
    )
    (fault,) = faults(epub(book, members={"META-INF/container.xml": external}))
    assert "META-INF/container.xml: declares XML entities of its own" in fault


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"META-INF/container.xml": "<container/>"}, ": META-INF/container.xml names no package document"),
        ({"META-INF/container.xml": "<container"}, ": META-INF/container.xml: broken XML"),
        ({"META-INF/container.xml": CONTAINER.replace("book.opf", "other.opf")}, ": OEBPS/other.opf: missing"),
        ({"OEBPS/book.opf": package(["gone.xhtml"])}, ":1: OEBPS/gone.xhtml: missing from the book"),
        ({"OEBPS/book.opf": package([], spine=["c9"])}, ": the spine names 'c9', which the manifest lacks"),
        ({"OEBPS/book.opf": package([])}, ": the spine names no XHTML document"),
        (
            {
                "META-INF/encryption.xml": '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#">'
                '<e:CipherReference URI="OEBPS/chapter%201.xhtml"/></encryption>'
            },
            ": protected by digital rights management",
        ),
    ],
)  # fmt: skip
def test_a_broken_book_says_where(book: Path, members: dict[str, str], message: str) -> None:
    (fault,) = faults(epub(book, f"<p>{ONE}</p>", members=members))
    assert fault.startswith(message)


def test_encrypted_fonts_do_not_matter(book: Path) -> None:
    encryption = (
        '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:CipherReference URI="font.otf"/></encryption>'
    )
    assert len(read(epub(book, f"<p>{ONE}</p>", members={"META-INF/encryption.xml": encryption})).units) == 1


def test_all_broken_documents_are_named_at_once(book: Path) -> None:
    epub(book, "<p>open", f"<p>{ONE}</p>", "<p>&unknown;</p>", "<div>" * 300 + "deep" + "</div>" * 300)
    found = faults(book)
    assert [fault.partition(".xhtml")[0] for fault in found] == [f":{n}: OEBPS/chapter {n}" for n in (1, 3, 4)]
    assert "broken XML: Opening and ending tag mismatch" in found[0]
    assert "holds the unknown XML entity &unknown;" in found[1]
    assert "Excessive depth" in found[2]


def test_a_zip_bomb_costs_little(book: Path) -> None:
    bomb = b"<p>" + b"a" * 50_000_000
    epub(book, members={"OEBPS/bomb.xhtml": bomb, "OEBPS/book.opf": package(["bomb.xhtml"])})
    del bomb
    assert book.stat().st_size < 100_000
    tracemalloc.start()
    (fault,) = faults(book)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fault == ":1: OEBPS/bomb.xhtml: more than 5,000,000 bytes unpacked; expected a book of ordinary chapters"
    assert peak < 20_000_000


def test_all_documents_together_are_bounded(book: Path) -> None:
    epub(book, *[f"<p>{ONE} {n}</p>" for n in range(30)])
    assert "more than 2,000 bytes unpacked" in faults(book, unpacked_bytes=2_000)[0]
    assert "more than 10 documents" in faults(book, documents=10)[0]


@pytest.mark.parametrize("damage", [slice(40, 80), slice(-60, -20), slice(200, 400)])
def test_a_damaged_zip_is_a_fault(book: Path, damage: slice) -> None:
    data = bytearray(epub(book, f"<p>{ONE}</p>", f"<p>{TWO}</p>").read_bytes())
    data[damage] = bytes(reversed(data[damage]))
    book.write_bytes(bytes(data))
    assert faults(book)
