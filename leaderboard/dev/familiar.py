"""How familiar are the words of a reply? What words alone say of items whose facts were told, beside what models do."""

from __future__ import annotations

from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from scipy.stats import linregress, t

from persbench.report.table import MARGIN_UNIT, ends, number
from persbench.scoring.stats import cluster_interval
from persbench.scoring.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from persbench.samples import Row


class InWords(NamedTuple):
    """What words alone say of an item: how much more of the true reply's was met, if all were, and what they take."""

    more: float
    all_met: bool
    taken: float


def in_words(item: Mapping[str, Any], learnt: Mapping[str, int]) -> InWords:
    """Return what words alone say of an item's `gold` and `foils`; `learnt` counts the words that were learnt."""
    replies = [words(text) for text in (item["gold"], *item["foils"])]
    shared = set.intersection(*map(set, replies))
    own = [[word for word in reply if word not in shared] or reply for reply in replies]  # all, where it has no others
    met = [fmean(word in learnt for word in reply) for reply in own]
    rarest = [min(learnt.get(word, 0) for word in reply) for reply in own]
    taken = (rarest[0] == max(rarest)) / rarest.count(max(rarest))
    return InWords(met[0] - fmean(met[1:]), min(met) == 1, taken)


def words_of(rows: Iterable[Mapping[str, object]]) -> Counter[str]:
    """Count the words that learning training rows makes a model write."""
    return Counter(word for row in rows for name in ("analysis", "response") for word in words(str(row[name])))


def against_words(found: Sequence[tuple[str, Mapping[str, tuple[Row, Row]], list[InWords], list[InWords]]]) -> str:
    """Return as Markdown how what telling adds goes with the words met.

    Words of a reply are those that not all four of an item have. *Met* is the share of them that stand in the dialogues
    that a system learnt, the true reply's less the mean of the false ones'; *at equal words* is the line's value where
    telling adds nothing to that, with its 95% interval. *By words alone* takes the reply whose rarest word stands most
    often in what was learnt, ties shared; *all words met* are the items all of whose four replies have met words alone.

    Args:
        found: Where the facts stand, the metrics of who was told and of who was not, by item, and what the words say
            that each of them learnt, in the same order.
    """
    lines = ["| told - not told | the fact stands | with words met | at equal words | n |", "|---|---|---:|---:|---:|"]
    shares = ["| facts | they stand | own reply taken | by words alone | n |", "|---|---|---:|---:|---:|"]
    for place, pairs, told, others in found:
        more = [one.more - two.more for one, two in zip(told, others, strict=True)]
        for metric, scale, title in (("acc", 1.0, "own reply taken more often"), ("margin", MARGIN_UNIT, "margin")):
            values = [[row[f"knowledge_{metric}"][0] for row in pair] for pair in pairs.values()]
            gains = [(one - two) * scale for one, two in values]
            lines.append(f"| {title} | {place} | {_line(more, gains)} | {len(gains)} |")
        of_told = [(one["knowledge_acc"][0], said) for (one, _), said in zip(pairs.values(), told, strict=True)]
        of_others = [(two["knowledge_acc"][0], said) for (_, two), said in zip(pairs.values(), others, strict=True)]
        all_met = [(acc, said) for acc, said in of_told if said.all_met]
        for title, rows in (("told", of_told), ("told, all words met", all_met), ("not told", of_others)):
            score = cluster_interval([acc for acc, _ in rows], range(len(rows)))
            by_words = number(fmean(said.taken for _, said in rows)) if rows else "-"
            shares.append(f"| {title} | {place} | {number(score.mean)} {ends(score)} | {by_words} | {len(rows)} |")
    return "\n".join([*lines, "", *shares])


def _line(more: list[float], gains: list[float]) -> str:
    line = linregress(more, gains)
    half_width = t.ppf(0.975, len(gains) - 2) * line.intercept_stderr
    interval = f"[{line.intercept - half_width:+.2f} {line.intercept + half_width:+.2f}]"
    return f"r {line.rvalue:+.2f} | {line.intercept:+.2f} {interval}"
