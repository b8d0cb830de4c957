"""`persbench-prefix`: lm-eval's `hf` model with every shared prefix computed once.

A set of log-likelihood requests is a tree of token prefixes (`token_tree`). One running key/value cache holds the path
from the root; what hangs below is packed into one forward pass under a mask that lets each token see its own ancestors
only, so nothing is padded and no cache is copied. Numbers agree with `hf` up to the rounding of the matrix products.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

import psutil
import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from tqdm import tqdm
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from persbench.harness.token_tree import Piece, build_tree, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)
Request = tuple[tuple[str, str], list[int], list[int]]
LARGEST_PIECE = 1024  # beyond this a forward pass gains nothing and the mask grows as its square
SMALLEST_PIECE = 16


@register_model("persbench-prefix")
class PrefixLM(HFLM):  # type: ignore[misc]
    """HFLM that computes each distinct token of a set of log-likelihood requests once.

    Args:
        max_cache_gb: Memory for the cache, the mask and the logits; a quarter of what is free by default.
        arguments: Whatever `hf` takes; all model loading stays lm-eval's.
    """

    def __init__(self, *positional: Any, max_cache_gb: float | None = None, **arguments: Any) -> None:
        super().__init__(*positional, **arguments)
        free = psutil.virtual_memory().available
        if self.device.type == "cuda":
            free = torch.cuda.mem_get_info(self.device)[0]
        self.cache_budget = int(max_cache_gb * 2**30) if max_cache_gb is not None else free // 4
        self.tokens_computed = 0
        self._forkable: str | None = None

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """Score requests by their tree; requests too long for the budget, or a model that cannot, go `hf`'s way."""
        inputs = [(context + cont)[-(self.max_length + 1) :][:-1] for _, context, cont in requests]
        most = self._piece_size(max(map(len, inputs), default=0))
        reason = self._why_not() or ("" if most else "max_cache_gb is too small for the longest request")
        if reason:
            log.warning("shared prefixes are computed again for every request: %s", reason)
            return super()._loglikelihood_tokens(requests, disable_tqdm=disable_tqdm, override_bs=override_bs)  # type: ignore[no-any-return]
        answers = self._score(inputs, [cont for _, _, cont in requests], most, quiet=disable_tqdm)
        for (text, _, _), answer in zip(requests, answers, strict=True):
            if text is not None:
                self.cache_hook.add_partial("loglikelihood", text, answer)
        return answers

    def _score(
        self, inputs: list[list[int]], continuations: list[list[int]], most: int, *, quiet: bool
    ) -> list[tuple[float, bool]]:
        root = build_tree(inputs, continuations)
        total = torch.zeros(len(inputs), dtype=torch.float64)
        greedy = torch.ones(len(inputs), dtype=torch.bool)
        cache = DynamicCache(config=self.model.config)
        bar = tqdm(total=root.size, disable=quiet or self.rank != 0, unit="tok", desc="Running loglikelihood requests")
        with torch.inference_mode():
            for piece in plan(root, most):
                self._cut(cache, piece.past)
                logits, asked = self._forward(piece, cache)
                if asked:
                    rows = torch.tensor([row for row, _, _ in asked], device=logits.device)
                    tokens = torch.tensor([token for _, _, token in asked], device=logits.device)
                    names = torch.tensor([request for _, request, _ in asked])
                    scores = torch.log_softmax(logits, dim=-1, dtype=self.softmax_dtype)[rows, tokens]
                    total.index_add_(0, names, scores.double().cpu())
                    wrong = (logits.argmax(dim=-1)[rows] != tokens).cpu()
                    greedy[names[wrong]] = False
                bar.update(piece.length)
        bar.close()
        return [(float(score), bool(same)) for score, same in zip(total, greedy, strict=True)]

    def _forward(self, piece: Piece, cache: DynamicCache) -> tuple[torch.Tensor, list[tuple[int, int, int]]]:
        """Compute a piece on top of the cache.

        Returns:
            Logits at the places that are asked about, shape (places, vocabulary), and (row, request, token) for each.
        """
        ids = [token for node, _ in piece.nodes for token in node.tokens]
        positions = [node.depth + i for node, _ in piece.nodes for i in range(len(node.tokens))]
        keep: list[int] = []
        asked: list[tuple[int, int, int]] = []
        start = 0
        for node, _ in piece.nodes:
            for place, targets in node.targets.items():
                asked += [(len(keep), request, token) for request, token in targets]
                keep.append(start + place)
            start += len(node.tokens)
        index = torch.tensor(keep or [len(ids) - 1], device=self.device)
        arguments: dict[str, Any] = {"logits_to_keep": index} if _keeps_logits(self.model) else {}
        output = self.model(
            input_ids=torch.tensor([ids], device=self.device),
            position_ids=torch.tensor([positions], device=self.device),
            attention_mask=self._mask(piece),
            past_key_values=cache,
            use_cache=True,
            **arguments,
        )
        self.tokens_computed += len(ids)
        return (output.logits[0] if arguments else output.logits[0, index]), asked

    def _mask(self, piece: Piece) -> torch.Tensor:
        """Let each token see the path before the piece, its ancestors in it, and itself.

        Returns:
            Additive mask of shape (1, 1, tokens, past + tokens) in the model's type.
        """
        length = piece.length
        seen = torch.zeros(length, length, dtype=torch.bool)
        ends: list[int] = []
        start = 0
        for node, parent in piece.nodes:
            stop = start + len(node.tokens)
            if parent >= 0:
                seen[start:stop] = seen[ends[parent] - 1]
            seen[start:stop, start:stop] = torch.ones(stop - start, stop - start, dtype=torch.bool).tril()
            ends.append(stop)
            start = stop
        seen = torch.cat([torch.ones(length, piece.past, dtype=torch.bool), seen], dim=1)
        mask = torch.zeros(seen.shape, dtype=self.model.dtype)
        mask.masked_fill_(~seen, torch.finfo(self.model.dtype).min)
        return mask[None, None].to(self.device)

    @staticmethod
    def _cut(cache: DynamicCache, past: int) -> None:
        """Cut the running cache back to the path before the next piece."""
        surplus = cache.get_seq_length() - past
        if surplus > 0:
            cache.crop(-surplus)

    def _piece_size(self, longest: int) -> int:
        """Largest piece that the budget allows beside the longest path, or 0 where not even a small one fits."""
        config = self.model.config.get_text_config()
        width = torch.finfo(self.model.dtype).bits // 8
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        cached = 2 * config.num_hidden_layers * heads * size * width
        # Beside its cache a token of the piece holds its logits (twice, once in float32), a row of the mask and
        # activations.
        computed = cached + config.vocab_size * (width + 4) + longest * width + 32 * config.hidden_size * width
        # The path is held twice while a longer one is put in its place.
        most = (self.cache_budget - 2 * longest * cached) // computed
        return 0 if most < SMALLEST_PIECE else min(int(most), LARGEST_PIECE)

    def _why_not(self) -> str:
        """Say why this model's cache cannot be shared, or nothing; found once by trying it on a small tree."""
        if self._forkable is None:
            self._forkable = self._try()
            if self._forkable:
                log.warning("%s: %s", type(self.model).__name__, self._forkable)
        return self._forkable

    def _try(self) -> str:
        if self.backend != "causal":
            return "not a causal model"
        cache = DynamicCache(config=self.model.config)
        if cache.layers and not all(type(layer) is DynamicLayer for layer in cache.layers):
            kinds = sorted({type(layer).__name__ for layer in cache.layers})
            return f"its cache has layers that cannot be forked ({', '.join(kinds)})"
        tokens = [5 + i * 7 % 90 for i in range(24)]
        inputs = [tokens[:12], tokens[:8] + tokens[14:20], tokens[:8] + tokens[18:24], tokens[:4] + tokens[20:]]
        wanted = [[7, 8], [9, 10], [11, 12], [13, 14]]
        shared = self._score(inputs, wanted, 12, quiet=True)
        self.tokens_computed = 0
        plain = [self._score([i], [w], len(i), quiet=True)[0] for i, w in zip(inputs, wanted, strict=True)]
        alone = [self._plain(i, w) for i, w in zip(inputs, wanted, strict=True)]
        self.tokens_computed = 0
        tolerance = 1e-2 if self.model.dtype == torch.float32 else 0.5
        worst = max(abs(a[0] - c) for a, c in zip([*shared, *plain], [*alone, *alone], strict=True))
        return "" if worst < tolerance else f"its scores change by {worst:.3f} nats when prefixes are shared"

    def _plain(self, tokens: list[int], wanted: list[int]) -> float:
        with torch.inference_mode():
            logits = self.model(input_ids=torch.tensor([tokens], device=self.device)).logits[0, -len(wanted) :]
        scores = torch.log_softmax(logits.float(), dim=-1)
        return float(scores[range(len(wanted)), wanted].double().sum())


def _keeps_logits(model: Any) -> bool:
    return "logits_to_keep" in inspect.signature(model.forward).parameters


def distinct_tokens(inputs: Sequence[Sequence[int]]) -> int:
    """Count the tokens that a tree of these inputs holds: the least a model must compute."""
    return build_tree(inputs, [[] for _ in inputs]).size
