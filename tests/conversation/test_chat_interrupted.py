"""`persbench chat` in a terminal of its own, with keys pressed from outside."""

from __future__ import annotations

import os
import pty
import re
import readline
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import echoing_chat
import pytest

from persbench.commands.interrupts import heard, stoppable


@pytest.fixture(autouse=True)
def deaf_to_nothing() -> Iterator[None]:
    """A shell that starts these tests behind it has them, and what they start, ignore Ctrl-C: here it is heard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class InTerminal:
    """A chat in a terminal of its own, with keys pressed from outside."""

    def __init__(self, *arguments: str) -> None:
        self.keys, screen = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, echoing_chat.__file__, *arguments],
            stdin=screen, stdout=screen, stderr=screen, start_new_session=True, env=os.environ | {"TERM": "dumb"},
        )  # fmt: skip
        os.close(screen)
        self.seen = ""

    def press(self, keys: str) -> None:
        os.write(self.keys, keys.encode())

    def wait_for(self, pattern: str) -> None:
        self.comes(pattern, seconds=30.0)
        found = re.search(pattern, self.seen)
        assert found, self.seen
        self.seen = self.seen[found.end() :]

    def comes(self, pattern: str, seconds: float) -> bool:
        """Say whether a text appears in time."""
        begun = time.monotonic()
        while not re.search(pattern, self.seen) and time.monotonic() - begun < seconds:
            if select.select([self.keys], [], [], 0.5)[0]:
                try:
                    self.seen += os.read(self.keys, 4096).decode("utf-8", "replace")
                except OSError:  # the other side has closed
                    break
        return re.search(pattern, self.seen) is not None

    def end(self) -> int:
        code = self.process.wait(timeout=30)
        os.close(self.keys)
        return code


@pytest.mark.parametrize("end", ["\x03", "\x04", "/quit\n"])
def test_ctrl_c_stops_a_reply_and_then_ends_the_chat(end: str) -> None:
    chat = InTerminal()
    chat.wait_for("you: ")
    chat.press("slow " + "word " * 60 + "\n")
    chat.wait_for("Ada Crumb: slow word word")
    chat.press("\x03")
    chat.wait_for("stopped; /again")
    chat.wait_for("you: ")
    chat.press("slow " + "thought " * 60 + "=> x\n")
    chat.wait_for("Ada Crumb: .*\\(thinks: .*slow .*thought thought")
    chat.press("\x03")
    chat.wait_for("\\)\\s+stopped; /again")
    chat.wait_for("you: ")
    chat.press("and now?\n")
    chat.wait_for("Ada Crumb: and now\\? late 2")
    chat.wait_for("you: ")
    chat.press(end)
    chat.wait_for("ended")
    assert chat.end() == 0


@pytest.mark.skipif("libedit" in (readline.__doc__ or ""), reason="has no hook between the prompt and the wait")
def test_a_ctrl_c_between_the_prompt_and_the_wait_for_keys_ends_the_chat() -> None:
    chat = InTerminal("press in the gap")
    chat.wait_for("you: ")
    chat.wait_for("ended")
    assert chat.end() == 0


def test_nothing_is_left_of_the_waking_and_the_stopping() -> None:
    alarm, interrupt = signal.getsignal(signal.SIGALRM), signal.getsignal(signal.SIGINT)
    with heard(), stoppable() as is_stopped:
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        assert not is_stopped()
        signal.raise_signal(signal.SIGINT)
        assert is_stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert is_stopped()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert (signal.getsignal(signal.SIGALRM), signal.getsignal(signal.SIGINT)) == (alarm, interrupt)


def test_outside_the_main_thread_no_signal_is_touched() -> None:
    said: list[bool] = []

    def talk() -> None:
        with heard(), stoppable() as is_stopped:
            said.append(is_stopped())

    thread = threading.Thread(target=talk)
    thread.start()
    thread.join()
    assert said == [False]
