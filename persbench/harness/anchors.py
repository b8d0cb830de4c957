"""Anchors: what a candidate costs whoever speaks.

anchor(candidate, question) = mean over the neutral system prompts of log p(candidate | neutral, question) / UTF-8
bytes, on the untuned base model. A score minus its anchor compares candidates by what the persona's context adds to
them; no score of another cell enters. The log-likelihoods are stored once a model, keyed by the very text of the
request, so that a changed prompt, template or candidate can never meet a stale number.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from lm_eval.api.instance import Instance

from persbench.errors import PersbenchError
from persbench.harness.adapters import take_off, untuned
from persbench.harness.asking import quiet, shown
from persbench.harness.backend import adapter_of, backend_fingerprint
from persbench.harness.documents.base import branches_of
from persbench.harness.ranks import most, world_size
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
    """Log-likelihoods and replies of one untuned model without a persona, in an append-only file.

    Each line is `{"key": sha256 of context and candidate, "ll": nats}`, or `"reply"` in the place of `"ll"`. Lines are
    appended whole, so a killed run leaves at most one broken last line, which is passed over and computed again.

    Args:
        folder: Where the files of all models stand.
        fingerprint: The model's: two models never share a file.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.path = folder / f"{fingerprint}.jsonl"
        self._known: dict[str, float | str] = {}
        self._read = 0  # bytes of the file
        self.refresh()

    def refresh(self) -> None:
        """Take over what other processes have stored since."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return
        whole = fresh.rfind(b"\n") + 1  # what follows may be half a line, and is read again
        self._read += whole
        for line in fresh[:whole].decode("utf-8", errors="replace").splitlines():
            self._remember(line)

    def _remember(self, line: str) -> None:
        try:
            row = json.loads(line)
            self._known[row["key"]] = str(row["reply"]) if "reply" in row else float(row["ll"])
        except (ValueError, KeyError, TypeError):
            return  # the broken last line of a killed run

    def get(self, key: str) -> float | None:
        """Return a stored log-likelihood in nats, or None."""
        found = self._known.get(key)
        return found if isinstance(found, float) else None

    def get_reply(self, key: str) -> str | None:
        """Return a stored reply, or None."""
        found = self._known.get(key)
        return found if isinstance(found, str) else None

    def add(self, rows: Sequence[tuple[str, float | str]]) -> None:
        """Append rows in one write.

        Raises:
            PersbenchError: The file cannot be written.
        """
        text = "".join(
            json.dumps({"key": key, "reply" if isinstance(value, str) else "ll": value}) + "\n" for key, value in rows
        )
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
    groups: Iterable[Sequence[dict[str, Any]]],
    lm: Any,
    chat_template: ChatTemplate | None,
    folder: Path | None = None,
) -> None:
    """Fill in `anchors`: nats per byte of every candidate under the neutral prompts.

    A group (the branches of one document) is one unit of computation, always of the same requests, so that numbers do
    not depend on what an earlier, perhaps killed, run had stored already.

    Args:
        groups: Documents with `ask` (or the conversation up to it as `turns`), and `candidates` that are the same
            throughout a group; changed in place.
        lm: The lm-eval model, untuned.
        chat_template: Its bound `apply_chat_template`, or None.
        folder: Where to store; the user's cache by default.

    Raises:
        PersbenchError: The model carries an adapter and an anchor is not stored yet.
    """
    store = AnchorStore(folder or default_folder(), backend_fingerprint(lm))
    groups = [group for group in groups if group]
    units = []
    with untuned(lm):
        for group in groups:
            contexts = [
                render([{"role": "system", "content": prompt}, *turns], chat_template)
                for document in group
                for turns in [document.get("turns") or [{"role": "user", "content": document["ask"]}]]
                for prompt in neutral_prompts()
            ]
            units.append(Unit(contexts, group[0]["candidates"]))
        found = calm_likelihoods(units, lm, store)
    for group, by_context in zip(groups, found, strict=True):
        rows = iter(by_context)
        for document in group:
            scores = [per_byte(next(rows), document["candidates"]) for _ in neutral_prompts()]
            document["anchors"] = [_mean(column) for column in zip(*scores, strict=True)]


class Unit(NamedTuple):
    """Contexts without a persona and candidates after each: computed in one call, whatever else is stored already."""

    contexts: Sequence[Rendered]
    candidates: Sequence[str]

    @property
    def pairs(self) -> list[tuple[Rendered, str]]:
        """Every context with every candidate, context by context."""
        return [(context, text) for context in self.contexts for text in self.candidates]


def calm_likelihoods(units: Sequence[Unit], lm: Any, store: AnchorStore) -> list[list[list[float]]]:
    """Return log-likelihoods of candidates after contexts without a persona, stored or computed.

    Args:
        units: What is wanted.
        lm: The lm-eval model, untuned.
        store: Where its numbers are kept.

    Returns:
        Nats: for each unit, for each context, one number a candidate.

    Raises:
        PersbenchError: The model carries an adapter and a number is not stored yet.
    """
    keys = [[request_key(context, context.delimiter + text) for context, text in unit.pairs] for unit in units]
    missing: list[int] = []
    coming: set[str] = set()  # a question that is asked at two stages has the same anchors at both
    for i, row in enumerate(keys):
        if any(store.get(key) is None and key not in coming for key in row):
            missing.append(i)
            coming.update(row)
    # How many calls there will be is settled before the first: ranks must stay in step.
    padding = most(lm, len(missing)) - len(missing)
    if missing:
        require_untuned(lm)
    alone = world_size(lm) == 1
    if alone:  # processes of one run want many of the same: each begins elsewhere, and takes over what others have
        random.Random(os.getpid()).shuffle(missing)  # noqa: S311 - an order of work
    for i in shown(missing, lm, "Log-likelihoods of the untuned model, once a machine"):
        if alone:
            store.refresh()
            if all(store.get(key) is not None for key in keys[i]):
                continue
        distinct = dict(zip(keys[i], units[i].pairs, strict=True))  # the probes of a dialogue ask one question
        store.add(list(zip(distinct, _compute(list(distinct.values()), lm), strict=True)))
    for _ in range(padding):
        _compute([(Rendered("Hello.", "plain", " "), "Hello.")], lm)
    found: list[list[list[float]]] = []
    for unit, row in zip(units, keys, strict=True):
        lls, width = [ll for key in row if (ll := store.get(key)) is not None], len(unit.candidates)
        found.append([lls[start : start + width] for start in range(0, len(lls), width)])
    return found


def _compute(pairs: Sequence[tuple[Rendered, str]], lm: Any) -> list[float]:
    requests = [
        Instance("loglikelihood", {}, (context.context, context.delimiter + text), i, ("anchor", i, 1))
        for i, (context, text) in enumerate(pairs)
    ]
    return [float(ll) for ll, _ in lm.loglikelihood(requests, **quiet(lm.loglikelihood))]


def request_key(rendered: Rendered, rest: str) -> str:
    """Identify a request by its very text: context, and candidate or generation settings."""
    context = rendered.context if isinstance(rendered.context, str) else rendered.context.prompt
    return hashlib.sha256(f"{context}\x1f{rest}".encode()).hexdigest()


def require_untuned(lm: Any) -> None:
    """Take the adapter off inside an `untuned` block, and refuse to take an anchor on a model that stays tuned.

    Raises:
        PersbenchError: The model was loaded with an adapter.
    """
    take_off(lm)
    if adapter_of(lm) is not None:
        raise PersbenchError(
            "anchors are taken on the untuned base model, and this one carries an adapter. "
            "Run a system without an adapter on the same base model, pack and items first: its anchors are then found."
        )


def _mean(values: Sequence[float | None]) -> float | None:
    scored = [v for v in values if v is not None]
    return sum(scored) / len(scored) if len(scored) == len(values) and scored else None


def anchors_hash(documents: Iterable[dict[str, Any]]) -> str:
    """Return twelve hex digits over every anchor used, for the signature of a number."""
    rows = sorted(
        {
            (branch["ask"], text, value)
            for document in documents
            for branch in branches_of(document)
            if branch.get("anchors")
            for text, value in zip(document["candidates"], branch["anchors"], strict=True)
        }
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]
