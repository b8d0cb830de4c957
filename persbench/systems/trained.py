"""Systems whose persona was trained into an adapter: they see name, date and temporal token alone.

What a recipe trained decides how its system is spoken to and what it says first: a temporal token in the system
message, an analysis before the response. Only here does the evaluation wing touch PEFT.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from persbench.errors import PersbenchError
from persbench.models.adapter_card import CARD, read_card
from persbench.models.trained_form import prefill_text, system_text
from persbench.systems.base import Situation, text_fingerprint
from persbench.systems.prompted import INSTRUCTION, persona_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from persbench.models.chat import Message

PROFILE: Final = "+profile"
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class Speech(NamedTuple):
    """What a recipe trained: an analysis before the response, a temporal token in the system message."""

    analysis: bool
    temporal: bool


RECIPES: Final[Mapping[str, Speech]] = MappingProxyType({
    "stylized": Speech(analysis=False, temporal=False),
    "stylized-matched": Speech(analysis=False, temporal=False),
    "persllm": Speech(analysis=True, temporal=True),
    "persllm-sft": Speech(analysis=True, temporal=True),
    "no-analysis": Speech(analysis=False, temporal=True),
    "no-anti-induction": Speech(analysis=True, temporal=True),
    "no-temporal": Speech(analysis=True, temporal=False),
    "no-general": Speech(analysis=True, temporal=True),
    "quick": Speech(analysis=False, temporal=True),
    "quick-stylized": Speech(analysis=False, temporal=False),
    "paper-minicpm": Speech(analysis=True, temporal=True),
})  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """A system that an adapter makes, whatever the adapter.

    Attributes:
        name: Recipe name or any other; `+profile` at its end puts the persona's sheet into the prompt too.
        speech: What its recipe trained.
    """

    name: str
    speech: Speech

    @property
    def profile(self) -> bool:
        """Whether the persona's sheet stands before the line that it was trained on."""
        return self.name.endswith(PROFILE)

    @property
    def analysis(self) -> bool:
        """Whether it thinks aloud before it speaks."""
        return self.speech.analysis

    @property
    def fingerprint(self) -> str:
        """Digest of what it writes; the adapter has a fingerprint of its own."""
        line = system_text("{name}", "{date}", "{label}" if self.speech.temporal else None)
        before = (INSTRUCTION, "profile/voice/relations") if self.profile else ()
        return text_fingerprint("trained", line, prefill_text("{analysis}") if self.analysis else "", *before)

    def messages(self, situation: Situation, turns: list[Message], less: int = 0) -> list[Message]:  # noqa: ARG002
        """Put the trained line before the conversation; there is nothing to leave out."""
        line = system_text(situation.data.persona.name, situation.stage.date, self.label(situation))
        content = f"{persona_sheet(situation)}\n\n{line}" if self.profile else line
        return [{"role": "system", "content": content}, *turns]

    def label(self, situation: Situation) -> str | None:
        """Return the temporal token of the stage, which must be one token of the adapter's tokenizer; None for none."""
        return situation.stage.temporal_label if self.speech.temporal else None


def recipe_of(name: str) -> str:
    """Return the name without `+profile`."""
    return name.removesuffix(PROFILE)


def speech_of(name: str, folder: Path) -> Speech:
    """Return how an adapter's system speaks, by its card.

    Raises:
        PersbenchError: The folder has no readable card, or the card names another recipe than a known name does.
    """
    card = read_card(folder)
    speech = Speech(card.speaks_analysis, card.speaks_temporal)
    known = RECIPES.get(recipe_of(name))
    if known is not None and card.recipe != recipe_of(name):
        raise PersbenchError(
            f"the adapter in {folder} was trained by the recipe {card.recipe}, and {recipe_of(name)} is another: "
            f"run it under the name {card.recipe}, or under one of your own (NAME={folder})."
        )
    if known is not None and known != speech:
        raise PersbenchError(
            f"the adapter in {folder} was trained with {_in_words(speech)}, and {recipe_of(name)} is a recipe with "
            f"{_in_words(known)}: give its system another name (NAME={folder})."
        )
    return speech


def _in_words(speech: Speech) -> str:
    named = {"an analysis": speech.analysis, "temporal tokens": speech.temporal}
    parts = [word for word, trained in named.items() if trained]
    return " and ".join(parts) if parts else "neither analysis nor temporal tokens"


def adapter_folder(path: Path, persona: str) -> Path | None:
    """Find the adapter of a persona: a folder of its name in `path`, or `path` itself.

    Raises:
        PersbenchError: The path is no folder, or there is a whole model in the place of an adapter.
    """
    if not path.is_dir():
        raise PersbenchError(
            f"no folder {path}: name one that holds an adapter folder for each persona, or is an adapter folder itself."
        )
    for folder in (path, path / persona):
        if (folder / CONFIG).is_file():
            return folder
        if (folder / CARD).is_file() and (folder / "config.json").is_file():
            raise PersbenchError(
                f"{folder} holds a model whose weights were all tuned. A trained system is an adapter on a base model, "
                "on which its anchors are taken: train it with `lora` settings."
            )
    return None


def attach(model: Any, folder: Path) -> None:
    """Put a PEFT adapter on a model, in place; the model's embedding already has the adapter's vocabulary.

    Rows of new tokens are written into the embedding. PEFT itself keeps them apart and copies the whole embedding in
    every forward pass, with the same result.

    Args:
        model: transformers model; what it shares with another model and the adapter changes must be a copy.
        folder: PEFT adapter folder.

    Raises:
        PersbenchError: PEFT is not installed, or the folder holds no adapter for this model.
    """
    try:
        from peft import PeftModel  # noqa: PLC0415 - it is needed for trained systems alone
        from peft.utils.other import TrainableTokensWrapper  # noqa: PLC0415
    except ImportError:
        raise PersbenchError("trained systems need PEFT: pip install 'persbench[train]'") from None
    if not (folder / WEIGHTS).is_file():
        raise PersbenchError(f"cannot use the adapter in {folder}: it has no {WEIGHTS} (pickled weights are not read).")
    try:
        with warnings.catch_warnings():
            # Neither is for us: tied tables are copied before this, and nothing is merged or checkpointed.
            warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True` and a tied layer")
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
            )
            PeftModel.from_pretrained(model, str(folder))
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, TypeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PersbenchError(f"cannot use the adapter in {folder}: {first}") from error
    apart = [(name, module) for name, module in model.named_modules() if isinstance(module, TrainableTokensWrapper)]
    for name, module in apart:
        bare = module.unload_and_optionally_merge_module(merge=True, safe_merge=False, adapter_names=None)
        model.set_submodule(name, bare)
    model.eval()
