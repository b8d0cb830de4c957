"""Ctrl-C in a conversation: never lost while a message is waited for, and kept for a good moment while somebody speaks.

Python acts on a signal between two of its instructions, or when the signal interrupts what the process waits in. One
that comes after the last instruction and before the waiting begins is only noted down: readline then waits on, and the
person has pressed for nothing. A read that is woken a few times in a second notices it. Besides, a terminal throws away
what was typed before a Ctrl-C: a reader that has seen a key and then finds none waits for the next one, deaf to
signals. So the terminal keeps its keys until the reader is done.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

LATEST: Final = 0.2  # seconds until a Ctrl-C that came just before the waiting is noticed


@contextmanager
def heard() -> Iterator[None]:
    """Wake whatever reads in here every `LATEST` seconds, so that a signal that came just before is acted on.

    Readers that are woken go on reading, and nothing that is typed is lost. Takes the process's real timer, and does
    nothing where there is none (Windows) or outside the main thread, which alone acts on signals.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _wake)
    try:
        signal.setitimer(signal.ITIMER_REAL, LATEST, LATEST)
        with _keys_kept():
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _keys_kept() -> Iterator[None]:
    """Have the terminal keep what was typed before a Ctrl-C until the reader is done, which then throws it away."""
    if not sys.stdin.isatty():
        yield
        return
    import termios  # no more on Windows than the timer

    usual = termios.tcgetattr(sys.stdin)
    changed = [*usual[:3], usual[3] | termios.NOFLSH, *usual[4:]]
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, changed)
    try:
        yield
    except KeyboardInterrupt:
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        raise
    finally:
        with suppress(termios.error):  # a terminal that is gone
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, usual)


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: that the signal came is enough."""


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C be noticed between two pieces, where the model can be left; pressed twice, it interrupts at once.

    Yields:
        Whether it was pressed; it may be asked after the end, too.
    """
    pressed: list[int] = []

    def press(number: int, _frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
