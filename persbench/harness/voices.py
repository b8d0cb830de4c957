"""Who speaks as whom in a run: each system on each persona, a trained one with that persona's adapter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persbench.errors import PersbenchError, UnknownNameError
from persbench.harness.adapter_checks import require_card
from persbench.harness.adapters import adapter_fingerprint
from persbench.harness.analysis import TOKENS, variant_named
from persbench.harness.sanity_cells import sanity_systems
from persbench.harness.settings import SANITY
from persbench.models.adapter_card import read_card
from persbench.systems.registry import SYSTEMS, get_system
from persbench.systems.trained import RECIPES, Trained, adapter_folder, recipe_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from persbench.harness.settings import RunSettings
    from persbench.packs.pack import Pack, PersonaData
    from persbench.systems.base import System


@dataclass(frozen=True)
class Voice:
    """One system on one persona.

    Attributes:
        system: The system.
        data: The persona.
        adapter: Its adapter's folder, for a trained system.
    """

    system: System
    data: PersonaData
    adapter: Path | None

    def facts(self, settings: RunSettings) -> dict[str, Any]:
        """Return what of it decides the numbers, for the signature."""
        facts: dict[str, Any] = {"system": f"{self.system.name}@{self.system.fingerprint}"}
        if self.adapter is not None:
            card = read_card(self.adapter)
            facts |= {
                "recipe": card.recipe,
                "training_seed": card.seed,
                "adapter": adapter_fingerprint(self.adapter)[:12],
            }
        if self.system.analysis:
            facts |= {"analysis": variant_named(settings.analysis), "analysis_tokens": TOKENS}
        return facts


def split_systems(names: Sequence[str]) -> tuple[dict[str, Path | None], list[str]]:
    """Separate systems that need the model from sanity systems; `sanity` is all of the latter.

    Returns:
        Name -> folder of its adapters (None for a prompted system), and sanity systems.

    Raises:
        UnknownNameError: No such system.
        PersbenchError: A trained system without a folder, a prompted one with one, or a name twice.
    """
    systems: dict[str, Path | None] = {}
    sanity: list[str] = []
    for text in dict.fromkeys(names):
        name, equals, folder = (part.strip() for part in text.partition("="))
        if not equals and name == SANITY:
            sanity += sanity_systems()
        elif not equals and name in sanity_systems():
            sanity.append(name)
        elif equals:
            _add_trained(systems, name, folder)
        elif name in SYSTEMS:
            systems[name] = None
        elif recipe_of(name) in RECIPES:
            raise PersbenchError(f"{name} is a trained system: say where its adapters are, --systems {name}=DIR.")
        else:
            known = [*SYSTEMS, SANITY, *sanity_systems(), *(f"{recipe}=DIR" for recipe in RECIPES)]
            raise UnknownNameError("system", name, known)
    return systems, list(dict.fromkeys(sanity))


def _add_trained(systems: dict[str, Path | None], name: str, folder: str) -> None:
    if not name or not folder or not name.replace("+", "").replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise PersbenchError(
            f"--systems {name}={folder}: write NAME=DIR, the name of letters, digits, '+', '-', '_' and '.'."
        )
    if name in SYSTEMS:
        raise PersbenchError(f"{name} works by prompt alone: give the adapters in {folder} the name of their recipe.")
    if name in systems:
        raise PersbenchError(f"{name} stands twice in --systems: give one of them a name of its own, NAME={folder}.")
    systems[name] = Path(folder)


def voices_of(
    systems: dict[str, Path | None],
    pack: Pack,
    personas: Sequence[PersonaData],
    settings: RunSettings,
    *,
    share: bool = False,
) -> list[Voice]:
    """Pair systems with personas, for each persona those without an adapter first: they leave the anchors behind.

    Args:
        systems: Name -> folder of its adapters, or None.
        pack: The world.
        personas: Who is spoken as.
        settings: Of the run.
        share: Whether these are only some of the run's personas: a system may have adapters for the others alone.

    Raises:
        PersbenchError: A persona that was asked for by name has no adapter, none has one, or a card says that an
            adapter is another's.
    """
    variant_named(settings.analysis)
    voices: list[Voice] = []
    for data in personas:
        for name, folder in sorted(systems.items(), key=lambda item: item[1] is not None):
            found = None if folder is None else adapter_folder(folder, data.persona.id)
            if folder is not None and (found is None or (found == folder and _is_of_another(folder, data, settings))):
                if settings.personas:
                    raise PersbenchError(f"{folder} holds no adapter for {data.persona.id}, which {name} needs.")
                continue
            system = get_system(name, adapter=found, embedder=settings.embedder)
            if found is not None and isinstance(system, Trained):
                require_card(found, system, pack, [data.persona.id])
            voices.append(Voice(system, data, found))
    spoken = Counter(voice.system.name for voice in voices)
    for name, folder in systems.items():
        if not spoken[name] and not share:
            raise PersbenchError(f"{folder} holds no adapter for any persona of {pack.world.id}, which {name} needs.")
    return voices


def _is_of_another(folder: Path, data: PersonaData, settings: RunSettings) -> bool:
    """Whether a single adapter is another persona's, where no persona was asked for by name."""
    return not settings.personas and read_card(folder).persona != data.persona.id
