"""The half of `persbench-prefix` that generates: replies in continuous batches, and one reply token by token.

What is shared of their prompts is computed once, what was computed for earlier turns of a dialogue is found again
(`kept_prefixes`), and the rest is `generation`'s.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from persbench.harness.cache_budget import LARGEST_PIECE
from persbench.harness.generation import Reply, ReplyGenerator, batches
from persbench.harness.kept_prefixes import Stem, length_of_all, stem_groups
from persbench.harness.reply_requests import answer_text, eos_tokens, grouped_by_settings, replies_of, unsupported
from persbench.harness.row_cache import row_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lm_eval.api.instance import Instance
    from tqdm import tqdm

    from persbench.harness.cache_budget import CacheBudget
    from persbench.harness.kept_prefixes import KeptPrefixes

log = logging.getLogger(__name__)


class PrefixReplies:
    """Mixed into an `HFLM` that has a budget, keeps prefixes, and runs the model by `_forward`."""

    model: Any
    tokenizer: Any
    device: torch.device
    max_gen_toks: int
    cache_hook: Any
    kept: KeptPrefixes
    _forward: Callable[..., torch.Tensor]
    _why_not: Callable[[str], str]
    _bar: Callable[..., tqdm[Any]]
    if TYPE_CHECKING:

        @property
        def budget(self) -> CacheBudget: ...  # noqa: D102 - see `PrefixLM.budget`

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
            return super().generate_until(requests, disable_tqdm=True)  # type: ignore[misc, no-any-return]
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
