"""Replies that a task asks for by itself, outside of lm-eval's own requests: as many on every rank."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from lm_eval.api.instance import Instance
from tqdm import tqdm

from persbench.errors import PersbenchError
from persbench.harness.ranks import most
from persbench.harness.rendering import ChatTemplate, Rendered, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


def generated(
    lm: Any, contexts: Sequence[Any], settings: dict[str, Any], chat_template: ChatTemplate | None
) -> list[str]:
    """Generate a reply to each context, with as many requests on every rank, since some models compute in lockstep.

    Args:
        lm: lm-eval model.
        contexts: As rendered.
        settings: Generation settings.
        chat_template: Renders the filler of a rank that has fewer contexts.

    Raises:
        PersbenchError: The model gave fewer or more replies than it was asked for.
    """
    texts = list(contexts)
    padding = most(lm, len(texts)) - len(texts)
    if padding:
        filler = texts[0] if texts else render([{"role": "user", "content": "Hello."}], chat_template).context
        texts += [filler] * padding
    requests = [
        Instance("generate_until", {}, (text, dict(settings)), i, ("asked", i, 1)) for i, text in enumerate(texts)
    ]
    replies: list[str] = lm.generate_until(requests, **quiet(lm.generate_until)) if requests else []
    if len(replies) != len(texts):
        raise PersbenchError(f"the model gave {len(replies)} replies to {len(texts)} requests")
    return replies[: len(contexts)]


def shown(work: Sequence[T], lm: Any, what: str) -> Iterable[T]:
    """Show how far long work has come that lm-eval's own bars know nothing of: on a terminal, by the first rank."""
    bar: Iterable[T] = tqdm(work, desc=what, leave=False, disable=True if getattr(lm, "rank", 0) else None)
    return bar


def quiet(method: Any) -> dict[str, bool]:
    """Return the argument that hides a backend's own progress bar, where it takes one."""
    return {"disable_tqdm": True} if "disable_tqdm" in inspect.signature(method).parameters else {}


def likelihoods(lm: Any, pairs: Sequence[tuple[Rendered, str]]) -> list[float]:
    """Return the log-likelihood of each text after its context, in nats.

    Args:
        lm: lm-eval model.
        pairs: Context and text.
    """
    requests = [
        Instance("loglikelihood", {}, (context.context, context.delimiter + text), i, ("asked", i, 1))
        for i, (context, text) in enumerate(pairs)
    ]
    return [float(ll) for ll, _ in lm.loglikelihood(requests, **quiet(lm.loglikelihood))] if requests else []
