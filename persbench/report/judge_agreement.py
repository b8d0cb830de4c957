"""How far each metric that needs no judge agrees with a judge on the same items, as a table.

A judgement and a metric meet where they are about the same system, persona, stage and question: a free reply is held
against what the same system chose by log-likelihood on that question, and against its own overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.judging.records import consistency_shares
from persbench.report.board import columns, table_titles
from persbench.report.judged_values import score
from persbench.report.table import ends, number
from persbench.scoring.association import cohen_kappa, spearman
from persbench.scoring.sanity import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from persbench.judging.cases import Kind
    from persbench.report.cells import Cell
    from persbench.report.judged import JudgedTable
    from persbench.scoring.stats import Interval

    Key = tuple[str, str, str, str]  # system, persona, stage, question or item
    Values = Mapping[Key, float | str | None]

AGREES: Final = 3
"""From this score up a reply counts as agreeing, where kappa wants yes or no."""
TWO: Final = frozenset({0.0, 1.0})


@dataclass(frozen=True)
class MetricAgreement:
    """One metric against one kind of judgement.

    Attributes:
        judgement: Kind, and of what.
        metric: Name of the metric's column and of its task.
        correlation: Spearman's rank correlation over items, with its interval over questions.
        kappa: Cohen's kappa where both say yes or no, or name a class; else None.
        grey: The judge did not qualify in this kind of judgement.
    """

    judgement: str
    metric: str
    correlation: Interval | None
    kappa: Interval | None
    grey: bool


def metric_agreements(table: JudgedTable, cells: Sequence[Cell]) -> list[MetricAgreement]:
    """Hold every metric of the board that is a number an item against every judgement on the same items.

    Args:
        table: One judge on one run.
        cells: The run's results.

    Returns:
        One for each metric and judgement that meet on any item, in the order of the board.
    """
    found: list[MetricAgreement] = []
    measured = list(_metrics(cells))
    for kind, name, judged in _judgements(table):
        grey = not table.standings[kind].qualified
        for metric, values in measured:
            keys = sorted(judged.keys() & values.keys())
            if keys:
                found.append(_agreement(name, metric, [(judged[key], values[key], key[3]) for key in keys], grey=grey))
    return [*found, *_classes(table, cells)]


def _agreement(
    judgement: str, metric: str, pairs: list[tuple[float | str | None, float | str | None, str]], *, grey: bool
) -> MetricAgreement:
    said = [None if value is None else float(value) for value, *_ in pairs]
    measured = [None if value is None else float(value) for _, value, _ in pairs]
    clusters = [cluster for *_, cluster in pairs]
    kappa = None
    if {value for value in measured if value is not None} <= TWO and judgement != "rank":
        yes = [None if value is None else _is_yes(judgement, value) for value in said]
        kappa = cohen_kappa(yes, [None if value is None else value == 1 for value in measured], clusters)
    return MetricAgreement(judgement, metric, spearman(said, measured, clusters), kappa, grey)


def _is_yes(judgement: str, value: float) -> bool:
    return value >= AGREES if judgement == "agree" else value >= 1


def _judgements(table: JudgedTable) -> Iterator[tuple[Kind, str, dict[Key, float | str | None]]]:
    """Yield kind, name, and a number an item of which more is better."""
    rows = table.found.rows
    if rows.get("agree"):
        yield "agree", "agree", {_key(row.systems[0], row): score(row) for row in rows["agree"]}
    if rows.get("rank"):
        places: dict[Key, float | str | None] = {}
        for row in rows["rank"]:
            for system in row.systems:
                place = row.value.get(system) if isinstance(row.value, dict) else None
                # Places among fewer replies do not compare.
                whole = place is not None and isinstance(row.value, dict) and len(row.value) == len(row.systems)
                places[_key(system, row)] = -place if whole and place is not None else None
        yield "rank", "rank", places
    if rows.get("resist"):
        values: dict[Key, float | str | None] = {
            _key(row.systems[0], row): None if row.value is None else float(row.value == "resist")
            for row in rows["resist"]
        }
        yield "resist", "resist", values
    if rows.get("contradict"):
        people = {row.place["dialogue"]: row for row in rows["contradict"]}
        for against in ("prompt", "line", "answer"):
            shares = {
                _key(system, people[dialogue]): share.value
                for (system, task, dialogue, _), share in consistency_shares(rows["contradict"], against).items()
                if task == "persbench_consistency"
            }
            if shares:
                yield "contradict", f"contradict: {against}", dict(shares)


def _key(system: str, row: object) -> Key:
    persona, stage, cluster = (str(getattr(row, name)) for name in ("persona", "stage", "cluster"))
    return system, persona, stage, _item(cluster)


def _item(cluster: str) -> str:
    """The item behind a cluster, whatever the task: `induction/x` and `induction_reply/x` are both x."""
    return cluster.rpartition("/")[2]


def _metrics(cells: Sequence[Cell]) -> Iterator[tuple[str, dict[Key, float | str | None]]]:
    for name in table_titles():
        for column in columns(name):
            if column.statistic:
                continue
            values: dict[Key, float | str | None] = {}
            for cell in cells:
                for row in cell.tasks.get(column.task, []) if not cell.system.startswith(PREFIX) else ():
                    if column.metric in row["metrics"]:
                        value, scored = row["metrics"][column.metric]
                        key = (cell.system, row["persona"], row["stage"], _item(str(row["cluster"])))
                        values[key] = float(value) if scored and value is not None else None
            if values:
                yield f"{column.name} ({column.task.removeprefix('persbench_')})", values


def _classes(table: JudgedTable, cells: Sequence[Cell]) -> list[MetricAgreement]:
    """The classes of replies by program against the judge's, all four of them."""
    said = {_key(row.systems[0], row): row.value for row in table.found.rows.get("resist", ())}
    pairs: dict[Key, tuple[str | None, str | None]] = {}
    for cell in cells:
        for row in cell.tasks.get("persbench_induction_reply", []):
            key = (cell.system, row["persona"], row["stage"], _item(str(row["cluster"])))
            if key in said:
                judged, sorted_as = said[key], row.get("sorted_as")
                pairs[key] = (None if judged is None else str(judged), sorted_as)
    if not pairs:
        return []
    keys = sorted(pairs)
    first, second = [pairs[key][0] for key in keys], [pairs[key][1] for key in keys]
    kappa = cohen_kappa(first, second, [key[3] for key in keys])
    grey = not table.standings["resist"].qualified
    return [MetricAgreement("resist: four classes", "sorted by program (induction_reply)", None, kappa, grey)]


def markdown_agreement(tables: Sequence[tuple[JudgedTable, Sequence[MetricAgreement]]]) -> str:
    """Write the agreements of several judges as Markdown, each with its signature; grey ones in brackets."""
    blocks = []
    for table, found in tables:
        rows = [["judgement", "metric without a judge", "Spearman", "kappa", "n", "unscored"]]
        rows.append(["---", "---", "---:", "---:", "---:", "---:"])
        rows += [_row(one) for one in found]
        where = f" on {table.found.run}" if table.found.run else ""
        blocks += [
            f"**{table.found.judge}**{where}: metrics without a judge against its judgements",
            "\n".join(f"| {' | '.join(row)} |" for row in rows),
        ]
        if table.notices:
            blocks.append("\n".join(f"- {notice}" for notice in table.notices))
        blocks.append(f"```\n{table.found.signature}\n```")
    return "\n\n".join([*blocks, LEGEND]) + "\n"


LEGEND: Final = (
    "Over the items that both have scored: same system, persona, stage and question [95% interval, bootstrap over "
    f"questions]. kappa: both as yes or no; a reply agrees from {AGREES} of 5 up. rank is turned round, so that more "
    "is better. In brackets: the judge did not qualify in this kind of judgement."
)


def _row(one: MetricAgreement) -> list[str]:
    known = one.correlation or one.kappa
    counts = [str(known.n), str(known.unscored)] if known else ["0", "0"]
    return [one.judgement, one.metric, _value(one.correlation, one.grey), _value(one.kappa, one.grey), *counts]


def _value(value: Interval | None, grey: bool) -> str:
    if value is None or value.mean is None:
        return "-"
    text = f"{number(value.mean, 'signed')} {ends(value, 'signed')}"
    return f"({text})" if grey else text
