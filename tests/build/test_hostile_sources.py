"""Files that nobody would want to be given: each is one clear fault, all at once, and costs little."""

from __future__ import annotations

import os
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from persbench.build import sources
from persbench.build.units import Limits, read_units
from persbench.errors import FaultsError, PersbenchError

TEXT = "She kept the ferry for eleven years and never crossed it once."


def faults(*paths: Path, **limits: int) -> list[str]:
    with pytest.raises(FaultsError) as caught:
        read_units(paths, objective=True, limits=Limits(**limits))
    return [str(fault).removeprefix(f"{paths[0].parent}{os.sep}") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "a.txt: empty file; expected text"),
        ("a.txt", b" \n\n\t\n", "a.txt: holds no text; expected paragraphs, or lines of talk"),
        ("a.txt", b"* * *\n", "a.txt: holds no text; expected paragraphs, or lines of talk"),
        ("a.jsonl", b"\n\n", "a.jsonl: holds no text"),
        ("a.txt", b"\x7fELF\x02\x01\x01\0\0\0\0", "a.txt: NUL bytes: this is not a text file; expected a text"),
        ("a.txt", b"a\n" * 50_000 + b"b\0c", "a.txt:50001: a NUL character: this is not a text file"),
        ("a.txt", TEXT.encode("utf-16-le"), "a.txt: UTF-16 without a byte order mark, by the look of it"),
        ("a.txt", b"\xff\xfea\0b\0c", "a.txt: begins as UTF-16 and is broken further on"),
        ("a.txt", "eins\nzwei\nDas süße\n".encode("latin-1"), "a.txt:3: not UTF-8 (byte 0xfc at position 6 of"),
        ("a.txt", b"a\rb\xff", "a.txt:1: not UTF-8 (byte 0xff at position 4 of the line)"),
        ("a.txt", b"%PDF-1.7 ...", "a.txt: not what its ending says, but a PDF; expected the ending .pdf"),
        ("a.pdf", b"PK\x03\x04....", "a.pdf: not what its ending says, but a ZIP file"),
        ("a.md", b"{\\rtf1 x}", "a.md: not what its ending says, but an RTF document; expected text"),
        ("a.epub", b"no zip at all", "a.epub: a broken ZIP file: File is not a zip file; expected an EPUB"),
        ("a.pdf", b"no PDF at all", "a.pdf: a broken PDF: "),
        ("a.docx", b"x", "a.docx: the ending '.docx' is of no known format; expected plain text or Markdown"),
        ("a.json", b"[]", "a.json: the ending '.json' is of no known format; expected JSON lines"),
        ("a.mobi", b"x", "a.mobi: the ending '.mobi' is of no known format; expected one of .txt, .text, .md"),
        ("letters", b"x", "letters: no ending; expected one of .txt"),
        ("a.txt", b"x" * 2_000_000, "a.txt:1: a line of more than 1,000,000 characters; expected paragraphs"),
        ("a.jsonl", b'{"text": "' + b"x" * 2_000_000, "a.jsonl:1: a line of more than 1,000,000 characters"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
def test_a_hostile_file_is_one_fault(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    (fault,) = faults(path)
    assert fault.startswith(message)


def test_a_wrong_encoding_comes_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(
        ("Она держала паром одиннадцать лет и ни разу не переправилась через реку сама. " * 20).encode("cp1251")
    )
    (fault,) = faults(path)
    assert "; expected UTF-8: perhaps " in fault
    assert "`iconv -f " in fault


def test_what_is_no_file(tmp_path: Path) -> None:
    folder, missing, loop, pipe = (tmp_path / name for name in ("letters.txt", "gone.txt", "loop.txt", "pipe.txt"))
    folder.mkdir()
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    found = faults(folder, missing, loop, pipe)
    assert found == [
        "gone.txt: missing file",
        f"letters.txt: a folder, not a file; expected its files one by one ({folder}/*.txt)",
        "loop.txt: cannot be read: Too many levels of symbolic links",
        "pipe.txt: not an ordinary file",
    ]


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": 1}\n{"x": 2}\n')
    (tmp_path / "b.txt").write_bytes(b"\xff")
    (tmp_path / "c.txt").write_text(TEXT)
    found = faults(*(tmp_path / name for name in ("a.jsonl", "b.txt", "c.txt", "d.txt")))
    assert [fault.split(": ")[0] for fault in found] == ["a.jsonl:1", "a.jsonl:2", "b.txt:1", "d.txt"]


def test_names_tell_files_apart(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "more" / "a.txt"
    second.parent.mkdir()
    for path in (first, second):
        path.write_text(TEXT)
    (twice,) = faults(first, first)
    assert twice == "a.txt: given twice; expected it once"
    (same_name,) = faults(first, second)
    assert f"has the name of {first}" in same_name
    strange = tmp_path / "a\nb.txt"
    strange.write_text(TEXT)
    assert "a name that is no text; expected another name" in faults(strange)[0]
    if sys.platform == "linux":
        undecodable = tmp_path / os.fsdecode(b"\xff.txt")
        undecodable.write_text(TEXT)
        faults(undecodable)[0].encode("utf-8")


def test_a_file_of_two_hundred_megabytes_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    began = time.monotonic()
    (fault,) = faults(path)
    assert fault == "a.txt: 200,000,000 bytes, more than 100,000,000; expected the parts that matter, in smaller files"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.jsonl"])
def test_memory_is_bounded_by_the_text_that_may_be_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    line = f'{{"text": "{TEXT}"}}' if name == "a.jsonl" else f"{TEXT}\n"
    with path.open("w") as file:
        for _ in range(200):
            file.write(f"{line}\n" * 1000)
    tracemalloc.start()
    (fault,) = faults(path, characters=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "more than 100,000 characters of text up to here, all files together" in fault
    assert peak < 3_000_000


def test_an_endless_line_costs_little(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        for _ in range(50):
            file.write(b"word " * 200_000)
    tracemalloc.start()
    (fault,) = faults(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "a line of more than 1,000,000 characters" in fault
    assert peak < 12_000_000


@pytest.mark.parametrize(
    "text",
    [
     "[" * 50_000, "*a " * 20_000, "> " * 20_000, "<!--" * 20_000, "`" * 50_000, "- " * 20_000, "![" * 5_000,
     "<a " * 20_000, "a\n" * 20_000, "1234" + "- " * 50_000, "Anna: " * 20_000, "((" * 30_000,
     "\\[" * 20_000, "| a " * 20_000],
    ids=lambda text: repr(text[:4]),
)  # fmt: skip
@pytest.mark.parametrize("ending", ["txt", "md"])
def test_no_text_takes_long(tmp_path: Path, ending: str, text: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_text(f"{text}\n\n{TEXT}\n")
    began = time.process_time()
    if ending == "md" and text.startswith(("<!--", "```")):  # never closed: all that follows is inside
        assert faults(path) == ["a.md: holds no text; expected paragraphs, or lines of talk"]
    else:
        assert TEXT in read_units([path], objective=True).units[-1].text
    assert time.process_time() - began < 5


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda name: None if name in ("pypdf", "sentencex") else object())
    with pytest.raises(PersbenchError, match=r"needs pypdf and sentencex: pip install 'persbench\[build\]'"):
        read_units([tmp_path / "a.txt"], objective=True)
