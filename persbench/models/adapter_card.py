"""What evaluation reads of the card that stands in every adapter folder (`card.json`, written by `persbench train`).

The two wings meet here: training writes the card; evaluation asks it how the adapter is spoken to, and whose it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persbench.errors import Fault, FaultsError, PersbenchError

CARD: Final = "card.json"
FORMAT: Final = "persbench-adapter"
VERSION: Final = 1

TRAINING: Final = {"key", "recipe_digest", "settings", "device", "dtype"}
"""Adapters are not kept: only a record can say which of two of one recipe and seed it was made with."""

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    # What evaluation does not ask for may be there or not.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class CardSpeaks(_Part):
    """In which form the adapter was trained to speak (see `persbench.models.trained_form`).

    Attributes:
        analysis: Whether a reply opens with its analysis.
        temporal: Whether the system message ends with the stage's temporal token.
        labels: The temporal tokens that were added to the vocabulary, in the order of their rows.
    """

    analysis: bool
    temporal: bool
    labels: Annotated[tuple[str, ...], Field(strict=False)] = ()


class CardBase(_Part):
    """The model that an adapter belongs to.

    Attributes:
        name: Hub id, or the name of the folder.
        digest: See `persbench.models.fingerprint.folder_digest`.
        vocab_size: Rows of its embedding, before any token was added.
    """

    name: str
    digest: Hex
    vocab_size: int


class _CardFile(_Part):
    persona: str
    world: str
    recipe: str
    seed: int
    pack_hash: Hex
    data_hash: Hex
    speaks: CardSpeaks
    base: CardBase
    key: str | None = None
    recipe_digest: str | None = None
    settings: dict[str, Any] | None = None
    device: str | None = None
    dtype: str | None = None


class AdapterCard(BaseModel):
    """What an adapter is, for those who use it.

    Attributes:
        persona: Id of the persona.
        world: Id of its world.
        recipe: Name of the recipe.
        seed: Of the training.
        speaks_analysis: Whether a reply opens with its analysis.
        speaks_temporal: Whether the system message ends with the stage's temporal token.
        labels: The temporal tokens added to the vocabulary.
        base: Name of the base model.
        base_digest: Digest of the base model's folder, 64 hexadecimal digits.
        base_vocab_size: Rows of the base model's embedding.
        pack_hash: SHA-256 of the pack, in hex.
        data_hash: SHA-256 over the texts trained on, in hex.
        training: What else decided its weights, as far as its card says: key, recipe_digest, settings, device, dtype.
    """

    model_config = ConfigDict(frozen=True)

    persona: str
    world: str
    recipe: str
    seed: int
    speaks_analysis: bool
    speaks_temporal: bool
    labels: tuple[str, ...]
    base: str
    base_digest: str
    base_vocab_size: int
    pack_hash: str
    data_hash: str
    training: dict[str, Any] = {}


def read_card(folder: Path | str) -> AdapterCard:
    """Read the card of an adapter folder.

    Args:
        folder: What `persbench train` wrote for one persona.

    Raises:
        FaultsError: The card lacks something, or holds something of another kind; every fault at once.
        PersbenchError: No card, one that cannot be read, or one of another program or version.
    """
    path = Path(folder) / CARD
    data = _json(path)
    if data.get("format") != FORMAT:
        raise PersbenchError(f'{path} is not a card of persbench: its "format" is not "{FORMAT}".')
    if data.get("version") != VERSION:
        raise PersbenchError(
            f"{path} is of card version {data.get('version')!r}, and this persbench reads version {VERSION}: "
            "use the persbench that trained the adapter, or train it again."
        )
    try:
        read = _CardFile.model_validate(data)
    except ValidationError as error:
        faults = [Fault(CARD, None, f"{'.'.join(map(str, e['loc']))}: {e['msg']}") for e in error.errors()]
        raise FaultsError(f"{path} is not a valid card", faults) from error
    return AdapterCard(
        **read.model_dump(exclude={"speaks", "base", *TRAINING}),
        speaks_analysis=read.speaks.analysis,
        speaks_temporal=read.speaks.temporal,
        labels=read.speaks.labels,
        base=read.base.name,
        base_digest=read.base.digest,
        base_vocab_size=read.base.vocab_size,
        training=read.model_dump(include=TRAINING, exclude_none=True),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PersbenchError(
            f"{path.parent} has no {CARD}, so nothing says how its adapter is spoken to: "
            "name a folder that `persbench train` wrote."
        ) from None
    except (OSError, ValueError) as error:
        raise PersbenchError(f"{path} cannot be read ({error}): train the adapter again.") from error
    if not isinstance(data, dict):
        raise PersbenchError(f"{path} is not a card of persbench: it holds no object.")
    return data
