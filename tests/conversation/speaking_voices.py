"""Voices on a tiny model with tiny adapters, and what is asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from persbench.conversation.speakers import Ask, Speakers, Voice
from persbench.models.chat import Message
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack

PACK = load_pack(fake_pack())
ADA, BO = Voice("prompt", "ada", "early"), Voice("prompt", "bo", "late")


def trained(folder: Path) -> list[Voice]:
    return [Voice(f"persllm={folder / 'persllm'}", persona, "early") for persona in ("ada", "bo")]


def speakers(folder: Path, *voices: Voice, **changes: Any) -> Speakers:
    settings: dict[str, Any] = {"max_tokens": 24, "device": "cpu"} | changes
    return Speakers(PACK, voices or [ADA, BO], model=str(folder / "base"), **settings)


def history(*texts: str) -> tuple[Message, ...]:
    return tuple({"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts))


def ask(voice: Voice, *texts: str, seed: int = 0, kept: int = 0) -> Ask:
    return Ask(voice, history(*(texts or ("Good morning.",))), seed, kept)
