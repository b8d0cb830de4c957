"""Whatever a folder holds in place of a pack's files and folders: a fault that names it, and no traceback."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from persbench.packs import check_pack

ADA = "personas/ada"


def faults_of(folder: Path) -> list[str]:
    return [str(fault) for fault in check_pack(folder)]


@pytest.mark.parametrize("file", ["questions.jsonl", f"{ADA}/answers.jsonl", "world.yaml", f"{ADA}/persona.yaml"])
@pytest.mark.parametrize(
    "content", [b"", b"\0\xff\xfe" * 9, b"\xff\xfe\x00", b"x" * 10_000_000, "folder", "loop", "pipe"]
)
def test_whatever_stands_in_place_of_a_file(folder: Path, file: str, content: bytes | str) -> None:
    path = folder / file
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()
    elif content == "loop":
        path.symlink_to(path)
    else:
        os.mkfifo(path)
    assert any(fault.startswith((f"{file}: ", f"{file}:1: ")) for fault in faults_of(folder))


def test_whatever_stands_in_place_of_a_folder(folder: Path, tmp_path: Path) -> None:
    assert faults_of(tmp_path / "gone")[0].endswith(
        "no such folder; expected the folder of a pack, with world.yaml in it"
    )
    assert "no such folder" in faults_of(folder / "world.yaml")[0]
    assert "no such folder" in faults_of(Path("\0"))[0]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert faults_of(empty) == [
        "personas: missing folder; expected personas/<id>/persona.yaml",
        "world.yaml: missing file",
    ]
    shutil.rmtree(folder / "personas")
    (folder / "personas").mkdir()
    assert "personas: no persona; expected at least one personas/<id>/persona.yaml" in faults_of(folder)
    (folder / "personas" / "ada").touch()
    assert "personas/ada: not a folder that can be read; expected one folder for each persona" in faults_of(folder)
    (folder / "personas" / "loop").symlink_to(folder / "personas")
    assert faults_of(folder)
    shutil.rmtree(folder / "personas")
    (folder / "personas").touch()
    assert "personas: not a folder that can be read; expected personas/<id>/persona.yaml" in faults_of(folder)


def test_unknown_and_misplaced_files(folder: Path) -> None:
    (folder / ADA / "answer.jsonl").touch()
    (folder / "world.yml").touch()
    (folder / "answers.jsonl").touch()
    (folder / ADA / "questions.jsonl").touch()
    (folder / "notes.md").touch()
    found = faults_of(folder)
    assert len(found) == 4
    assert found[0] == "answers.jsonl: file in the wrong folder; expected personas/<id>/answers.jsonl"
    assert found[1].startswith(
        f'{ADA}/answer.jsonl: unknown file name (did you mean "answers.jsonl"?); expected one of'
    )
    assert found[2] == f"{ADA}/questions.jsonl: file in the wrong folder; expected questions.jsonl"
    assert found[3].startswith('world.yml: unknown file name (did you mean "world.yaml"?)')


def test_names_that_no_terminal_shows(folder: Path) -> None:
    (folder / "personas" / os.fsdecode(b"b\xff\nd")).mkdir()
    (folder / "que\nstions.jsonl").touch()
    for fault in faults_of(folder):
        assert fault.isprintable()
        fault.encode()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["world.yaml", "questions.jsonl", "personas", ADA])
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_what_may_not_be_read(folder: Path, name: str, mode: int) -> None:
    path = folder / name
    path.chmod(mode if path.is_dir() else 0)
    try:
        assert any(name in fault and "be read" in fault for fault in faults_of(folder))
    finally:
        path.chmod(0o755)


def test_a_folder_that_cannot_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "ada":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert f"{ADA}: folder cannot be read: Permission denied" in faults_of(folder)
