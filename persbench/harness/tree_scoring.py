"""Scores requests by their token tree: what goes into each forward pass, and how scores come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from persbench.harness.token_tree import Piece, build_tree, plan_all
from persbench.harness.tree_attention import branches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import DynamicCache

CHUNK = 16  # rows of logits scored at once: few enough to stay in a processor's cache
DEVICE_CHUNK = 1024  # the same on an accelerator, which each chunk makes wait


class TreeScorer:
    """Log-likelihoods of many requests, each distinct token computed once.

    Args:
        forward: The model: takes the places whose logits are needed, `input_ids`, `position_ids`, `attention_mask` and
            `past_key_values`; returns shape (1, places, vocabulary).
        most: Largest number of tokens in a pass.
        dtype: Of the mask.
        softmax_dtype: In which the softmax is computed; the logits' own if None.
        device: Of the model.
    """

    def __init__(
        self,
        forward: Callable[..., torch.Tensor],
        *,
        most: int,
        dtype: torch.dtype,
        softmax_dtype: torch.dtype | None,
        device: torch.device,
    ) -> None:
        self.forward, self.most = forward, most
        self.dtype, self.softmax_dtype, self.device = dtype, softmax_dtype, device

    def score(
        self,
        inputs: Sequence[Sequence[int]],
        continuations: Sequence[Sequence[int]],
        cache: DynamicCache,
        held: Sequence[int] | None = None,
        progress: Callable[[int], Any] = int,
    ) -> list[tuple[float, bool]]:
        """Score each request's continuation.

        Args:
            inputs: What the model reads, token ids.
            continuations: What it is to predict at the last tokens of each.
            cache: Empty, or holding a path that all inputs begin with, some for longer than others.
            held: How many tokens of each input are in the cache; none by default. The longest fills it.
            progress: Told how many more of the requests are done.

        Returns:
            Log-likelihood, and whether greedy decoding would have written just that.
        """
        held = [0] * len(inputs) if held is None else held
        roots = []
        for depth in dict.fromkeys(held):
            mine = [i for i, known in enumerate(held) if known == depth]
            own = [inputs[i][depth:] for i in mine], [continuations[i] for i in mine]
            roots.append(build_tree(*own, depth, names=mine))
        whole = sum(root.size for root in roots)
        total = torch.zeros(len(inputs), dtype=torch.float64)
        greedy = torch.ones(len(inputs), dtype=torch.bool)
        done = 0
        with torch.inference_mode():
            for piece in plan_all(roots, self.most):
                surplus = cache.get_seq_length() - piece.past
                if surplus > 0:  # back to the path before this piece
                    cache.crop(-surplus)
                places, asked = questions(piece)
                logits = self._pass(piece, cache, places)
                if asked:
                    rows, names, tokens = torch.tensor(asked).T
                    found, best = score(logits, rows.to(logits.device), tokens.to(logits.device), self.softmax_dtype)
                    total.index_add_(0, names, found)
                    greedy[names[~best]] = False
                before, done = len(inputs) * done // whole, done + piece.length
                progress(len(inputs) * done // whole - before)
        return [(float(each), bool(same)) for each, same in zip(total, greedy, strict=True)]

    def _pass(self, piece: Piece, cache: DynamicCache, places: list[int]) -> torch.Tensor:
        """Compute a piece on top of the cache; return the logits at some of its places, shape (places, vocabulary)."""
        ids, positions = tokens_and_positions(piece)
        with branches(blocks_of(piece)):
            return self.forward(
                torch.tensor(places or [len(ids) - 1], device=self.device),
                input_ids=torch.tensor([ids], device=self.device),
                position_ids=torch.tensor([positions], device=self.device),
                attention_mask=ancestor_mask(piece, self.dtype, self.device),
                past_key_values=cache,
            )[0]


def tokens_and_positions(piece: Piece) -> tuple[list[int], list[int]]:
    """Return the piece's token ids and their positions in their own requests."""
    ids = [token for node, _ in piece.nodes for token in node.tokens]
    return ids, [node.depth + i for node, _ in piece.nodes for i in range(len(node.tokens))]


def blocks_of(piece: Piece) -> list[tuple[int, int, int]]:
    """Return the ranges of tokens that share nothing but what comes before them, and how much of that each sees.

    That is the path before the piece, or its start. If all of the piece hangs on its first node, that node prolongs the
    path for the others: keys are in one row, the path's first and then the piece's.
    """
    alone = sum(parent < 0 for _, parent in piece.nodes) == 1
    found: list[tuple[int, int, int]] = []
    stop = 0
    for node, parent in piece.nodes:
        start, stop = stop, stop + len(node.tokens)
        if parent < 0 or (alone and parent == 0):
            found.append((start, stop, node.depth))
        else:
            found[-1] = (found[-1][0], stop, found[-1][2])
    return found


def questions(piece: Piece) -> tuple[list[int], list[tuple[int, int, int]]]:
    """Return the places of the piece whose logits are needed, and what is asked there.

    Returns:
        Places in order, and (row among them, request, token) for each token to be scored.
    """
    places: list[int] = []
    asked: list[tuple[int, int, int]] = []
    start = 0
    for node, _ in piece.nodes:
        for place, targets in node.targets.items():
            asked += [(len(places), request, token) for request, token in targets]
            places.append(start + place)
        start += len(node.tokens)
    return places, asked


def ancestor_mask(piece: Piece, dtype: torch.dtype, device: torch.device | None = None) -> torch.Tensor:
    """Let each token see the path before the piece, its ancestors in it, and itself.

    Args:
        piece: Tokens of one pass.
        dtype: Of the mask.
        device: Of the mask; the CPU by default.

    Returns:
        Additive mask of shape (1, 1, tokens, past + tokens).
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
    # Who sees whom is a byte each: that travels, and the numbers are made where they are needed.
    mask = torch.zeros(length, piece.past + length, dtype=dtype, device=device)
    mask[:, piece.past :].masked_fill_(~seen.to(mask.device), torch.finfo(dtype).min)
    for start, stop, known in blocks_of(piece):
        mask[start:stop, known : piece.past] = torch.finfo(dtype).min
    return mask[None, None]


def score(
    logits: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor, dtype: torch.dtype | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Score tokens under next-token logits, a few rows at a time.

    Args:
        logits: Shape (rows, vocabulary); overwritten.
        rows: Row of each asked token, ascending.
        tokens: The asked tokens.
        dtype: In which the softmax is computed; the logits' own if None.

    Returns:
        Log-probability of each asked token (float64, on the CPU), and whether it is the most probable one.
    """
    found, best = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0, dtype=torch.bool)]
    chunk = CHUNK if logits.device.type == "cpu" else DEVICE_CHUNK
    for start in range(0, len(logits), chunk):
        part = logits[start : start + chunk].to(dtype or logits.dtype)
        inside = (rows >= start) & (rows < start + chunk)
        row, token = rows[inside] - start, tokens[inside]
        asked, highest = part[row, token], part.amax(dim=-1)
        first = asked == highest[row]
        hits = first.nonzero()[:, 0]  # several may be the highest: greedy decoding takes the first of them
        first[hits] = _come_first(part, row[hits], token[hits])
        sums = part.sub_(highest[:, None]).exp_().sum(dim=-1)  # as log_softmax does it, in place
        found.append((asked - highest[row] - sums.log()[row]).double().cpu())
        best.append(first.cpu())
    return torch.cat(found), torch.cat(best)


def _come_first(logits: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Say of tokens that are as probable as any of their row whether they are the first of these, shape (tokens,)."""
    if logits.device.type != "cpu":
        return logits[rows].argmax(dim=-1) == tokens
    # No row is copied, and only what stands before the token is read: frequent tokens have low numbers.
    pairs = zip(rows.tolist(), tokens.tolist(), strict=True)
    return torch.tensor(
        [not (logits[row, :token] == logits[row, token]).any() for row, token in pairs], dtype=torch.bool
    )
