"""The base model: loaded once, lent to one training after another, and given back as it was to the last bit."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.pytorch_utils import Conv1D

from persbench.errors import PersbenchError
from persbench.models.fingerprint import folder_digest, tokenizer_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.models.chat import Message

Form = Literal["chat", "folded"]
PROBE = ("persbench-system", "persbench-user", "persbench-assistant")


@dataclass
class Base:
    """A base model.

    Attributes:
        name: Hub id, or the folder's name.
        source: Hub id or folder.
        digest: See `persbench.models.fingerprint.folder_digest`.
        tokenizer_digest: See `persbench.models.fingerprint.tokenizer_digest`.
        form: `folded` where the chat template takes no system message, which then opens the user's turn.
    """

    name: str
    source: str
    digest: str
    tokenizer_digest: str
    tokenizer: Any
    form: Form
    _model: Any = field(default=None, repr=False)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def model(self) -> Any:
        """The model in float32; loaded if it is not there."""
        if self._model is None:
            self._model = _load(self.source)
        return self._model

    @contextmanager
    def lent(self, *, keep: bool = True) -> Iterator[Any]:
        """Lend the model for a training, to be changed at will.

        Args:
            keep: False where its weights themselves are trained or sharded: it is then loaded anew for the next one.
        """
        before = _Before(self.model) if keep else None
        try:
            if before is not None:
                _copy_tables(self.model)
            yield self.model
        finally:
            if before is not None:
                before.restore()
            else:
                self._model = None


def load_base(source: str | Path) -> Base:
    """Load a base model for training. No code that comes with it is run, and no pickle is read.

    Args:
        source: Folder of a model, or a hub id.

    Raises:
        PersbenchError: No model there, no chat template, or one that loses what is said.
    """
    folder = Path(source)
    spec = str(folder.resolve()) if folder.is_dir() else str(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(spec, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unloadable(spec, error) from error
    form = chat_form(tokenizer, spec)
    base = Base(folder.resolve().name if folder.is_dir() else spec, spec, "", "", tokenizer, form)
    base.model  # noqa: B018 - a hub model comes into the cache, where the digest reads it
    base.digest, base.tokenizer_digest = folder_digest(spec), tokenizer_digest(spec)
    return base


def _load(spec: str) -> Any:
    try:
        return AutoModelForCausalLM.from_pretrained(
            spec, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _unloadable(spec, error) from error


def _unloadable(spec: str, error: Exception) -> PersbenchError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return PersbenchError(
        f"the base model {spec!r} cannot be loaded ({first}): name a folder with a transformers model in safetensors, "
        "or the id of one on a model hub that answers."
    )


def chat_form(tokenizer: Any, name: str) -> Form:
    """Find out in which form the chat template takes a system message, and see that replies are trained as evaluated.

    Raises:
        PersbenchError: There is no template; it loses what is said even with the system text in the user's turn; or it
            puts something between the place where a reply is asked for and the reply.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise PersbenchError(
            f"the base model {name!r} has no chat template, so a dialogue cannot be put to it: take one that was tuned "
            "for chat (its tokenizer holds a chat_template)."
        )
    system, user, reply = PROBE
    turns: list[Message] = [{"role": "user", "content": user}, {"role": "assistant", "content": reply}]
    for form in ("chat", "folded"):
        said: list[Message] = [{"role": "system", "content": system}, *turns]
        try:
            text = tokenizer.apply_chat_template(formed(said, form), tokenize=False)
            opened = tokenizer.apply_chat_template(formed(said[:-1], form), tokenize=False, add_generation_prompt=True)
        except (TemplateError, ValueError):  # a template may refuse a system message
            continue
        if all(part in text for part in PROBE):
            _require_same_turn(name, text, opened)
            return form
    raise PersbenchError(f"the chat template of {name!r} drops part of a dialogue: give the model another template.")


def _require_same_turn(name: str, text: str, opened: str) -> None:
    """Refuse a template that writes the last reply otherwise than it asks for one.

    Training renders a whole dialogue; evaluation opens the assistant's turn and lets the reply follow. A template that
    begins a finished reply with an empty `<think>` block would have that block learnt, and nobody would ask for it.
    """
    if text.startswith(opened + PROBE[-1]):
        return
    alike = next((i for i, (a, b) in enumerate(zip(text, opened, strict=False)) if a != b), min(len(text), len(opened)))
    asked, written = opened[alike:], text[alike:].partition(PROBE[-1])[0]
    raise PersbenchError(
        f"the chat template of {name!r} writes a reply otherwise than it asks for one: in a finished dialogue "
        f"{written!r} stands before the assistant's reply where the generation prompt has {asked!r}. A persona would "
        "be trained in another form than it is evaluated in. Change the template in a copy of the model's folder so "
        "that a reply follows the generation prompt directly (a <think> block: in both or in neither), or take another "
        "base model."
    )


def formed(messages: Sequence[Message], form: Form) -> list[Message]:
    """Return messages as the template takes them; `persbench run` folds a system message in the same way."""
    if form == "chat" or not messages or messages[0]["role"] != "system":
        return list(messages)
    first: Message = {"role": messages[1]["role"], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]


def linear_modules(model: Any) -> list[str]:
    """Return the names of a model's linear layers, without the output layer."""
    head = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    ]


class _Before:
    """What of a model a training may change, apart from the weights of its modules, which an adapter leaves alone."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.children = [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()]
        self.trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        self.notes = {name: value for name, value in vars(model).items() if name != "_modules"}
        self.training = model.training
        self.configs = [
            (config, copy.deepcopy(vars(config)))
            for config in (model.config, model.generation_config)
            if config is not None
        ]

    def restore(self) -> None:
        for parent, name, child in self.children:
            setattr(parent, name, child)
        for parameter, trained in self.trained:
            parameter.requires_grad_(trained)
            parameter.grad = None
        for name in set(vars(self.model)) - set(self.notes) - {"_modules"}:  # PEFT's notes, TRL's forward
            delattr(self.model, name)
        vars(self.model).update(self.notes)
        for config, values in self.configs:
            vars(config).clear()
            vars(config).update(values)
        self.model.train(self.training)


def _copy_tables(model: Any) -> None:
    """Put copies of the embeddings in their place, tied as they were: new tokens change them."""
    names = {id(module): name for name, module in model.named_modules()}
    copied: dict[int, Any] = {}
    for table in (model.get_input_embeddings(), model.get_output_embeddings()):
        if table is not None:
            model.set_submodule(names[id(table)], copy.deepcopy(table, copied))
