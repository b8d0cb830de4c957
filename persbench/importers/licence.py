"""Under which licence a source may be used: read from the source itself, or accepted by the user in so many words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError
from persbench.jsonl import file_problem
from persbench.packs.texts import folded

if TYPE_CHECKING:
    from pathlib import Path

FILES: Final = ("license", "licence", "copying", "unlicense")
HEAD_BYTES: Final = 20_000
LINE: Final = 120
_FRONT_MATTER: Final = re.compile(r"\A---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_ENTRY: Final = re.compile(r"^licen[sc]e:[ \t]*(.+)$", re.MULTILINE | re.IGNORECASE)
_NO_LICENCE: Final = frozenset({"", "other", "unknown", "none", "null", "n/a", "unlicensed", "[]"})
# What stands in well-known licence texts -> their short names; the narrower first.
_KNOWN: Final = (
    (r"permission is hereby granted, free of charge", "MIT"),
    (r"apache license\s+version 2\.0", "Apache-2.0"),
    (r"attribution-noncommercial-noderivatives 4\.0", "CC-BY-NC-ND-4.0"),
    (r"attribution-noncommercial-sharealike 4\.0", "CC-BY-NC-SA-4.0"),
    (r"attribution-noncommercial 4\.0", "CC-BY-NC-4.0"),
    (r"attribution-noderivatives 4\.0", "CC-BY-ND-4.0"),
    (r"attribution-sharealike 4\.0", "CC-BY-SA-4.0"),
    (r"attribution 4\.0 international", "CC-BY-4.0"),
    (r"cc0 1\.0 universal", "CC0-1.0"),
    (r"gnu affero general public license", "AGPL"),
    (r"gnu lesser general public license", "LGPL"),
    (r"gnu general public license", "GPL"),
    (r"released into the public domain", "Unlicense"),
)
_RESTRICTED: Final = ((r"\bnc\b|non-?commercial", "no commercial use"), (r"\bnd\b|no-?deriv", "no adaptations"))


@dataclass(frozen=True)
class Licence:
    """What the pack says of its licence.

    Attributes:
        text: For world.yaml: one line.
        origin: Where it comes from: the source's file, or the user.
        file: The licence's own text in the source, to be copied into the pack; None where there is none.
        flags: What the user should know of it.
    """

    text: str
    origin: str
    file: Path | None
    flags: tuple[str, ...]


def settle_licence(source: Path, accepted: str | None, title: str, published: str) -> Licence:
    """Find a source's licence, or take the user's word.

    Args:
        source: The source's folder, or its only file (then the folder around it is looked at).
        accepted: What the user accepts, by name or in words.
        title: The format's name, for the message.
        published: What the project says of the licence of its data as published, for the message.

    Raises:
        PersbenchError: The source names no licence and the user accepts none, or accepts an empty one.
    """
    accepted = None if accepted is None else " ".join(accepted.split())
    if accepted is not None and (not accepted or not accepted.isprintable() or len(accepted) > LINE):
        raise PersbenchError(f"--accept-licence: name a licence in one line of at most {LINE} characters.")
    folder = source if source.is_dir() else source.parent
    found = _found(folder)
    if found is None:
        if accepted is None:
            raise PersbenchError(
                f"{folder} names no licence (looked for a LICENSE or COPYING file, and for `license:` at the head of "
                f"README.md), and without one nobody may use it. {title} as published: {published}. If you know the "
                "licence of your copy and accept it, name it: --accept-licence NAME (it is recorded in world.yaml)."
            )
        flags = (
            "the source names no licence: what stands in world.yaml is the importing user's word",
            *_limits(accepted),
        )
        return Licence(f"{accepted} (accepted by the importing user; the source names none)", "the user", None, flags)
    name, file, is_text = found
    flags = _limits(name)
    if accepted is not None and accepted.casefold() != name.casefold():
        flags = (f"the user accepted {accepted!r}, and the source says {name!r}: the source's stands", *flags)
    return Licence(name, file.name, file if is_text else None, flags)


def _found(folder: Path) -> tuple[str, Path, bool] | None:
    """Return (name, file, whether the file is the licence itself) of the first file that names a licence."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PersbenchError(f"{folder} cannot be read: {error.strerror or error}.") from error
    for path in entries:
        if path.stem.casefold() in FILES and path.suffix.casefold() in {"", ".txt", ".md"} and (text := _head(path)):
            return _name(text), path, True
    for path in entries:
        if path.name.casefold() == "readme.md" and (front := _FRONT_MATTER.search(_head(path))):
            for entry in _ENTRY.finditer(front[1]):
                name = " ".join(entry[1].split("#")[0].strip().strip("\"'").split())
                if name.casefold() not in _NO_LICENCE and name.isprintable():
                    return name[:LINE], path, False
    return None


def _head(path: Path) -> str:
    if file_problem(path) is not None:
        return ""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _name(text: str) -> str:
    """Name a licence by its text; one that is not known by its first line."""
    flat = folded(text)
    for pattern, name in _KNOWN:
        if re.search(pattern, flat):
            return name
    first = "".join(c if c.isprintable() else " " for c in text.splitlines()[0])
    return " ".join(first.split())[:LINE] or "see the file LICENSE"


def _limits(name: str) -> tuple[str, ...]:
    return tuple(
        f"{name} allows {limit}: a pack is an adaptation" for p, limit in _RESTRICTED if re.search(p, name.casefold())
    )
