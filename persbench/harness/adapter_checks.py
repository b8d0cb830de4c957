"""Is this the adapter that a trained system is made of? Its card, its base model and its tokenizer say."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.harness.backend import adapter_of
from persbench.models.adapter_card import read_card
from persbench.models.fingerprint import folder_digest
from persbench.systems.trained import Trained, speech_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from persbench.harness.documents.base import Document
    from persbench.packs.pack import Pack
    from persbench.systems.base import System


def require_adapter(system: System, lm: Any, pack: Pack, documents: Sequence[Document]) -> None:
    """Refuse a trained system whose adapter is not there, or is another's. An endpoint's weights nobody sees.

    Args:
        system: Prompted systems need no adapter.
        lm: lm-eval model, or None where it cannot be reached.
        pack: The world that is asked about.
        documents: What it is asked, with persona and stages.

    Raises:
        PersbenchError: No adapter; one of another persona, world, base or way to speak; a temporal label that the
            tokenizer does not write as one token.
    """
    if not isinstance(system, Trained) or not isinstance(getattr(lm, "model", None), nn.Module):
        return
    adapter = adapter_of(lm)
    if adapter is None:
        raise PersbenchError(
            f"{system.name} is a trained system, and the model carries no adapter: `persbench run --systems "
            f"{system.name}=DIR`, or `lm_eval run --model_args pretrained=BASE,peft=DIR/PERSONA,tokenizer=DIR/PERSONA`."
        )
    if Path(adapter).is_dir():  # of an adapter from elsewhere there is nothing to read
        require_card(Path(adapter), system, pack, {str(doc["persona"]) for doc in documents})
        require_base(Path(adapter), lm)
    if system.speech.temporal:
        stages = {stage for doc in documents for stage in str(doc["stage"]).split("+")}
        _require_labels(lm, system.name, (pack.stage(stage).temporal_label for stage in sorted(stages)))


def require_card(folder: Path, system: Trained, pack: Pack, personas: Iterable[str]) -> None:
    """Refuse an adapter that was trained for another persona, another world, or to speak in another way.

    Raises:
        PersbenchError: It was.
    """
    card = read_card(folder)
    strangers = sorted(set(personas) - {card.persona})
    if strangers:
        raise PersbenchError(
            f"the adapter in {folder} was trained as {card.persona}, not as {', '.join(strangers)}: "
            "give each persona its own adapter."
        )
    if card.world != pack.world.id:
        raise PersbenchError(
            f"the adapter in {folder} was trained in the world {card.world}, and the pack is {pack.world.id}."
        )
    if speech_of(system.name, folder) != system.speech:
        raise PersbenchError(
            f"the adapter in {folder} was trained to speak in another way than {system.name} is spoken to: "
            'add --metadata \'{"adapter": "FOLDER"}\', so that its card decides.'
        )


def require_adapters(folders: Iterable[Path], lm: Any, *, templated: bool) -> None:
    """Refuse adapters that were trained on another base model, or cannot render a conversation as it does.

    Args:
        folders: Of the adapters; repeated ones count once.
        lm: The loaded model.
        templated: Whether messages are rendered by a chat template.

    Raises:
        FaultsError: Some are like that: every one by its folder.
    """
    faults: list[Fault] = []
    for folder in sorted(set(folders)):
        try:
            require_base(folder, lm)
            if templated:
                require_template(folder)
        except PersbenchError as error:
            faults.append(Fault(str(folder), None, str(error)))
    if faults:
        raise FaultsError("these cannot speak through this model", faults)


def require_base(folder: Path, lm: Any) -> None:
    """Refuse an adapter that was trained on another base model.

    Raises:
        PersbenchError: It was.
    """
    base = getattr(lm, "pretrained", None)
    if not isinstance(base, str):  # a model that was handed over in memory
        return
    card = read_card(folder)
    if card.base_digest != _digest_of(base, str(getattr(lm, "revision", "main"))):
        raise PersbenchError(
            f"the adapter in {folder} was trained on {card.base} ({card.base_digest[:12]}), and {Path(base).name} is "
            "another model, or other weights of it: load the one it was trained on."
        )


def require_template(folder: Path) -> None:
    """Refuse an adapter whose own tokenizer has no chat template, where messages are rendered by one.

    Raises:
        PersbenchError: It has none.
    """
    config = folder / "tokenizer_config.json"
    if not config.is_file() or (folder / "chat_template.jinja").is_file():
        return  # without a tokenizer of its own it speaks with the base model's
    try:
        told = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PersbenchError(f"cannot read {config}: {error}") from error
    if not (isinstance(told, dict) and told.get("chat_template")):
        raise PersbenchError(
            f"the tokenizer in {folder} has no chat template, and the model speaks by one: copy chat_template.jinja "
            "from the folder of the base model that the adapter was trained on, or write the adapter anew "
            "(`persbench train`)."
        )


@cache
def _digest_of(base: str, revision: str) -> str:
    return folder_digest(base, revision)


def _require_labels(lm: Any, name: str, labels: Iterable[str]) -> None:
    for label in labels:
        pieces = lm.tokenizer.encode(label, add_special_tokens=False)
        if len(pieces) != 1:
            raise PersbenchError(
                f"{name} was trained with the temporal label {label} as one token, and this tokenizer writes it as "
                f"{len(pieces)}: take the adapter's own (--model_args tokenizer=FOLDER)."
            )
