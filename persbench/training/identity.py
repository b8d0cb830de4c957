"""What decides the weights that come out of a training, whether a folder holds that training, and if not, why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError
from persbench.models.adapter_card import CARD, FORMAT
from persbench.provenance import digest
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from persbench.training.base import Base
    from persbench.training.job import Job
    from persbench.training.machine import Machine

TRAINER: Final = 1
"""Version of the trainer's code: to be raised by every change after which an equal job comes out with other weights."""

# Nobody can read a difference of hashes: it is told by name.
HASHED: Final = {
    "data": "other texts to be learnt, or another order of them",
    "base": "another base model",
    "tokenizer": "another tokenizer or chat template of the base model",
}
ABOUT: Final = ("name", "about")  # what a recipe says of itself
SHOWN: Final = 6

Decided = dict[str, Any]


def decided_by(job: Job, base: Base, machine: Machine) -> Decided:
    """Return what decides the weights that come out, up to the rounding of the device."""
    return {
        "recipe": job.recipe.model_dump(mode="json", exclude=set(ABOUT)),
        "data": job.data_hash,
        "labels": list(job.labels),
        "base": base.digest,
        "tokenizer": base.tokenizer_digest,
        "seed": job.seed,
        "max_steps": job.max_steps,
        "dtype": machine.arithmetic,
        "trainer": TRAINER,
    }


def key_of(decided: Decided) -> str:
    """Return the key of a training: equal keys, equal training."""
    return digest(decided, 64)


def stored_key(folder: Path) -> str | None:
    """Return the key in a folder's card; None if there is no readable one."""
    key = _card(folder).get("key")
    return key if isinstance(key, str) else None


def finished(final: Path, decided: Decided) -> bool:
    """Say whether a persona's folder is there.

    Raises:
        PersbenchError: It is, and is of another training.
    """
    if not final.exists():
        return False
    found = stored_key(final)
    if found == key_of(decided):
        return True
    what = (
        "holds something that persbench did not train"
        if found is None
        else f"was trained with other settings ({differences(_noted(_card(final)), decided)})"
    )
    raise PersbenchError(f"{final} {what}: name another --out, or remove the folder.")


def claim(work: Path, decided: Decided) -> None:
    """Write into a working folder what is trained there.

    Raises:
        PersbenchError: It holds an unfinished training of another kind.
    """
    note, key = work / "job.json", key_of(decided)
    found = _object(note)
    if found.get("key") not in (None, key):
        before = found.get("decided")
        differs = differences(before if isinstance(before, dict) else {}, decided)
        raise PersbenchError(
            f"{work} holds an unfinished training with other settings ({differs}): name another --out, or remove that "
            "folder."
        )
    write_atomic(note, json.dumps({"key": key, "decided": decided}).encode())


def differences(found: Decided, wanted: Decided) -> str:
    """Say in what two trainings differ, as far as the first one noted it.

    Args:
        found: What is there; what an older persbench did not note is not in it.
        wanted: What was to be trained.
    """
    told = list(_differing(found, wanted))
    unsaid = [name for name in wanted if name not in found]
    if unsaid:
        told.append(f"not noted by the older persbench that wrote it: {', '.join(unsaid)}")
    more = [f"{len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return "; ".join(told[:SHOWN] + more)


def _differing(found: Decided, wanted: Decided, group: str = "") -> Iterator[str]:
    for name in [name for name in wanted if name in found]:
        old, new, place = found[name], wanted[name], f"{group}{name}"
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differing(old, new, f"{place}.")
        elif place in HASHED:
            yield HASHED[place]
        else:
            yield f"{place} {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return "some" if isinstance(value, dict) else json.dumps(value, ensure_ascii=False)


def _card(folder: Path) -> dict[str, Any]:
    found = _object(folder / CARD)
    return found if found.get("format") == FORMAT else {}


def _object(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing if it is not there, unreadable or no object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _noted(card: dict[str, Any]) -> Decided:
    """Return what of a training its card says."""
    base, speaks, settings = (
        part if isinstance(part, dict) else {} for part in (card.get(name) for name in ("base", "speaks", "settings"))
    )
    found = {
        "recipe": {name: value for name, value in settings.items() if name not in ABOUT} or None,
        "data": card.get("data_hash"),
        "labels": speaks.get("labels"),
        "base": base.get("digest"),
        "tokenizer": card.get("tokenizer_digest"),
        "dtype": card.get("dtype"),
        "trainer": card.get("trainer"),
    }
    noted = {name: value for name, value in found.items() if value is not None}
    return noted | {name: card[name] for name in ("seed", "max_steps") if name in card}
