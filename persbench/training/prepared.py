"""A job in the tokens of one base model: what SFT and DPO read, how much it is, and how many steps it takes."""

from __future__ import annotations

import copy
from collections import Counter
from typing import TYPE_CHECKING, Any

from persbench.errors import PersbenchError
from persbench.training.arguments import steps_of
from persbench.training.card import Counts
from persbench.training.dpo import dpo_row
from persbench.training.sft import sft_row
from persbench.training.vocabulary import add_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.training.base import Base
    from persbench.training.job import Job
    from persbench.training.preferences import Preference
    from persbench.training.recipe import Optimiser
    from persbench.training.rows import Example
    from persbench.training.sft import Row


class Phase:
    """SFT or DPO of a job, in tokens.

    Attributes:
        name: `sft` or `dpo`.
        settings: Of the recipe.
        rows: An epoch: `Row` for SFT, TRL's conversational rows for DPO.
        steps: Optimiser steps in all.
        tokens: Of an epoch.
        learnt: Of these, those with a loss.
    """

    def __init__(
        self, name: str, settings: Optimiser, rows: Sequence[Any], max_steps: int | None, tokens: int, learnt: int
    ) -> None:
        self.name, self.settings, self.rows = name, settings, list(rows)
        self.steps = steps_of(settings, len(rows), max_steps)
        self.tokens, self.learnt = tokens, learnt


class Prepared:
    """A job for one base model: its tokenizer with the new tokens, and the phases.

    Attributes:
        tokenizer: Of the base, with the job's labels.
        token_ids: Of the labels.
        phases: SFT and, where the recipe has it, DPO.
        counts: For the card.
    """

    def __init__(self, job: Job, base: Base) -> None:
        recipe = job.recipe
        self.tokenizer = copy.deepcopy(base.tokenizer)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.token_ids = add_labels(self.tokenizer, job.labels)
        self._base = base
        known: dict[tuple[str, str, str], Row] = {}
        rows = [self._row(example, recipe.sft.max_length, known) for example in job.examples]
        tokens = sum(len(row.input_ids) for row in rows)
        learnt = sum(label >= 0 for row in rows for label in row.labels)
        self.phases = [Phase("sft", recipe.sft, rows, job.max_steps, tokens, learnt)]
        if recipe.dpo is not None:
            pairs = [dpo_row(preference, base.form) for preference in job.preferences]
            read = [self._pair_tokens(preference, recipe.dpo.max_length) for preference in job.preferences]
            sums = (sum(t for t, _ in read), sum(n for _, n in read))
            self.phases.append(Phase("dpo", recipe.dpo, pairs, job.max_steps, *sums))
        self.counts = Counts(
            rows=job.rows,
            examples=len(rows),
            general=sum(example.general for example in job.examples),
            cut=sum(row.cut for row in rows),
            pairs=dict(Counter(preference.kind for preference in job.preferences)),
        )

    def _row(self, example: Example, max_length: int, known: dict[tuple[str, str, str], Row]) -> Row:
        key = (example.id, example.system, example.completion)
        if key not in known:
            known[key] = sft_row(example, self.tokenizer, self._base.form, max_length)
        return known[key]

    def _pair_tokens(self, preference: Preference, max_length: int) -> tuple[int, int]:
        """Count a pair's tokens, and see that its prompt leaves room for a reply."""
        messages = dpo_row(preference, self._base.form)
        sizes = [
            len(self.tokenizer.apply_chat_template([*messages["prompt"], *reply], return_dict=True)["input_ids"])
            for reply in (messages["chosen"], messages["rejected"])
        ]
        prompt = len(
            self.tokenizer.apply_chat_template(messages["prompt"], add_generation_prompt=True, return_dict=True)[
                "input_ids"
            ]
        )
        if prompt >= max_length:
            raise PersbenchError(
                f"{preference.origins[0]}: the prompt alone is {prompt} tokens, and dpo.max_length is {max_length}: "
                "raise it in a recipe of your own, or shorten the prompt."
            )
        sizes = [min(size, max_length) for size in sizes]
        return sum(sizes), sum(sizes) - 2 * prompt
