"""Naming an annotator on the command line or in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from persbench.annotators import spec as spec_module
from persbench.annotators.settings import EndpointSettings, LocalSettings
from persbench.annotators.spec import load_annotator, read_settings
from persbench.errors import FaultsError, PersbenchError


@pytest.mark.parametrize(
    ("spec", "model", "url"),
    [
        ("openai:gpt-x", "gpt-x", None),
        ("openai:org/name:tag@http://127.0.0.1:8000/v1", "org/name:tag", "http://127.0.0.1:8000/v1"),
        ("openai:m@https://ada:b@host/v1", "m", "https://ada:b@host/v1"),
        ("openai:name@2024@http://h/v1", "name@2024", "http://h/v1"),
    ],
)
def test_an_endpoint_in_one_word(spec: str, model: str, url: str | None) -> None:
    settings = read_settings(spec)
    assert isinstance(settings, EndpointSettings)
    assert (settings.model, settings.base_url) == (model, url)


def test_a_local_model_in_one_word() -> None:
    settings = read_settings("local:/some/model")
    assert isinstance(settings, LocalSettings)
    assert settings.model == "/some/model"


@pytest.mark.parametrize(
    "spec", ["", "openai:", "local:", "gpt-x", "opanai:gpt", "openai:a b", "/nowhere", "x\0y", "a" * 5000, "local: "]
)
def test_anything_else_is_answered_with_the_forms(spec: str) -> None:
    with pytest.raises(PersbenchError, match=r"names no annotator. Give openai:MODEL .*local:PATH .*annotator.yaml"):
        read_settings(spec)


def test_a_mistyped_spec_does_not_repeat_its_password() -> None:
    with pytest.raises(PersbenchError) as raised:
        read_settings("open:m@https://ada:secret@host/v1")
    assert "secret" not in str(raised.value)


def test_a_folder_holds_all_settings(tmp_path: Path) -> None:
    (tmp_path / "annotator.yaml").write_text(
        "kind: openai\nmodel: m\nbase_url: http://h/v1\napi_key_variable: MY_KEY\nconcurrency: 2\n"
        "requests_per_minute: 60\ntimeout: 5\nleave_out: [seed]\nparameters: {top_p: 0.9}\n"
        "prices: {prompt: 0.5, completion: 1.5, currency: EUR}\n"
    )
    settings = read_settings(str(tmp_path))
    assert isinstance(settings, EndpointSettings)
    assert (settings.concurrency, settings.timeout, settings.leave_out) == (2, 5.0, ("seed",))
    annotator = load_annotator(str(tmp_path), cache=None)
    assert annotator.tally.prices is not None
    assert annotator.tally.prices.currency == "EUR"
    (tmp_path / "model").mkdir()
    (tmp_path / "annotator.yaml").write_text("kind: local\nmodel: model\nbatch: 1\n")
    local = read_settings(str(tmp_path))
    assert isinstance(local, LocalSettings)
    assert local.model == str(tmp_path / "model")  # beside the file, wherever the command is given


def test_every_fault_of_the_file_is_told_and_no_key_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "annotator.yaml").write_text(
        "kind: openai\nmodle: m\nconcurrency: 0\napi_key_variable: sk-secret-1234\napi_key: sk-other-5678\n"
        "parameters: {messages: [], top_p: 1}\n"
    )
    with pytest.raises(FaultsError) as raised:
        read_settings(str(tmp_path))
    told = str(raised.value)
    wanted_faults = [
        'missing key "model"',
        'unknown key "modle" (did you mean "model"?)',
        "annotator.yaml:3: concurrency",
        "annotator.yaml:4: api_key_variable: not the name of",
        'annotator.yaml:5: unknown key "api_key"',
        "annotator.yaml:6: parameters: messages: set by each call",
    ]
    for wanted in wanted_faults:
        assert wanted in told, told
    assert "sk-" not in told
    for text, wanted in (
        ("model: m\n", "no kind"),
        ("kind: opnai\n", 'did you mean "openai"'),
        ("- a\n", "kind"),
        ("", "empty"),
    ):
        (tmp_path / "annotator.yaml").write_text(text)
        with pytest.raises(FaultsError, match=wanted):
            read_settings(str(tmp_path))


def test_a_missing_extra_and_a_senseless_budget_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PersbenchError, match="budget of 0 tokens"):
        load_annotator("openai:m", cache=None, budget=0)
    monkeypatch.setattr(spec_module, "find_spec", lambda name: None if name == "openai" else name)
    with pytest.raises(
        PersbenchError, match=r"needs openai, which is not installed: pip install 'persbench\[endpoint\]'"
    ):
        load_annotator("openai:m", cache=None)
