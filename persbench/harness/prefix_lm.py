"""`persbench-prefix`: lm-eval's `hf` model with every shared prefix computed once.

A set of log-likelihood requests is a tree of token prefixes (`token_tree`). One running key/value cache holds the path
from the root; what hangs below is packed into one forward pass under a mask that lets each token see its own ancestors
only (`tree_scoring`), so nothing is padded and no cache is copied. Replies are generated in continuous batches
(`generation`), and what was computed for a dialogue is kept for its next turn and its probes (`kept_prefixes`). Numbers
agree with `hf` up to the rounding of the matrix products.
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
from persbench.harness.cache_budget import LARGEST_PIECE, CacheBudget
from persbench.harness.generation import Reply, ReplyGenerator, batches
from persbench.harness.kept_prefixes import Branch, KeptPrefixes, Stem, length_of_all, stem_groups
from persbench.harness.packed_weights import pack_linears
from persbench.harness.reply_requests import answer_text, eos_tokens, grouped_by_settings, replies_of, unsupported
from persbench.harness.row_cache import row_attention
from persbench.harness.tree_attention import tree_attention
from persbench.harness.tree_scoring import TreeScorer
from persbench.harness.trial import obstacle
from persbench.models.allocation import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from lm_eval.api.instance import Instance

log = logging.getLogger(__name__)
Request = tuple[tuple[str, str], list[int], list[int]]
WORTH_RECALLING = 64  # tokens of a dialogue's own that a probe must share with it to be scored on its cache


@register_model("persbench-prefix")
class PrefixLM(HFLM):  # type: ignore[misc]
    """HFLM that computes each distinct token of a set of requests once, and keeps live dialogues from turn to turn.

    Args:
        max_cache_gb: Memory for caches, masks and logits; a quarter of what is free by default.
        peft: Adapter; of a local folder the tokenizer is taken too, and the base stays at hand for anchors.
        arguments: Whatever `hf` takes; all model loading stays lm-eval's.
    """

    def __init__(
        self, *positional: Any, max_cache_gb: float | None = None, peft: str | None = None, **arguments: Any
    ) -> None:
        local = peft is not None and Path(peft).is_dir()
        if local and arguments.get("tokenizer") == peft:
            arguments["tokenizer"] = None  # the base has its own
        self._encoded = lru_cache(maxsize=4)(super().tok_encode)
        super().__init__(*positional, peft=None if local else peft, **arguments)
        pack_linears(self.model)
        if self.device.type == "cpu":
            keep_freed_memory()
        self._budget = CacheBudget.of(self.model, max_cache_gb)
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

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Generate replies in continuous batches; settings or models that it cannot serve go `hf`'s way."""
        answers = [""] * len(requests)
        with self._bar(len(requests), "generate_until", quiet=disable_tqdm) as bar:
            for settings, group in grouped_by_settings(requests, self.max_gen_toks):
                asked = [requests[i] for i in group]
                for i, text in zip(group, self._answers(asked, settings, bar), strict=True):
                    answers[i] = text
        return answers

    def _answers(self, requests: list[Instance], settings: dict[str, Any], bar: tqdm[Any]) -> list[str]:
        """Generate replies to requests of the same settings."""
        replies = replies_of(self, [request.args[0] for request in requests], settings)
        if reason := self.hindrance(replies, settings):
            log.warning("replies are generated hf's way: %s", reason)
            bar.update(len(requests))
            return super().generate_until(requests, disable_tqdm=True)  # type: ignore[no-any-return]
        self.generate(replies, bar)
        texts = [answer_text(self, reply, settings) for reply in replies]
        for request, text in zip(requests, texts, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return texts

    def hindrance(self, replies: list[Reply], settings: dict[str, Any]) -> str:
        """Say why replies of these settings cannot be generated in continuous batches, or nothing."""
        reason = self._why_not("replies") or unsupported(settings, self.model.generation_config)
        if reason or self.budget.rows(max(len(reply.prompt) + reply.limit for reply in replies)):
            return reason
        return "max_cache_gb is too small for the longest"

    def stream(self, reply: Reply) -> Generator[int]:
        """Generate one reply; what was computed is kept for the next turn, also where this is closed half-way.

        Yields:
            Its tokens, one by one. Nothing else may be computed on the model before the end.
        """
        with torch.inference_mode():
            generator, (_, keep) = self._generator([reply]), self._room([[reply]])
            stem = self._shared([reply])
            self.kept.shrink(keep)
        steps = generator.steps([(reply, stem)], slots=1, keep_within=keep, done=lambda: None)
        with row_attention(self.model):
            try:
                while True:
                    with torch.inference_mode():  # not across a yield: it would be the caller's mode too
                        if next(steps, steps) is steps:
                            return
                    yield reply.tokens[-1]
            finally:
                with torch.inference_mode():
                    steps.close()

    def _generator(self, replies: list[Reply]) -> ReplyGenerator:
        longest = max(len(reply.prompt) + reply.limit for reply in replies)
        return ReplyGenerator(
            lambda **arguments: self._forward(1, **arguments)[:, -1],
            self.tokenizer,
            eos=self.ends,
            kept=self.kept,
            prefill=self.budget.prefill(longest),
            dtype=self.model.dtype,
            device=self.device,
        )

    @property
    def ends(self) -> frozenset[int]:
        """Token ids at which the model itself ends."""
        return eos_tokens(self)

    def generate(self, replies: list[Reply], bar: tqdm[Any] | None) -> None:
        """Generate replies, those that share a long prompt together."""
        generator = self._generator(replies)
        with torch.inference_mode():
            groups = [[replies[i] for i in group] for _, group in stem_groups([reply.prompt for reply in replies])]
            for batch in batches(groups, lambda together: self._room(together)[0] >= sum(map(len, together))):
                slots, keep = self._room(batch)
                rows = [(reply, stem) for group in batch for stem in [self._shared(group)] for reply in group]
                rows.sort(key=lambda pair: len(pair[1].tokens) - len(pair[0].prompt))
                self.kept.shrink(keep)
                with row_attention(self.model):
                    generator.run(rows, slots=slots, keep_within=keep, done=int if bar is None else bar.update)

    def _room(self, groups: list[list[Reply]]) -> tuple[int, int]:
        """Return how many rows there is room for, beside the prompts that groups share, and the bytes left to keep."""
        lengths = [length_of_all([reply.prompt for reply in group]) for group in groups]
        own = max(len(r.prompt) + r.limit - n for group, n in zip(groups, lengths, strict=True) for r in group)
        shared = sum(lengths)
        slots = min(sum(map(len, groups)), max(1, self.budget.rows(own + shared, shared=shared)))
        return slots, self.budget.keep(own + shared, shared=shared, rows=slots)

    def _shared(self, group: list[Reply]) -> Stem:
        """Return the prompt that replies share: one that is kept, or a new one."""
        prompts = [reply.prompt for reply in group]
        return self.kept.cheapest(prompts) or self._stem(prompts[0][: length_of_all(prompts)])

    def _stem(self, tokens: list[int]) -> Stem:
        """Compute a shared prompt once, and keep it."""
        cache = DynamicCache(config=self.model.config)
        for start in range(0, len(tokens) or 1, LARGEST_PIECE):
            # Where nothing is shared, any one token gives the shape of the layers.
            part = torch.tensor([tokens[start : start + LARGEST_PIECE] or [0]], device=self.device)
            self._forward(1, input_ids=part, past_key_values=cache)
        layers = [(layer.keys[0, :, : len(tokens)], layer.values[0, :, : len(tokens)]) for layer in cache.layers]
        stem = Stem(tokens, layers)
        self.kept.stems.append(stem)
        return stem

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
