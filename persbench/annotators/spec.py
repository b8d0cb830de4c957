"""Naming an annotator: a short spec on the command line, or a folder with `annotator.yaml`."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench.annotators.asking import CachedAnnotator
from persbench.annotators.cache import CallCache
from persbench.annotators.settings import EndpointSettings, LocalSettings
from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.packs.complaints import unknown_name, validated
from persbench.packs.yaml_file import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from persbench.annotators.base import Backend

FILE_NAME: Final = "annotator.yaml"
FORMS: Final = (
    "openai:MODEL (an endpoint; add @http://HOST:PORT/v1 for another than OpenAI's own), local:PATH (the folder of a "
    f"model), or a folder with {FILE_NAME}"
)
KINDS: Final = ("openai", "local")
_ENDPOINT = re.compile(r"openai:(?P<model>[^\s@][^\s]*?)(?:@(?P<url>https?://\S+))?")


def load_annotator(
    spec: str,
    *,
    cache: Path | None,
    budget: int | None = None,
    tell: Callable[[str], Any] | None = None,
) -> CachedAnnotator:
    """Make an annotator; no model is loaded and nothing is sent before it is asked.

    Args:
        spec: `openai:MODEL[@BASE_URL]`, `local:PATH`, or a folder that holds `annotator.yaml`.
        cache: File of the call cache, or a folder for it; None keeps answers in memory alone.
        budget: Tokens that all answers used may take together, those from the cache included; None for no bound.
        tell: Is told in a sentence of a damaged cache; None writes to standard error.

    Raises:
        FaultsError: Every fault of `annotator.yaml` at once, with its line.
        PersbenchError: The spec has no such form, an extra is not installed, or the cache cannot be used.
    """
    if budget is not None and budget < 1:
        raise PersbenchError(f"a budget of {budget} tokens allows nothing: give a positive number.")
    settings = read_settings(spec)
    backend: Backend
    if isinstance(settings, EndpointSettings):
        missing = [name for name in ("openai", "tenacity") if find_spec(name) is None]
        if missing:
            raise PersbenchError(
                f"an endpoint needs {' and '.join(missing)}, which is not installed: pip install 'persbench[endpoint]'"
            )
        from persbench.annotators.endpoint import EndpointBackend  # noqa: PLC0415 - only what is used

        backend, prices = EndpointBackend(settings), settings.prices
    else:
        from persbench.annotators.local import LocalBackend  # noqa: PLC0415 - torch takes seconds

        backend, prices = LocalBackend(settings), None
    opened = CallCache(cache, tell=tell or (lambda line: print(line, file=sys.stderr)))
    return CachedAnnotator(backend, opened, budget=budget, prices=prices)


def read_settings(spec: str) -> EndpointSettings | LocalSettings:
    """Read a spec, without looking whether the endpoint or the model is there.

    Raises:
        FaultsError: Every fault of `annotator.yaml` at once, with its line.
        PersbenchError: It has none of the forms.
    """
    if endpoint := _ENDPOINT.fullmatch(spec):
        return EndpointSettings(model=endpoint["model"], base_url=endpoint["url"])
    if spec.startswith("local:") and spec.removeprefix("local:").strip():
        return LocalSettings(model=spec.removeprefix("local:").strip())
    folder = Path(spec)
    try:
        if spec and (folder / FILE_NAME).exists():
            return _read_file(folder)
    except (OSError, ValueError):
        pass  # too long or with a NUL: no folder has such a name
    # A mistyped spec may hold a password.
    shown = spec.partition(":")[0] + ":..." if ":" in spec else spec
    raise PersbenchError(f"{shown!r} names no annotator. Give {FORMS}.")


def _read_file(folder: Path) -> EndpointSettings | LocalSettings:
    faults: list[Fault] = []
    document = read_yaml(folder / FILE_NAME, FILE_NAME, faults)
    settings: EndpointSettings | LocalSettings | None = None
    if document is not None:
        data = document.data
        kind = data.get("kind") if isinstance(data, dict) else None
        if kind in KINDS:
            if kind == "openai":
                settings = validated(EndpointSettings, data, FILE_NAME, faults, document.line)
            else:
                settings = validated(LocalSettings, data, FILE_NAME, faults, document.line)
        else:
            said = "no kind" if kind is None else None
            message, expected = unknown_name("kind", str(kind), list(KINDS))
            faults.append(Fault(FILE_NAME, document.line(("kind",)), said or message, f"kind: {expected}"))
    if faults or settings is None:
        raise FaultsError(f"the annotator in {folder}", faults)
    if isinstance(settings, LocalSettings) and (folder / settings.model).is_dir():
        return settings.model_copy(update={"model": str(folder / settings.model)})
    return settings
