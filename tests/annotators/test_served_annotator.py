"""SmolLM2 as an annotator: behind a real OpenAI-compatible server on loopback, and in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_serve import COMMAND, url  # noqa: F401 - the fixture that starts the server
from transformers.utils.import_utils import is_serve_available

from persbench.annotators.calls import Answer, Call
from persbench.annotators.parsing import ask_parsed, one_of
from persbench.annotators.spec import load_annotator
from persbench.models.fetch import fetch_model

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        not is_serve_available() or shutil.which(str(COMMAND)) is None,
        reason="`transformers serve` is not installed: pip install 'transformers[serving]'",
    ),
]


def call(text: str, **more: int) -> Call:
    messages = ({"role": "system", "content": "Answer in one short sentence."}, {"role": "user", "content": text})
    return Call("talk", "v1", messages, **{"max_tokens": 16} | more)  # type: ignore[arg-type]


def test_an_endpoint_and_local_weights_give_the_same_answers(url: str, tmp_path: Path) -> None:  # noqa: F811
    calls = [call("What is bread made of?"), call("Name a colour.", max_tokens=8), call("Where does the sun rise?")]
    base = url.removesuffix("/chat/completions")
    (tmp_path / "annotator.yaml").write_text(
        f"kind: openai\nmodel: {fetch_model()}\nbase_url: {base}\nconcurrency: 2\nattempts: 2\n"
    )
    served = load_annotator(str(tmp_path), cache=tmp_path / "served.sqlite")
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "annotator.yaml").write_text(
        f"kind: local\nmodel: {fetch_model()}\ndtype: float32\ndevice: cpu\n"
    )
    local = load_annotator(str(tmp_path / "local"), cache=tmp_path / "local.sqlite")
    there, here = served.ask(calls), local.ask(calls)
    for one, other in zip(there, here, strict=True):
        assert isinstance(one, Answer)
        assert isinstance(other, Answer)
        assert one.text.strip() == other.text
        assert one.prompt_tokens == other.prompt_tokens  # as the server counts them
    assert all(isinstance(reply, Answer) and reply.cached for reply in served.ask(calls))
    # It cannot keep to a form, and what it says instead is not taken for an answer.
    (parsed,) = ask_parsed(local, [call("Is it warm? Answer with one word: yes or no.")], one_of(["yes", "no"]))
    assert (parsed.value is None) == (parsed.kind == "malformed")
    assert local.tally.work()["talk"]["calls"] == 4
