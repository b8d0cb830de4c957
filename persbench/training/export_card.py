"""The card beside exported rows: what they are, whose, under which licence, and the canary string of their world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

from persbench import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from persbench.packs.pack import Pack
    from persbench.training.recipe import Recipe

# Names of licences that a dataset hub knows; any other is given by its own name.
LICENCES: Final = frozenset({"apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "cc0-1.0", "mit"})
COLUMNS: Final = {
    "sharegpt": "`conversations`: turns with `from` (system, human, gpt) and `value`",
    "trl-sft": "`messages`: turns with `role` and `content` (TRL's conversational language modelling)",
    "trl-preference": "`prompt`, `chosen`, `rejected`: turns with `role` and `content` (TRL's conversational "
    "preference); `kind` and `rejected_origin`: where the rejected reply comes from",
}


class ExportedFile(NamedTuple):
    """One file of rows.

    Attributes:
        path: Where it is.
        persona: Whose.
        rows: How many.
        ordinary: Of these, ordinary dialogue in which no persona speaks.
        sha256: Of its bytes, in hex.
        dropped: Rows of the pack left out as near-duplicates, with the rows that they repeat.
    """

    path: Path
    persona: str
    rows: int
    ordinary: int
    sha256: str
    dropped: tuple[str, ...]


def card_of(
    pack: Pack,
    recipe: Recipe,
    form: str,
    files: Sequence[ExportedFile],
    *,
    seed: int,
    labels: Sequence[str],
    once: bool,
) -> str:
    """Write the card: Markdown, with every fact in YAML at its head, which dataset hubs and `datasets` read.

    Args:
        pack: Where the rows come from.
        recipe: What made them.
        form: Their format.
        files: What was written.
        seed: Of their order.
        labels: Temporal tokens in the system messages.
        once: Whether each different row stands once.
    """
    world = pack.world
    licence = world.licence.casefold()
    head: dict[str, Any] = {"license": licence if licence in LICENCES else "other"}
    if licence not in LICENCES:
        head["license_name"] = world.licence
    head |= {
        "language": world.language,
        "configs": [{"config_name": file.persona, "data_files": file.path.name} for file in files],
        "persbench": {
            "version": __version__,
            "world": world.id,
            "world_version": world.version,
            "pack_hash": pack.hash,
            "licence": world.licence,
            "canary": world.canary,
            "format": form,
            "recipe": recipe.name,
            "recipe_digest": recipe.digest,
            "seed": seed,
            "once": once,
            "temporal_tokens": list(labels),
            "files": {
                file.path.name: {
                    "persona": file.persona,
                    "rows": file.rows,
                    "ordinary_dialogue": file.ordinary,
                    "sha256": file.sha256,
                    "left_out": list(file.dropped),
                }
                for file in files
            },
        },
    }
    lines = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{lines}---\n\n{_prose(pack, recipe, form, files, labels, once)}"


def _prose(
    pack: Pack, recipe: Recipe, form: str, files: Sequence[ExportedFile], labels: Sequence[str], once: bool
) -> str:
    often = "Each different row stands once" if once else "A row stands as often as an epoch has it"
    what = (
        f"What `persbench train --recipe {recipe.name}` learns from, in its order ({form}). {often}. Columns: "
        f"{COLUMNS[form]}; `id`, `persona`, `stage`, `pattern`, `origin` (file:line of the pack). In ordinary dialogue "
        "no persona speaks, and `persona`, `stage` and `pattern` are null."
    )
    parts = [
        f"# Training data of {pack.world.name}: {', '.join(file.persona for file in files)}",
        f"Licence: {pack.world.licence}. Canary string, to be kept wherever these data go:\n\n    {pack.world.canary}",
        what,
        "`persbench train` learns the last assistant turn of a row alone; what is said before it is context.",
    ]
    if labels:
        parts.append(
            f"System messages end with a temporal token. Make each of them one token of the model: {', '.join(labels)}."
        )
    parts.append("All texts were compared by words with every test text of the world, and none of those is among them.")
    return "\n\n".join(parts) + "\n"
