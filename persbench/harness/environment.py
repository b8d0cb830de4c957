"""lm-eval ends every call by describing the machine: it asks pip, compilers and drivers, which takes half a second.

A run calls it once a cell, so the description is made once a process here.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from torch.utils import collect_env

if TYPE_CHECKING:
    from collections.abc import Iterator

_described = cache(collect_env.get_pretty_env_info)


@contextmanager
def described_once() -> Iterator[None]:
    """While it is entered, what torch tells of the machine is what it told the first time."""
    usual = collect_env.get_pretty_env_info
    collect_env.get_pretty_env_info = _described
    try:
        yield
    finally:
        collect_env.get_pretty_env_info = usual
