"""Replies generated in continuous batches: a reply that ends makes room at once for the next one.

Rows that begin with the same prompt share its cache (`kept_prefixes`), rows of unequal length share a batch without
padding (`row_cache`), and what was computed for a finished reply is kept for the next turn of its dialogue.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from persbench.harness.kept_prefixes import Branch, KeptPrefixes, Stem, longest_branch
from persbench.harness.row_cache import RowCache

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

STEMS_AT_ONCE = 4  # each is a product of its own in every layer
LOOK_BACK = 4  # tokens beyond a stop string's own in which it may end


@dataclass(eq=False)
class Reply:
    """One reply to be generated.

    Attributes:
        prompt: Token ids of the request.
        limit: Most tokens of the reply.
        stops: Texts that end it.
        sampler: Draws a token from logits of shape (vocabulary,); None takes the best.
        tokens: What was generated so far.
    """

    prompt: list[int]
    limit: int
    stops: tuple[str, ...] = ()
    sampler: Callable[[torch.Tensor], int] | None = None
    tokens: list[int] = field(default_factory=list)


class ReplyGenerator:
    """Generates replies that share a stem, or a few stems.

    Args:
        forward: The model: takes `input_ids`, `position_ids`, `attention_mask`, `past_key_values`, `stems`, `reaches`;
            returns the logits of each row's last token, shape (rows, vocabulary).
        tokenizer: Decodes, to find stop strings.
        eos: Token ids that end a reply.
        kept: Where the caches of finished replies go, and where those of earlier turns are found.
        prefill: Tokens of prompts computed in one pass.
        dtype: Of the mask.
        device: Of the model.
    """

    def __init__(
        self,
        forward: Callable[..., torch.Tensor],
        tokenizer: Any,
        *,
        eos: frozenset[int],
        kept: KeptPrefixes,
        prefill: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.forward, self.tokenizer, self.eos, self.kept = forward, tokenizer, eos, kept
        self.prefill, self.dtype, self.device = prefill, dtype, device
        self._tails: dict[str, int] = {}

    def run(
        self, replies: Sequence[tuple[Reply, Stem]], *, slots: int, keep_within: int, done: Callable[[], object]
    ) -> None:
        """Generate all replies, as many at once as there are slots.

        Args:
            replies: Each with the stem it begins with, and at least one token after it; longest first wastes least.
            slots: Rows at once.
            keep_within: Bytes that the kept caches may take.
            done: Called after each reply.
        """
        for _ in self.steps(replies, slots=slots, keep_within=keep_within, done=done):
            pass

    def steps(
        self, replies: Sequence[tuple[Reply, Stem]], *, slots: int, keep_within: int, done: Callable[[], object]
    ) -> Generator[None]:
        """Do what `run` does, step by step; closed early, it keeps what it has computed.

        Yields:
            After each pass of the model, when every reply in work has one token more.
        """
        room = max(len(reply.prompt) + reply.limit - len(stem.tokens) for reply, stem in replies)
        cache = RowCache(min(slots, len(replies)), room, replies[0][1].layers)
        waiting, active = deque(replies), list[Reply]()
        try:
            while waiting or active:
                self._step(waiting, active, cache, slots=min(slots, len(replies)))
                for row in reversed(range(len(active))):
                    if self._ended(active[row]):
                        self._finish(active[row], row, cache)
                        active[row] = active[-1]
                        active.pop()
                        self.kept.shrink(keep_within)
                        done()
                yield
        except GeneratorExit:
            for row in reversed(range(len(active))):
                self._finish(active[row], row, cache)
            self.kept.shrink(keep_within)
            raise

    def _step(self, waiting: deque[tuple[Reply, Stem]], active: list[Reply], cache: RowCache, *, slots: int) -> None:
        """Run the model once: on new prompts where there is room for them, else on the last token of each row."""
        free = slots - len(active)
        if waiting and free >= max(1, min(slots, len(waiting)) // 4):
            fresh = self._admit(waiting, free, cache)
            active += fresh
            self._choose(fresh, self._prefill(fresh, cache))
        else:
            tokens = [[reply.tokens[-1]] for reply in active]
            self._choose(active, self._compute(tokens, slice(0, len(active)), cache))

    def _admit(self, waiting: deque[tuple[Reply, Stem]], free: int, cache: RowCache) -> list[Reply]:
        """Give rows to as many waiting replies as one pass can hold."""
        fresh: list[Reply] = []
        widest = 0
        while waiting and len(fresh) < free:
            reply, stem = waiting[0]
            tail = reply.prompt[len(stem.tokens) :]
            branch, known = longest_branch(stem, tail[:-1])
            widest = max(widest, len(tail) - known)
            if fresh and widest * (len(fresh) + 1) > self.prefill:
                break
            cache.put(stem, branch.layers if branch else [], known)
            fresh.append(reply)
            waiting.popleft()
        return fresh

    def _prefill(self, fresh: list[Reply], cache: RowCache) -> torch.Tensor:
        rows = slice(cache.count - len(fresh), cache.count)
        known = [len(stem.tokens) + own for stem, own in zip(cache.stems[rows], cache.lengths[rows], strict=True)]
        tails = [reply.prompt[length:] for reply, length in zip(fresh, known, strict=True)]
        while len(tails[0]) > self.prefill:  # only ever a row alone
            self._compute([tails[0][: self.prefill]], rows, cache)
            tails[0] = tails[0][self.prefill :]
        return self._compute(tails, rows, cache)

    def _compute(self, tokens: list[list[int]], rows: slice, cache: RowCache) -> torch.Tensor:
        places = cache.aim(rows, [len(row) for row in tokens], device=self.device)
        width = places.shape[1]
        before = torch.tensor([[len(stem.tokens)] for stem in cache.stems[rows]], device=self.device)
        return self.forward(
            input_ids=torch.tensor([[0] * (width - len(row)) + row for row in tokens], device=self.device),
            position_ids=places + before,
            attention_mask=cache.mask(places, self.dtype),
            past_key_values=cache,
            stems=cache.by_stem(rows, device=self.device),
            reaches=cache.reaches(),
        )

    @staticmethod
    def _choose(replies: list[Reply], logits: torch.Tensor) -> None:
        best = logits.max(dim=-1).indices.tolist()  # the first of equal ones, and a fifth of argmax's time in bfloat16
        for row, reply in enumerate(replies):
            reply.tokens.append(reply.sampler(logits[row]) if reply.sampler else best[row])

    def _ended(self, reply: Reply) -> bool:
        if reply.tokens[-1] in self.eos or len(reply.tokens) >= reply.limit:
            return True
        for stop in reply.stops:
            if stop not in self._tails:
                self._tails[stop] = len(self.tokenizer.encode(stop, add_special_tokens=False)) + LOOK_BACK
            if stop in self.tokenizer.decode(reply.tokens[-self._tails[stop] :]):
                return True
        return False

    def _finish(self, reply: Reply, row: int, cache: RowCache) -> None:
        stem = cache.stems[row]
        seen = (reply.prompt + reply.tokens)[len(stem.tokens) :][: cache.lengths[row]]
        # What it went on from is part of it now, and need not be kept twice.
        stem.branches = [branch for branch in stem.branches if branch.tokens != seen[: len(branch.tokens)]]
        stem.branches.append(Branch(seen, cache.take(row)))
        cache.drop(row)


def batches(groups: Sequence[list[Reply]], fits: Callable[[list[list[Reply]]], bool]) -> Iterator[list[list[Reply]]]:
    """Join groups of different stems, such as a persona's prompts at its stages: a fuller step costs little more.

    Args:
        groups: Replies that share a stem.
        fits: Whether all replies of some groups can be generated at once.

    Yields:
        A few groups that fit, or one.
    """
    batch: list[list[Reply]] = []
    for group in groups:
        if batch and (len(batch) == STEMS_AT_ONCE or not fits([*batch, group])):
            yield batch
            batch = []
        batch.append(group)
    if batch:
        yield batch


def sampler(seed: int, *, temperature: float, top_k: int, top_p: float) -> Callable[[torch.Tensor], int]:
    """Return a sampler with a stream of random numbers of its own, so that no reply depends on its neighbours.

    Args:
        seed: Of its random numbers.
        temperature: Above 0; 1 leaves the distribution as it is.
        top_k: Most probable tokens kept; 0 keeps all.
        top_p: Probability mass kept; 1 keeps all.
    """
    warpers = LogitsProcessorList()
    if temperature != 1:
        warpers.append(TemperatureLogitsWarper(temperature))
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    generator = torch.Generator().manual_seed(seed)

    def draw(logits: torch.Tensor) -> int:
        scores = warpers(torch.zeros(1, 0, dtype=torch.long), logits[None].float().cpu())[0]
        left = scores.isfinite().nonzero()[:, 0]  # a random number for each of them, not for the whole vocabulary
        return int(left[torch.multinomial(scores[left].softmax(dim=-1), 1, generator=generator)])

    return draw
