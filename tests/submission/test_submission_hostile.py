"""Hostile submissions: refused in words that harm nobody, with bounded memory, and nothing is written."""

from __future__ import annotations

import gzip
import json
import os
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from submission_world import (
    Content,
    accepted,
    examiner,
    faults,
    messages,
    record,
    refused,
    rekey,
    words_embedder,
    write,
)
from typer.testing import CliRunner

from persbench import cli
from persbench.errors import PersbenchError
from persbench.packs.bundled import fake_pack
from persbench.records import write_new
from persbench.report.cells import load_cells
from persbench.report.site.build import build_site
from persbench.submission import board
from persbench.submission.findings import FORM, NAMES, PACK, RefusedError
from persbench.submission.reading import LARGEST, UnreadableError, parsed, read_bytes

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True, scope="module")
def _words() -> Iterator[None]:
    with words_embedder():
        yield


def named(system: str) -> Content:
    content = record("prompt__ada", "persbench_costume")
    content["system"] = system
    content["signature"]["system"] = f"{system}@41fa6aeaedd8"
    for row in content["tasks"]["persbench_costume"]["samples"]:
        row["system"] = system
    return rekey(content)


PATHS = ["../../escape", "a/b", "a\\b", ".hidden", "a..b"]
SEEMING = ["prompt\x1b[31m", "pro\u202empt", "pr\u043empt", " prompt", "prompt\n", "", "x" * 81]


@pytest.mark.parametrize("name", [SCRIPT, *PATHS, *SEEMING])
def test_names_that_are_paths_markup_or_not_what_they_seem(name: str, tmp_path: Path) -> None:
    told = refused(write(tmp_path / "in" / "r.json", named(name)), tmp_path / "board")
    assert NAMES in told
    assert all(char.isprintable() or char == "\n" for char in told)
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


def test_a_persona_that_is_a_path(tmp_path: Path) -> None:
    content = record("prompt__ada", "persbench_costume")
    content["persona"] = "../../../ada"
    told = refused(write(tmp_path / "in" / "r.json", rekey(content)), tmp_path / "board")
    assert "persona '../../../ada' is not of fake, which has ada, bo" in told


@pytest.mark.parametrize("value", [SCRIPT, "chat\x07", "x" * 400, "\u202e"])
def test_a_signature_holds_short_facts(value: str) -> None:
    content = record("prompt__ada", "persbench_costume")
    content["signature"]["device"] = value
    assert NAMES in faults(rekey(content)).number


def test_a_script_in_a_reply_is_a_reply_and_harmless_on_the_page(tmp_path: Path) -> None:
    content = record("prompt__ada", "persbench_general_reply", "persbench_costume")
    del content["signature"]["anchors"]
    task = examiner().task("persbench_general_reply")
    assert task is not None
    for row in content["tasks"]["persbench_general_reply"]["samples"]:
        row["reply"] = f'{SCRIPT}"><img src=x onerror=alert(2)>\u202e'
        scored = task.score_results(
            dict(examiner().documents("persbench_general_reply", "ada")[row["id"]]), [row["reply"]]
        )
        row["metrics"] = {name: list(pair) for name, pair in scored.items()}
    accepted(write(tmp_path / "r.json", rekey(content)), tmp_path / "board")
    cells, _ = load_cells(tmp_path / "board")
    build_site(cells, tmp_path / "site", figures=False)
    pages = [path.read_text() for path in (tmp_path / "site").rglob("*") if path.suffix in {".html", ".js", ".json"}]
    assert any("alert(1)" in page for page in pages)
    assert not any(SCRIPT in page or "<img src=x" in page or "\u202e" in page for page in pages)


@pytest.mark.parametrize(
    ("task", "field"),
    [
        ("persbench_reply", "reply"),
        ("persbench_distinction", "replies"),
        ("persbench_consistency", "branches"),
        ("persbench_consistency", "transcripts"),
        ("persbench_consistency", "faults"),
    ],
)
def test_what_is_null_and_must_not_be_is_told(task: str, field: str) -> None:
    content = record("prompt__ada", task)
    content["tasks"][task]["samples"][0][field] = None
    assert f"{field} is null" in messages(content)


def test_a_number_longer_than_any_is_told() -> None:
    with pytest.raises(UnreadableError, match="a whole number of 400 digits"):
        parsed(b"[1" + b"0" * 399 + b"]")
    assert parsed(b"[123456789012345678, -1]") == [123456789012345678, -1]


def test_a_document_twice_with_and_without_a_value_is_told(tmp_path: Path) -> None:
    first, content = (record(name, "persbench_costume") for name in ("vanilla__ada", "prompt__ada"))
    del first["signature"]["anchors"]
    accepted(write(tmp_path / "first.json", first), tmp_path / "board")
    samples = content["tasks"]["persbench_costume"]["samples"]
    samples.append(json.loads(json.dumps(samples[0])))
    samples[0]["loglikelihoods"][0] = None
    assert "holds twice" in refused(write(tmp_path / "twice.json", content), tmp_path / "board")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", ["loglikelihoods", "metrics", "signature", "provenance", "chance"])
def test_numbers_that_are_none(number: str, place: str) -> None:
    content = record("prompt__ada", "persbench_costume")
    row = content["tasks"]["persbench_costume"]["samples"][0]
    if place == "loglikelihoods":
        row[place][0] = "HERE"
    elif place == "metrics":
        row[place]["voice_acc"] = ["HERE", True]
    elif place == "chance":
        row[place]["voice_acc"] = "HERE"
    else:
        content[place]["batch"] = "HERE"
    found = faults(parsed(json.dumps(content).replace('"HERE"', number).encode()))
    assert FORM in found.number


def test_a_million_samples_are_not_even_parsed(tmp_path: Path) -> None:
    content = json.dumps(record("prompt__ada", "persbench_costume"))
    start = content.index('"samples": [') + len('"samples": [')
    raw = f"{content[:start]}{'{}, ' * 1_000_000}{content[start:]}"
    assert "holds more than 1,000,000 values" in refused(write(tmp_path / "r.json.gz", raw), tmp_path / "board")


def test_many_samples_are_told_in_few_lines(tmp_path: Path) -> None:
    content = record("prompt__ada", "persbench_costume")
    row = content["tasks"]["persbench_costume"]["samples"][0]
    content["tasks"]["persbench_costume"]["samples"] = [row | {"id": f"x{n}"} for n in range(5_000)]
    told = refused(write(tmp_path / "r.json", content), tmp_path / "board")
    assert "5,000 of 6 documents" in told
    assert len(told) < 5_000
    content["tasks"]["persbench_costume"]["samples"] = [{"id": "x"}] * 20_001
    assert "20,001 samples" in refused(write(tmp_path / "r.json", content), tmp_path / "board")


@pytest.mark.parametrize("change", ["version", "hash", "name", "format", "field"])
def test_other_versions_and_other_layouts(change: str) -> None:
    content = record("prompt__ada", "persbench_costume")
    tasks = content["tasks"]
    if change in ("version", "hash"):
        tasks["persbench_costume"][change] = "0.9"
    elif change == "name":
        tasks["persbench_<b>"] = tasks.pop("persbench_costume")
    elif change == "format":
        content["format"] = 2
    else:
        content["results"] = {"content_acc": 1.0}
    if change == "hash":
        tasks["persbench_costume"]["samples"][0]["metrics"]["voice_acc"] = [0.123, True]
    told = messages(rekey(content))
    assert "voice_acc" not in told  # another version counts otherwise: that it is another is the fault
    expected = {"version": "expected 1.0 with", "hash": "with hash '0.9'", "name": "'persbench_<b>' is no task"}
    assert expected.get(change, change if change == "format" else "results: Extra inputs are not permitted") in told


def test_another_pack_says_which_and_stops_there() -> None:
    content = record("prompt__ada", "persbench_costume")
    content["signature"]["pack"] = "fake-1@000000000000"
    content["tasks"]["persbench_costume"]["samples"][0]["metrics"]["voice_acc"] = [0.123, True]
    found = faults(rekey(content))
    assert found.number[PACK] == 1
    assert f"this is fake-1@{examiner().pack.hash[:12]}" in found.text()
    assert "voice_acc" not in found.text()


def test_settings_that_were_changed_or_are_not_the_boards() -> None:
    content = record("prompt__ada", "persbench_costume")
    content["signature"] |= {"limit": 4, "dtype": "float64"}
    told = messages(content)
    assert "is not that of its signature, persona and tasks" in told
    assert "limit is 4" in told
    content = record("prompt__ada", "persbench_costume")
    content["signature"]["system"] = "prompt@000000000000"
    assert "expected prompt@41fa6aeaedd8" in messages(rekey(content))
    content = named("mine")
    assert "'mine' cannot be told" in messages(content)


def _deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


NO_RECORDS = [
    (b"", "not readable JSON"),
    (b"nonsense", "not readable JSON"),
    (b"\xff\xfe{}", "not readable JSON"),
    (b"1" * 10_000, "not readable JSON"),
    (b"null", "the record: "),
    (b"[]", "the record: "),
    (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
    (b'{"system": "\\ud800"}', "half a surrogate pair"),
    (_deep(200_000), "nested too deep"),
]


@pytest.mark.parametrize(("raw", "told"), NO_RECORDS)
def test_what_is_no_record(raw: bytes, told: str, tmp_path: Path) -> None:
    assert told in refused(write(tmp_path / "r.json", raw), tmp_path / "board")


def test_a_part_nested_deeper_than_any_record() -> None:
    content = record("prompt__ada", "persbench_costume")
    content["provenance"]["model"] = json.loads(_deep(40))
    assert "provenance: nested deeper than" in messages(content)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_a_file_that_was_cut_off(part: float, tmp_path: Path) -> None:
    raw = gzip.compress(json.dumps(record()).encode())
    (tmp_path / "r.json.gz").write_bytes(raw[: int(len(raw) * part)])
    assert "cut off" in refused(tmp_path / "r.json.gz", tmp_path / "board")
    (tmp_path / "r.json.gz").write_bytes(b"no gzip at all")
    assert "broken gzip" in refused(tmp_path / "r.json.gz", tmp_path / "board")


def test_a_gzip_bomb_is_left_at_the_limit(tmp_path: Path) -> None:
    """One member of 16 MiB in 16 KiB, a thousand times: 16 GiB in 16 MiB."""
    member = gzip.compress(bytes(16 << 20))
    (tmp_path / "bomb.json.gz").write_bytes(member * 1000)
    tracemalloc.start()
    try:
        told = refused(tmp_path / "bomb.json.gz", tmp_path / "board")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "unpacks to more than 64 MiB" in told
    assert peak < 2 * LARGEST


def test_packed_files_in_several_members_and_empty_ones(tmp_path: Path) -> None:
    path = tmp_path / "two.json.gz"
    path.write_bytes(gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two" * 500_000))
    assert read_bytes(path) == b"one " + b"two" * 500_000
    path.write_bytes(b"")
    with pytest.raises(UnreadableError, match="cut off"):
        read_bytes(path)


def test_huge_files_and_what_is_no_file(tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "a file has at most 64" in refused(tmp_path / "huge.json", tmp_path / "board")
    os.mkfifo(tmp_path / "pipe.json")
    assert "no plain file" in refused(tmp_path / "pipe.json", tmp_path / "board")


def test_a_board_that_cannot_be_written_keeps_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sanity-longest__ada", "sanity-longest__bo"):
        write(tmp_path / "run" / "records" / f"{name}.json", record(name))
    writes: list[Path] = []

    def full(path: Path, data: bytes) -> bool:
        if writes:
            raise PersbenchError("no space")
        writes.append(path)
        return write_new(path, data)

    monkeypatch.setattr(board, "write_new", full)
    with pytest.raises(PersbenchError, match="no space"):
        accepted(tmp_path / "run", tmp_path / "board")
    assert writes
    assert not list((tmp_path / "board").rglob("*.json.gz"))


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    bad: list[tuple[str, Any]] = [
        ("a", named("../x")), ("b", "{"), ("c", record("prompt__ada", "persbench_costume") | {"key": "0" * 16}),
    ]  # fmt: skip
    wrong = record("vanilla__ada", "persbench_attitude")
    for row in wrong["tasks"]["persbench_attitude"]["samples"]:
        for pair in row["metrics"].values():
            pair[0] += 0.3
    for name, content in [*bad, ("d", wrong), ("good", record("sanity-longest__ada"))]:
        write(tmp_path / "run" / "records" / f"{name}.json", content)
    told = refused(tmp_path / "run", tmp_path / "board")
    assert all(f"records/{name}.json: " in told for name in "abcd")
    assert "records/good.json" not in told
    assert "metrics that do not follow from their samples (32)" in told
    assert "and 12 more of this kind" in told


def test_the_command_accepts_refuses_and_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "r.json", record("prompt__ada"))
    command = ["leaderboard", "submit", str(path), "--pack", str(fake_pack()), "--to", str(tmp_path / "board")]
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 0, done.output
    assert "every metric of every sample was computed again; 1 record accepted" in done.stdout
    assert f"next: persbench leaderboard build {tmp_path / 'board'}" in done.output.replace("\n", "")
    monkeypatch.setattr(sys, "argv", ["persbench", *command])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == RefusedError.exit_code == 1
    assert "on the board already (1)" in capsys.readouterr().err
