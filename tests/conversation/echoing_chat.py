"""A chat in the terminal with somebody who repeats what is said and needs no weights; run in a process of its own."""

from __future__ import annotations

import ctypes
import os
import readline
import signal
import sys
import time
from collections.abc import Generator
from functools import partial

from persbench.commands.chat_terminal import Terminal
from persbench.conversation.asks import Ask, Piece, Voice
from persbench.conversation.chat import Chat
from persbench.errors import PersbenchError
from persbench.packs.bundled import fake_pack
from persbench.packs.load import load_pack


class Echo:
    """Repeats the last message word by word, and says at which stage and with which seed.

    What stands before " => " is thought first.
    """

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.closed = 0

    def aloud(self, ask: Ask) -> Generator[Piece, None, None]:
        self.asks.append(ask)
        thought, mark, text = ask.history[-1]["content"].rpartition(" => ")
        try:
            if mark:
                yield Piece("", is_thought=True)
                for word in thought.split(" "):
                    time.sleep(0.05 if thought.startswith("slow") else 0.0)
                    yield Piece(word + " ", is_thought=True)
            if text == "fail":
                raise PersbenchError("its persona and one turn take more than the model's 64 tokens")
            if text == "interrupt":  # as where Ctrl-C is pressed twice
                raise KeyboardInterrupt
            if text == "break":
                raise RuntimeError("out of \x1b[31mmemory")
            if text == "nothing":
                return
            pause = 0.05 if text.startswith("slow") else 0.0
            for word in [*text.split(" "), ask.voice.stage, str(ask.seed)]:
                time.sleep(pause)
                yield Piece(word + " ")
        finally:
            self.closed += 1


def terminal(speakers: Echo) -> Terminal:
    pack = load_pack(fake_pack())
    return Terminal(Chat(Voice("prompt", "ada", "late")), speakers, "Ada Crumb", list(pack.world.stages))


if __name__ == "__main__":
    if os.isatty(0):
        os.close(os.open(os.ttyname(0), os.O_RDWR))  # makes it this session's terminal, so that Ctrl-C gets here
    if sys.argv[1:]:
        # Called between the prompt and the wait for keys; C alone, since Python would act on the signal at once.
        readline.set_pre_input_hook(partial(ctypes.CDLL(None).kill, os.getpid(), signal.SIGINT))
    chat = terminal(Echo())
    chat.run()
    print("ended")
    sys.exit(0)
