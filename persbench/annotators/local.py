"""A model that runs here as an annotator's backend: batches, greedy at temperature 0, else by the call's seed."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from persbench.annotators.calls import Answer, Unanswered
from persbench.annotators.frames import broken
from persbench.errors import PersbenchError
from persbench.models.fingerprint import folder_digest

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from persbench.annotators.calls import Call, Reply
    from persbench.annotators.settings import LocalSettings
    from persbench.annotators.tally import Tally
    from persbench.models.chat import Message


class LocalBackend:
    """Asks a transformers model; it is loaded at the first call, from safetensors alone, and none of its code is run.

    Args:
        settings: Which model, and how it runs.
    """

    workers = 1

    def __init__(self, settings: LocalSettings) -> None:
        self.settings, self.batch = settings, settings.batch
        self.device = settings.device or ("cuda:0" if torch.cuda.is_available() else "cpu")

    @cached_property
    def id(self) -> str:
        """Kind, name, digest of the files, dtype and kind of device.

        Raises:
            PersbenchError: There is no such model.
        """
        settings = self.settings
        name = Path(settings.model).name
        device = self.device.partition(":")[0]
        return f"local:{name}@{folder_digest(settings.model)[:12]}|{settings.dtype}|{device}"

    def answer(self, calls: Sequence[Call], *, tally: Tally, stop: threading.Event) -> list[Reply]:
        """See `Backend.answer`. Greedy calls share a batch; a sampled one runs alone, so that its seed decides it."""
        replies: dict[int, Reply] = {}
        greedy = [i for i, call in enumerate(calls) if call.temperature == 0]
        groups = [greedy] * bool(greedy) + [[i] for i in range(len(calls)) if i not in set(greedy)]
        for group in groups:
            answered = self._group([calls[i] for i in group], stop)
            replies |= zip(group, answered, strict=True)
        for i, call in enumerate(calls):
            reply = replies[i]
            if isinstance(reply, Unanswered) and not stop.is_set():
                tally.fault(call.task, reply.kind)
        return [replies[i] for i in range(len(calls))]

    def _group(self, calls: list[Call], stop: threading.Event) -> list[Reply]:
        prompts = [self._tokens(call) for call in calls]
        room = self._longest
        replies: list[Reply | None] = [
            Unanswered(f"the prompt of {len(prompt)} tokens is too long for the model's {room}.", "too_long")
            if len(prompt) >= room
            else None
            for prompt in prompts
        ]
        fitting = [i for i, reply in enumerate(replies) if reply is None]
        most = max((calls[i].max_tokens for i in fitting), default=0)
        # Beside one that nears the model's limit, others could not write as much as they may.
        crowded = [i for i in fitting if len(prompts[i]) + most > room]
        together = [i for i in fitting if i not in crowded]
        for group in [together] * bool(together) + [[i] for i in crowded]:
            written = self._generate([prompts[i] for i in group], [calls[i] for i in group], stop)
            for i, tokens in zip(group, written, strict=True):
                replies[i] = self._reply(calls[i], prompts[i], tokens, stop)
        return cast("list[Reply]", replies)

    def _reply(self, call: Call, prompt: list[int], tokens: list[int], stop: threading.Event) -> Reply:
        if stop.is_set():
            return Unanswered("stopped before it was answered", "stopped")
        most = min(call.max_tokens, self._longest - len(prompt))
        end = next((i for i, token in enumerate(tokens) if token in self._ends), None)
        truncated = (end is None or end >= most) and len(tokens) >= most
        said = tokens[: most if end is None else min(end, most)]
        # A cut can fall within a character.
        text = self._tokenizer.decode(said, skip_special_tokens=True).strip().rstrip("\ufffd")
        if not text:
            return Unanswered("the model ended its turn without a word.", "empty")
        return Answer(text, len(prompt), len(said), cached=False, truncated=truncated)

    def _generate(self, prompts: list[list[int]], calls: list[Call], stop: threading.Event) -> list[list[int]]:
        from transformers import GenerationConfig, StoppingCriteriaList  # noqa: PLC0415 - slow to import

        def stopped(ids: torch.Tensor, _: object) -> torch.Tensor:
            return torch.full((len(ids),), stop.is_set(), device=ids.device)

        longest = max(map(len, prompts))
        most = min(max(call.max_tokens for call in calls), self._longest - longest)
        rows = torch.tensor([[self._pad] * (longest - len(prompt)) + prompt for prompt in prompts], device=self.device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=self.device)
        temperature = calls[0].temperature
        how = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        config = GenerationConfig(max_new_tokens=most, pad_token_id=self._pad, eos_token_id=sorted(self._ends), **how)
        devices = [rows.device] if rows.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(calls[0].seed)
            try:
                out = self._model.generate(
                    input_ids=rows,
                    attention_mask=mask,
                    generation_config=config,
                    stopping_criteria=StoppingCriteriaList([stopped]),
                )
            except torch.OutOfMemoryError as error:
                raise PersbenchError(
                    f"{len(calls)} calls at once do not fit into the memory of {self.device}: set a smaller `batch` in "
                    "annotator.yaml. What was answered is kept."
                ) from error
        return cast("list[list[int]]", out[:, longest:].tolist())

    def _tokens(self, call: Call) -> list[int]:
        marks = set(self._tokenizer.all_special_tokens) | set(self._tokenizer.get_added_vocab())
        messages: list[Message] = [
            {"role": message["role"], "content": broken(message["content"], marks)} for message in call.messages
        ]
        if not self._tokenizer.chat_template:
            text = "".join(f"{message['role'].capitalize()}: {message['content']}\n\n" for message in messages)
            return cast("list[int]", self._tokenizer(f"{text}Assistant:")["input_ids"])
        return cast("list[int]", self._tokenizer(self._rendered(messages), add_special_tokens=False)["input_ids"])

    def _rendered(self, messages: list[Message]) -> str:
        rendered = self._template(messages)
        if messages[0]["role"] == "system" and messages[0]["content"].strip() not in rendered:
            # Some templates drop or refuse a system message: it then opens the first of the user's.
            first, second, *rest = messages
            joined: Message = {"role": second["role"], "content": f"{first['content']}\n\n{second['content']}"}
            rendered = self._template([joined, *rest])
        return rendered

    def _template(self, messages: list[Message]) -> str:
        from jinja2.exceptions import TemplateError  # noqa: PLC0415 - comes with transformers

        try:
            # Models that can think aloud are told not to: what is parsed is the answer.
            return cast(
                "str",
                self._tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
                ),
            )
        except TemplateError as error:
            if messages[0]["role"] == "system":
                return ""
            raise PersbenchError(f"the chat template of {self.settings.model} refuses the messages: {error}") from error

    @cached_property
    def _longest(self) -> int:
        told = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        return int(told or self._tokenizer.model_max_length)

    @cached_property
    def _ends(self) -> set[int]:
        told = self._model.generation_config.eos_token_id
        ends = set(told) if isinstance(told, list) else {told}
        return {end for end in ends | {self._tokenizer.eos_token_id} if end is not None}

    @property
    def _pad(self) -> int:
        pad = self._tokenizer.pad_token_id
        return int(min(self._ends, default=0) if pad is None else pad)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer  # noqa: PLC0415

        with _loading(self.settings.model):
            return AutoTokenizer.from_pretrained(self.settings.model, trust_remote_code=False)

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModelForCausalLM  # noqa: PLC0415

        with _loading(self.settings.model):
            model = AutoModelForCausalLM.from_pretrained(
                self.settings.model, dtype=self.settings.dtype, use_safetensors=True, trust_remote_code=False
            )
        return model.to(self.device).eval()


@contextmanager
def _loading(model: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise PersbenchError(
            f"cannot load the annotator's model {model!r}: {first} Give the local folder of a transformers model with "
            "safetensors, or the id of one in the hub's local cache."
        ) from error
