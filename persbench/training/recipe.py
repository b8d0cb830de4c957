"""Recipes: every setting of one training, in YAML, checked in full before anything is computed.

A recipe is a file `recipes/NAME.yaml` of this package or any YAML file of yours. It may build on another one
(`extends: persllm`): mappings are merged key by key, everything else replaces what it finds, and `null` takes a group
away (`dpo: null`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from persbench.errors import Fault, FaultsError, PersbenchError, UnknownNameError
from persbench.packs.complaints import quoted, validated
from persbench.packs.schema import Pattern  # noqa: TC001 (pydantic reads it while the program runs)
from persbench.packs.texts import Id, Line, PackModel, Some, complaint
from persbench.packs.yaml_file import Document, read_yaml

RECIPES: Final = Path(__file__).resolve().parent / "recipes"
DEFAULT: Final = "persllm"
MAX_PARENTS: Final = 8


def _number(value: object) -> object:
    # YAML reads 5e-5 as text, since its numbers need a point: 5.0e-5.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Speaks(PackModel):
    """In which form the persona is spoken to and speaks (see `persbench.models.trained_form`).

    Attributes:
        analysis: Whether a reply opens with its analysis.
        temporal: Whether the system message ends with the stage's temporal token.
    """

    analysis: bool
    temporal: bool


class Data(PackModel):
    """What is learnt.

    Attributes:
        source: `train` (train.jsonl), `matched` (the same prompts, answered in the voice with stance and facts taken
            out: matched.jsonl) or `stylized` (general instructions, answered in the voice: stylized.jsonl).
        patterns: Which training dialogues are used; nothing to `stylized`, which has no patterns.
        repeat: How often each dialogue stands in an epoch.
        examples: The exact number of the persona's examples in an epoch, its rows in turns; null: all, `repeat` times.
        general: Examples of ordinary dialogue for each example of the persona; 0 for none.
        deduplicate: Cosine of two prompts of one stage and pattern from which the later one is dropped; null for never.
        matched_to: Name of a recipe whose optimiser steps and assistant text this one is to equal (see
            `persbench.training.examples.settled`): `examples`, `general` and epochs and batches of `sft` then follow
            from it.
    """

    source: Literal["train", "stylized", "matched"]
    patterns: Some[Pattern]
    repeat: Count
    examples: Count | None = None
    general: Annotated[Number, Field(ge=0)]
    deduplicate: Annotated[Number, Field(gt=0, le=1)] | None
    matched_to: Id | None = None


class Optimiser(PackModel):
    """What SFT and DPO share.

    Attributes:
        epochs: Passes over the examples as repeated.
        learning_rate: Peak; it rises over `warmup_steps` and falls as a cosine to `floor` of the peak.
        batch_size: Sequences (or pairs) an optimiser step, over all processes and accumulated parts together.
        micro_batch: Sequences (or pairs) a forward pass, a divisor of the batch, which is accumulated from such parts.
        warmup_steps: Optimiser steps.
        weight_decay: AdamW's.
        floor: Share of the peak at which the learning rate ends.
        betas: AdamW's.
        eps: AdamW's.
        clip: Largest norm of the gradient.
        max_length: Tokens of prompt and completion together.
    """

    epochs: Positive
    learning_rate: Positive
    batch_size: Count
    micro_batch: Count
    warmup_steps: Annotated[int, Field(ge=0)]
    weight_decay: Annotated[Number, Field(ge=0)]
    floor: Share
    betas: Annotated[
        tuple[Annotated[Number, Field(ge=0, lt=1)], Annotated[Number, Field(ge=0, lt=1)]], Field(strict=False)
    ]
    eps: Positive
    clip: Positive
    max_length: Count

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.batch_size % self.micro_batch:
            raise complaint(
                "micro_batch {part} does not divide batch_size {whole}", part=self.micro_batch, whole=self.batch_size
            )
        return self


class Sft(Optimiser):
    """Supervised tuning on the assistant's turns alone."""


class Dpo(Optimiser):
    """Preference tuning against the model that SFT left.

    Attributes:
        beta: Strength of the tie to that model.
        rejected: Where rejected replies come from: the persona's own other stage, another persona, or the same prompt
            answered in the same voice with stance and facts taken out (matched.jsonl).
        analysis_of_rejected: The analysis that stands before a rejected response: the chosen one's (then the response
            alone differs) or the rejected row's own, if it has one.
        pairs: At most so many pairs, the kinds in turns; null for all.
    """

    beta: Positive
    rejected: Some[Literal["other_stage", "other_persona", "same_voice"]]
    analysis_of_rejected: Literal["own", "theirs"]
    pairs: Count | None


class Lora(PackModel):
    """Low-rank adapters. `targets` are names of modules, or `all-linear`."""

    r: Count
    alpha: Positive
    dropout: Annotated[Number, Field(ge=0, lt=1)]
    targets: Line | Some[Line]


class Recipe(PackModel):
    """Every setting of one training.

    Attributes:
        name: The file's name without its ending.
        about: What it is for, in a line.
        seed: Order of the data, dropout and initial adapters, unless the command says otherwise.
        full: Tune all weights; then there is no `lora`.
    """

    name: Id
    about: Line
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    speaks: Speaks
    data: Data
    sft: Sft
    dpo: Dpo | None
    lora: Lora | None
    full: bool

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.full == (self.lora is not None):
            raise complaint("full and lora: one of them, `full: true` with `lora: null` or `full: false` with `lora`")
        if self.data.source != "train" and self.speaks.analysis:
            raise complaint("speaks.analysis: {source} dialogues have none", source=self.data.source)
        if self.data.source != "train" and self.dpo is not None:
            raise complaint("dpo: preferences are made of train dialogues, not of {source}", source=self.data.source)
        return self

    @property
    def digest(self) -> str:
        """Twelve hex digits of the SHA-256 over every setting; name and description do not enter."""
        settings = self.model_dump(mode="json", exclude={"name", "about"})
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with persbench, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name_or_path: str | Path = DEFAULT) -> Recipe:
    """Load a recipe.

    Args:
        name_or_path: A name of `recipe_names()`, or the path of a YAML file; a name goes first.

    Returns:
        The recipe with all that it inherits.

    Raises:
        UnknownNameError: Neither a name nor a file; or it extends such a one.
        FaultsError: Something is wrong in the file, or in one that it extends: every fault of that file at once.
        PersbenchError: A circle of recipes that extend each other.
    """
    data, document, path = _merged(_path(str(name_or_path), Path()), ())
    faults: list[Fault] = []
    recipe = validated(Recipe, {"about": path.stem, **data, "name": path.stem}, str(path), faults, document.line)
    if recipe is None:
        raise FaultsError(f"{path} is not a valid recipe", faults)
    return recipe


def _path(spec: str, home: Path) -> Path:
    """Find the file of a recipe; a relative path starts at the folder of the recipe that names it."""
    if spec in recipe_names():
        return RECIPES / f"{spec}.yaml"
    path = home / spec
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):
        pass  # too long or with a NUL: no file has such a name
    error = UnknownNameError("recipe", spec, recipe_names())
    raise PersbenchError(f"{error} A recipe of your own is given as the path of a YAML file.")


def _merged(path: Path, children: tuple[Path, ...]) -> tuple[dict[str, Any], Document, Path]:
    """Read a recipe over what it extends; the document is the file's own, for the lines of its keys."""
    if path in children or len(children) > MAX_PARENTS:
        way = " -> ".join(p.name for p in (*children, path))
        raise PersbenchError(f"recipes extend each other in a circle: {way}. Take one `extends` out.")
    faults: list[Fault] = []
    document = read_yaml(path, str(path), faults)
    if document is not None and not isinstance(document.data, dict):
        faults.append(Fault(str(path), 1, "not a mapping", "keys and values"))
    parent = document.data.get("extends") if document is not None and isinstance(document.data, dict) else None
    if parent is not None and not isinstance(parent, str):
        faults.append(Fault(str(path), None, "extends: not a name", "the name or path of one recipe"))
    if document is None or not isinstance(document.data, dict) or faults:
        raise FaultsError(f"{path} is not a valid recipe", faults)
    own = {str(key): value for key, value in document.data.items() if key != "extends"}
    if "name" in own:
        message = f"unknown key {quoted('name')}"
        faults.append(Fault(str(path), document.line(("name",)), message, "no name: it is the file's own"))
        raise FaultsError(f"{path} is not a valid recipe", faults)
    if not isinstance(parent, str):
        return own, document, path
    # A child says what it is for itself: what its parent is for would be wrong.
    inherited = _merged(_path(parent, path.parent), (*children, path))[0]
    inherited.pop("about", None)
    return _over(inherited, own), document, path


def _over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, mappings within it likewise."""
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        merged[key] = _over(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged
