"""Time what a person waits for in `persbench chat`, over ten turns: from the message to the first text, and its last.

What a trained voice shows first is its analysis; its first word said comes later.

    python benchmarks/chat.py                       # SmolLM2, systems prompt and vanilla
    python benchmarks/chat.py --systems rag,persllm=adapters/persllm --dtype bfloat16

The model is loaded and warmed up before, as the command does. Replies are sampled up to --max-tokens,
so that later turns have a history to carry.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from persbench.conversation.asks import Voice
from persbench.conversation.chat import Chat, warm_up
from persbench.conversation.speakers import Speakers
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack

TURNS = (
    "Good morning. How is your work these days?",
    "What do you do when a day has gone badly?",
    "Who taught you what you know?",
    "Is there somebody in town whom you do not trust?",
    "Would you rather have more money or more time?",
    "What did you eat yesterday, and who cooked it?",
    "Tell me about a thing that you regret.",
    "Do you think people should be forgiven what they did long ago?",
    "What will the town be like in ten years?",
    "It was good to talk with you. What shall I tell the others?",
)


class Waits(NamedTuple):
    """Seconds to the first text, to the first that is said, and to the last; and characters said."""

    first: float
    said: float
    last: float
    length: int


def waits(speakers: Speakers, chat: Chat) -> list[Waits]:
    """Time each turn."""
    found = []
    for text in TURNS:
        ask = chat.say(text)
        begun = time.perf_counter()
        first, spoken, pieces = 0.0, 0.0, []
        for piece in speakers.aloud(ask):
            if not piece.text:
                continue
            first = first or time.perf_counter() - begun
            if not piece.is_thought:
                spoken = spoken or time.perf_counter() - begun
                pieces.append(piece.text)
        said = "".join(pieces)
        found.append(Waits(first, spoken, time.perf_counter() - begun, len(said)))
        chat.hear(said)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", default="prompt,vanilla")
    parser.add_argument("--persona", default="nedda")
    parser.add_argument("--stage", default="late")
    parser.add_argument("--model", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--max-tokens", type=int, default=60)
    options = parser.parse_args()
    voices = [Voice(system, options.persona, options.stage) for system in options.systems.split(",")]
    begun = time.perf_counter()
    speakers = Speakers(
        load_pack(resolve_pack(None)), voices, model=options.model, dtype=options.dtype, max_tokens=options.max_tokens
    )
    print(f"loading: {time.perf_counter() - begun:.1f} s", flush=True)
    for voice in voices:
        begun = time.perf_counter()
        warm_up(speakers, voice)
        print(
            f"{voice.name}: warming up, as the command does while it loads: {time.perf_counter() - begun:.2f} s",
            flush=True,
        )
        found = waits(speakers, Chat(voice, seed=1))
        for number, each in enumerate(found, start=1):
            print(
                f"{voice.name} turn {number:2d}: first text {each.first:.2f} s, first word said {each.said:.2f} s, "
                f"all {each.length} characters {each.last:.1f} s",
                flush=True,
            )
        for what, seconds in (("text", [each.first for each in found]), ("word said", [each.said for each in found])):
            print(
                f"{voice.name}: first {what} after {statistics.median(seconds):.2f} s (median), "
                f"{max(seconds):.2f} s (longest)"
            )


if __name__ == "__main__":
    main()
