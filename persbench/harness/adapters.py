"""Adapters on one loaded base model: put on for a cell, taken off for the base, which stays as it was to the last bit.

What an adapter changes are modules of the model, its vocabulary and its tokenizer. Both sides are kept, so that
changing between them moves pointers alone: anchors are taken on the untuned base in the midst of an adapter's cell.
"""

from __future__ import annotations

import copy
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from lm_eval.models.utils import configure_pad_token
from transformers import AutoTokenizer

from persbench.errors import PersbenchError
from persbench.harness.backend import describe_backend
from persbench.models.adapter_card import CARD, read_card
from persbench.systems.trained import WEIGHTS, attach

if TYPE_CHECKING:
    from collections.abc import Iterator


class Side(NamedTuple):
    """The model without its adapter, or with it: modules at the places that differ, vocabulary, tokenizer, folder."""

    modules: tuple[torch.nn.Module, ...]
    rows: int
    tokenizer: Any
    folder: str | None


@dataclass
class Worn:
    """An adapter that a model wears.

    Attributes:
        places: (parent, name) of every module that differs.
        base: The model without.
        tuned: The model with it.
        lent: Whether a block wants the base, which is put in place when something is computed on it.
    """

    places: list[tuple[torch.nn.Module, str]]
    base: Side
    tuned: Side
    lent: bool = False


_WORN: WeakKeyDictionary[Any, Worn] = WeakKeyDictionary()


def use_adapter(lm: Any, folder: str | Path | None) -> None:
    """Serve another adapter on a loaded base model, or none.

    Args:
        lm: lm-eval's `hf` or a model made from it.
        folder: PEFT adapter folder, with its tokenizer where it has new tokens; None for the model as it was loaded.

    Raises:
        PersbenchError: The model cannot wear adapters, was loaded with one, or the folder holds none for it.
    """
    worn = _WORN.get(lm)
    if folder is not None and worn is None and getattr(lm, "peft", None):
        raise PersbenchError(f"the model was loaded with the adapter {lm.peft}: load it without, to change adapters")
    if folder is not None and not isinstance(getattr(lm, "model", None), torch.nn.Module):
        raise PersbenchError(
            f"{type(lm).__name__} cannot wear the adapter in {folder}: trained systems need a model whose weights are "
            "loaded here (--backend persbench-prefix or hf)."
        )
    if worn is not None:
        _place(lm, worn, worn.base)
        lm.tokenizer = worn.base.tokenizer
        del _WORN[lm]
    if hasattr(lm, "forget"):
        lm.forget()
    if folder is not None:
        describe_backend(lm)  # the facts of the base, which its anchors are known by
        _WORN[lm] = _put_on(lm, Path(folder))
        lm.tokenizer = _WORN[lm].tuned.tokenizer


@contextmanager
def untuned(lm: Any) -> Iterator[None]:
    """Speak the base's language inside the block; `take_off` in it puts the base's weights in place too."""
    worn = _WORN.get(lm)
    if worn is None or worn.lent:
        yield
        return
    worn.lent, lm.tokenizer = True, worn.base.tokenizer
    try:
        yield
    finally:
        worn.lent, lm.tokenizer = False, worn.tuned.tokenizer
        if lm.peft != worn.tuned.folder:
            if hasattr(lm, "kept"):
                lm.kept.clear()
            _place(lm, worn, worn.tuned)


def take_off(lm: Any) -> None:
    """Put the base's weights in place until the enclosing `untuned` block ends; nothing outside of one."""
    worn = _WORN.get(lm)
    if worn is not None and worn.lent and lm.peft is not None:
        _place(lm, worn, worn.base)


def adapter_fingerprint(folder: Path) -> str:
    """Return the SHA-256 of an adapter's weights, in hex."""
    with (folder / WEIGHTS).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _place(lm: Any, worn: Worn, side: Side) -> None:
    for (parent, name), module in zip(worn.places, side.modules, strict=True):
        setattr(parent, name, module)
    _set_rows(lm.model, side.rows)
    lm.peft = side.folder


def _put_on(lm: Any, folder: Path) -> Worn:
    """Change the model in place, and keep both sides of it."""
    model, tokenizer = lm.model, _tokenizer_of(lm, folder)
    before = [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()]
    usual = set(vars(model))
    rows = _rows(model)
    try:
        # PEFT draws weights at random before it reads the adapter's own; no other draw may notice.
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            grow(model, len(tokenizer))
            attach(model, folder)
    except BaseException:
        for parent, name, child in before:
            setattr(parent, name, child)
        _set_rows(model, rows)
        raise
    finally:
        for name in set(vars(model)) - usual:  # PEFT's own notes on the model
            delattr(model, name)
    changed = [(parent, name, child) for parent, name, child in before if getattr(parent, name) is not child]
    tuned = Side(tuple(getattr(p, n) for p, n, _ in changed), _rows(model), tokenizer, str(folder))
    lm.peft = str(folder)
    return Worn([(p, n) for p, n, _ in changed], Side(tuple(c for _, _, c in changed), rows, lm.tokenizer, None), tuned)


def _tokenizer_of(lm: Any, folder: Path) -> Any:
    """Load the adapter's tokenizer as lm-eval would; the base's where it has none, and needs none."""
    if not (folder / "tokenizer_config.json").is_file():
        if (folder / CARD).is_file() and (labels := read_card(folder).labels):
            raise PersbenchError(
                f"cannot use the adapter in {folder}: it has learnt tokens of its own ({', '.join(labels)}), and its "
                "tokenizer is not there. Copy tokenizer.json and tokenizer_config.json from where it was trained."
            )
        return lm.tokenizer
    bos = getattr(lm, "add_bos_token", None)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=False, **({} if bos is None else {"add_bos_token": bos})
        )
    except (OSError, ValueError, KeyError) as error:
        raise PersbenchError(f"cannot use the adapter in {folder}: its tokenizer cannot be read ({error})") from error
    return configure_pad_token(tokenizer, model_config=lm.config)


def tables(model: Any) -> list[torch.nn.Module]:
    """Return the input and output embeddings."""
    return [table for table in (model.get_input_embeddings(), model.get_output_embeddings()) if table is not None]


def grow(model: Any, rows: int) -> None:
    """Put copies of the embeddings in their place, tied as they were, with a row for each token as lm-eval's `hf` does.

    The adapter may write into them. New rows begin as the mean of the old ones.

    Args:
        model: transformers model.
        rows: Tokens of the adapter's tokenizer.
    """
    names = {id(module): name for name, module in model.named_modules()}
    copied: dict[int, Any] = {}
    for table in tables(model):
        model.set_submodule(names[id(table)], copy.deepcopy(table, copied))
    known = _rows(model)
    if rows == known:
        return
    model.resize_token_embeddings(rows, mean_resizing=False)
    for table in tables(model):
        weight: Any = table.weight
        with torch.no_grad():
            weight[known:] = weight[:known].mean(dim=0)


def _rows(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


def _set_rows(model: Any, rows: int) -> None:
    model.config.get_text_config().vocab_size = rows
    if hasattr(model, "vocab_size"):
        model.vocab_size = rows
