"""Statistics of a whole system, computed from rows of records made by hand; and the ends of intervals as text."""

from __future__ import annotations

from typing import Any

import pytest

from persbench.report.board import columns, lines_of
from persbench.report.cells import Cell
from persbench.report.corpus import STATISTICS, branch_scores
from persbench.report.table import csv_board, ends
from persbench.scoring.stats import Interval

Row = dict[str, Any]


def induction_row(item: str, resistance: float | None, over: float | None) -> Row:
    metrics = {"resistance": [resistance, resistance is not None], "over_resistance": [over, over is not None]}
    return {"id": item, "cluster": item, "metrics": metrics, "chance": {}}


def dialogue_row(chosen: str, after: tuple[int, ...] = (1, 4, 8), **changes: Any) -> Row:
    """Write probes that chose "a" or "b" ("=" a tie, "?" not finite, "-" never reached, "r" without anchors).

    Raw, "b" has more nats a byte everywhere (-0.95 against -1); the anchors alone decide.
    """
    branches = []
    for depth, mark in zip(after, chosen, strict=True):
        branch: Row = {"label": f"talk/{depth}", "loglikelihoods": [-10.0, -19.0]}
        level = {"a": [-1.1, -0.9], "b": [-0.9, -0.9], "=": [-1.0, -0.95], "?": [-1.1, -0.9]}
        if mark == "?":
            branch["loglikelihoods"] = [-10.0, None]
        if mark in level:
            branch["anchors"] = level[mark]
        if mark != "-":
            branches.append(branch)
    probes = {"talk": [{"after": depth, "ask": "?"} for depth in after]}
    return {"bytes": [10, 20], "labels": ["a", "b"], "branches": branches, "probes": probes, "metrics": {}} | changes


def trait_row(
    who: str, statement: str, answers: tuple[int | None, ...], *, target: float | None = None, keyed: int = 1
) -> Row:
    """Write answers to a statement in its three forms; the statement's first letter is its domain."""
    persona, _, stage = who.partition("/")
    forms = ("text/ascending", "text/descending", "paraphrase/ascending")
    branches = [
        {
            "label": form,
            "loglikelihoods": [None if answer is None else -3.0 + 2 * (i == answer) for i in range(1, 6)],
            "anchors": [-1.0] * 5,
        }
        for form, answer in zip(forms, answers, strict=False)
    ]
    about = {"id": statement, "domain": statement[0], "keyed": keyed, "target": target}
    return {
        "persona": persona, "stage": stage, "cluster": f"{who}/{statement}", "statement": about, "bytes": [2] * 5,
        "branches": branches, "metrics": {"order_gap": [0.0, True]}, "chance": {},
    }  # fmt: skip


def reply_row(who: str, question: str, one: str, other: str) -> Row:
    persona, _, stage = who.partition("/")
    return {"persona": persona, "stage": stage, "cluster": question, "replies": [one, other], "metrics": {}}


def plain(found: Interval) -> list[float | None]:
    """Mean, n, clusters, unscored of a statistic that shows no interval."""
    assert (found.low, found.high) == (None, None)
    return [found.mean, found.n, found.clusters, found.unscored]


def test_branch_scores_are_per_byte_and_anchored() -> None:
    found = branch_scores(dialogue_row("abr"))
    assert found["talk/1"] == pytest.approx([0.1, -0.05])
    assert found["talk/4"] == pytest.approx([-0.1, -0.05])
    assert found["talk/8"] == [None, None]


def test_d_prime_by_hand() -> None:
    """One hit of one, no false alarm of one: rates 3/4 and 1/4, z = 0.67449 and its negative.

    Each variance is (3/16) / phi(0.67449)^2 = 0.1875 / 0.3177766^2 = 1.856773; 1.959964 sqrt(2 * 1.856773) = 3.776961.
    """
    found = STATISTICS["d_prime"]([induction_row("i1", 1.0, 0.0), induction_row("i2", None, None)])
    assert found.mean == pytest.approx(1.348980, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((1.348980 - 3.776961, 1.348980 + 3.776961), abs=1e-4)
    assert (found.n, found.unscored) == (1, 2)
    blind = STATISTICS["d_prime"]([induction_row("i1", 0.5, 0.5), induction_row("i2", 1.0, 1.0)])
    assert blind.mean == 0.0
    one_sided = STATISTICS["d_prime"]([induction_row("i1", 1.0, None)])
    assert one_sided == Interval(None, None, None, 1, 1, 1)


def test_kappa_by_hand() -> None:
    """Pairs that agree: 3 of 3 and 1 of 3, P = 2/3; "a" has 4 of 6 labels, Pe = 5/9; (2/3 - 5/9) / (4/9) = 1/4."""
    found = STATISTICS["kappa"]([dialogue_row("aaa"), dialogue_row("bba")])
    assert plain(found) == pytest.approx([0.25, 2, 2, 0])
    # the labels count, not the places of the candidates
    turned = dialogue_row("aab", labels=["b", "a"])
    assert STATISTICS["kappa"]([dialogue_row("aaa"), turned]).mean == pytest.approx(0.25)


@pytest.mark.parametrize("marks", ["aa=", "aa?", "aa-", "aar"])
def test_a_dialogue_with_an_unscored_probe_is_dropped_whole(marks: str) -> None:
    found = STATISTICS["kappa"]([dialogue_row("aaa"), dialogue_row("bba"), dialogue_row(marks)])
    assert plain(found) == pytest.approx([0.25, 2, 2, 1])
    assert STATISTICS["kappa"]([dialogue_row(marks)]) == Interval(None, None, None, 0, 0, 1)


def test_a_constant_answer_has_no_kappa() -> None:
    assert STATISTICS["kappa"]([dialogue_row("aaa"), dialogue_row("aaa")]).mean is None


def test_scripts_with_fewer_probes_are_dropped_from_kappa_and_counted() -> None:
    rows = [dialogue_row("aaa"), dialogue_row("bbb"), dialogue_row("ba", after=(1, 4))]
    found = STATISTICS["kappa"](rows)
    assert (found.mean, found.n, found.unscored) == (1.0, 2, 1)


def test_traits_correlate_with_targets_over_cells() -> None:
    """Scores 1, 2, 3 against targets 1, 3, 2: r = 1/2, distances 0, 1, 1."""
    rows = [
        trait_row("ada/early", "O1", (1, 1, 1), target=1.0),
        trait_row("ada/late", "O1", (5, 4, 3), target=3.0, keyed=-1),  # 1, 2, 3: mean 2
        trait_row("ada/early", "C1", (2, 2, 4), target=2.0),  # mean 8/3, and with the next 16/6
        trait_row("ada/early", "C2", (4, 4, 2), target=2.0),  # mean 10/3: 3 in all
    ]
    found = STATISTICS["trait_r"](rows)
    assert plain(found) == pytest.approx([0.5, 3, 1, 0])  # one persona: no interval
    distance = STATISTICS["trait_distance"](rows)
    assert plain(distance) == pytest.approx([2 / 3, 3, 1, 0])
    # a cell without a target is passed over; one without a scored answer is counted; a lost form is left out
    more = [trait_row("bo/early", "O1", (5, 5, 5)), trait_row("bo/late", "O1", (None,) * 3, target=4.0)]
    rows[0] = trait_row("ada/early", "O1", (1, None, 1), target=1.0)
    assert plain(STATISTICS["trait_r"](rows + more)) == pytest.approx([0.5, 3, 2, 1])
    assert STATISTICS["trait_distance"](rows + more).unscored == 1
    assert STATISTICS["trait_r"](rows[:2]).mean is None


def test_alpha_is_the_mean_over_domains_that_have_one() -> None:
    """O: items 1, 2, 3 and 1, 3, 2 (keyed -1: 5, 3, 4), variances 1 and 1, sums 2, 5, 5 of variance 3: 2 (1 - 2/3)."""
    people = ("ada/early", "ada/late", "bo/early")
    rows = [trait_row(who, "O1", (n,)) for who, n in zip(people, (1, 2, 3), strict=True)]
    rows += [trait_row(who, "O2", (n,), keyed=-1) for who, n in zip(people, (5, 3, 4), strict=True)]
    rows += [trait_row(who, "C1", (3,)) for who in people]  # one statement alone has no alpha
    assert plain(STATISTICS["alpha"](rows)) == pytest.approx([2 / 3, 1, 1, 1])
    rows += [trait_row(who, "C2", (n,)) for who, n in zip(people, (1, 2, 3), strict=True)]
    # C: variances 0 and 1, sums 4, 5, 6 of variance 1: 2 (1 - 1) = 0
    assert STATISTICS["alpha"](rows).mean == pytest.approx(1 / 3)
    assert STATISTICS["alpha"](rows[:1]) == Interval(None, None, None, 0, 0, 1)


def test_acquiescence_by_hand() -> None:
    rows = [trait_row("ada/early", "O1", (5, 5, 5)), trait_row("ada/early", "O2", (4, 2, 3), keyed=-1)]
    assert STATISTICS["acquiescence"](rows).mean == pytest.approx((5 + 3) / 2 - 3)
    assert STATISTICS["acquiescence"](rows[:1]).mean is None


ONE, TWO = "the ferry never waits here", "salt costs more every winter"


def test_likeness_within_and_between_by_hand() -> None:
    """Equal sentences have a BLEU of 100, sentences without a common word 0."""
    rows = [
        reply_row("ada/early", "q1", ONE, ONE),
        reply_row("ada/late", "q1", ONE, TWO),
        reply_row("bo/early", "q1", TWO, ONE),
        reply_row("bo/early", "q2", TWO, TWO),
    ]
    intra, stage, inter = (STATISTICS[name](rows) for name in ("intra", "stage", "inter"))
    assert [intra.mean, intra.n, intra.clusters] == pytest.approx([(100 + 0 + 0 + 100) / 4, 4, 2])
    assert plain(stage) == pytest.approx([50.0, 1, 1, 0])  # ada alone lives two stages: 100, 0, 100, 0
    assert plain(inter) == pytest.approx([50.0, 1, 1, 0])  # q1 at the early stage: 0, 100, 0, 100
    rows[1] = reply_row("ada/late", "q1", ONE, " ")
    assert (STATISTICS["intra"](rows).n, STATISTICS["intra"](rows).unscored) == (3, 1)
    assert STATISTICS["stage"](rows) == Interval(None, None, None, 0, 0, 1)
    assert STATISTICS["inter"](rows[:1]) == Interval(None, None, None, 0, 0, 0)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_no_rows_are_nothing(name: str) -> None:
    assert STATISTICS[name]([]) == Interval(None, None, None, 0, 0, 0)


def test_lines_fill_statistic_columns_over_all_personas_of_a_system() -> None:
    def cell(system: str, persona: str, task: str, rows: list[Row]) -> Cell:
        return Cell(system, persona, {"system": system}, {task: rows})

    task = "persbench_induction"
    ada, bo = [induction_row("i1", 1.0, 0.0)], [induction_row("i2", None, None)]
    cells = [cell("prompt", "ada", task, ada), cell("prompt", "bo", task, bo), cell("sanity:random", "ada", task, ada)]
    prompt, random = lines_of(cells, "resistance")
    assert prompt.entries["d_prime"].value == STATISTICS["d_prime"](ada + bo)
    assert (prompt.entries["d_prime"].raw, prompt.entries["d_prime"].chance) == (None, 0)
    assert prompt.entries["resistance"].value.unscored == 1
    assert set(random.entries) == {"resistance", "over_resistance"}  # a rule has no rows to correlate
    assert "prompt,,d_prime,1.3489" in csv_board({"resistance": [prompt]})

    task = "persbench_distinction"
    cells = [cell("prompt", p, task, [reply_row(f"{p}/early", "q1", ONE, ONE)]) for p in ("ada", "bo")]
    (line,) = lines_of(cells, "dynamics")
    assert {name: entry.value.mean for name, entry in line.entries.items()} == pytest.approx(
        {"intra": 100.0, "stage": None, "inter": 100.0}
    )
    named = {c.statistic for table in ("resistance", "consistency", "dynamics", "traits") for c in columns(table)}
    assert named - {""} == set(STATISTICS)


@pytest.mark.parametrize(
    ("low", "high", "style", "text"),
    [
        (0.05, 1.0, "share", "[.05 1.00]"),
        (-0.5, 0.5, "share", "[-.50 .50]"),
        (10.04, 100.0, "number", "[10.0 100.0]"),
        (0.06, 20.0, "number", "[.1 20.0]"),
        (-0.5, 10.04, "signed", "[-.50 +10.04]"),
        (-0.0005, 0.1, "hundredths", "[-.05 +10.00]"),
        (-10.04, -0.05, "fine", "[-10.04 -.05]"),
        (100.0, 100.0, "fine", "[100.00 100.00]"),
        (0.0, 0.0, "share", "[.00 .00]"),
    ],
)
def test_ends_lose_leading_zeros_and_no_others(low: float, high: float, style: str, text: str) -> None:
    assert ends(Interval(0.0, low, high, 2, 2, 0), style) == text


def test_ends_of_margins_are_in_hundredths_and_a_single_cluster_has_none() -> None:
    assert ends(Interval(0.0, -0.005, 1.0, 2, 2, 0), "margin", 100.0) == "[-.5 +100.0]"
    assert ends(Interval(0.5, None, None, 1, 1, 0)) == "[-]"
