"""Drift: how the own stance fares over the turns of a live dialogue, against a dialogue without a persona."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.report.figures.entrants import choose
from persbench.report.figures.panels import grid, outer
from persbench.report.figures.save import Sketch
from persbench.report.figures.style import GREY, PALE, halo, look, titled
from persbench.report.figures.values import Measure, NothingToDrawError, counted, height, how_many, sentences, with_ends
from persbench.scoring.choice import per_byte_lengths
from persbench.scoring.consistency import own_lead
from persbench.scoring.stats import cluster_interval
from persbench.scoring.traits import mean_of_scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from persbench.report.figures.entrants import Choice, Entrant
    from persbench.report.figures.style import Look
    from persbench.samples import Row
    from persbench.scoring.stats import Interval

    Probe = tuple[float | None, float | None, str]

TASK: Final = "persbench_consistency"
DRIFT: Final = Measure(TASK, "drift", "drift")
OWN: Final = Measure(TASK, "own_share", "own stance in the probes")
COLUMNS: Final = 3
HUNDREDTHS: Final = 100.0
HOW_TO_READ: Final = (
    "In live dialogues of small talk, probes branch off and ask for the persona's opinion. Solid: by how much the own "
    "stance leads the mean of the others, in log-likelihood per byte. Dashed: the same at the same place of a "
    "dialogue without a persona, which shows what the talk itself does; 0 is no lead. Bars are 95% intervals of the "
    "difference between the two (bootstrap over questions): where a bar misses the dashed line, the persona is seen. "
    "Drift is the slope of that difference an exchange; below 0 the persona fades."
)


@dataclass(frozen=True)
class Curve:
    """What the probes of live dialogues show at each depth, over those that are scored in both dialogues.

    Attributes:
        depths: Exchanges before the probe, rising.
        lead: By how much the own stance leads the mean of the others, nats per byte; one a depth, None if unscored.
        calm: The same at the same place of the dialogue without a persona.
        beyond: Lead minus calm, paired, with interval.
        slope: Mean slope of `beyond` over depth, as on the board.
    """

    depths: tuple[int, ...]
    lead: tuple[float | None, ...]
    calm: tuple[float | None, ...]
    beyond: tuple[Interval, ...]
    slope: Interval


def curve_of(entrant: Entrant) -> Curve | None:
    """Return a system's curve; None where no probe is scored in both dialogues."""
    probes = _probes(entrant)
    if not any(scored(found) for found in probes.values()):
        return None
    return Curve(
        tuple(probes),
        tuple(mean_of_scored(lead for lead, _, _ in scored(found)) for found in probes.values()),
        tuple(mean_of_scored(calm for _, calm, _ in scored(found)) for found in probes.values()),
        tuple(
            cluster_interval(
                [None if lead is None or calm is None else lead - calm for lead, calm, _ in found],
                [cluster for _, _, cluster in found],
            )
            for found in probes.values()
        ),
        DRIFT.interval(entrant),
    )


def scored(found: Sequence[Probe]) -> list[Probe]:
    """Return the probes that have a lead in both dialogues."""
    return [probe for probe in found if probe[0] is not None]


def _probes(entrant: Entrant) -> dict[int, list[Probe]]:
    """Return depth -> (lead, lead without a persona, question) of each probe, by rising depth."""
    by_depth: dict[int, list[Probe]] = {}
    for row in DRIFT.rows(entrant):
        for depth, lead, calm in _leads(row):
            by_depth.setdefault(depth, []).append((lead, calm, str(row["cluster"])))
    return dict(sorted(by_depth.items()))


def _leads(row: Row) -> list[tuple[int, float | None, float | None]]:
    """Return (depth, lead, lead without a persona) of each probe, both None unless both are scored."""
    branches = {branch["label"]: branch for branch in row["branches"]}
    found: list[tuple[int, float | None, float | None]] = []
    for probe in row["probes"]["talk"]:
        branch = branches.get(f"talk/{probe['after']}", {})
        lead, calm = (
            own_lead(per_byte_lengths(branch[key], row["bytes"]), row["own"]) if branch.get(key) else None
            for key in ("loglikelihoods", "calm")
        )
        both = lead is not None and calm is not None
        found.append((probe["after"], lead if both else None, calm if both else None))
    return found


def draw_drift(everyone: Sequence[Entrant], baseline: str) -> Sketch:
    """Draw a panel for each system: the own stance's lead over the turns, with and without the persona.

    Raises:
        NothingToDrawError: No system has dialogues with probes that are scored on both sides.
    """
    having = [one for one in everyone if any(scored(found) for found in _probes(one).values())]
    if not having:
        raise NothingToDrawError(f"no system has probes of {TASK} that are scored with and without the persona")
    choice = choose(having, OWN.mean, OWN.name, baseline, rest="are left out")
    shown = [curve for one in choice.named if (curve := curve_of(one)) is not None]
    figure, panels = grid(len(shown), COLUMNS, *((4.6, 3.3) if len(shown) == 1 else (2.7, 2.5)))
    for place, (panel, one, curve) in enumerate(zip(panels, choice.named, shown, strict=True)):
        _draw(panel, curve, look(place))
        panel.set_title(one.name if len(shown) > 1 else "", loc="left", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    outer(panels, COLUMNS, "exchanges before the probe", "lead of the own stance\n(hundredths of a nat per byte)")
    title = _title(choice, shown)
    titled(figure, title)
    counts = counted([curve.slope for curve in shown], "dialogues")
    told = "; ".join(
        f"{one.name} {with_ends(curve.slope, '+.2f', HUNDREDTHS)}"
        for one, curve in zip(choice.named, shown, strict=True)
    )
    depths = ", ".join(str(depth) for depth in sorted({depth for curve in shown for depth in curve.depths}))
    alt = (
        f"Lead of the own stance after {depths} exchanges, beside a dialogue without a persona. "
        f"Drift an exchange, in hundredths of a nat per byte: {told}."
    )
    return Sketch(figure, title, sentences(HOW_TO_READ, choice.rule, counts), alt)


def _draw(panel: Axes, curve: Curve, style: Look) -> None:
    """Draw both curves; the bars are about their difference, which is paired, and so stand where that would be seen."""
    panel.axhline(0, color=PALE, linewidth=0.8, zorder=1)
    lead, calm = ([height(each, HUNDREDTHS) for each in leads] for leads in (curve.lead, curve.calm))
    panel.plot(curve.depths, calm, color=GREY, linestyle="--", marker="x", markersize=4, label="no persona", zorder=2)
    arms = [
        [
            0.0 if each.mean is None or each.low is None else HUNDREDTHS * (each.mean - each.low)
            for each in curve.beyond
        ],
        [
            0.0 if each.mean is None or each.high is None else HUNDREDTHS * (each.high - each.mean)
            for each in curve.beyond
        ],
    ]
    panel.errorbar(
        curve.depths, lead, yerr=arms, color=style.colour, marker=style.mark, elinewidth=0.9,
        markeredgecolor="white", markeredgewidth=0.6, label="persona", zorder=3,
    )  # fmt: skip
    panel.set_xticks(curve.depths)
    told = f"drift {with_ends(curve.slope, '+.3f', HUNDREDTHS)}"
    panel.text(0.03, 0.03, told, transform=panel.transAxes, color=GREY, fontsize=7, path_effects=halo())
    panel.margins(x=0.08, y=0.18)


def _title(choice: Choice, shown: Sequence[Curve]) -> str:
    fading = sum(curve.slope.high is not None and curve.slope.high < 0 for curve in shown)
    if len(shown) == 1:
        firmer = shown[0].slope.low is not None and shown[0].slope.low > 0
        told = "the own stance fades" if fading else "the own stance grows firmer" if firmer else "no drift is seen"
        return f"{choice.named[0].name}: {told} over the turns"
    return f"Fade over the turns (drift below 0): {how_many(fading, len(shown), named=bool(choice.rest))}"
