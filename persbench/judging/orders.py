"""Showing replies in several orders, and making one ranking of what was said to each."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Groups = tuple[tuple[str, ...], ...]
"""Names from best to worst, those of one place together."""


def orders_of(names: Sequence[str], wanted: int, salt: str) -> list[tuple[str, ...]]:
    """Return different orders of names: a drawn one, the same backwards, and then both with the first put last.

    A name that stands first in one order stands last in the next: orders come in pairs, each with its reverse, so that
    a leaning to a place cancels.

    Args:
        names: At least two, all different.
        wanted: How many, an even number; there may be fewer, since n names turned round give at most 2 n orders.
        salt: Decides what is drawn, together with the names: the same in every run.

    Raises:
        ValueError: An odd number, of which one order would have no reverse.
    """
    if wanted % 2:
        raise ValueError(f"{wanted} orders: one would have no reverse, and a leaning to a place would stay")
    drawn = sorted(names, key=lambda name: digest([salt, name], 32))
    found: list[tuple[str, ...]] = []
    for turn in range(len(drawn)):
        turned = (*drawn[turn:], *drawn[:turn])
        for order in (turned, turned[::-1]):
            if order not in found:
                found.append(order)
    return found[:wanted]


def places_of(groups: Groups) -> dict[str, float]:
    """Return the place of each name, 1 for the best; names of one group share the mean of their places."""
    places: dict[str, float] = {}
    taken = 0
    for group in groups:
        places |= dict.fromkeys(group, taken + (len(group) + 1) / 2)
        taken += len(group)
    return places


def mean_places(rankings: Sequence[Groups]) -> dict[str, float]:
    """Return the mean place of each name over rankings of the same names.

    Two replies that trade places with the order in which they are shown end on one mean place: a tie.
    """
    places = [places_of(groups) for groups in rankings]
    return {name: fmean(each[name] for each in places) for name in sorted(places[0])}


def groups_of(places: Mapping[str, float]) -> Groups:
    """Return names from best to worst, those of one mean place together."""
    by_place: dict[float, list[str]] = {}
    for name, place in sorted(places.items()):
        by_place.setdefault(round(place, 9), []).append(name)
    return tuple(tuple(by_place[place]) for place in sorted(by_place))
