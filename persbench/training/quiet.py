"""Libraries held to silence while a training reports in its own way."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import datasets
from transformers.utils import logging as transformers_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hold back progress bars, warnings and log lines of the libraries; errors still come through."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    bars, shown = datasets.are_progress_bars_disabled(), transformers_logging.is_progress_bar_enabled()
    level, trl_level = transformers_logging.get_verbosity(), logging.getLogger("trl").level
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("trl").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if not bars:
            datasets.enable_progress_bars()
        if shown:
            transformers_logging.enable_progress_bar()
        transformers_logging.set_verbosity(level)
        logging.getLogger("trl").setLevel(trl_level)
