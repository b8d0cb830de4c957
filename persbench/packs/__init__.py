"""Packs: folders that hold one world with its personas. Load one, hash it, check any.

The files and their rows are described in reference_personas/WRITING.md. `load_pack` gives a `Pack` in which every
reference holds, or raises with all faults at once; `check_pack` lists the faults. Reading goes texts -> schema -> draft
(files and rows, sound or not) -> references, check (rows against each other) -> load.
"""

from persbench.packs.bundled import bundled_pack, bundled_worlds, fake_pack, resolve_pack
from persbench.packs.check import check_pack
from persbench.packs.load import load_pack
from persbench.packs.pack import Origin, Pack, PersonaData

__all__ = [
    "Origin",
    "Pack",
    "PersonaData",
    "bundled_pack",
    "bundled_worlds",
    "check_pack",
    "fake_pack",
    "load_pack",
    "resolve_pack",
]
