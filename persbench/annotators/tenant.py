"""Who holds a claim, and whether that process still lives."""

from __future__ import annotations

import os
import socket
import uuid

import psutil


def tenant() -> str:
    """Return a new name for a holder in this process: machine, process, its time of start, and a random part."""
    return " ".join([socket.gethostname(), str(os.getpid()), _started(os.getpid()), uuid.uuid4().hex[:8]])


def is_alive(name: str) -> bool:
    """Say whether the process behind a name may still be at work; of another machine's nobody here can tell."""
    host, pid, started, _ = name.split(" ")
    if host != socket.gethostname():
        return True
    # A process id is given again; the time of start tells the old process from the new.
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""
