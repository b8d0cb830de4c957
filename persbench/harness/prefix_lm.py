"""`persbench-prefix`: lm-eval's `hf` model with every shared prefix computed once.

A set of log-likelihood requests is a tree of token prefixes (`token_tree`). One running key/value cache holds the path
from the root; what hangs below is packed into one forward pass under a mask that lets each token see its own ancestors
only (`tree_scoring`), so nothing is padded and no cache is copied. Replies are generated in continuous batches
(`prefix_replies`), and what was computed for a dialogue is kept for its next turn and its probes (`kept_prefixes`).
Numbers agree with `hf` up to the rounding of the matrix products.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from tqdm import tqdm
from transformers import DynamicCache

from persbench.harness.adapters import use_adapter
from persbench.harness.cache_budget import CacheBudget
from persbench.harness.kept_prefixes import Branch, KeptPrefixes, Stem
from persbench.harness.packed_weights import pack_linears
from persbench.harness.prefix_replies import PrefixReplies
from persbench.harness.tree_attention import tree_attention
from persbench.harness.tree_scoring import TreeScorer
from persbench.harness.trial import obstacle
from persbench.models.allocation import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)
Request = tuple[tuple[str, str], list[int], list[int]]
WORTH_RECALLING = 64  # tokens of a dialogue's own that a probe must share with it to be scored on its cache


@register_model("persbench-prefix")
class PrefixLM(PrefixReplies, HFLM):  # type: ignore[misc]
    """HFLM that computes each distinct token of a set of requests once, and keeps live dialogues from turn to turn.

    Args:
        max_cache_gb: Memory for caches, masks, logits and packed weights; a quarter of what is free by default, less
            beside other jobs.
        peft: Adapter; of a local folder the tokenizer is taken too, and the base stays at hand for anchors.
        arguments: Whatever `hf` takes; all model loading stays lm-eval's.
    """

    def __init__(
        self, *positional: Any, max_cache_gb: float | None = None, peft: str | None = None, **arguments: Any
    ) -> None:
        local = peft is not None and Path(peft).is_dir()
        if local and arguments.get("tokenizer") == peft:
            arguments["tokenizer"] = None  # the base has its own
        if arguments.get("softmax_dtype") is None:
            arguments["softmax_dtype"] = "float32"  # see `rounds_likelihoods`
        self._encoded = lru_cache(maxsize=4)(super().tok_encode)
        super().__init__(*positional, peft=None if local else peft, **arguments)
        if self.device.type == "cpu":
            keep_freed_memory()
        budget = CacheBudget.of(self.model, max_cache_gb)
        self._budget = replace(budget, total=budget.total - pack_linears(self.model, budget.total // 2))
        self.tokens_computed = 0
        # By the adapter they were computed under.
        self._kept: dict[str | None, KeptPrefixes] = {}
        self._found: dict[str | None, dict[str, str]] = {}
        self.loaded_with = peft if local else None
        self.use_adapter(self.loaded_with)

    @property
    def kept(self) -> KeptPrefixes:
        """What is kept of earlier dialogues under the present weights."""
        return self._kept.setdefault(self.peft, KeptPrefixes())

    @kept.setter
    def kept(self, kept: KeptPrefixes) -> None:
        self._kept[self.peft] = kept

    @property
    def budget(self) -> CacheBudget:
        """What fits beside that which is kept under other weights."""
        aside = sum(kept.size for folder, kept in self._kept.items() if folder != self.peft)
        return replace(self._budget, total=self._budget.total - aside)

    @property
    def _obstacles(self) -> dict[str, str]:
        return self._found.setdefault(self.peft, {})

    def forget(self) -> None:
        """Drop what is kept of earlier dialogues: the weights change, or another cell begins."""
        self._kept.clear()

    def use_adapter(self, folder: str | None) -> None:
        """Serve another adapter on the loaded base model; nothing computed under the last one is kept.

        Args:
            folder: PEFT adapter folder, or None for the base model alone.

        Raises:
            PersbenchError: The folder holds no adapter for this model, or lm-eval loaded the model with one.
        """
        use_adapter(self, folder)

    def tok_encode(self, *positional: Any, **arguments: Any) -> list[int]:
        """Encode a text; the context that several candidates share only once."""
        return [*self._encoded(*positional, **arguments)]

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """Score requests by their tree; requests too long for the budget, or a model that cannot, go `hf`'s way."""
        inputs = [(context + cont)[-(self.max_length + 1) :][:-1] for _, context, cont in requests]
        continuations = [cont for _, _, cont in requests]
        reason = self._why_not("scores")
        self.kept.shrink(self.budget.kept)
        most = self.budget.piece(max(map(len, inputs), default=0), taken=self.kept.size)
        if reason or not most:
            reason = reason or "max_cache_gb is too small for the longest request"
            log.warning("shared prefixes are computed again for every request: %s", reason)
            return super()._loglikelihood_tokens(requests, disable_tqdm=disable_tqdm, override_bs=override_bs)  # type: ignore[no-any-return]
        scorer = self.scorer(most)
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        with self._bar(len(inputs), "loglikelihood", quiet=disable_tqdm) as bar, tree_attention(self.model):
            for group, cache, held in self._recalled(inputs, continuations):
                asked = [inputs[i] for i in group], [continuations[i] for i in group]
                for i, answer in zip(group, scorer.score(*asked, cache, held, bar.update), strict=True):
                    answers[i] = answer
        for (text, _, _), answer in zip(requests, answers, strict=True):
            if text is not None:
                self.cache_hook.add_partial("loglikelihood", text, answer)
        return answers

    def scorer(self, most: int) -> TreeScorer:
        """Return a scorer of requests in passes of at most so many tokens."""
        return TreeScorer(
            self._forward,
            most=most,
            dtype=self.model.dtype,
            softmax_dtype=self.softmax_dtype,
            device=self.device,
        )

    def _recalled(
        self, inputs: list[list[int]], continuations: list[list[int]]
    ) -> Iterator[tuple[list[int], DynamicCache, list[int]]]:
        """Group requests by the kept dialogue that they branch off from, early or late; the rest is one group.

        Yields:
            Indices of a group, a cache, and how many of the first tokens of each of its requests that cache holds.
        """
        groups: dict[tuple[Stem, Branch] | None, dict[int, int]] = {}
        for i, (tokens, wanted) in enumerate(zip(inputs, continuations, strict=True)):
            stem, branch, length = self.kept.longest(tokens[: len(tokens) - len(wanted)])
            if stem and branch and length - len(stem.tokens) >= WORTH_RECALLING:
                groups.setdefault((stem, branch), {})[i] = length
            else:
                groups.setdefault(None, {})[i] = 0
        for key, held in groups.items():
            cache = DynamicCache(config=self.model.config)
            if key:
                stem, branch = key
                for layer, parts in enumerate(zip(stem.layers, branch.layers, strict=True)):
                    joined = (
                        torch.cat(both, dim=1)[None, :, : max(held.values())] for both in zip(*parts, strict=True)
                    )
                    cache.update(*joined, layer)
            yield [*held], cache, [*held.values()]

    def _forward(self, places: int | torch.Tensor, **arguments: Any) -> torch.Tensor:
        """Run the model.

        Args:
            places: Which logits to keep: the last so many, or these.
            arguments: The model's.

        Returns:
            Shape (rows, places, vocabulary).
        """
        self.tokens_computed += arguments["input_ids"].numel()
        keep: dict[str, Any] = {"logits_to_keep": places} if _keeps_logits(self.model) else {}
        with torch.autocast(
            self.device.type, dtype=self.mixed_precision_dtype, enabled=self.mixed_precision_dtype is not None
        ):
            logits: torch.Tensor = self.model(**arguments, use_cache=True, **keep).logits
        if keep:
            return logits
        return logits[:, -places:] if isinstance(places, int) else logits[:, places]

    def _bar(self, total: int, kind: str, *, quiet: bool) -> tqdm[Any]:
        return tqdm(total=total, disable=quiet or self.rank != 0, desc=f"Running {kind} requests")

    def _why_not(self, what: str) -> str:
        """Say why this model's `scores` or `replies` cannot share a cache, or nothing; found once, by trying it."""
        if what not in self._obstacles:
            self._obstacles[what] = obstacle(self, what)
            if self._obstacles[what]:
                log.warning("%s: %s", type(self.model).__name__, self._obstacles[what])
        return self._obstacles[what]


def _keeps_logits(model: Any) -> bool:
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model  # under a PEFT wrapper
    return "logits_to_keep" in inspect.signature(bare.forward).parameters
