"""What holds for every format: licence, folders, repeated imports, hostile names, and a run on what was imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from made_sources import MAREN, SOURCES, TOBIAS, rolebench, rolebench_row, rows_of, write, write_lines
from word_embedder import WordEmbedder

from persbench.errors import FaultsError, PersbenchError, UnknownNameError
from persbench.harness.documents import BUILDERS, documents_of
from persbench.harness.run import run
from persbench.harness.settings import RunSettings
from persbench.importers.form import Options
from persbench.importers.importing import FORMATS, import_pack
from persbench.packs.check import check_pack
from persbench.records import load_record
from persbench.systems.registry import get_system


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_pack_that_check_passes_and_that_an_equal_import_makes_again(name: str, tmp_path: Path) -> None:
    SOURCES[name](tmp_path / "src")
    first = import_pack(name, tmp_path / "src", tmp_path / "a")
    assert not first.unchanged
    assert check_pack(tmp_path / "a") == []
    before = tree(tmp_path / "a")
    again = import_pack(name, tmp_path / "src", tmp_path / "a")
    assert again.unchanged
    assert tree(tmp_path / "a") == before
    import_pack(name, tmp_path / "src", tmp_path / "b")
    assert tree(tmp_path / "b") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "src"]
    text = (tmp_path / "a" / "IMPORT.md").read_text("utf-8")
    assert str(tmp_path) not in text
    for group in [*first.findings.dropped.values(), *first.findings.noticed.values()]:
        assert all(name in text for name in group.names)


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_row_can_be_found_in_the_source(name: str, tmp_path: Path) -> None:
    SOURCES[name](tmp_path / "src")
    import_pack(name, tmp_path / "src", tmp_path / "out")
    lines = (tmp_path / "out" / "ORIGINS.tsv").read_text("utf-8").splitlines()
    assert lines[0].split("\t") == ["file", "id", "source", "id in the source"]
    told = [line.split("\t") for line in lines[1:]]
    rows = {
        (path.relative_to(tmp_path / "out").as_posix(), row.get("id") or row["question"])
        for path in (tmp_path / "out").rglob("*.jsonl")
        for row in rows_of(path)
    }
    assert {(file, row_id) for file, row_id, _, _ in told} == rows
    for _, row_id, origin, own in told:
        assert (tmp_path / "src" / origin.rpartition(":")[0]).is_file() or (tmp_path / "src" / origin).is_file()
        assert own == "" or name == "persllm" or own == row_id


def test_a_sheet_that_leaves_out_what_nobody_knows_is_a_fault_all_the_same(tmp_path: Path) -> None:
    rolebench(tmp_path / "src")
    import_pack("rolebench", tmp_path / "src", tmp_path / "out")
    file = tmp_path / "out" / "personas" / "maren-voss" / "persona.yaml"
    file.write_text(file.read_text("utf-8").replace("    voice: null\n", ""), encoding="utf-8")
    assert [str(fault) for fault in check_pack(tmp_path / "out")] == [
        'personas/maren-voss/persona.yaml:5: stages.story: missing key "voice"'
    ]


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_tasks_told_are_those_with_items(name: str, tmp_path: Path) -> None:
    SOURCES[name](tmp_path / "src")
    found = import_pack(name, tmp_path / "src", tmp_path / "out")
    system = get_system("vanilla")
    able = [t for t in BUILDERS if any(documents_of(t, found.pack, data, system) for data in found.pack.personas)]
    assert sorted(able) == sorted(found.tasks)


@pytest.mark.parametrize("name", list(FORMATS))
def test_without_a_licence_nothing_is_imported(name: str, tmp_path: Path) -> None:
    SOURCES[name](tmp_path / "src")
    for file in ("LICENSE", "LICENSE.txt", "README.md"):
        (tmp_path / "src" / file).unlink(missing_ok=True)
    with pytest.raises(PersbenchError, match="names no licence"):
        import_pack(name, tmp_path / "src", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    found = import_pack(name, tmp_path / "src", tmp_path / "out", Options("CC BY 4.0"))
    world = yaml.safe_load((tmp_path / "out" / "world.yaml").read_text("utf-8"))
    assert world["licence"] == "CC BY 4.0 (accepted by the importing user; the source names none)"
    assert found.licence.flags[0] in (tmp_path / "out" / "IMPORT.md").read_text("utf-8")


def test_what_runs_on_an_imported_pack_and_what_is_skipped_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persbench.harness.reply.embedder_named", lambda *_: WordEmbedder())
    rolebench(tmp_path / "src")
    found = import_pack("rolebench", tmp_path / "src", tmp_path / "pack")
    lines: list[str] = []
    settings = RunSettings(
        model="fake", pack=tmp_path / "pack", out=tmp_path / "run", backend="persbench-fake",
        systems=("vanilla", "prompt", "icl"), tasks=("persbench",), anchors=tmp_path / "anchors",
    )  # fmt: skip
    records = [load_record(path) for path in run(settings, lines.append)]
    assert {(r.system, r.persona) for r in records} == {
        (system, who) for system in ("vanilla", "prompt", "icl") for who in ("maren-voss", "tobias-quill")
    }
    for record in records:
        assert set(record.tasks) == set(found.tasks)
        answers = found.pack.persona(record.persona).answers
        assert len(record.tasks["persbench_reply"]["samples"]) == len(answers)
        context = record.provenance["example_context"]
        if record.system != "vanilla":
            assert f"Who you are: {found.pack.persona(record.persona).persona.stages['story'].profile}" in context
            assert "None" not in context
            assert "How you talk" not in context
    skipped = [line for line in lines if line.startswith("skipping")]
    assert len(set(skipped)) == 2
    assert all("persbench_costume" in line and "persbench_traits" in line for line in skipped)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ({"world.yaml": "id: x\n"}, "holds something else already"),
        ({"IMPORT.md": "mine"}, "holds another import"),
        ({"notes.txt": "mine"}, "holds something else already"),
    ],
    ids=range(3),
)
def test_a_folder_with_something_in_it_stays_as_it_is(tmp_path: Path, there: dict[str, str], message: str) -> None:
    rolebench(tmp_path / "src")
    for name, text in there.items():
        write(tmp_path / "out" / name, text)
    before = tree(tmp_path / "out")
    with pytest.raises(PersbenchError, match=message):
        import_pack("rolebench", tmp_path / "src", tmp_path / "out")
    assert tree(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "src"]


def test_an_import_of_a_changed_source_does_not_replace_an_earlier_one(tmp_path: Path) -> None:
    src = rolebench(tmp_path / "src")
    import_pack("rolebench", src, tmp_path / "out")
    before = tree(tmp_path / "out")
    write(src / "profiles-eng" / "desc.json", json.dumps({MAREN: "Another."}))
    with pytest.raises(PersbenchError, match="holds another import"):
        import_pack("rolebench", src, tmp_path / "out")
    assert tree(tmp_path / "out") == before


def test_places_that_cannot_be_are_refused(tmp_path: Path) -> None:
    src = rolebench(tmp_path / "src")
    file = write(tmp_path / "file", "x")
    for out, message in ((src / "pack", "lies in the source"), (file, "is a file"), (file / "pack", "cannot write")):
        with pytest.raises(PersbenchError, match=message):
            import_pack("rolebench", src, out)
    (tmp_path / "empty").mkdir()
    for source, message in (
        (tmp_path / "no", "no such file"),
        (tmp_path / "empty", "an empty folder"),
        (Path("a\0b"), "no such file"),
    ):
        with pytest.raises(PersbenchError, match=message):
            import_pack("rolebench", source, tmp_path / "out")
    import_pack("rolebench", src, tmp_path / "empty")  # an empty folder may be filled
    with pytest.raises(UnknownNameError, match="Did you mean 'rolebench'"):
        import_pack("rolbench", src, tmp_path / "out")
    with pytest.raises(PersbenchError, match="--name means nothing to rolebench"):
        import_pack("rolebench", src, tmp_path / "out", Options(name="x"))
    with pytest.raises(PersbenchError, match="--language"):
        import_pack("rolebench", src, tmp_path / "out", Options(language="e\nn"))


HOSTILE = [
    "../../etc/passwd",
    "..",
    "x" * 300,
    "X" * 300,
    "Jean Luc",
    "jean-luc",
    "a/b\\c",
    "[bold]B[/bold]",
    "CON",
    "-",
    " é ",
]


def test_names_cannot_leave_the_folder_nor_become_one_another(tmp_path: Path) -> None:
    src = rolebench(tmp_path / "src")
    write(
        src / "profiles-eng" / "desc.json",
        json.dumps({name: f"Profile of {name[:9]}." for name in [*HOSTILE, "N\0l", "Two\nlines"]}),
    )
    rows = [rolebench_row(name, "Who are you?", f"Number {i}.") for i, name in enumerate(HOSTILE)]
    write_lines(src / "rolebench-eng" / "instruction-generalization" / "general" / "test.jsonl", rows)
    found = import_pack("rolebench", src, tmp_path / "out")
    assert {d.persona.name: d.answers[0].reply for d in found.pack.personas} == {
        name.strip(): f"Number {i}." for i, name in enumerate(HOSTILE)
    }
    folders = {path.name for path in (tmp_path / "out" / "personas").iterdir()}
    assert len({name.lower() for name in folders}) == len(HOSTILE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "src"]
    assert found.findings.dropped["persona: nothing that a pack can hold"].count == 2


def test_when_nobody_is_left_the_reasons_are_told(tmp_path: Path) -> None:
    src = rolebench(tmp_path / "src")
    write(src / "profiles-eng" / "desc.json", json.dumps({MAREN: " ", TOBIAS: 3}))
    with pytest.raises(PersbenchError, match="holds no persona that could be imported as RoleBench") as refused:
        import_pack("rolebench", src, tmp_path / "out")
    assert "role with an empty profile, or with none that is a text: 2, first profiles-eng/desc.json" in str(
        refused.value
    )
    assert not (tmp_path / "out").exists()


def test_a_profile_too_large_for_its_file_is_dropped_by_name(tmp_path: Path) -> None:
    src = rolebench(tmp_path / "src")
    write(src / "profiles-eng" / "desc.json", json.dumps({MAREN: "word " * 300_000, TOBIAS: "A baker."}))
    found = import_pack("rolebench", src, tmp_path / "out")
    assert [data.persona.name for data in found.pack.personas] == [TOBIAS]
    assert found.findings.dropped["persona: its sheet is larger than 1,000,000 bytes"].count == 1


def test_stages_that_do_not_fit_leave_nothing_behind(tmp_path: Path) -> None:
    src = rolebench(tmp_path / "src")
    from persbench.packs.schema import Stage

    stage = {"temporal_label": "<A>", "year": 5, "date": "now"}
    two = tuple(Stage(id=i, **stage) for i in ("a", "b"))  # type: ignore[arg-type]
    with pytest.raises(FaultsError, match="one: this format knows no periods"):
        import_pack("rolebench", src, tmp_path / "out", Options(stages=two))
    SOURCES["persllm"](tmp_path / "persllm")
    with pytest.raises(FaultsError, match="what would be written is no valid pack"):
        import_pack("persllm", tmp_path / "persllm", tmp_path / "out", Options(stages=two))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["persllm", "src"]


def test_the_command_says_what_it_did_and_what_comes_next(tmp_path: Path) -> None:
    SOURCES["persllm"](tmp_path / "src")
    write(tmp_path / "src" / "[red]odd", "x")

    def persbench(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "persbench.cli", "import", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    code, out, err = persbench("persllm", "src", "--out", "pack")
    assert code == 0
    assert "pack imported: 2 personas, licence MIT" in out
    assert "tasks with items: persbench_reply, persbench_distinction" in out
    assert "every name: pack/IMPORT.md" in out
    assert "[red]odd" in out
    assert "next: persbench run --pack pack --tasks persbench_reply,persbench_distinction" in err
    code, out, _ = persbench("persllm", "src", "--out", "pack")
    assert (code, "was imported before, and is the same" in out) == (0, True)
    code, _, err = persbench("persllm", "src/maren", "--out", "other")
    assert code == 2
    assert "--accept-licence NAME" in err
