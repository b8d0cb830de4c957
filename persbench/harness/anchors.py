"""Anchors: what a candidate costs whoever speaks.

anchor(candidate, question) = mean over the neutral system prompts of log p(candidate | neutral, question) / UTF-8
bytes, on the untuned base model. A score minus its anchor compares candidates by what the persona's context adds to
them; no score of another cell enters. The log-likelihoods are stored once a model, keyed by the very text of the
request, so that a changed prompt, template or candidate can never meet a stale number.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml
from lm_eval.api.instance import Instance

from persbench.errors import PersbenchError
from persbench.harness.backend import adapter_of, backend_fingerprint
from persbench.harness.rendering import ChatTemplate, Rendered, render
from persbench.models.fetch import cache_dir
from persbench.scoring.choice import per_byte

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@cache
def neutral_prompts() -> tuple[str, ...]:
    """Return the neutral, persona-free system messages of the package's `neutral_prompts.yaml`."""
    return tuple(yaml.safe_load(files("persbench.harness").joinpath("neutral_prompts.yaml").read_text("utf-8")))


class AnchorStore:
    """Log-likelihoods of one model's anchor requests, in an append-only file.

    Each line is `{"key": sha256 of context and candidate, "ll": nats}`. Lines are appended whole, so a killed run
    leaves at most one broken last line, which is passed over and computed again.

    Args:
        folder: Where the files of all models stand.
        fingerprint: The model's: two models never share a file.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.path = folder / f"{fingerprint}.jsonl"
        self._known: dict[str, float] = {}
        if self.path.exists():
            for line in self.path.read_text("utf-8", errors="replace").splitlines():
                self._remember(line)

    def _remember(self, line: str) -> None:
        try:
            row = json.loads(line)
            self._known[row["key"]] = float(row["ll"])
        except (ValueError, KeyError, TypeError):
            return  # the broken last line of a killed run

    def get(self, key: str) -> float | None:
        """Return a stored log-likelihood in nats, or None."""
        return self._known.get(key)

    def add(self, rows: Sequence[tuple[str, float]]) -> None:
        """Append rows in one write.

        Raises:
            PersbenchError: The file cannot be written.
        """
        text = "".join(json.dumps({"key": key, "ll": ll}) + "\n" for key, ll in rows)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A leading newline ends whatever a killed writer left; empty lines are passed over.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, f"\n{text}".encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise PersbenchError(
                f"cannot store anchors in {self.path}: {error.strerror}. "
                "Make room, or name another folder (--anchors DIR)."
            ) from error
        self._known.update(rows)


def default_folder() -> Path:
    """Return where anchors are kept unless `--metadata '{"anchors": DIR}'` says otherwise."""
    return cache_dir() / "anchors"


def anchor_documents(
    documents: Iterable[dict[str, Any]],
    lm: Any,
    chat_template: ChatTemplate | None,
    folder: Path | None = None,
) -> None:
    """Fill each document's `anchors`: nats per byte of every candidate under the neutral prompts.

    A document is one unit of computation, always of the same requests, so that numbers do not depend on what an
    earlier, perhaps killed, run had stored already.

    Args:
        documents: Choice documents with `ask` and `candidates`; changed in place.
        lm: The lm-eval model, untuned.
        chat_template: Its bound `apply_chat_template`, or None.
        folder: Where to store; the user's cache by default.

    Raises:
        PersbenchError: The model carries an adapter and an anchor is not stored yet.
    """
    store = AnchorStore(folder or default_folder(), backend_fingerprint(lm))
    for document in documents:
        contexts = [
            render([{"role": "system", "content": p}, {"role": "user", "content": document["ask"]}], chat_template)
            for p in neutral_prompts()
        ]
        stored = _lookup(store, contexts, document["candidates"])
        if stored is None:
            stored = _compute(store, contexts, document["candidates"], lm)
        document["anchors"] = [_mean(per_byte(lls, [text] * len(lls))) for text, lls in stored]


def _key(rendered: Rendered, candidate: str) -> str:
    context = rendered.context if isinstance(rendered.context, str) else rendered.context.prompt
    return hashlib.sha256(f"{context}\x1f{rendered.delimiter}{candidate}".encode()).hexdigest()


Stored = list[tuple[str, list[float]]]


def _lookup(store: AnchorStore, contexts: list[Rendered], candidates: Sequence[str]) -> Stored | None:
    found: Stored = []
    for text in candidates:
        lls = [store.get(_key(context, text)) for context in contexts]
        if any(ll is None for ll in lls):
            return None
        found.append((text, [ll for ll in lls if ll is not None]))
    return found


def _compute(store: AnchorStore, contexts: list[Rendered], candidates: Sequence[str], lm: Any) -> Stored:
    if adapter_of(lm) is not None:
        raise PersbenchError(
            "anchors are taken on the untuned base model, and this one carries an adapter. "
            "Run a system without an adapter on the same base model, pack and items first: its anchors are then found."
        )
    pairs = [(context, text) for text in candidates for context in contexts]
    requests = [
        Instance("loglikelihood", {}, (context.context, context.delimiter + text), i, ("anchor", i, 1))
        for i, (context, text) in enumerate(pairs)
    ]
    quiet = {"disable_tqdm": True} if "disable_tqdm" in inspect.signature(lm.loglikelihood).parameters else {}
    lls = [float(ll) for ll, _ in lm.loglikelihood(requests, **quiet)]
    store.add([(_key(context, text), ll) for (context, text), ll in zip(pairs, lls, strict=True)])
    width = len(contexts)
    return [(text, lls[i * width : (i + 1) * width]) for i, text in enumerate(candidates)]


def _mean(values: Sequence[float | None]) -> float | None:
    scored = [v for v in values if v is not None]
    return sum(scored) / len(scored) if len(scored) == len(values) and scored else None


def anchors_hash(documents: Iterable[dict[str, Any]]) -> str:
    """Return twelve hex digits over every anchor used, for the signature of a number."""
    rows = sorted(
        {
            (d["ask"], c, a)
            for d in documents
            if d.get("anchors")
            for c, a in zip(d["candidates"], d["anchors"], strict=True)
        }
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]
