"""Fakes that talk: a model without weights whose words hang on the seed, and one that fails where it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from persbench.conversation.plan import ConverseSettings
from persbench.harness.fake_lm import FakeLM
from persbench.packs.bundled import fake_pack


class TalkingFake(FakeLM):
    """A fake whose replies hang on context and torch's seed, and that keeps all that it was asked.

    Args:
        mishaps: Text in a context -> what comes instead of a reply; an exception is raised.
    """

    def __init__(self, **mishaps: Any) -> None:
        super().__init__()
        self.mishaps = mishaps
        self.asked: list[str] = []
        self.scored: list[tuple[str, str]] = []

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        return [self._one(str(request.args[0])) for request in requests]

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        self.scored += [(str(r.args[0]), str(r.args[1])) for r in requests]
        return super().loglikelihood(requests)

    def _one(self, context: str) -> str:
        self.asked.append(context)
        for text, mishap in self.mishaps.items():
            if text in context:
                if isinstance(mishap, BaseException):
                    raise mishap
                return str(mishap)
        return self._reply(f"{torch.initial_seed()} {context}")


def talk_settings(out: Path, **changes: Any) -> ConverseSettings:
    """Return settings for the fake pack."""
    usual: dict[str, Any] = {
        "pack": fake_pack(), "a": "prompt", "b": "prompt", "out": out, "turns": 4, "seeds": 2,
        "anchors": out.parent / "anchors",
    }  # fmt: skip
    return ConverseSettings(**usual | changes)
