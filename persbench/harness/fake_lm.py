"""A deterministic lm-eval model without weights: it tests the whole loop in seconds, and is no source of claims."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lm_eval.api.instance import Instance

WORDS: Final = [
    "salt",
    "tide",
    "rope",
    "bread",
    "rain",
    "debt",
    "lamp",
    "oar",
    "stone",
    "bell",
    "goose",
    "coin",
    "ferry",
    "market",
    "ledger",
    "widow",
    "morning",
    "winter",
    "honest",
    "sorry",
    "never",
    "often",
    "perhaps",
    "because",
    "under",
    "after",
    "between",
    "without",
]


@register_model("persbench-fake")
class FakeLM(LM):  # type: ignore[misc]
    """Log-likelihoods and replies are a hash of the seed, the context and the text.

    Args:
        seed: Two fakes with different seeds are two different models.
        model: Ignored; accepted so that a command line can name one.
    """

    tokenizer_name: Final = "persbench-fake"

    def __init__(self, seed: int = 0, model: str = "", batch_size: int | str = 1, **_arguments: object) -> None:
        super().__init__()
        self.seed = int(seed)
        self.batch_size = batch_size
        self.name = model or "persbench-fake"

    @property
    def fingerprint(self) -> str:
        """Identify this fake among fakes."""
        return f"fake-{self.seed}"

    def _number(self, *parts: str) -> int:
        text = json.dumps([self.seed, *parts])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:  # noqa: ARG002
        """Return between -1 and -3 nats a byte, decided by context and continuation together."""
        return [
            (-(1.0 + 2.0 * self._number(*map(str, r.args)) / 2**64) * len(str(r.args[1]).encode()), False)
            for r in requests
        ]

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[float]:  # noqa: ARG002
        """Return one number a text."""
        return [-float(self._number(str(r.args[0])) % 1000) for r in requests]

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[str]:  # noqa: ARG002
        """Return 12 to 43 words chosen by the context."""
        return [self._reply(str(r.args[0])) for r in requests]

    def _reply(self, context: str) -> str:
        length = 12 + self._number(context) % 32
        return " ".join(WORDS[self._number(context, str(i)) % len(WORDS)] for i in range(length)) + "."

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Render messages in a plain marked-up form."""
        turns = "".join(f"<{m['role']}>{m['content']}</{m['role']}>" for m in chat_history)
        return turns + ("<assistant>" if add_generation_prompt else "")

    def chat_template(self, chat_template: bool | str = False) -> str:  # noqa: ARG002
        """Name the template for lm-eval's log."""
        return "persbench-fake"

    def get_model_info(self) -> dict[str, Any]:
        """Describe the fake for lm-eval's results file."""
        return {"model_name": self.name, "model_sha": self.fingerprint}
