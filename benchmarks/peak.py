"""Peak memory of a block of work."""

from __future__ import annotations

import threading

import psutil


class Peak:
    """The largest resident memory of this process while the block runs, sampled every few milliseconds."""

    def __init__(self) -> None:
        self._process, self._stop = psutil.Process(), threading.Event()
        self.start = self.most = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:  # noqa: PYI034 - no subclass
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.003):
            self.most = max(self.most, self._process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.most = max(self.most, self._process.memory_info().rss)
