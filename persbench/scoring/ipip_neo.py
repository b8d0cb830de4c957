"""The IPIP-NEO inventories of 120 and 300 items, scored against published norms by the library five-factor-e.

The library (MIT) holds Johnson's keys, norms by sex and age, and the cubic that turns a domain's T score into a
percentile. It is optional: `pip install 'persbench[traits]'`.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LENGTHS: Final = (120, 300)
DOMAINS: Final = ("N", "E", "O", "A", "C")  # item by item, round and round
SHOWN: Final = ("O", "C", "E", "A", "N")
SEXES: Final = ("M", "F", "N")
AGES: Final = range(10, 111)
POINTS: Final = range(1, 6)


def _library(module: str = "ipipneo") -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise PersbenchError("IPIP-NEO is scored by five-factor-e: pip install 'persbench[traits]'") from None


def item_number(statement: str) -> int | None:
    """Read the item's number off the end of a statement's id, as in `ipip-007`; None where there is none."""
    found = re.search(r"(\d+)$", statement)
    return int(found[1]) if found else None


def inventory_length(numbers: Collection[int]) -> int | None:
    """Return 120 or 300 where these are all the item numbers of that inventory, each once; else None."""
    return next((n for n in LENGTHS if len(numbers) == n and set(numbers) == set(range(1, n + 1))), None)


def key_of(number: int, length: int) -> tuple[str, int]:
    """Return an item's domain, and 1 or -1 for its key, as the library has them.

    Args:
        number: 1 to `length`.
        length: 120 or 300.

    Raises:
        PersbenchError: The library is not installed.
    """
    keys = _library("ipipneo.reverse")
    reverse = keys.IPIP_NEO_ITEMS_REVERSED_120 if length == min(LENGTHS) else keys.IPIP_NEO_ITEMS_REVERSED_300
    return DOMAINS[(number - 1) % len(DOMAINS)], -1 if number in reverse else 1


def percentiles(answers: Mapping[int, int], *, sex: str, age: int) -> dict[str, float]:
    """Score a complete inventory.

    Args:
        answers: Item number -> answer as it was given, 1 (very inaccurate) to 5 (very accurate), not yet keyed.
        sex: Of the norms: M, F, or N for the mean of both.
        age: Of the norms, 10 to 110.

    Returns:
        Percentile of each domain O, C, E, A, N among the people of the norms, 1 to 99.

    Raises:
        PersbenchError: The library is not installed, or no such norms.
        ValueError: Not all 120 or 300 items, or an answer that is no point of the scale.
    """
    if sex not in SEXES or age not in AGES:
        raise PersbenchError(
            f"no norms for sex {sex!r} and age {age}: there are {', '.join(SEXES)} (N: the mean of both) "
            f"and {min(AGES)} to {max(AGES)}"
        )
    length = inventory_length(answers.keys())
    if length is None or not all(answer in POINTS for answer in answers.values()):
        raise ValueError("an inventory has all its 120 or 300 items, each answered with 1 to 5")
    asked = {"answers": [{"id_question": n, "id_select": int(answer)} for n, answer in sorted(answers.items())]}
    found = _library().IpipNeo(question=length).compute(sex=sex, age=age, answers=asked)
    domains = [one for part in found["person"]["result"]["personalities"] for one in part.values()]
    return {name: float(one[name]) for name in SHOWN for one in domains if name in one}
