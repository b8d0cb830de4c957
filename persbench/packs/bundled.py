"""Where packs are found: the reference worlds that come with persbench, the toy one, and the user's own folders."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from persbench.errors import PersbenchError, UnknownNameError

DEFAULT_WORLD: Final = "grettow"

_PACKAGE = Path(__file__).resolve().parents[1]


def bundled_worlds() -> dict[str, Path]:
    """Return the reference worlds that come with this installation: name to folder.

    They stand beside the package in a source checkout, and inside it in an installed wheel.
    """
    checkout = _PACKAGE.parent
    # Without the project file beside it, a folder of that name is somebody else's.
    homes = [checkout / "reference_personas"] if (checkout / "pyproject.toml").is_file() else []
    homes.append(_PACKAGE / "_bundled" / "reference_personas")
    return {
        folder.name: folder
        for home in reversed(homes)
        if home.is_dir()
        for folder in sorted(home.iterdir())
        if (folder / "world.yaml").is_file()
    }


def bundled_pack(name: str | None = None) -> Path:
    """Return the folder of a reference world that comes with persbench.

    Args:
        name: The world's name; None for `DEFAULT_WORLD`, or for the only world if there is just one.

    Raises:
        UnknownNameError: No such world is bundled; the message lists those that are.
    """
    worlds = bundled_worlds()
    if name is None:
        name = next(iter(worlds)) if len(worlds) == 1 else DEFAULT_WORLD
    try:
        return worlds[name]
    except KeyError:
        raise UnknownNameError("bundled world", name, list(worlds)) from None


def fake_pack() -> Path:
    """Return the folder of a toy pack: two personas, every kind of file, for trying things out without weights."""
    return Path(__file__).resolve().parent / "fake"


def resolve_pack(spec: str | None) -> Path:
    """Return the folder of a pack named by a user.

    Args:
        spec: An existing folder, the name of a bundled world, or None for the default world. A folder goes first.

    Raises:
        UnknownNameError: None was given and no default world is bundled.
        PersbenchError: Neither a folder nor a bundled world; the message says both ways.
    """
    if spec is None:
        return bundled_pack()
    try:
        if spec and Path(spec).is_dir():
            return Path(spec)
    except (OSError, ValueError):
        pass  # too long or with a NUL: no folder has such a name
    try:
        return bundled_pack(spec)
    except UnknownNameError as error:
        raise PersbenchError(
            f"no pack {spec!r}: it is not a folder here, and {error} "
            "Give the path of a folder with world.yaml in it, or a bundled world's name."
        ) from None
