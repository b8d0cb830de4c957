"""The command line as a user meets it: bad input is one readable message and exit code 2, never a traceback."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from persbench.cli import main
from persbench.packs.bundled import fake_pack

Command = Callable[..., tuple[int, str, str]]


def process(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "persbench.cli", *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def persbench(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The same within this process, where the libraries are loaded already: that takes most of a command's time."""

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["persbench", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    return command


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    shutil.copytree(fake_pack(), folder)
    return folder


def test_help_names_the_commands() -> None:
    code, out, _ = process("--help")
    assert code == 0
    assert all(name in out for name in ("check", "run", "report", "model"))


def test_tasks_are_listed_with_the_folder_for_lm_eval() -> None:
    code, out, _ = process("tasks")
    assert code == 0
    told = [line.split() for line in out.splitlines()]
    assert ["persbench_alignment", "1.0", "persbench_costume", "persbench_attitude"] in told
    assert ["persbench_consistency", "1.1", "Small", "talk,", "with", "probes", "of", "one", "opinion", "at"] in told
    assert all(len(row) > 2 for row in told[: told.index([])] if row[0].startswith("persbench_"))
    assert Path(out.splitlines()[-1].removeprefix("--include_path ")).is_dir()


def test_a_valid_pack(persbench: Command) -> None:
    code, out, err = persbench("check", str(fake_pack()))
    assert code == 0
    assert "fake 1 is valid: 2 personas, 2 stages, 4 shared questions" in out.replace("\n", " ")
    assert "next: persbench run --pack" in err


def test_all_faults_of_a_pack_at_once(persbench: Command, pack: Path) -> None:
    ada = pack / "personas" / "ada"
    lines = (ada / "answers.jsonl").read_text("utf-8").splitlines()
    lines[0] = lines[0].replace('"early"', '"erly"')
    lines[1] = lines[1][:30]
    (ada / "answers.jsonl").write_text("\n".join([*lines, lines[2]]) + "\n")
    (ada / "knowledge.jsonl").write_bytes((ada / "knowledge.jsonl").read_bytes() + "caf\xe9".encode("latin-1"))
    (pack / "personas" / "bo" / "persona.yaml").unlink()
    (pack / "questions.jsonl").write_text('{"id": "' + "x" * 10_000_000 + '"}\n')
    code, _, err = persbench("check", str(pack))
    assert code == 2
    assert 'personas/ada/answers.jsonl:1: unknown stage "erly"' in err
    assert "personas/ada/answers.jsonl:2:" in err
    assert "personas/ada/knowledge.jsonl:" in err
    assert "UTF-8" in err
    assert "personas/bo" in err
    assert "questions.jsonl:1:" in err
    assert len(err) < 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "/no/such/pack"], "it is not a folder here"),
        (["run", "--systems", "promt"], "unknown system 'promt'. Did you mean 'prompt'"),
        (
            ["run", "--tasks", "persbench_attitud"],
            "unknown task 'persbench_attitud'. Did you mean 'persbench_attitude'",
        ),
        (["run", "--personas", "adda"], "unknown persona 'adda'. Did you mean 'ada'"),
        (["run", "--model-args", "x"], "--model-args: 'x' is not key=value"),
        (["run", "--batch-size", "-3"], "neither a positive number nor auto"),
        (["run", "--model", "/no/such/model", "--systems", "vanilla"], "cannot load model '/no/such/model'"),
        (["report", "table", "/no/such/run"], "no folder /no/such/run"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    persbench: Command, arguments: list[str], message: str, tmp_path: Path
) -> None:
    if arguments[0] == "run":
        arguments = [*arguments, "--pack", str(fake_pack()), "--out", str(tmp_path)]
    code, _, err = persbench(*arguments)
    assert code == 2
    assert message in err


def test_bad_input_ends_a_process_of_its_own_the_same_way(tmp_path: Path) -> None:
    code, out, err = process("run", "--systems", "promt", "--pack", str(fake_pack()), "--out", str(tmp_path))
    assert (code, out) == (2, "")
    assert "unknown system 'promt'. Did you mean 'prompt'" in err


def test_pickled_weights_are_refused(persbench: Command, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    code, _, err = persbench(
        "run",
        "--model",
        str(tmp_path / "model"),
        "--pack",
        str(fake_pack()),
        "--out",
        str(tmp_path / "o"),
        "--systems",
        "vanilla",
    )
    assert code == 2
    assert "pickled (*.bin), which persbench does not read" in err


def test_run_then_table_in_every_format(persbench: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, _, err = persbench(
        "run",
        "--backend",
        "persbench-fake",
        "--model",
        "fake",
        "--pack",
        str(fake_pack()),
        "--limit",
        "2",
        "--out",
        str(out),
    )
    assert code == 0
    assert f"next: persbench report table {out}" in err
    code, text, _ = persbench("report", "table", str(out))
    assert code == 0
    for word in (
        "content",
        "attitude",
        "knowledge",
        "chance",
        "vanilla",
        "prompt",
        "longest",
        "Signatures",
        "seed:0,1234",
    ):
        assert word in text
    code, markdown, _ = persbench("report", "table", str(out), "--format", "markdown")
    assert markdown.startswith("**Choices by log-likelihood per byte, anchored**")
    assert "| system | content | attitude | knowledge | voice | who said |" in markdown
    code, table, _ = persbench("report", "table", str(out), "--format", "csv")
    assert table.splitlines()[0] == "system,model,metric,mean,low,high,n,unscored,chance,personas,n/a"
    assert any(line.startswith("prompt,fake@fake-0,content_acc,") for line in table.splitlines())
    code, _, err = persbench("report", "table", str(out), "--format", "pdf")
    assert code == 2
    assert "unknown format 'pdf'" in err
