"""The numbers that PersLLM's authors published, as far as they are known to us."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

from persbench.report.paper.tables import Column, Field, Row, Table, text


class WithAndWithout(NamedTuple):
    """One quantity of the paper's table 2: without automatic DPO, and with it."""

    without: float
    with_dpo: float


@cache
def published() -> dict[str, Any]:
    """Return all of the package's `published.yaml`."""
    found: dict[str, Any] = yaml.safe_load(
        files("persbench.report.paper").joinpath("published.yaml").read_text("utf-8")
    )
    return found


def source(table: str) -> str:
    """Return where a published table stands."""
    paper = published()["paper"]
    return f"{paper['name']}, {published()[table]['source']} (arXiv {paper['arxiv']})"


def published_table_1() -> Table:
    """Return the paper's table 1 as it is printed, with what does not add up in it."""
    content = published()["table_1"]
    heads = [*content["columns"], "sum", "words"]
    rows = []
    for row in content["rows"]:
        fields = [*row["counts"], row.get("sum", "not printed"), row.get("words", "")]
        rows.append(Row((text(row["label"]), *map(_printed, fields))))
    return Table(
        name="table-1-published",
        title=f"Published: {source('table_1')}, {content['about']}",
        columns=(Column("", "left"), *map(Column, heads)),
        rows=tuple(rows),
        notes=tuple(content["notes"]),
    )


def _printed(value: int | str) -> Field:
    return Field((str(value),), (("", value),))


def published_table_2() -> dict[str, dict[str, WithAndWithout]]:
    """Return the paper's table 2: persona, or "average" -> measure -> values."""
    return {
        who: {measure: WithAndWithout(*map(float, pair)) for measure, pair in row.items()}
        for who, row in published()["table_2"]["rows"].items()
    }
