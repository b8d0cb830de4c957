"""Time what a person waits for in `persbench chat`: from the message to the first piece of the reply, over ten turns.

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


def waits(speakers: Speakers, chat: Chat) -> list[tuple[float, float, int]]:
    """Seconds to the first piece, seconds to the last, and characters, for each turn."""
    found = []
    for text in TURNS:
        ask = chat.say(text)
        begun = time.perf_counter()
        first, pieces = 0.0, []
        for piece in speakers.stream(ask):
            first = first or time.perf_counter() - begun
            pieces.append(piece)
        said = "".join(pieces)
        found.append((first, time.perf_counter() - begun, len(said)))
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
        for number, (first, last, length) in enumerate(found, start=1):
            print(
                f"{voice.name} turn {number:2d}: first piece {first:.2f} s, all {length} characters {last:.1f} s",
                flush=True,
            )
        firsts = [first for first, _, _ in found]
        print(
            f"{voice.name}: first piece after {statistics.median(firsts):.2f} s (median), {max(firsts):.2f} s (longest)"
        )


if __name__ == "__main__":
    main()
