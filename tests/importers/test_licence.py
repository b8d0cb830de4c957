"""No licence, no import, unless the user says in so many words which one is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_sources import MIT, write

from persbench.errors import PersbenchError
from persbench.importers.licence import Licence, settle_licence


def settle(folder: Path, accepted: str | None = None) -> Licence:
    return settle_licence(folder, accepted, "RoleBench", "its card says Apache 2.0")


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("LICENSE", MIT, "MIT"),
        ("licence.txt", "Apache License\n   Version 2.0, January 2004\n", "Apache-2.0"),
        ("COPYING.md", "# Creative Commons\nAttribution-NonCommercial 4.0 International\n", "CC-BY-NC-4.0"),
        ("LICENSE", "Our own terms\nRead them.", "Our own terms"),
        ("README.md", '---\nlicense: "cc-by-4.0"  # see card\ntags: [x]\n---\n# Text\n', "cc-by-4.0"),
        ("readme.md", "---\nlanguage: en\nlicense: apache-2.0\n---\n", "apache-2.0"),
    ],
)
def test_the_source_names_it(tmp_path: Path, file: str, text: str, name: str) -> None:
    write(tmp_path / file, text)
    found = settle(tmp_path)
    assert (found.text, found.origin) == (name, file)
    assert (found.file is None) == file.lower().startswith("readme")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("notes.md", "license: mit"),
        ("README.md", "# Data\nlicense: mit stands here outside of the head\n"),
        ("README.md", "---\nlicense: other\n---\n"),
        ("README.md", "---\nlicense:\n---\n"),
        ("LICENSE", "  \n"),
        ("LICENSE.json", "{}"),
    ],
)
def test_what_is_no_licence_is_refused_with_both_ways_out(tmp_path: Path, file: str, text: str) -> None:
    write(tmp_path / file, text)
    with pytest.raises(PersbenchError, match="names no licence") as refused:
        settle(tmp_path)
    assert "--accept-licence NAME" in str(refused.value)
    assert "its card says Apache 2.0" in str(refused.value)


def test_an_accepted_one_is_recorded_as_the_users_word(tmp_path: Path) -> None:
    found = settle(tmp_path, " CC BY-NC  4.0 ")
    assert found.text == "CC BY-NC 4.0 (accepted by the importing user; the source names none)"
    assert found.file is None
    assert "importing user's word" in found.flags[0]
    assert "no commercial use" in found.flags[1]


def test_an_accepted_one_does_not_replace_the_sources(tmp_path: Path) -> None:
    write(tmp_path / "LICENSE", MIT)
    found = settle(tmp_path, "CC0")
    assert found.text == "MIT"
    assert "the source says 'MIT'" in found.flags[0]
    assert settle(tmp_path, "mit").flags == ()


@pytest.mark.parametrize("accepted", ["", "  ", "x" * 121, "MIT\x1b[31m"])
def test_what_nobody_could_record_is_refused(tmp_path: Path, accepted: str) -> None:
    with pytest.raises(PersbenchError, match="--accept-licence: name a licence in one line"):
        settle(tmp_path, accepted)


def test_a_file_that_is_no_text_names_no_terms_but_does_not_break_anything(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_bytes(b"\x00\xff\xfe" * 100)
    assert settle(tmp_path).text.isprintable()
    (tmp_path / "LICENSE").unlink()
    (tmp_path / "LICENSE").mkdir()
    with pytest.raises(PersbenchError, match="names no licence"):
        settle(tmp_path)
