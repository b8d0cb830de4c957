"""Supervised tuning by TRL's SFTTrainer, with a loss on the assistant's turn alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from persbench.errors import PersbenchError
from persbench.training.base import formed
from persbench.training.checkpoints import Checkpointed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.training.base import Form
    from persbench.training.rows import Example

NO_LOSS: Final = -100
WINDOW: Final = 4


class Row(NamedTuple):
    """A sequence of tokens, and what of it is learnt.

    Attributes:
        input_ids: (length,) token ids.
        labels: (length,) the same, or -100 where there is no loss.
        cut: Whether its end was cut off.
    """

    input_ids: list[int]
    labels: list[int]
    cut: bool


def sft_row(example: Example, tokenizer: Any, form: Form, max_length: int) -> Row:
    """Render an example, with a loss on exactly the assistant's tokens and the token that ends its turn.

    What a template writes after that token (SmolLM2's: a line break) is left out: nobody generates it.

    Args:
        example: What is said.
        tokenizer: With a chat template.
        form: See `Base.form`.
        max_length: Tokens; the end of a longer sequence is cut off.

    Raises:
        PersbenchError: The conversation alone is longer than that.
    """
    prompt, completion = example.row["prompt"], example.row["completion"]
    before = _ids(tokenizer, formed(prompt, form), add_generation_prompt=True)
    ids = _ids(tokenizer, formed([*prompt, *completion], form))
    start = next((i for i, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), min(len(before), len(ids)))
    ends = [i for i in range(start, len(ids)) if ids[i] == tokenizer.eos_token_id]
    ids = ids[: ends[-1] + 1] if ends else ids
    if start >= max_length:
        raise PersbenchError(
            f"{example.origin}: the prompt alone is {start} tokens, and max_length is {max_length}: "
            "raise max_length in a recipe of your own, or shorten the prompt."
        )
    labels = [NO_LOSS] * start + ids[start:]
    return Row(ids[:max_length], labels[:max_length], len(ids) > max_length)


def _ids(tokenizer: Any, messages: Sequence[Any], **more: Any) -> list[int]:
    found = tokenizer.apply_chat_template(list(messages), tokenize=True, return_dict=True, **more)["input_ids"]
    return [int(i) for i in found]


def by_length(rows: Sequence[Row], batch: int, micro: int, seed: int) -> list[Row]:
    """Reorder rows so that those of a forward pass are of like length: less padding, and the order hardly changes.

    Within each window of four batches the rows are sorted by length and cut into forward passes, whose order is then
    shuffled by a fixed hash.

    Args:
        rows: In the order in which they are to be learnt.
        batch: Rows an optimiser step.
        micro: Rows a forward pass.
        seed: Of the shuffle.

    Returns:
        The same rows; the last forward pass is the one that may be short.
    """
    ordered: list[Row] = []
    for start in range(0, len(rows), WINDOW * batch):
        window = sorted(rows[start : start + WINDOW * batch], key=lambda row: len(row.input_ids))
        short = len(window) % micro
        parts = [window[i : i + micro] for i in range(short, len(window), micro)]
        names = {id(part): hashlib.sha256(f"{seed}\x1f{start + n}".encode()).digest() for n, part in enumerate(parts)}
        parts.sort(key=lambda part: names[id(part)])
        ordered += [row for part in [*parts, window[:short]] for row in part]
    return ordered


def sft_trainer(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    arguments: dict[str, Any],
    callbacks: Sequence[Any] = (),
) -> Any:
    """Make a TRL trainer that learns rows in their order.

    Args:
        model: A PEFT model, or a plain one to train in full.
        tokenizer: Pads.
        rows: An epoch.
        arguments: See `persbench.training.arguments`.
        callbacks: transformers' callbacks.
    """
    from datasets import Dataset  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415 - takes seconds to import

    class Trainer(Checkpointed, SFTTrainer):  # type: ignore[misc]
        pass

    data = Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})
    return Trainer(
        model=model,
        args=SFTConfig(**arguments, packing=False),
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )
